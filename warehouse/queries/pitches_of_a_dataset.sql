-- How often is each pitch played, with music that is there twice counted twice or once?
-- $dataset: name of the dataset; default 'maestro_v3'
-- $split: train, validation, test, none or all; default 'all'
-- $counted: all, no_copies or once; default 'all'
select
    bin            as pitch,
    weight::bigint as num_notes,
    share
from distributions
where measure = 'pitch' and dataset = $dataset and split = $split and counted = $counted
order by pitch;
