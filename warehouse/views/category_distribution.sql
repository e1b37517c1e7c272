-- How many performances of a dataset have each key, time signature and key signature, and lie on the file's grid.
-- Grain: dataset, split (or all), measure, value.  Units: counts; share 0-1 of the performances of that dataset and split.
-- Reads: performance_statistics, counted_performances.  Used by: report, data card.
--
-- value is null where the file states no signature. Keys are estimated, key signatures are the file's own.
create or replace view category_distribution as
with long as (
    select
        performance_id,
        dataset,
        unnest(['key', 'key_mode', 'time_signature', 'key_signature', 'is_on_grid'])                  as measure,
        unnest([key, key_mode, time_signature, key_signature, if(is_on_grid, 'grid', 'no grid')])     as value
    from performance_statistics
),

standing as (
    select performance_id, unnest(['all', split]) as split
    from counted_performances
)

select
    long.dataset,
    standing.split,
    long.measure,
    long.value,
    count(*) as num_performances,
    count(*) / sum(count(*)) over (partition by long.dataset, standing.split, long.measure) as share
from long
inner join standing using (performance_id)
group by long.dataset, standing.split, long.measure, long.value;
