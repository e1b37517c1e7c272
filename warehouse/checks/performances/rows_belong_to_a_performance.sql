-- A row is a performance that a table of its events, signatures, parts or messages names and that is not there.
with named as (
    select 'controls' as found_in, performance_id from controls
    union all
    select 'pedal_presses', performance_id from pedal_presses
    union all
    select 'tempos', performance_id from tempos
    union all
    select 'time_signatures', performance_id from time_signatures
    union all
    select 'key_signatures', performance_id from key_signatures
    union all
    select 'parts', performance_id from parts
    union all
    select 'message_counts', performance_id from message_counts
)

select
    named.found_in,
    named.performance_id,
    count(*) as num_rows
from named
anti join performances using (performance_id)
group by named.found_in, named.performance_id
order by named.found_in, named.performance_id;
