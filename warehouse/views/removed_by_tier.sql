-- How many performances would go if one of each cluster were kept, by the strictest tier that makes them superfluous.
-- Grain: dataset, tier.  Units: counts; share of the dataset's performances, 0-1.
-- Reads: clusters, performances.  Used by: report, the asset clusters, data card.
--
-- Tiers run from 0, same_bytes, to 5, shared_melody; num_removed_so_far sums those up to and including a tier, so it
-- says what is lost when only duplicates up to there count. Of two the one that goes is of the later dataset.
create or replace view removed_by_tier as
with tiers (tier, relation) as (
    values
        (0, 'same_bytes'), (1, 'same_notes'), (2, 'edited_copy'), (3, 'excerpt'), (4, 'same_work'), (5, 'shared_melody')
),

datasets as (
    select
        dataset,
        count(*) as num_performances
    from performances
    group by dataset
),

removed as (
    select
        performances.dataset,
        clusters.absorbed_by as relation,
        count(*)             as num_removed
    from clusters
    inner join performances using (performance_id)
    where clusters.absorbed_by is not null
    group by performances.dataset, clusters.absorbed_by
)

select
    datasets.dataset,
    tiers.tier,
    tiers.relation,
    coalesce(removed.num_removed, 0)                               as num_removed,
    coalesce(removed.num_removed, 0) / datasets.num_performances   as share_removed,
    sum(coalesce(removed.num_removed, 0)) over (
        partition by datasets.dataset order by tiers.tier
    )::bigint                                                      as num_removed_so_far
from datasets
cross join tiers
left join removed on datasets.dataset = removed.dataset and tiers.relation = removed.relation;
