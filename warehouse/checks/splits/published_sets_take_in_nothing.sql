-- A row is music that stands in the validation or test set of a dataset that publishes one, but was not published
-- there: numbers on that set would not be those of others. A dataset whose splits are all drawn (published = "ignore"),
-- or that is pinned, has no published set here.
with placed as (
    select
        splits.performance_id,
        splits.dataset,
        files.path,
        splits.split,
        splits.reason,
        sources.published_split
    from splits
    inner join files using (dataset, performance_id)
    inner join sources on files.dataset = sources.dataset and files.path = sources.path
),

published_sets as (
    select distinct dataset
    from placed
    where reason = 'published'
)

select performance_id, dataset, path, split, published_split
from placed
where
    dataset in (select dataset from published_sets)
    and split in ('validation', 'test')
    and published_split is distinct from split
    and reason <> 'dataset'
order by performance_id;
