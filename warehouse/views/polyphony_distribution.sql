-- How much of a dataset's time is spent with each number of keys held down, or of pitches sounding; 0 is silence.
-- Grain: dataset, number of pitches.  Units: seconds, share of the dataset's time 0-1.
-- Reads: distributions.  Used by: report, statistics plots.
--
-- duration_sec and share are of keys held, sounding_sec and sounding_share of pitches that the pedal may hold.
create or replace view polyphony_distribution as
select
    dataset,
    bin                                                                     as num_pitches,
    coalesce(sum(weight) filter (where measure = 'polyphony'), 0)           as duration_sec,
    coalesce(sum(share) filter (where measure = 'polyphony'), 0)            as share,
    coalesce(sum(weight) filter (where measure = 'sounding_polyphony'), 0)  as sounding_sec,
    coalesce(sum(share) filter (where measure = 'sounding_polyphony'), 0)   as sounding_share
from distributions
where measure in ('polyphony', 'sounding_polyphony') and split = 'all' and counted = 'all'
group by dataset, bin;
