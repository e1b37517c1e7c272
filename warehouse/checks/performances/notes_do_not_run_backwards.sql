-- A row is a note that begins before its file does, ends before it begins, or is held by the pedal for less
-- than nothing; the tempo map or the pedal was misread. A note of no length is allowed.
select
    performance_id,
    track,
    pitch,
    onset_tick,
    duration_tick,
    onset_sec,
    offset_sec,
    held_sec
from notes
where not coalesce(
    onset_tick >= 0
    and duration_tick >= 0
    and onset_sec >= 0
    and offset_sec >= onset_sec
    and held_sec >= 0
    -- Infinity and NaN order after every number.
    and offset_sec < 'infinity'::double
    and held_sec < 'infinity'::float,
    false
)
order by performance_id, onset_tick, pitch, track;
