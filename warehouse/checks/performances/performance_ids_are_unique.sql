-- A row is an id that several performances carry: every join on it counts their notes more than once.
select
    performance_id,
    count(*)                       as num_performances,
    list(dataset order by dataset) as datasets
from performances
group by performance_id
having count(*) > 1 or performance_id is null
order by performance_id;
