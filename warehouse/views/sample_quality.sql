-- How what a run plays compares with held-out music of the same length: copies, cycles, repeats, structure, likeness.
-- Grain: experiment and run whose samples were judged.  Units: shares 0-1, seconds, notes per second, bits; counts.
-- Reads: sample_judgements, sample_distances.  Used by: docs/judging.md, beside the leaderboard.
--
-- Means over the samples stand beside those of their base line, held_out_*: excerpts of the test split with as many
-- notes as the median sample. The prompt is not judged. most_copied_share is that of the worst sample. What is asked of
-- too few notes counts nowhere; num_rejected are samples that an ingest would not take. mean_overlap is the mean of
-- sample_distances.overlapping_area over the measures that have one: 1 where samples lie as far from held-out music as
-- from each other.
create or replace view sample_quality as
with means as (
    select
        experiment,
        run_id,
        count(*) filter (where source = 'sample')                            as num_samples,
        count(*) filter (where source = 'sample' and rejection is not null)  as num_rejected,
        count(*) filter (where source = 'test')                              as num_held_out,
        avg(copied_share) filter (where source = 'sample')                   as copied_share,
        avg(copied_share) filter (where source = 'test')                     as held_out_copied_share,
        max(copied_share) filter (where source = 'sample')                   as most_copied_share,
        max(copied_share) filter (where source = 'test')                     as held_out_most_copied_share,
        max(longest_copy_sec) filter (where source = 'sample')               as longest_copy_sec,
        max(longest_copy_sec) filter (where source = 'test')                 as held_out_longest_copy_sec,
        avg(cycle3_share) filter (where source = 'sample')                   as cycle_share,
        avg(cycle3_share) filter (where source = 'test')                     as held_out_cycle_share,
        avg(repeated_8) filter (where source = 'sample')                     as repeated_share,
        avg(repeated_8) filter (where source = 'test')                       as held_out_repeated_share,
        avg(compression_ratio) filter (where source = 'sample')              as compression_ratio,
        avg(compression_ratio) filter (where source = 'test')                as held_out_compression_ratio,
        avg(structure_short) filter (where source = 'sample')                as structure_short,
        avg(structure_short) filter (where source = 'test')                  as held_out_structure_short,
        avg(structure_mid) filter (where source = 'sample')                  as structure_mid,
        avg(structure_mid) filter (where source = 'test')                    as held_out_structure_mid,
        avg(structure_long) filter (where source = 'sample')                 as structure_long,
        avg(structure_long) filter (where source = 'test')                   as held_out_structure_long,
        avg(notes_per_sec) filter (where source = 'sample')                  as notes_per_sec,
        avg(notes_per_sec) filter (where source = 'test')                    as held_out_notes_per_sec,
        avg(pitch_class_entropy) filter (where source = 'sample')            as pitch_class_entropy,
        avg(pitch_class_entropy) filter (where source = 'test')              as held_out_pitch_class_entropy,
        avg(groove_consistency) filter (where source = 'sample')             as groove_consistency,
        avg(groove_consistency) filter (where source = 'test')               as held_out_groove_consistency
    from sample_judgements
    group by experiment, run_id
),

likeness as (
    select
        experiment,
        run_id,
        avg(overlapping_area) as mean_overlap
    from sample_distances
    group by experiment, run_id
)

select
    means.*,
    likeness.mean_overlap
from means
left join likeness using (experiment, run_id)
order by means.experiment, means.run_id;
