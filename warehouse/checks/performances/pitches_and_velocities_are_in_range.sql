-- A row is a pitch and velocity that no MIDI note has: pitch is 0-127, velocity 1-127 (a note-on of velocity 0 ends
-- a note). The parser let a broken file through, or misread a good one.
select
    performance_id,
    pitch,
    velocity,
    count(*)       as num_notes,
    min(onset_sec) as first_onset_sec
from notes
where not coalesce(pitch between 0 and 127 and velocity between 1 and 127, false)
group by performance_id, pitch, velocity
order by performance_id, pitch, velocity;
