-- Which second holds the most key presses?
-- $dataset: name of the dataset; default 'maestro_v3'
with windows as (
    select
        performance_id,
        onset_sec,
        count(*) over (
            partition by performance_id order by onset_sec
            range between current row and 1.0 following
        ) as num_notes
    from note_facts
    where dataset = $dataset
),

densest as (
    select performance_id, max(num_notes) as num_notes, arg_max(onset_sec, num_notes) as from_sec
    from windows
    group by performance_id
)

select
    densest.num_notes,
    densest.from_sec,
    performances_with_sources.composer,
    performances_with_sources.title,
    performances_with_sources.path
from densest
inner join performances_with_sources using (performance_id)
order by densest.num_notes desc, path
limit 20;
