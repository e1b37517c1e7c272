-- What the performances of each dataset are like: mean and percentiles over performances.
-- Grain: dataset.  Units: hours, seconds, MIDI numbers, shares 0-1, as in performance_statistics.
-- Reads: performance_statistics.  Used by: the statistics stage, report, data card.
--
-- For every measure X of performance_statistics: X_mean, X_p05, X_p50, X_p95. Each performance counts once,
-- however long it is; a percentile between two performances is interpolated.
create or replace view dataset_statistics as
with totals as (
    select
        dataset,
        count(*)                   as num_performances,
        sum(num_notes)::bigint     as num_notes,
        sum(duration_sec) / 3600   as duration_hours,
        min(pitch_min)             as pitch_min,
        max(pitch_max)             as pitch_max,
        max(polyphony_max)         as polyphony_max
    from performance_statistics
    group by dataset
),

measures as (
    select
        dataset,
        num_notes as num_notes_per_performance,
        duration_sec,
        notes_per_sec,
        pitch_mean,
        velocity_mean,
        velocity_std,
        note_duration_sec_mean,
        note_duration_sec_median,
        polyphony_mean,
        silence_share
    from performance_statistics
),

spread as (
    select
        dataset,
        avg(columns(* exclude (dataset)))                 as '\0_mean',
        quantile_cont(columns(* exclude (dataset)), 0.05) as '\0_p05',
        quantile_cont(columns(* exclude (dataset)), 0.50) as '\0_p50',
        quantile_cont(columns(* exclude (dataset)), 0.95) as '\0_p95'
    from measures
    group by dataset
)

select *
from totals
inner join spread using (dataset);
