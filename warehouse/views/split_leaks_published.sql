-- What leaks in the splits that datasets publish: pairs of one dataset's music in two of its published splits.
-- Grain: duplicate pair.  Units: shares 0-1, seconds, semitones.
-- Reads: pairs_with_files.  Used by: report, the asset splits, data card.
--
-- split_a and split_b are where the two stand here, none where left out: is_mended says that the pair leaks no more.
create or replace view split_leaks_published as
select
    dataset_a as dataset,
    published_split_a,
    path_a,
    published_split_b,
    path_b,
    relation,
    score,
    coverage,
    coverage_a,
    coverage_b,
    residual_sec,
    num_anchors,
    semitones,
    is_mirrored,
    tempo_ratio,
    split_a,
    split_b,
    split_a = split_b or 'none' in (split_a, split_b) as is_mended,
    performance_a,
    performance_b
from pairs_with_files
where dataset_a = dataset_b and published_split_a <> published_split_b;
