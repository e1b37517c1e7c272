-- How far apart each two datasets are, measure by measure: the matrix.
-- Grain: dataset_a, dataset_b (both orders, and each with itself), counted, measure.  Units: as in distances.
-- Reads: distances.  Used by: report, statistics plots.
create or replace view dataset_distances as
select
    dataset_a,
    dataset_b,
    counted_a as counted,
    measure,
    jensen_shannon_bits,
    wasserstein,
    wasserstein_unit
from distances
where kind = 'datasets';
