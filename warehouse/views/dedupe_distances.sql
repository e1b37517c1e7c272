-- What counting the same music once changes of a dataset, measure by measure.
-- Grain: dataset, split (or all), counted (no_copies or once, beside all), measure.  Units: as in distances.
-- Reads: distances.  Used by: report.
create or replace view dedupe_distances as
select
    dataset_a as dataset,
    split_a   as split,
    counted_b as counted,
    measure,
    jensen_shannon_bits,
    wasserstein,
    wasserstein_unit
from distances
where kind = 'counted' and counted_a = 'all';
