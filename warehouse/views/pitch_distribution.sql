-- How often each pitch is played in a dataset.
-- Grain: dataset, pitch that occurs.  Units: MIDI number, count, share of the dataset's notes 0-1.
-- Reads: notes, performances.  Used by: report, statistics plots.
create or replace view pitch_distribution as
select
    performances.dataset,
    notes.pitch,
    count(*)                                                              as num_notes,
    count(*) / sum(count(*)) over (partition by performances.dataset)     as share
from notes
inner join performances using (performance_id)
where not notes.is_drum
group by performances.dataset, notes.pitch;
