-- Every duplicate pair with both files, their splits as published and as they stand here, and the evidence.
-- Grain: duplicate pair.  Units: as in duplicate_pairs, shares 0-1, seconds, semitones.
-- Reads: duplicate_pairs, performances_with_sources, clusters.  Used by: contamination_matrix, split_leakage, report.
--
-- a and b are turned so that (dataset_a, path_a) goes before (dataset_b, path_b). is_same_cluster: the pair was not
-- cut as a mere chain.
create or replace view pairs_with_files as
with both_ways as (
    select
        performance_a, performance_b, coverage_a, coverage_b, semitones, tempo_ratio,
        relation, score, coverage, residual_sec, num_shared, num_anchors, is_mirrored
    from duplicate_pairs
    union all
    select
        performance_b, performance_a, coverage_b, coverage_a,
        -- A mirror image is its own inverse: the sum of a pitch and its image stays.
        if(is_mirrored, semitones, -semitones), 1 / nullif(tempo_ratio, 0),
        relation, score, coverage, residual_sec, num_shared, num_anchors, is_mirrored
    from duplicate_pairs
)

select
    a.dataset         as dataset_a,
    a.path            as path_a,
    b.dataset         as dataset_b,
    b.path            as path_b,
    both_ways.relation,
    both_ways.score,
    both_ways.coverage,
    both_ways.coverage_a,
    both_ways.coverage_b,
    both_ways.residual_sec,
    both_ways.num_shared,
    both_ways.num_anchors,
    both_ways.semitones,
    both_ways.is_mirrored,
    both_ways.tempo_ratio,
    a.published_split as published_split_a,
    b.published_split as published_split_b,
    a.split           as split_a,
    b.split           as split_b,
    cluster_a.cluster_id = cluster_b.cluster_id as is_same_cluster,
    both_ways.performance_a,
    both_ways.performance_b
from both_ways
inner join performances_with_sources as a on both_ways.performance_a = a.performance_id
inner join performances_with_sources as b on both_ways.performance_b = b.performance_id
left join clusters as cluster_a on both_ways.performance_a = cluster_a.performance_id
left join clusters as cluster_b on both_ways.performance_b = cluster_b.performance_id
where
    (a.dataset, coalesce(a.path, ''), both_ways.performance_a)
    < (b.dataset, coalesce(b.path, ''), both_ways.performance_b);
