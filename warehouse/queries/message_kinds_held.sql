-- What do the MIDI files hold: which kinds of messages, and in how many files?
-- $dataset: name of the dataset, or all; default 'all'
select
    kind,
    sum(num_messages)::bigint                                    as num_messages,
    sum(num_messages) / sum(sum(num_messages)) over ()           as message_share,
    sum(num_performances)::bigint                                as num_files
from message_kinds
where $dataset = 'all' or dataset = $dataset
group by kind
order by num_messages desc, kind;
