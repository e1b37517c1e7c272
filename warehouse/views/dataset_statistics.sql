-- What the performances of each dataset are like: mean and percentiles over performances.
-- Grain: dataset.  Units: hours, and those of performance_statistics.
-- Reads: performance_statistics.  Used by: the comparison stage, report, data card.
--
-- For every measure X of performance_statistics: X_mean, X_p05, X_p50, X_p95. Each performance counts once,
-- however long it is; a percentile between two performances is interpolated. By split, or with music that is there
-- twice counted once: measure_summaries.
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
        columns(
            * exclude (
                performance_id, dataset, num_notes, pitch_min, pitch_max, polyphony_max, key_tonic, key_mode, key,
                time_signature, key_signature
            )
        )::double
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
