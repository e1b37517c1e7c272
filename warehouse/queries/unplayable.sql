-- Which music can no two hands play as it stands: notes off the piano, or out of reach?
-- $dataset: name of the dataset, or all; default 'all'
select
    dataset,
    path,
    title,
    beyond_two_hands_share,
    polyphony_max,
    spread_max,
    pitch_min,
    pitch_max
from described_performances
where
    ($dataset = 'all' or dataset = $dataset)
    and (beyond_two_hands_share > 0.1 or pitch_min < 21 or pitch_max > 108)
order by beyond_two_hands_share desc, dataset, path
limit 50;
