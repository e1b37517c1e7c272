-- What is the longest run of repeated notes in the piano parts: one key struck again and again in a part
-- (track and program), with nothing else struck there between?
-- $dataset: name of the dataset; default 'lakh_full'
-- $max_program: programs above this are no piano part; default 7
with bounds as (
    select performance_id, repeated_note_run_max as most
    from performance_statistics
    where dataset = $dataset
),

-- Where nothing but a piano plays, the longest run is one of a piano's: 20 of those are sure, and what cannot have as
-- long a one need not be looked at.
sure as (
    select any_value(longest.most) as num_notes
    from notes
    inner join (from bounds order by most desc, performance_id limit 1000) as longest using (performance_id)
    where not notes.is_drum
    group by notes.performance_id
    having max(notes.program) <= $max_program
    order by num_notes desc
    limit 20
),

candidates as (
    select performance_id
    from bounds
    where most >= (select if(count(*) = 20, min(num_notes), 0) from sure)
),

struck as (
    select
        notes.performance_id,
        notes.track,
        notes.program,
        notes.onset_tick,
        min(notes.onset_sec)               as onset_sec,
        min(notes.pitch)                   as pitch,
        min(notes.pitch) = max(notes.pitch) as is_single
    from notes
    inner join candidates using (performance_id)
    where not notes.is_drum and notes.program <= $max_program
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
