-- How often each velocity is played in a dataset.
-- Grain: dataset, velocity that occurs.  Units: MIDI number, count, share of the dataset's notes 0-1.
-- Reads: notes, performances.  Used by: report, statistics plots.
create or replace view velocity_distribution as
select
    performances.dataset,
    notes.velocity,
    count(*)                                                              as num_notes,
    count(*) / sum(count(*)) over (partition by performances.dataset)     as share
from notes
inner join performances using (performance_id)
where not notes.is_drum
group by performances.dataset, notes.velocity;
