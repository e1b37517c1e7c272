-- A row is a dataset whose summed histograms of pitch hold other notes than its performances have.
with counted as (
    select dataset, sum(weight) as num_notes
    from histogram_cells
    where measure = 'pitch'
    group by dataset
),

measured as (
    select dataset, sum(num_notes) as num_notes
    from performance_statistics
    group by dataset
)

select
    coalesce(measured.dataset, counted.dataset) as dataset,
    measured.num_notes,
    counted.num_notes                           as num_notes_counted
from measured
full join counted using (dataset)
where measured.num_notes is distinct from counted.num_notes
order by dataset;
