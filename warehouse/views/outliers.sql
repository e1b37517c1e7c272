-- Performances unlike the others of their dataset, worth listening to: a fault of the data, or an odd piece.
-- Grain: dataset, performance, measure by which it stands out; the 20 that do so most in each dataset.
-- Units: those of the measure; deviations.
-- Reads: performance_statistics, measure_summaries, described_performances.  Used by: the comparison stage, report.
--
-- A deviation is the distance from the dataset's median in units of 1.4826 median absolute deviations, which are the
-- standard deviation of a bell curve. Measures that grow with a piece's length and that are ratios of times are taken
-- by their logarithm. Of each performance the measure with the largest deviation counts; those below 4 are no outliers.
create or replace view outliers as
with long as (
    unpivot (
        select
            performance_id,
            dataset,
            log2(duration_sec + 1)                     as duration_sec,
            log2(notes_per_sec + 0.01)                 as notes_per_sec,
            pitch_mean,
            pitch_range::double                        as pitch_range,
            velocity_mean,
            velocity_std,
            log2(note_duration_sec_mean + 0.001)       as note_duration_sec_mean,
            log2(sounding_note_duration_sec_mean + 0.001) as sounding_note_duration_sec_mean,
            polyphony_mean,
            sounding_polyphony_mean,
            silence_share,
            hands_distance_mean,
            beyond_two_hands_share,
            soft_share,
            sustain_share,
            repeated_note_share,
            pitch_class_entropy,
            scale_consistency,
            empty_measure_rate
        from performance_statistics
    )
    on columns(* exclude (performance_id, dataset))
    into name measure value amount
),

middles as (
    select dataset, measure, median(amount) as middle
    from long
    group by dataset, measure
),

widths as (
    select long.dataset, long.measure, 1.4826 * median(abs(long.amount - middles.middle)) as width
    from long
    inner join middles using (dataset, measure)
    group by long.dataset, long.measure
),

deviations as (
    select
        long.dataset,
        long.performance_id,
        long.measure,
        (long.amount - middles.middle) / widths.width as deviation
    from long
    inner join middles using (dataset, measure)
    inner join widths using (dataset, measure)
    where widths.width > 1e-6
    qualify row_number() over (
        partition by long.performance_id order by abs(long.amount - middles.middle) / widths.width desc, long.measure
    ) = 1
),

ranked as (
    select
        *,
        row_number() over (partition by dataset order by abs(deviation) desc, performance_id) as rank
    from deviations
    where abs(deviation) >= 4
),

amounts as (
    unpivot (
        select
            performance_id,
            duration_sec, notes_per_sec, pitch_mean, pitch_range::double as pitch_range, velocity_mean, velocity_std,
            note_duration_sec_mean, sounding_note_duration_sec_mean, polyphony_mean, sounding_polyphony_mean,
            silence_share, hands_distance_mean, beyond_two_hands_share, soft_share, sustain_share, repeated_note_share,
            pitch_class_entropy, scale_consistency, empty_measure_rate
        from performance_statistics
    )
    on columns(* exclude (performance_id))
    into name measure value amount
)

select
    ranked.dataset,
    ranked.rank,
    described_performances.path,
    described_performances.title,
    described_performances.composer,
    ranked.measure,
    amounts.amount,
    ranked.deviation,
    quantiles.p05 as dataset_p05,
    quantiles.p50 as dataset_p50,
    quantiles.p95 as dataset_p95,
    described_performances.num_notes,
    described_performances.duration_sec,
    ranked.performance_id
from ranked
inner join amounts using (performance_id, measure)
inner join measure_summaries as quantiles
    on
        ranked.dataset = quantiles.dataset
        and ranked.measure = quantiles.measure
        and quantiles.split = 'all'
        and quantiles.counted = 'all'
inner join described_performances using (performance_id)
where ranked.rank <= 20;
