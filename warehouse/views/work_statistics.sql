-- What each work is like over its performances.
-- Grain: dataset, work.  Units: counts, and those of performance_statistics.
-- Reads: described_performances.  Used by: named queries, readers of the warehouse.
--
-- A work is what the dataset calls one, else composer and title, or the title where no composer is named; what has no
-- title either is left out. X_mean is the mean over its performances, X_min and X_max the extremes. played is said of
-- performances that do not lie on their file's grid, as scores do, whose tempo may be nobody's.
create or replace view work_statistics as
with named as (
    select
        *,
        coalesce(work, case when title is not null then concat_ws(': ', composer, title) end) as name
    from described_performances
)

select
    dataset,
    name                                             as work,
    any_value(composer)                              as composer,
    count(*)                                         as num_performances,
    sum(num_notes)::bigint                           as num_notes,
    sum(duration_sec) / 3600                         as duration_hours,
    avg(num_notes)                                   as num_notes_mean,
    min(duration_sec)                                as duration_sec_min,
    avg(duration_sec)                                as duration_sec_mean,
    max(duration_sec)                                as duration_sec_max,
    count(*) filter (where not is_on_grid)           as num_played,
    min(duration_sec) filter (where not is_on_grid)  as played_sec_min,
    max(duration_sec) filter (where not is_on_grid)  as played_sec_max,
    avg(notes_per_sec)                               as notes_per_sec_mean,
    min(pitch_min)                                   as pitch_min,
    max(pitch_max)                                   as pitch_max,
    avg(velocity_mean)                               as velocity_mean,
    min(velocity_mean)                               as velocity_mean_min,
    max(velocity_mean)                               as velocity_mean_max,
    avg(polyphony_mean)                              as polyphony_mean,
    avg(sustain_share)                               as sustain_share_mean,
    avg(soft_share)                                  as soft_share_mean,
    mode(key)                                        as key,
    avg(repeated_figure_share)                       as repeated_figure_share_mean
from named
where name is not null
group by dataset, name;
