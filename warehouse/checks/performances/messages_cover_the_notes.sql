-- A row is a performance of a MIDI file with more notes than its file has note-on messages: notes were invented, or
-- messages not counted. Fewer notes than messages are common, as where one part of several is read.
with counted as (
    select performance_id, sum(num_messages)::bigint as num_note_ons
    from message_counts
    where kind = 'note_on'
    group by performance_id
)

select
    performances.performance_id,
    performances.dataset,
    performances.num_notes,
    performances.num_drum_notes,
    coalesce(counted.num_note_ons, 0) as num_note_ons
from performances
left join counted using (performance_id)
where
    performances.format = 'midi'
    and performances.num_notes + performances.num_drum_notes > coalesce(counted.num_note_ons, 0)
order by performances.performance_id;
