-- How much music each split holds, by dataset; what is left out is in split_moves_by_reason.
-- Grain: split, dataset.  Units: hours played, counts; notes without drums.
-- Reads: performances, splits.  Used by: report, data card.
create or replace view hours_by_split as
select
    splits.split,
    performances.dataset,
    count(*)                                as num_performances,
    sum(performances.num_notes)::bigint     as num_notes,
    sum(performances.duration_sec) / 3600   as duration_hours
from performances
inner join splits using (performance_id)
where splits.split <> 'none'
group by splits.split, performances.dataset;
