-- Which second holds the most key presses?
-- $dataset: name of the dataset; default 'maestro_v3'
with struck as (
    select notes.performance_id, notes.onset_sec
    from notes
    inner join performances using (performance_id)
    where performances.dataset = $dataset and not notes.is_drum
),

-- A second begins within one second of the clock and ends within the next: what those two hold is the most that it can,
-- and each of them is a second itself. Most performances are out of question by that.
clock as (
    select performance_id, floor(onset_sec) as sec, count(*) as num_notes
    from struck
    group by all
),

bounds as (
    select
        a.performance_id,
        max(a.num_notes)                            as least,
        max(a.num_notes + coalesce(b.num_notes, 0)) as most
    from clock as a
    left join clock as b on a.performance_id = b.performance_id and a.sec + 1 = b.sec
    group by a.performance_id
),

candidates as (
    select performance_id
    from bounds
    where most >= (select min(least) from (select least from bounds order by least desc limit 20))
),

windows as (
    select
        performance_id,
        onset_sec,
        count(*) over (
            partition by performance_id order by onset_sec
            range between current row and 1.0 following
        ) as num_notes
    from struck
    semi join candidates using (performance_id)
),

densest as (
    select performance_id, max(num_notes) as num_notes, arg_max(onset_sec, num_notes) as from_sec
    from windows
    group by performance_id
)

select
    densest.num_notes,
    densest.from_sec,
    performances_with_sources.composer,
    performances_with_sources.title,
    performances_with_sources.path
from densest
inner join performances_with_sources using (performance_id)
order by densest.num_notes desc, path
limit 20;
