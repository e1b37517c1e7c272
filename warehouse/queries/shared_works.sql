-- Which pairs of datasets share works, as copies, excerpts or other performances?
select
    dataset_a,
    dataset_b,
    sum(num_pairs)::bigint                                                                             as num_pairs,
    coalesce(sum(num_pairs) filter (where relation in ('same_bytes', 'same_notes', 'edited_copy')), 0)::bigint as num_copies,
    coalesce(sum(num_pairs) filter (where relation = 'excerpt'), 0)::bigint                            as num_excerpts,
    coalesce(sum(num_pairs) filter (where relation = 'same_work'), 0)::bigint                          as num_same_work,
    max(num_performances_a)                                                                            as num_performances_a,
    max(num_performances_b)                                                                            as num_performances_b
from datasets_sharing_music
where dataset_a < dataset_b and relation <> 'shared_melody'
group by dataset_a, dataset_b
order by num_pairs desc, dataset_a, dataset_b;
