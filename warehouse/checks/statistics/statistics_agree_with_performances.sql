-- A row is a performance whose measured counts or lengths are not those that its file was read with.
select
    performances.dataset,
    performances.performance_id,
    performances.num_notes,
    measured.num_notes         as num_notes_measured,
    performances.duration_sec,
    measured.duration_sec      as duration_sec_measured
from performance_statistics as measured
inner join performances using (performance_id)
where
    measured.dataset is distinct from performances.dataset
    or measured.num_notes is distinct from performances.num_notes
    or measured.num_drum_notes is distinct from performances.num_drum_notes
    or measured.duration_sec is distinct from performances.duration_sec
    or measured.duration_quarters is distinct from performances.duration_quarters
order by performances.performance_id;
