-- A row is a split other than train, validation, test and none: no later stage would read its performances, and
-- nothing would say that they are left out.
select
    split,
    count(*) as num_performances
from splits
where coalesce(split not in ('train', 'validation', 'test', 'none'), true)
group by split
order by split;
