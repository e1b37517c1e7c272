-- Which performances have these words in their title, composer or file name?
-- $words: to be found as they are, in whatever case; default 'prelude'
-- $num_rows: how many to list at most; default 100
select
    dataset,
    path,
    composer,
    title,
    split,
    duration_sec,
    performance_id
from performances_with_sources
where contains(lower(concat_ws(' ', title, composer, path)), lower($words))
order by dataset, path
limit $num_rows;
