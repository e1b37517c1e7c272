-- How much of each dataset is the same music again: performances and hours, with everything, without copies, and once?
select
    dataset,
    max(num_performances) filter (where counted = 'all')               as num_performances,
    max(num_performances) filter (where counted = 'no_copies')         as num_without_copies,
    max(num_performances) filter (where counted = 'once')              as num_once,
    max(total) filter (where counted = 'all') / 3600                   as hours,
    max(total) filter (where counted = 'no_copies') / 3600             as hours_without_copies,
    max(total) filter (where counted = 'once') / 3600                  as hours_once
from measure_summaries
where measure = 'duration_sec' and split = 'all'
group by dataset
order by dataset;
