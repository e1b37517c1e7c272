-- A row is a cluster, that is the same music, with members in several splits: what is tested on was trained on.
-- A dataset pinned to one split does this when it holds music that another dataset has too; the table
-- contamination names the files.
select
    cluster_id,
    list(distinct split order by split) as splits
from splits
group by cluster_id
having count(distinct split) > 1
order by cluster_id;
