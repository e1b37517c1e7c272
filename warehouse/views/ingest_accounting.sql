-- What became of the files of each dataset: every one is a performance or a rejection.
-- Grain: dataset.  Units: counts.
-- Reads: files, performances, rejections.  Used by: report, ingest metadata.
create or replace view ingest_accounting as
with outcomes as (
    select dataset, 'file' as kind from files
    union all
    select dataset, 'performance' as kind from performances
    union all
    select dataset, 'rejection' as kind from rejections
)

select
    dataset,
    count(*) filter (where kind = 'file')        as num_files,
    count(*) filter (where kind = 'performance') as num_performances,
    count(*) filter (where kind = 'rejection')   as num_rejections
from outcomes
group by dataset;
