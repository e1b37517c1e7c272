-- The standard split beside the clean one: how much of each held-out set has the same music in another split.
-- Grain: dataset that publishes a split, standing, held-out split, other split.  Units: performances, share 0-1, pairs.
-- Reads: pairs_with_files, performances_with_sources.  Used by: report, the asset splits, data card.
--
-- standing: published (the dataset's own split, as it is) or ours (what is trained and tested on). Counted are pairs of
-- any relation but shared_melody, within the dataset and with every other one: music of a dataset that publishes no
-- split stands, under the published standing, nowhere. share_leaking = held-out performances with at least one such
-- twin / held-out performances. Rows with num_pairs 0 say that nothing was found.
create or replace view split_leakage as
with places as (
    select 'published' as standing, performance_id, dataset, published_split as split from performances_with_sources
    union all
    select 'ours' as standing, performance_id, dataset, split from performances_with_sources
),

publishing as (
    select distinct dataset
    from performances_with_sources
    where published_split is not null
),

held_out as (
    select
        standing,
        dataset,
        split,
        other_split,
        count(distinct performance_id) as num_held_out
    from places
    inner join publishing using (dataset)
    inner join (values ('test', 'train'), ('test', 'validation'), ('validation', 'train')) as asked (split, other_split)
        using (split)
    group by standing, dataset, split, other_split
),

twins as (
    select performance_a as performance_id, performance_b as twin_id from pairs_with_files where relation <> 'shared_melody'
    union all
    select performance_b as performance_id, performance_a as twin_id from pairs_with_files where relation <> 'shared_melody'
),

leaks as (
    select
        places.standing,
        places.dataset,
        places.split,
        other.split                           as other_split,
        count(*)                              as num_pairs,
        count(distinct places.performance_id) as num_leaking
    from twins
    inner join places using (performance_id)
    inner join places as other on places.standing = other.standing and twins.twin_id = other.performance_id
    group by places.standing, places.dataset, places.split, other.split
)

select
    held_out.standing,
    held_out.dataset,
    held_out.split,
    held_out.other_split,
    held_out.num_held_out,
    coalesce(leaks.num_leaking, 0)                         as num_leaking,
    coalesce(leaks.num_leaking, 0) / held_out.num_held_out as share_leaking,
    coalesce(leaks.num_pairs, 0)                           as num_pairs
from held_out
left join leaks using (standing, dataset, split, other_split);
