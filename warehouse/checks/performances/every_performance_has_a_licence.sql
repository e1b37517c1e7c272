-- A row is a dataset with performances of which no licence was recorded, not even that none is stated: nobody could
-- say what may be done with a model that was trained on them.
select
    performances.dataset,
    count(*) as num_performances
from performances
left join files using (dataset, performance_id)
left join sources on files.dataset = sources.dataset and files.path = sources.path
where coalesce(trim(sources.licence), '') = '' or sources.non_commercial is null
group by performances.dataset
order by performances.dataset;
