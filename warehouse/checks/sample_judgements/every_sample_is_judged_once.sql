-- A row is a sample that was not judged, or was several times, or a judgement of a sample that is not there, among the
-- experiments whose samples were judged.
with judged as (
    select
        experiment,
        run_id,
        name,
        count(*) as num_rows
    from sample_judgements
    where source = 'sample'
    group by experiment, run_id, name
),

drawn as (
    select
        experiment,
        run_id,
        sample as name
    from samples
    where experiment in (select experiment from sample_judgements)
)

select
    coalesce(drawn.experiment, judged.experiment) as experiment,
    coalesce(drawn.name, judged.name)             as name,
    drawn.name is not null                        as is_sample,
    coalesce(judged.num_rows, 0)                  as num_rows
from drawn
full join judged using (experiment, run_id, name)
where drawn.name is null or coalesce(judged.num_rows, 0) <> 1
order by all;
