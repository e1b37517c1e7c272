-- What each split is like over all datasets together.
-- Grain: split (train, validation, test, none).  Units: counts, hours, and those of performance_statistics.
-- Reads: performance_statistics, counted_performances.  Used by: named queries, readers of the warehouse.
--
-- X_mean is the mean over performances, each counted once however long it is. num_first counts every cluster of the
-- same music once in each dataset. By dataset: measure_summaries.
create or replace view split_statistics as
select
    counted.split,
    count(*)                                        as num_performances,
    count(*) filter (where counted.is_first)        as num_first,
    count(distinct counted.dataset)                 as num_datasets,
    sum(measured.num_notes)::bigint                 as num_notes,
    sum(measured.duration_sec) / 3600               as duration_hours,
    avg(measured.num_notes)                         as num_notes_mean,
    avg(measured.duration_sec)                      as duration_sec_mean,
    avg(measured.notes_per_sec)                     as notes_per_sec_mean,
    min(measured.pitch_min)                         as pitch_min,
    avg(measured.pitch_mean)                        as pitch_mean,
    max(measured.pitch_max)                         as pitch_max,
    avg(measured.velocity_mean)                     as velocity_mean,
    avg(measured.velocity_std)                      as velocity_std_mean,
    avg(measured.polyphony_mean)                    as polyphony_mean,
    avg(measured.sounding_polyphony_mean)           as sounding_polyphony_mean,
    avg(measured.sustain_share)                     as sustain_share_mean,
    avg(measured.is_on_grid::integer)               as on_grid_share
from performance_statistics as measured
inner join counted_performances as counted using (performance_id)
group by counted.split;
