-- Where each performance stands, and whether it counts when the same music counts once.
-- Grain: performance.  Units: booleans.
-- Reads: performances, splits, clusters, duplicate_pairs.  Used by: histogram_cells, measure_summaries.
--
-- Within its dataset: is_copy, when an earlier one of its cluster has the same bytes or notes, or an edit of them;
-- is_first, when it is the earliest of its cluster, so that other performances and excerpts of one work count once.
-- Earlier is: the cluster's representative, then what covers most of the others, then by id. Before clusters are
-- found every performance is first, and stands in the split `none` until splits are drawn.
create or replace view counted_performances as
with ranked as (
    select
        performances.performance_id,
        performances.dataset,
        coalesce(splits.split, 'none') as split,
        row_number() over (
            partition by performances.dataset, coalesce(clusters.cluster_id, performances.performance_id)
            order by clusters.is_representative desc, clusters.completeness desc, performances.performance_id
        ) as rank
    from performances
    left join splits using (performance_id)
    left join clusters using (performance_id)
),

-- Both members of a pair in one column: joined as two, they would first be joined to each other by dataset.
members as (
    select
        performance_a,
        performance_b,
        unnest([performance_a, performance_b]) as performance_id
    from duplicate_pairs
    where relation in ('same_bytes', 'same_notes', 'edited_copy')
),

later as (
    select max({'rank': ranked.rank, 'performance_id': ranked.performance_id}) as one
    from members
    inner join ranked using (performance_id)
    group by members.performance_a, members.performance_b
    having count(*) = 2 and min(ranked.dataset) = max(ranked.dataset)
),

copies as (
    select distinct one.performance_id as performance_id
    from later
)

select
    ranked.performance_id,
    ranked.dataset,
    ranked.split,
    -- A pair can lie across clusters that a policy keeps apart, and both be first of theirs.
    copies.performance_id is not null and ranked.rank > 1 as is_copy,
    ranked.rank = 1                                       as is_first
from ranked
left join copies using (performance_id);
