-- The histograms of performances summed, by what can be asked for: the numbers behind `distributions`.
-- Grain: dataset, split, whether they count once, measure, bin that is not empty.  Units: of histogram_bins.counts.
-- Reads: histograms, counted_performances.  Used by: the comparison stage, distributions.
--
-- counted_as: first of its cluster in its dataset, a copy of an earlier one, or other (another performance or an
-- excerpt of the same work); see counted_performances.
create or replace view histogram_cells as
with standing as (
    select
        performance_id,
        dataset,
        split,
        if(is_first, 'first', if(is_copy, 'copy', 'other')) as counted_as
    from counted_performances
)

select
    standing.dataset,
    standing.split,
    standing.counted_as,
    histograms.measure,
    histograms.bin,
    sum(histograms.weight) as weight
from histograms
inner join standing using (performance_id)
group by all;
