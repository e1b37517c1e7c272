-- What each performance is: title, composer, year, published split and licence, as its dataset says.
-- Grain: performance.  Units: seconds, counts; notes without drums.
-- Reads: performances, files, sources, splits.  Used by: split_agreement, readers of the warehouse.
--
-- Title and composer of the dataset's metadata go before those that the file itself carries. split is ours, null
-- before splits are drawn; published_split is the dataset's.
create or replace view performances_with_sources as
select
    performances.performance_id,
    performances.dataset,
    files.path,
    coalesce(nullif(sources.title, ''), nullif(performances.title, ''))       as title,
    coalesce(nullif(sources.composer, ''), nullif(performances.composer, '')) as composer,
    sources.work,
    sources.performer,
    sources.year,
    sources.kind,
    sources.version,
    splits.split,
    sources.published_split,
    sources.licence,
    sources.non_commercial,
    performances.format,
    performances.num_notes,
    performances.duration_sec
from performances
left join files using (dataset, performance_id)
left join sources on files.dataset = sources.dataset and files.path = sources.path
left join splits on performances.performance_id = splits.performance_id;
