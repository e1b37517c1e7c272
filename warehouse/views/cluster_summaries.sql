-- Clusters of the same music that hold several performances: how many, of which datasets, and under which names.
-- Grain: cluster of several.  Units: counts.
-- Reads: clusters_with_files.  Used by: report, the asset clusters.
--
-- dataset, path and title are the representative's; the title is any member's where that one has none. num_works is the
-- most works that one dataset tells apart in the cluster, in `works`: above 1, it names one music twice, or two works
-- hang together.
create or replace view cluster_summaries as
with told_apart as (
    select
        cluster_id,
        count(distinct work)                                             as num_works,
        list_sort(list(distinct work) filter (where work is not null))   as works
    from clusters_with_files
    group by cluster_id, dataset
),

most_told_apart as (
    select
        cluster_id,
        max(num_works)                                        as num_works,
        -- Of equals the first, so that the same rows give the same list.
        arg_max(works, row(num_works, works::text))   as works
    from told_apart
    group by cluster_id
)

select
    cluster_id,
    cluster_size,
    max(dataset) filter (where is_representative)                       as dataset,
    max(path) filter (where is_representative)                          as path,
    coalesce(max(title) filter (where is_representative), min(title))   as title,
    list_sort(list(distinct dataset))                                   as datasets,
    list_sort(list(distinct split) filter (where split is not null))    as splits,
    any_value(most_told_apart.num_works)                                as num_works,
    any_value(most_told_apart.works)                                    as works
from clusters_with_files
inner join most_told_apart using (cluster_id)
group by cluster_id, cluster_size;
