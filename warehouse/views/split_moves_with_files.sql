-- Every performance that stands elsewhere than its dataset or its own draw says, with the file that is the reason.
-- Grain: row of split_moves.  Units: none.
-- Reads: split_moves, files.  Used by: readers of the warehouse.
create or replace view split_moves_with_files as
select
    split_moves.dataset,
    moved.path,
    split_moves.compared_with,
    split_moves.from_split,
    split_moves.to_split,
    split_moves.reason,
    cause.dataset as because_of_dataset,
    cause.path    as because_of_path,
    split_moves.relation,
    split_moves.performance_id,
    split_moves.because_of
from split_moves
left join files as moved on split_moves.dataset = moved.dataset and split_moves.performance_id = moved.performance_id
left join files as cause on split_moves.because_of = cause.performance_id;
