-- Which kinds of MIDI messages the accepted files of each dataset hold.
-- Grain: dataset, kind.  Units: messages, performances, shares 0-1.
-- Reads: message_counts, performances.  Used by: data card, readers of the warehouse.
--
-- message_share is of all messages of the dataset, performance_share of its performances that are MIDI files.
create or replace view message_kinds as
with counted as (
    select
        performances.dataset,
        message_counts.kind,
        sum(message_counts.num_messages)::bigint as num_messages,
        count(*)                                 as num_performances
    from message_counts
    inner join performances using (performance_id)
    where message_counts.num_messages > 0
    group by performances.dataset, message_counts.kind
),

midi as (
    select dataset, count(*) as num_performances
    from performances
    where format = 'midi'
    group by dataset
)

select
    counted.dataset,
    counted.kind,
    counted.num_messages,
    counted.num_performances,
    counted.num_messages / sum(counted.num_messages) over (partition by counted.dataset) as message_share,
    counted.num_performances / midi.num_performances                                     as performance_share
from counted
inner join midi using (dataset);
