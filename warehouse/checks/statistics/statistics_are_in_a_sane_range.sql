-- A row is a measure of a performance that its definition does not allow: a share outside 0 to 1, a pitch that is none,
-- a mean beyond its extremes, a length that is not positive, a number that is none.
with numbers as (
    unpivot (
        select
            performance_id,
            dataset,
            columns(* exclude (performance_id, dataset, key_mode, key, time_signature, key_signature))::double
        from performance_statistics
    )
    on columns(* exclude (performance_id, dataset))
    into name measure value amount
)

select dataset, performance_id, measure, amount
from numbers
where
    not isfinite(amount)
    or (
        (measure like '%\_share' escape '\' or measure like '%\_rate' escape '\' or measure like '%\_consistency' escape '\')
        and amount not between 0 and 1
    )
    or (measure in ('pitch_min', 'pitch_max', 'pitch_mean') and amount not between 0 and 127)
    or (measure in ('velocity_min', 'velocity_max', 'velocity_mean') and amount not between 1 and 127)
    or (measure in ('duration_sec', 'duration_quarters') and amount <= 0)
    or (measure = 'pitch_entropy' and amount not between 0 and 7)
    or (measure = 'pitch_class_entropy' and amount not between 0 and 3.585)
    or (measure in ('polyphony', 'polyphony_mean', 'sounding_polyphony_mean') and amount not between 1 and 128)
    or (measure in ('key_correlation') and abs(amount) > 1 + 1e-9)
    or (
        amount < 0
        and measure not in ('key_correlation')
    )

union all

select dataset, performance_id, 'pitch_min <= pitch_mean <= pitch_max' as measure, pitch_mean as amount
from performance_statistics
where not (pitch_min <= pitch_mean and pitch_mean <= pitch_max)

union all

select dataset, performance_id, 'velocity_min <= velocity_mean <= velocity_max' as measure, velocity_mean as amount
from performance_statistics
where not (velocity_min <= velocity_mean and velocity_mean <= velocity_max)

union all

select dataset, performance_id, 'duration_sec <= sounding_duration_sec' as measure, sounding_duration_sec as amount
from performance_statistics
where num_drum_notes = 0 and sounding_duration_sec < duration_sec - 1e-6
order by dataset, performance_id, measure;
