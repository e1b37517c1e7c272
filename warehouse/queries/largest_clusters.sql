-- Which music is here most often, under whatever name, key or tempo?
-- $num_rows: how many clusters to list; default 20
select
    cluster_size,
    title,
    dataset,
    path,
    datasets,
    splits,
    cluster_id
from cluster_summaries
order by cluster_size desc, cluster_id
limit $num_rows;
