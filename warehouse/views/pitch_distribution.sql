-- How often each pitch is played in a dataset.
-- Grain: dataset, pitch that occurs.  Units: MIDI number, count, share of the dataset's notes 0-1.
-- Reads: distributions.  Used by: report, statistics plots.
create or replace view pitch_distribution as
select
    dataset,
    bin::tinyint   as pitch,
    weight::bigint as num_notes,
    share
from distributions
where measure = 'pitch' and split = 'all' and counted = 'all';
