-- A row is a judgement with a number that its definition does not allow, and the names of those numbers.
with judged as (
    select
        experiment,
        name,
        source,
        -- NaN orders after every number, so it is out of every range; null says that it was not asked.
        list_filter(
            [
                if(coalesce(cycle2_share between 0 and 1, true), null, 'cycle2_share'),
                if(coalesce(cycle3_share between 0 and cycle2_share, true), null, 'cycle3_share'),
                if(coalesce(cycle2_times >= 2, true), null, 'cycle2_times'),
                if(coalesce(cycle3_times >= 3, true), null, 'cycle3_times'),
                if(coalesce(repeated_4 between 0 and 1, true), null, 'repeated_4'),
                if(coalesce(repeated_8 between 0 and 1, true), null, 'repeated_8'),
                if(coalesce(repeated_16 between 0 and 1, true), null, 'repeated_16'),
                if(coalesce(repeated_tokens_4 between 0 and 1, true), null, 'repeated_tokens_4'),
                if(coalesce(repeated_tokens_8 between 0 and 1, true), null, 'repeated_tokens_8'),
                if(coalesce(repeated_tokens_16 between 0 and 1, true), null, 'repeated_tokens_16'),
                if(coalesce(distinct_1 > 0 and distinct_1 <= 1, true), null, 'distinct_1'),
                if(coalesce(distinct_2 > 0 and distinct_2 <= 1, true), null, 'distinct_2'),
                if(coalesce(distinct_4 > 0 and distinct_4 <= 1, true), null, 'distinct_4'),
                if(coalesce(compression_ratio > 0 and compression_ratio < 100, true), null, 'compression_ratio'),
                if(coalesce(copied_share between 0 and 1, true), null, 'copied_share'),
                if(coalesce(longest_copy_notes between 0 and num_notes, true), null, 'longest_copy_notes'),
                if(coalesce(longest_copy_sec between 0 and duration_sec + 1e-6, true), null, 'longest_copy_sec'),
                if(coalesce(structure_short between 0 and 1, true), null, 'structure_short'),
                if(coalesce(structure_mid between 0 and 1, true), null, 'structure_mid'),
                if(coalesce(structure_long between 0 and 1, true), null, 'structure_long'),
                if(coalesce(pitch_class_entropy between 0 and 3.6, true), null, 'pitch_class_entropy'),
                if(coalesce(groove_consistency between 0 and 1, true), null, 'groove_consistency'),
                if(coalesce(num_notes >= 0 and duration_sec >= 0, false), null, 'num_notes or duration_sec')
            ],
            lambda name: name is not null
        ) as out_of_range
    from sample_judgements
)

select *
from judged
where len(out_of_range) > 0
order by experiment, source, name;
