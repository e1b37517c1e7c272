-- A row is a file that ended as neither a performance nor a rejection, or as both, or a rejection or performance
-- of a file that was never seen. Nothing may disappear on the way: look for the file in the ingest log.
with outcomes as (
    select
        files.dataset,
        files.path,
        files.performance_id,
        count(distinct performances.performance_id) as num_performances,
        count(distinct rejections.path)             as num_rejections
    from files
    left join performances
        on files.dataset = performances.dataset and files.performance_id = performances.performance_id
    left join rejections
        on files.dataset = rejections.dataset and files.path = rejections.path
    group by all
),

problems as (
    select
        dataset,
        path,
        performance_id,
        if(num_performances = 0, 'neither performance nor rejection', 'both performance and rejection') as problem
    from outcomes
    where num_performances + num_rejections != 1

    union all

    select dataset, path, null as performance_id, 'rejection of a file never seen' as problem
    from rejections
    anti join files using (dataset, path)

    union all

    select dataset, null as path, performance_id, 'performance of a file never seen' as problem
    from performances
    anti join files using (dataset, performance_id)
)

select *
from problems
order by dataset, path, performance_id;
