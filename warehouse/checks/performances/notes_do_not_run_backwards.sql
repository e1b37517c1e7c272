-- A row is a note that begins before its file does, ends before it begins, or falls silent before its key is
-- released; the tempo map or the pedal was misread. A note of no length is allowed.
select
    performance_id,
    track,
    pitch,
    onset_tick,
    duration_tick,
    onset_sec,
    offset_sec,
    sounding_offset_sec
from notes
where not coalesce(
    onset_tick >= 0
    and duration_tick >= 0
    and onset_sec >= 0
    and offset_sec >= onset_sec
    and sounding_offset_sec >= offset_sec
    -- Infinity and NaN order after every number.
    and sounding_offset_sec < 'infinity'::double,
    false
)
order by performance_id, onset_tick, pitch, track;
