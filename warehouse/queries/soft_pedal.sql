-- Which pieces use the soft pedal most?
-- $dataset: name of the dataset; default 'maestro_v3'
select
    composer,
    title,
    soft_share,
    num_soft_presses,
    duration_sec,
    split,
    path
from described_performances
where dataset = $dataset and num_soft_presses > 0
order by soft_share desc, path
limit 20;
