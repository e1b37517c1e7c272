-- A row is a sample of which a quarter or more is copied from the training music, and more than of any held-out piece
-- beside it; with the performance that the longest passage comes from, and where it lies. docs/judging.md says what a
-- copy is.
-- Severity: warning
with base_line as (
    select
        experiment,
        run_id,
        max(copied_share) as most_copied
    from sample_judgements
    where source = 'test'
    group by experiment, run_id
)

select
    sample_judgements.experiment,
    sample_judgements.name as sample,
    round(sample_judgements.copied_share, 3)     as copied_share,
    round(coalesce(base_line.most_copied, 0), 3) as most_copied_of_held_out,
    sample_judgements.longest_copy_notes,
    round(sample_judgements.longest_copy_sec, 2) as longest_copy_sec,
    sample_judgements.copied_from_dataset        as dataset,
    sample_judgements.copied_from_title          as title,
    sample_judgements.copied_from                as performance_id
from sample_judgements
left join base_line using (experiment, run_id)
where
    sample_judgements.source = 'sample'
    and sample_judgements.copied_share >= 0.25
    and sample_judgements.copied_share > coalesce(base_line.most_copied, 0)
order by sample_judgements.experiment, sample_judgements.name;
