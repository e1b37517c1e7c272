-- What each performance is like: how many notes, how fast, how high, how loud, how long, how many at once.
-- Grain: performance.  Units: seconds, MIDI numbers (pitch 0-127, velocity 1-127), shares 0-1.
-- Reads: performances, notes, sounding_time.  Used by: dataset_statistics, the statistics stage, report.
--
-- Drums are left out. polyphony_mean is the mean number of notes held down, over the time when at least one is
-- (MusPy's `polyphony`, but over seconds and counting notes rather than pitches). silence_share is the part of
-- duration_sec in which none is, before the first note included. velocity_std is of the population. A mean over
-- nothing is null.
create or replace view performance_statistics as
with note_statistics as (
    select
        performance_id,
        count(*)                         as num_notes,
        min(pitch)                       as pitch_min,
        avg(pitch)                       as pitch_mean,
        max(pitch)                       as pitch_max,
        avg(velocity)                    as velocity_mean,
        stddev_pop(velocity)             as velocity_std,
        avg(offset_sec - onset_sec)      as note_duration_sec_mean,
        median(offset_sec - onset_sec)   as note_duration_sec_median
    from notes
    where not is_drum
    group by performance_id
),

polyphony as (
    select
        performance_id,
        sum(num_sounding * duration_sec) / sum(duration_sec) as polyphony_mean,
        max(num_sounding)                                    as polyphony_max,
        sum(duration_sec)                                    as sounding_sec
    from sounding_time
    group by performance_id
)

select
    performances.performance_id,
    performances.dataset,
    coalesce(note_statistics.num_notes, 0) as num_notes,
    performances.duration_sec,
    coalesce(note_statistics.num_notes, 0) / nullif(performances.duration_sec, 0) as notes_per_sec,
    note_statistics.pitch_min,
    note_statistics.pitch_mean,
    note_statistics.pitch_max,
    note_statistics.velocity_mean,
    note_statistics.velocity_std,
    note_statistics.note_duration_sec_mean,
    note_statistics.note_duration_sec_median,
    polyphony.polyphony_mean,
    coalesce(polyphony.polyphony_max, 0) as polyphony_max,
    -- Seconds added in two orders differ in their last bits, which must not show as a negative share.
    greatest(0, 1 - coalesce(polyphony.sounding_sec, 0) / nullif(performances.duration_sec, 0)) as silence_share
from performances
left join note_statistics using (performance_id)
left join polyphony using (performance_id);
