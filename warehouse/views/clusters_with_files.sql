-- Every cluster of the same music that holds several performances, file by file.
-- Grain: performance in such a cluster.  Units: shares 0-1, counts.
-- Reads: clusters, performances_with_sources.  Used by: cluster_summaries, readers of the warehouse.
create or replace view clusters_with_files as
select
    clusters.cluster_id,
    clusters.cluster_size,
    performances_with_sources.dataset,
    performances_with_sources.path,
    performances_with_sources.title,
    performances_with_sources.composer,
    performances_with_sources.work,
    performances_with_sources.published_split,
    performances_with_sources.split,
    clusters.is_representative,
    clusters.completeness,
    clusters.absorbed_by,
    clusters.nearest_relation,
    clusters.performance_id
from clusters
inner join performances_with_sources using (performance_id)
where clusters.cluster_size > 1;
