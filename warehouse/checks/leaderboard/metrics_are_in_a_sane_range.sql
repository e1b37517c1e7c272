-- A row is a run with a number that no honest evaluation gives, and the names of those numbers. Bits per note
-- above 64 mean that the model is worse than spelling out pitch, onset, length and velocity in 16 bits each; 0 or
-- less, that it saw what it should predict; no number, that training diverged.
with judged as (
    select
        experiment,
        run_id,
        bits_per_note,
        bits_per_second,
        nll,
        perplexity,
        num_test_performances,
        num_test_notes,
        num_parameters,
        steps,
        train_sec,
        peak_memory_mb,
        -- NaN orders after every number, and a null fails every test: both count as out of range.
        list_filter(
            [
                if(coalesce(bits_per_note > 0 and bits_per_note < 64, false), null, 'bits_per_note'),
                if(coalesce(bits_per_second > 0 and bits_per_second < 10000, false), null, 'bits_per_second'),
                if(coalesce(nll > 0 and nll < 20, false), null, 'nll'),
                if(coalesce(perplexity > 1 and perplexity < 'infinity'::double, false), null, 'perplexity'),
                if(coalesce(num_test_notes > 0, false), null, 'num_test_notes'),
                if(coalesce(num_parameters > 0, false), null, 'num_parameters'),
                if(coalesce(steps > 0, false), null, 'steps'),
                if(coalesce(train_sec > 0 and train_sec < 'infinity'::double, false), null, 'train_sec'),
                if(coalesce(peak_memory_mb > 0 and peak_memory_mb < 'infinity'::double, false), null, 'peak_memory_mb')
            ],
            lambda name: name is not null
        ) as out_of_range
    from leaderboard
)

select out_of_range, judged.* exclude (out_of_range)
from judged
where len(out_of_range) > 0
order by experiment, run_id;
