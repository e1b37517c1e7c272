-- A row is a split other than train, validation and test: no later stage would read its performances.
select
    split,
    count(*) as num_performances
from splits
where coalesce(split not in ('train', 'validation', 'test'), true)
group by split
order by split;
