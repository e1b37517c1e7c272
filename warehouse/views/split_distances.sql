-- How far apart the splits of a dataset are, measure by measure: whether the test set is like what is trained on.
-- Grain: dataset, split_a, split_b (both orders, and each with itself), counted, measure.  Units: as in distances.
-- Reads: distances.  Used by: report.
create or replace view split_distances as
select
    dataset_a as dataset,
    split_a,
    split_b,
    counted_a as counted,
    measure,
    jensen_shannon_bits,
    wasserstein,
    wasserstein_unit
from distances
where kind = 'splits';
