-- Which datasets are most like one of them, and in what do they differ most?
-- $dataset: name of the dataset; default 'maestro_v3'
-- $counted: all, no_copies or once; default 'all'
select
    dataset_b                                        as other_dataset,
    avg(jensen_shannon_bits)                         as mean_bits,
    arg_max(measure, jensen_shannon_bits)            as differs_most_in,
    max(jensen_shannon_bits)                         as most_bits,
    arg_min(measure, jensen_shannon_bits)            as differs_least_in,
    min(jensen_shannon_bits)                         as least_bits
from dataset_distances
where dataset_a = $dataset and dataset_b <> $dataset and counted = $counted
group by dataset_b
order by mean_bits, other_dataset;
