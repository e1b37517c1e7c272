-- How much of a dataset's time is spent with each number of notes held down; 0 is silence.
-- Grain: dataset, number of notes.  Units: seconds, share of the dataset's duration 0-1.
-- Reads: performances, sounding_time.  Used by: report, statistics plots.
create or replace view polyphony_distribution as
with sounding as (
    select
        performances.dataset,
        sounding_time.num_sounding,
        sum(sounding_time.duration_sec) as duration_sec
    from sounding_time
    inner join performances using (performance_id)
    group by all
),

silent as (
    select
        performances.dataset,
        0 as num_sounding,
        sum(greatest(0, performances.duration_sec - coalesce(held.duration_sec, 0))) as duration_sec
    from performances
    left join (
        select performance_id, sum(duration_sec) as duration_sec
        from sounding_time
        group by performance_id
    ) as held using (performance_id)
    group by performances.dataset
),

both_kinds as (
    from sounding
    union all
    from silent
)

select
    dataset,
    num_sounding,
    duration_sec,
    duration_sec / nullif(sum(duration_sec) over (partition by dataset), 0) as share
from both_kinds;
