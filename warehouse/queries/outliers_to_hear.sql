-- Which performances are unlike the others of their dataset, and in what?
-- $dataset: name of the dataset, or all; default 'all'
select
    dataset,
    rank,
    path,
    title,
    measure,
    amount,
    dataset_p05,
    dataset_p50,
    dataset_p95,
    deviation
from outliers
where $dataset = 'all' or dataset = $dataset
order by rank, dataset
limit 50;
