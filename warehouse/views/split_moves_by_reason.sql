-- How much music stands elsewhere than its dataset or its own draw says, and how much moved since earlier splits.
-- Grain: dataset, what it is compared with, split before, split now, reason, relation.  Units: counts, hours played.
-- Reads: split_moves, performances.  Used by: data card, readers of the warehouse.
--
-- relation is that to the performance which is the reason; null: they are no pair, others stand between. Rows with
-- to_split none are what the splits leave out.
create or replace view split_moves_by_reason as
select
    split_moves.dataset,
    split_moves.compared_with,
    split_moves.from_split,
    split_moves.to_split,
    split_moves.reason,
    split_moves.relation,
    count(*)                               as num_performances,
    sum(performances.duration_sec) / 3600  as duration_hours
from split_moves
inner join performances using (performance_id)
group by
    split_moves.dataset,
    split_moves.compared_with,
    split_moves.from_split,
    split_moves.to_split,
    split_moves.reason,
    split_moves.relation;
