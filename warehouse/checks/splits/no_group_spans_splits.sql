-- A row is a group, that is music that belongs on one side, with members in several splits: what is tested on was
-- trained on. What is left out stands in no split. A dataset pinned to one split belongs to no group; where its music
-- is that of another split, the table contamination names the files.
select
    split_group,
    list(distinct split order by split) as splits
from splits
where split <> 'none' and split_group is not null
group by split_group
having count(distinct split) > 1
order by split_group;
