-- Music that two datasets share, whatever split it stands in: the files of one that are the other's.
-- Grain: two datasets, relation.  Units: pairs, performances.
-- Reads: pairs_with_files.  Used by: report, the asset duplicate_pairs.
--
-- num_performances_a counts those of dataset_a with at least one such twin in dataset_b. The files themselves are rows
-- of pairs_with_files.
create or replace view datasets_sharing_music as
select
    dataset_a,
    dataset_b,
    relation,
    count(*)                      as num_pairs,
    count(distinct performance_a) as num_performances_a,
    count(distinct performance_b) as num_performances_b
from pairs_with_files
where dataset_a <> dataset_b
group by dataset_a, dataset_b, relation;
