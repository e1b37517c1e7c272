-- A row is a performance id that notes carry and no performance does: those notes belong to no file.
select
    performance_id,
    count(*) as num_notes
from notes
anti join performances using (performance_id)
group by performance_id
order by performance_id;
