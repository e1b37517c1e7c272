-- A row is a performance that stands in no cluster or in several, or a cluster's member that is no performance:
-- splits follow clusters, so such music could end up in train and test.
with members as (
    select performance_id, count(*) as num_clusters
    from clusters
    group by performance_id
)

select
    performance_id,
    performances.dataset,
    coalesce(members.num_clusters, 0)    as num_clusters,
    performances.performance_id is not null as is_performance
from performances
full outer join members using (performance_id)
where performances.performance_id is null or coalesce(members.num_clusters, 0) != 1
order by performance_id;
