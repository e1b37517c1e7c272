-- How long notes are held in a dataset, note-on to note-off, in bins of 50 ms.
-- Grain: dataset, bin that occurs.  Units: lower edge of the bin in seconds, count, share of the dataset's notes 0-1.
-- Reads: notes, performances.  Used by: report, statistics plots.
--
-- A bin holds its lower edge; the last one, 10 s, holds everything longer.
create or replace view note_duration_distribution as
with held as (
    select
        performances.dataset,
        -- A length of 0.15 s can come out of a subtraction a hair below it: rounded, it keeps to its own bin.
        least(floor(round((notes.offset_sec - notes.onset_sec) / 0.05, 6)), 200) / 20 as bin_sec
    from notes
    inner join performances using (performance_id)
    where not notes.is_drum
)

select
    dataset,
    bin_sec,
    count(*)                                                 as num_notes,
    count(*) / sum(count(*)) over (partition by dataset)     as share
from held
group by dataset, bin_sec;
