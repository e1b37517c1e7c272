-- A row is a performance that has no split or several, or a split's member that is no performance.
with assigned as (
    select performance_id, count(*) as num_splits
    from splits
    group by performance_id
)

select
    performance_id,
    performances.dataset,
    coalesce(assigned.num_splits, 0)        as num_splits,
    performances.performance_id is not null as is_performance
from performances
full outer join assigned using (performance_id)
where performances.performance_id is null or coalesce(assigned.num_splits, 0) != 1
order by performance_id;
