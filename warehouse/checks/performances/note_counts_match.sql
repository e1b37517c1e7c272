-- A row is a performance that says it has more or fewer notes, drums apart, than the table of notes holds.
with counted as (
    select
        performance_id,
        count(*) filter (where not is_drum) as num_notes_found,
        count(*) filter (where is_drum)     as num_drum_notes_found
    from notes
    group by performance_id
)

select
    performances.performance_id,
    performances.dataset,
    performances.num_notes,
    coalesce(counted.num_notes_found, 0)      as num_notes_found,
    performances.num_drum_notes,
    coalesce(counted.num_drum_notes_found, 0) as num_drum_notes_found
from performances
left join counted using (performance_id)
where
    performances.num_notes is distinct from coalesce(counted.num_notes_found, 0)
    or performances.num_drum_notes is distinct from coalesce(counted.num_drum_notes_found, 0)
order by performances.performance_id;
