-- How long each number of notes sounds at once.
-- Grain: performance, number of notes held down together (1 or more).  Units: seconds.
-- Reads: notes.  Used by: performance_statistics, polyphony_distribution.
--
-- A note counts from its onset to its note-off; the pedal does not lengthen it. Each note is two events, +1 and
-- -1, and their running sum is the number of notes held. It is read only where time passes until the next event:
-- a note that ends where another begins never overlaps it, and a note of no length never sounds.
create or replace view sounding_time as
with events as (
    select performance_id, onset_sec as time_sec, 1 as change from notes where not is_drum
    union all
    select performance_id, offset_sec as time_sec, -1 as change from notes where not is_drum
),

stretches as (
    select
        performance_id,
        sum(change) over in_time               as num_sounding,
        lead(time_sec) over in_time - time_sec as duration_sec
    from events
    window in_time as (partition by performance_id order by time_sec, change rows unbounded preceding)
)

select
    performance_id,
    num_sounding::integer as num_sounding,
    sum(duration_sec)     as duration_sec
from stretches
where num_sounding > 0 and duration_sec > 0
group by all;
