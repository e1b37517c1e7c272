-- Of which works do performances differ most in speed?
-- $min_performances: works with fewer are left out; default 3
select
    dataset,
    work,
    num_performances,
    duration_sec_min,
    duration_sec_max,
    duration_sec_max / duration_sec_min as ratio
from work_statistics
where num_performances >= $min_performances
order by ratio desc, dataset, work
limit 20;
