-- A row is a performance that the splits leave out without a row in split_moves that says why.
select
    splits.performance_id,
    splits.dataset,
    splits.split,
    splits.reason
from splits
left join split_moves
    on
        split_moves.performance_id = splits.performance_id
        and split_moves.to_split = splits.split
        and split_moves.compared_with <> 'earlier'
where splits.split = 'none' and split_moves.performance_id is null
order by splits.performance_id;
