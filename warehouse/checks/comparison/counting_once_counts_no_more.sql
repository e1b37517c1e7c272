-- A row is a dataset of which more performances are counted when the same music counts once than when all do, or none.
with counted as (
    select
        dataset,
        count(*)                             as num_performances,
        count(*) filter (where not is_copy)  as num_without_copies,
        count(*) filter (where is_first)     as num_first
    from counted_performances
    group by dataset
)

select *
from counted
where not (num_first between 1 and num_without_copies and num_without_copies <= num_performances)
order by dataset;
