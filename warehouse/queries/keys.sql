-- In which keys is the music, as it sounds and as the files state it?
-- $dataset: name of the dataset, or all; default 'all'
select
    key,
    count(*)                                                               as num_performances,
    count(*) / sum(count(*)) over ()                                       as share,
    avg(key_correlation)                                                   as key_correlation,
    count(key_signature)                                                   as num_with_signature,
    count(*) filter (where key_signature = key)                            as num_signature_agrees
from performance_statistics
where key is not null and ($dataset = 'all' or dataset = $dataset)
group by key
order by num_performances desc, key;
