-- A row is a performance that was not measured, or measured twice, or a measure of a performance that is not there.
-- Materialize the statistics of its dataset.
with measured as (
    select performance_id, dataset, count(*) as num_rows
    from performance_statistics
    group by performance_id, dataset
)

select
    coalesce(performances.performance_id, measured.performance_id) as performance_id,
    coalesce(performances.dataset, measured.dataset)               as dataset,
    performances.performance_id is not null                        as is_performance,
    coalesce(measured.num_rows, 0)                                 as num_rows
from performances
full join measured using (performance_id)
where performances.performance_id is null or measured.num_rows is distinct from 1
order by performance_id;
