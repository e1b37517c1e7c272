-- How often each value of a measure occurs, in a dataset or one of its splits, with music that is there twice counted
-- twice or once.
-- Grain: dataset, split (or all), counted, measure, bin that is not empty.  Units: weights are what counts says, edges
-- (low, high) are in unit, share is 0-1 of the same dataset, split and counted.
-- Reads: histogram_cells, histogram_bins.  Used by: pitch_distribution and its like, distances, report, data card.
--
-- counted: all performances; no_copies, where copies within the dataset count once; once, where every cluster of the
-- same music does (see counted_performances).
create or replace view distributions as
with chosen (counted, counted_as) as (
    values
        ('all', 'first'), ('all', 'other'), ('all', 'copy'),
        ('no_copies', 'first'), ('no_copies', 'other'),
        ('once', 'first')
),

by_split as (
    select
        cells.dataset,
        cells.split,
        chosen.counted,
        cells.measure,
        cells.bin,
        sum(cells.weight) as weight
    from histogram_cells as cells
    inner join chosen using (counted_as)
    group by all
),

all_splits as (
    from by_split
    union all
    select dataset, 'all' as split, counted, measure, bin, sum(weight) as weight
    from by_split
    group by all
)

select
    all_splits.dataset,
    all_splits.split,
    all_splits.counted,
    all_splits.measure,
    all_splits.bin,
    bins.low,
    bins.high,
    bins.unit,
    bins.counts,
    all_splits.weight,
    all_splits.weight / sum(all_splits.weight) over (
        partition by all_splits.dataset, all_splits.split, all_splits.counted, all_splits.measure
    ) as share
from all_splits
inner join histogram_bins as bins using (measure, bin);
