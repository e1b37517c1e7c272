-- A row is a judgement whose copied passages are not those that sample_copies lists: other in number, or with other
-- notes in all.
with listed as (
    select
        experiment,
        run_id,
        source,
        name,
        count(*)       as num_listed,
        sum(num_notes) as num_notes_listed
    from sample_copies
    group by all
)

select
    experiment,
    source,
    name,
    sample_judgements.num_copies,
    coalesce(listed.num_listed, 0)                                         as num_listed,
    round(sample_judgements.copied_share * sample_judgements.num_notes, 3) as num_notes_copied,
    coalesce(listed.num_notes_listed, 0)                                   as num_notes_listed
from sample_judgements
full join listed using (experiment, run_id, source, name)
where
    coalesce(sample_judgements.num_copies, 0) <> coalesce(listed.num_listed, 0)
    or abs(
        coalesce(sample_judgements.copied_share * sample_judgements.num_notes, 0) - coalesce(listed.num_notes_listed, 0)
    ) > 1e-3
order by all;
