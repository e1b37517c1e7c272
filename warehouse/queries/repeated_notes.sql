-- What is the longest run of repeated notes in the piano parts: one key struck again and again in a part
-- (track and program), with nothing else struck there between?
-- $dataset: name of the dataset; default 'lakh'
-- $max_program: programs above this are no piano part; default 7
with struck as (
    select
        notes.performance_id,
        notes.track,
        notes.program,
        notes.onset_tick,
        min(notes.onset_sec)               as onset_sec,
        min(notes.pitch)                   as pitch,
        min(notes.pitch) = max(notes.pitch) as is_single
    from notes
    inner join performances using (performance_id)
    where performances.dataset = $dataset and not notes.is_drum and notes.program <= $max_program
    group by notes.performance_id, notes.track, notes.program, notes.onset_tick
),

numbered as (
    select
        *,
        -- Within a run both numbers grow alike.
        row_number() over (partition by performance_id, track, program order by onset_tick)
        - row_number() over (partition by performance_id, track, program, pitch, is_single order by onset_tick) as run
    from struck
),

runs as (
    select performance_id, track, pitch, count(*) as num_notes, min(onset_sec) as from_sec, max(onset_sec) as to_sec
    from numbered
    where is_single
    group by performance_id, track, program, pitch, run
)

select
    runs.num_notes,
    runs.pitch,
    runs.from_sec,
    runs.to_sec,
    runs.track,
    performances_with_sources.path,
    performances_with_sources.title
from runs
inner join performances_with_sources using (performance_id)
order by runs.num_notes desc, path, runs.track, runs.from_sec
limit 20;
