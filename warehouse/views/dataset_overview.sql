-- What each dataset is, in one row: files, music, terms, and how much of it is there twice.
-- Grain: dataset.  Units: counts, hours, MIDI numbers, shares 0-1.
-- Reads: ingest_accounting, performance_statistics, sources, counted_performances.  Used by: report, data card.
--
-- num_copies: performances that are copies of an earlier one of the dataset; num_first: what is left when every cluster
-- of the same music counts once. with_pedal_share: of the performances that press the sustain pedal. dynamic_share: of
-- those with more than one velocity. on_grid_share: of those that lie on their file's grid, as scores do.
create or replace view dataset_overview as
with measured as (
    select
        dataset,
        sum(num_notes)::bigint                         as num_notes,
        sum(duration_sec) / 3600                       as duration_hours,
        min(pitch_min)                                 as pitch_min,
        max(pitch_max)                                 as pitch_max,
        avg((num_sustain_presses > 0)::integer)        as with_pedal_share,
        avg((num_velocities > 1)::integer)             as dynamic_share,
        avg(is_on_grid::integer)                       as on_grid_share,
        sum(num_drum_notes)::bigint                    as num_drum_notes
    from performance_statistics
    group by dataset
),

terms as (
    select
        dataset,
        string_agg(distinct licence, '; ' order by licence) as licence,
        bool_or(non_commercial)                             as non_commercial,
        count(distinct composer)                            as num_composers,
        count(distinct work)                                as num_works
    from sources
    group by dataset
),

counted as (
    select
        dataset,
        count(*) filter (where is_copy)                as num_copies,
        count(*) filter (where is_first)               as num_first,
        count(*) filter (where split = 'train')        as num_train,
        count(*) filter (where split = 'validation')   as num_validation,
        count(*) filter (where split = 'test')         as num_test
    from counted_performances
    group by dataset
)

select
    ingest_accounting.dataset,
    ingest_accounting.num_files,
    ingest_accounting.num_performances,
    ingest_accounting.num_rejections,
    measured.* exclude (dataset),
    terms.* exclude (dataset),
    counted.* exclude (dataset)
from ingest_accounting
left join measured using (dataset)
left join terms using (dataset)
left join counted using (dataset);
