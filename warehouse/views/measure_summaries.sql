-- Every measure of performance_statistics over the performances of a dataset or one of its splits.
-- Grain: dataset, split (or all), counted, measure.  Units: those of the measure, see the columns' comments; counts.
-- Reads: performance_statistics, counted_performances.  Used by: the comparison stage, report, data card.
--
-- Each performance counts once, however long it is; `total` is the sum. A percentile between two performances is
-- interpolated, std is of the population, num_performances is of those of which the measure is known. Booleans are
-- 0 and 1. counted as in distributions.
create or replace view measure_summaries as
with measured as (
    select
        performance_id,
        dataset,
        columns(* exclude (performance_id, dataset, key_tonic, key_mode, key, time_signature, key_signature))::double
    from performance_statistics
),

long as (
    unpivot measured
    on columns(* exclude (performance_id, dataset))
    into name measure value amount
),

chosen (counted, keeps_copies, keeps_others) as (
    values ('all', true, true), ('no_copies', false, true), ('once', false, false)
),

standing as (
    select
        counted_performances.performance_id,
        unnest(['all', counted_performances.split]) as split,
        chosen.counted
    from counted_performances
    inner join chosen
        on
            counted_performances.is_first
            or (counted_performances.is_copy and chosen.keeps_copies)
            or (not counted_performances.is_copy and chosen.keeps_others)
),

summed as (
    select
        long.dataset,
        standing.split,
        standing.counted,
        long.measure,
        count(*)                                                          as num_performances,
        sum(long.amount)                                                  as total,
        avg(long.amount)                                                  as mean,
        stddev_pop(long.amount)                                           as std,
        min(long.amount)                                                  as min,
        -- All at once: each call would keep the values by itself.
        quantile_cont(long.amount, [0.05, 0.25, 0.50, 0.75, 0.95])        as percentiles,
        max(long.amount)                                                  as max
    from long
    inner join standing using (performance_id)
    group by long.dataset, standing.split, standing.counted, long.measure
)

select
    dataset,
    split,
    counted,
    measure,
    num_performances,
    total,
    mean,
    std,
    min,
    percentiles[1] as p05,
    percentiles[2] as p25,
    percentiles[3] as p50,
    percentiles[4] as p75,
    percentiles[5] as p95,
    max
from summed;
