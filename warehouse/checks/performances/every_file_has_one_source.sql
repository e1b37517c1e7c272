-- A row is a file about which `sources` says nothing, or more than one thing, or a source of a file never seen:
-- composer, published split and licence would be lost or counted twice.
with described as (
    select dataset, path, count(*) as num_sources
    from sources
    group by dataset, path
)

select
    dataset,
    path,
    coalesce(described.num_sources, 0) as num_sources,
    files.path is not null             as is_file
from files
full outer join described using (dataset, path)
where files.path is null or coalesce(described.num_sources, 0) != 1
order by dataset, path;
