-- How often each dataset holds the same music several times, and how much of its music other datasets hold as well.
-- Grain: dataset.  Units: counts.
-- Reads: clusters, performances.  Used by: report, the asset clusters.
--
-- num_repeated: clusters with several of its performances, num_in_repeated: those performances, most_in_one: of the
-- largest of them. num_shared: clusters with performances of other datasets too.
create or replace view clusters_by_dataset as
with members as (
    select
        performances.dataset,
        clusters.cluster_id,
        clusters.cluster_size,
        count(*) as num_members
    from clusters
    inner join performances using (performance_id)
    group by performances.dataset, clusters.cluster_id, clusters.cluster_size
)

select
    dataset,
    sum(num_members)::bigint                                               as num_performances,
    count(*)                                                               as num_clusters,
    count(*) filter (where num_members > 1)                                as num_repeated,
    coalesce(sum(num_members) filter (where num_members > 1), 0)::bigint   as num_in_repeated,
    max(num_members)                                                       as most_in_one,
    count(*) filter (where num_members < cluster_size)                     as num_shared
from members
group by dataset;
