-- Which performances are the longest?
-- $dataset: name of the dataset, or all; default 'all'
-- $num_rows: how many to list; default 20
select
    dataset,
    path,
    composer,
    title,
    duration_sec / 60 as duration_min,
    num_notes
from performances_with_sources
where $dataset = 'all' or dataset = $dataset
order by duration_sec desc, dataset, path
limit $num_rows;
