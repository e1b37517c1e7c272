-- How the measures of a dataset changed since the version of it that was measured before.
-- Grain: dataset, measure.  Units: those of the measure; standard deviations.
-- Reads: statistics_history.  Used by: the check statistics_stay_near_the_version_before, report.
--
-- shift is by how many standard deviations of the version before the mean moved. Versions that other definitions
-- measured are not compared. is_drift: the mean moved by more than half of one, or the median left the middle 90 %
-- of the version before; where it had no spread (std below 1e-9), any change beyond 1e-9.
create or replace view statistics_drift as
with latest as (
    select *
    from statistics_history
    qualify version = max(version) over (partition by dataset)
)

select
    latest.dataset,
    latest.measure,
    earlier.version          as version_before,
    latest.version,
    earlier.num_performances as num_performances_before,
    latest.num_performances,
    earlier.mean             as mean_before,
    latest.mean,
    earlier.p50              as p50_before,
    latest.p50,
    earlier.p05              as p05_before,
    earlier.p95              as p95_before,
    earlier.std              as std_before,
    case when earlier.std > 1e-9 then (latest.mean - earlier.mean) / earlier.std end as shift,
    case
        when earlier.std > 1e-9
            then abs(latest.mean - earlier.mean) > 0.5 * earlier.std
                or latest.p50 not between earlier.p05 and earlier.p95
        else abs(latest.mean - earlier.mean) > 1e-9
    end                      as is_drift
from latest
inner join statistics_history as earlier
    on
        latest.dataset = earlier.dataset
        and latest.measure = earlier.measure
        and latest.definitions = earlier.definitions
        and earlier.version = latest.version - 1;
