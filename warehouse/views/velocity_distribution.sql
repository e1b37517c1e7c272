-- How often each velocity is played in a dataset.
-- Grain: dataset, velocity that occurs.  Units: MIDI number, count, share of the dataset's notes 0-1.
-- Reads: distributions.  Used by: report, statistics plots.
create or replace view velocity_distribution as
select
    dataset,
    bin::tinyint   as velocity,
    weight::bigint as num_notes,
    share
from distributions
where measure = 'velocity' and split = 'all' and counted = 'all';
