-- A row is a histogram of a performance that does not hold each of its notes once, or each second of its time.
with sums as (
    select performance_id, measure, sum(weight) as weight
    from histograms
    group by performance_id, measure
),

expected as (
    select
        performance_id,
        dataset,
        unnest(['pitch', 'pitch_class', 'velocity', 'duration_sec', 'sounding_duration_sec', 'duration_quarters',
            'onset_position', 'polyphony', 'sounding_polyphony'])                                    as measure,
        unnest([num_notes, num_notes, num_notes, num_notes, num_notes, num_notes, num_notes, duration_sec,
            sounding_duration_sec])                                                                  as weight
    from performance_statistics
)

select
    expected.dataset,
    expected.performance_id,
    expected.measure,
    expected.weight,
    sums.weight as weight_found
from expected
left join sums using (performance_id, measure)
where abs(expected.weight - coalesce(sums.weight, 0)) > 1e-6 * greatest(1, expected.weight)
order by expected.dataset, expected.performance_id, expected.measure;
