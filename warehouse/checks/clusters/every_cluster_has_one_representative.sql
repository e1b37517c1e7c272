-- A row is a cluster without a representative, or with several: counts and pictures of "one of each" would be off.
select
    cluster_id,
    count(*) filter (where is_representative) as num_representatives
from clusters
group by cluster_id
having count(*) filter (where is_representative) <> 1
order by cluster_id;
