-- Titles that a dataset lists in several of its published splits.
-- Grain: dataset, composer, title, as its metadata spell them.  Units: performances, pairs.
-- Reads: performances, files, sources, pairs_with_files.  Used by: report, the asset splits.
--
-- num_pairs: duplicate pairs of these performances in two published splits, of any relation but shared_melody; 0 where
-- they are different movements under one title. Spellings that differ are two titles: the music alone tells of those.
create or replace view titles_across_splits as
with listed as (
    select
        performances.performance_id,
        performances.dataset,
        coalesce(sources.composer, '') as composer,
        sources.title,
        sources.published_split
    from performances
    inner join files using (dataset, performance_id)
    inner join sources on files.dataset = sources.dataset and files.path = sources.path
    where nullif(sources.title, '') is not null and sources.published_split is not null
),

twins as (
    select
        a.dataset,
        a.composer,
        a.title,
        count(*) as num_pairs
    from pairs_with_files
    inner join listed as a on pairs_with_files.performance_a = a.performance_id
    inner join listed as b
        on pairs_with_files.performance_b = b.performance_id
        and a.dataset = b.dataset and a.composer = b.composer and a.title = b.title
    where a.published_split <> b.published_split and pairs_with_files.relation <> 'shared_melody'
    group by a.dataset, a.composer, a.title
)

select
    listed.dataset,
    listed.composer,
    listed.title,
    count(*) filter (where listed.published_split = 'train')        as num_train,
    count(*) filter (where listed.published_split = 'validation')   as num_validation,
    count(*) filter (where listed.published_split = 'test')         as num_test,
    coalesce(any_value(twins.num_pairs), 0)                         as num_pairs
from listed
left join twins using (dataset, composer, title)
group by listed.dataset, listed.composer, listed.title
having count(distinct listed.published_split) > 1;
