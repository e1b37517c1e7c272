-- Every performance with its file, title and composer, and all that is measured of it.
-- Grain: performance.  Units: those of performance_statistics.
-- Reads: performances_with_sources, performance_statistics.  Used by: outliers, work_statistics, named queries.
create or replace view described_performances as
select
    performances_with_sources.performance_id,
    performances_with_sources.dataset,
    performances_with_sources.path,
    performances_with_sources.title,
    performances_with_sources.composer,
    performances_with_sources.work,
    performances_with_sources.performer,
    performances_with_sources.year,
    performances_with_sources.kind,
    performances_with_sources.split,
    performances_with_sources.published_split,
    performance_statistics.* exclude (performance_id, dataset)
from performances_with_sources
inner join performance_statistics using (performance_id);
