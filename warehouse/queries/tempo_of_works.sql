-- Of which works do performances differ most in speed? Of those that were played: a score's tempo may be nobody's.
-- $min_performances: works with fewer are left out; default 3
select
    dataset,
    work,
    num_played,
    played_sec_min,
    played_sec_max,
    played_sec_max / played_sec_min as ratio
from work_statistics
where num_played >= $min_performances
order by ratio desc, dataset, work
limit 20;
