-- Is the test set like what is trained on: how far apart are the splits, measure by measure?
-- $dataset: name of the dataset; default 'maestro_v3'
select
    measure,
    max(jensen_shannon_bits) filter (where split_b = 'validation') as validation_bits,
    max(jensen_shannon_bits) filter (where split_b = 'test')       as test_bits,
    max(wasserstein) filter (where split_b = 'test')               as test_wasserstein,
    any_value(wasserstein_unit)                                    as wasserstein_unit
from split_distances
where dataset = $dataset and split_a = 'train' and counted = 'all'
group by measure
order by test_bits desc, measure;
