-- The splits that datasets publish against ours, which follow clusters of the same music over all datasets.
-- Grain: dataset, published split, split.  Units: counts, hours played.
-- Reads: performances_with_sources.  Used by: report, data card, readers of the warehouse.
--
-- Performances of datasets that publish no split are left out. is_same is null before splits are drawn.
create or replace view split_agreement as
select
    dataset,
    published_split,
    split,
    published_split = split    as is_same,
    count(*)                   as num_performances,
    sum(duration_sec) / 3600   as duration_hours
from performances_with_sources
where published_split is not null
group by dataset, published_split, split;
