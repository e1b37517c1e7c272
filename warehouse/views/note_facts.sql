-- Every key press with what follows from it: pitch class and name, quarters, time since the one before.
-- Grain: note, drums left out.  Units: seconds, quarters, semitones; shares of a quarter 0-1.
-- Reads: notes, performances.  Used by: named queries, readers of the warehouse.
--
-- ioi_sec is the time since the note before (0 in a chord struck at once), melodic steps are in histograms.
-- position is the place within the file's quarter. Ask for one performance or dataset: over all, it is as long as notes.
create or replace view note_facts as
select
    notes.performance_id,
    performances.dataset,
    notes.track,
    notes.program,
    notes.pitch,
    notes.pitch % 12 as pitch_class,
    ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'][notes.pitch % 12 + 1]
    || (notes.pitch // 12 - 1)::varchar                                                      as pitch_name,
    notes.velocity,
    notes.onset_sec,
    notes.offset_sec,
    notes.offset_sec - notes.onset_sec                                                       as duration_sec,
    notes.offset_sec - notes.onset_sec + notes.held_sec                                      as sounding_duration_sec,
    notes.onset_tick / performances.ticks_per_quarter                                        as onset_quarters,
    notes.duration_tick / performances.ticks_per_quarter                                     as duration_quarters,
    notes.onset_tick % performances.ticks_per_quarter / performances.ticks_per_quarter       as position,
    notes.onset_sec - lag(notes.onset_sec) over in_order                                     as ioi_sec,
    notes.pitch::integer - lag(notes.pitch) over in_order                                    as interval
from notes
inner join performances using (performance_id)
where not notes.is_drum
window in_order as (partition by notes.performance_id order by notes.onset_tick, notes.pitch, notes.track);
