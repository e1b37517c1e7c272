-- A row is a sample half of which or more is one period over and over, three times at least, and more than of any
-- held-out piece beside it.
-- Severity: warning
with base_line as (
    select
        experiment,
        run_id,
        max(cycle3_share) as most_in_a_cycle
    from sample_judgements
    where source = 'test'
    group by experiment, run_id
)

select
    sample_judgements.experiment,
    sample_judgements.name as sample,
    round(sample_judgements.cycle3_share, 3)         as cycle_share,
    round(coalesce(base_line.most_in_a_cycle, 0), 3) as most_of_held_out,
    sample_judgements.cycle3_period_notes            as period_notes,
    round(sample_judgements.cycle3_period_sec, 2)    as period_sec,
    round(sample_judgements.cycle3_times, 1)         as times
from sample_judgements
left join base_line using (experiment, run_id)
where
    sample_judgements.source = 'sample'
    and sample_judgements.cycle3_share >= 0.5
    and sample_judgements.cycle3_share > coalesce(base_line.most_in_a_cycle, 0)
order by sample_judgements.experiment, sample_judgements.name;
