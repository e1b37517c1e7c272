-- How much music any two splits of any two datasets share, as published and as they stand here.
-- Grain: standing, dataset and split of a, dataset and split of b, relation.  Units: pairs, performances.
-- Reads: pairs_with_files.  Used by: report, the asset splits, data card.
--
-- standing: published (the datasets' own splits; music without one is left out) or ours. Each pair counts once, turned
-- so that (dataset, split) of a goes before that of b; is_across says that the two splits differ, which is a leak.
-- num_performances_a counts those of a with at least one such twin. What our splits leave out is not counted.
create or replace view contamination_matrix as
with standings as (
    select
        'published' as standing, relation, dataset_a, dataset_b, performance_a, performance_b,
        published_split_a as split_a, published_split_b as split_b
    from pairs_with_files
    union all
    select
        'ours' as standing, relation, dataset_a, dataset_b, performance_a, performance_b,
        nullif(split_a, 'none') as split_a, nullif(split_b, 'none') as split_b
    from pairs_with_files
),

turned as (
    select
        standing, relation,
        if(in_order, dataset_a, dataset_b)          as dataset_a,
        if(in_order, split_a, split_b)              as split_a,
        if(in_order, dataset_b, dataset_a)          as dataset_b,
        if(in_order, split_b, split_a)              as split_b,
        if(in_order, performance_a, performance_b)  as performance_a,
        if(in_order, performance_b, performance_a)  as performance_b
    from (
        select *, (dataset_a, split_a) <= (dataset_b, split_b) as in_order
        from standings
        where split_a is not null and split_b is not null
    )
)

select
    standing,
    dataset_a,
    split_a,
    dataset_b,
    split_b,
    relation,
    split_a <> split_b            as is_across,
    count(*)                      as num_pairs,
    count(distinct performance_a) as num_performances_a,
    count(distinct performance_b) as num_performances_b
from turned
group by standing, dataset_a, split_a, dataset_b, split_b, relation;
