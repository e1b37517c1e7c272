-- How well each evaluated run predicts the test music; the fewest bits per note come first.
-- Grain: finished run with an evaluation.  Units: bits, nats per token (nll), seconds, megabytes.
-- Reads: evaluations, scores, runs.  Used by: report, the command `pianogen leaderboard`.
--
-- bits_per_note = summed nats / ln 2 / notes, bits_per_second the same over seconds of music. A tokenizer that drops
-- detail has less to predict, so rank counts among runs whose tokenizers carry the same and that were scored on the
-- same performances (test_set); round_trip_f1 says what it loses of them. whole_bits_per_note adds what tokens leave
-- unsaid of notes and pedal, so that all write one and the same piece: whole_rank counts among all runs of a test_set.
-- Equal values share a rank; runs that were trained on test music on purpose (leak) have none. low and high are the
-- 95 % interval of bits_per_note. contaminated says how many test performances the run has seen in some form, and what
-- it gives those and the clean ones. nll and perplexity = exp(nll) depend on what one token is, compare only rows of
-- the same tokenizer, and rank nothing. Sums run over the whole test split.
-- data_version names every dataset with the first 12 digits of its version; all digits are in runs. licences names
-- those of the training data: where non_commercial is true, the model may not be used commercially either.
-- parents: runs whose weights a fine-tune began with, the oldest first. parents_check: how it is known that they saw
-- nothing held out of it: same_split, compared; unchecked where it is not known. Null: not a fine-tune.
create or replace view leaderboard as
with likelihoods as (
    select
        experiment,
        run_id,
        count(*)                as num_test_performances,
        sum(num_notes)::bigint  as num_test_notes,
        sum(num_tokens)         as num_test_tokens,
        sum(duration_sec)       as duration_sec,
        sum(nats)               as nats,
        any_value(carries)      as carries,
        2 * sum(num_matched) / nullif(sum(num_notes) + sum(num_decoded), 0)          as round_trip_f1,
        left(md5(string_agg(performance_id, ',' order by performance_id)), 12)       as test_set
    from evaluations
    group by experiment, run_id
),

compared as (
    select
        experiment,
        run_id,
        any_value(low) filter (where part = 'all' and measure = 'bits_per_note')            as low,
        any_value(high) filter (where part = 'all' and measure = 'bits_per_note')           as high,
        any_value(value) filter (where part = 'all' and measure = 'whole_bits_per_note')    as whole_bits_per_note,
        any_value(value) filter (where part = 'clean' and measure = 'bits_per_note')        as clean_bits_per_note,
        any_value(value) filter (where part = 'contaminated' and measure = 'bits_per_note')
            as contaminated_bits_per_note,
        coalesce(any_value(num_performances) filter (where part = 'contaminated' and measure = 'bits_per_note'), 0)
            as num_contaminated
    from scores
    group by experiment, run_id
),

likely as (
    select
        experiment,
        run_id,
        num_test_performances,
        num_test_notes,
        carries,
        round_trip_f1,
        test_set,
        nats / ln(2) / nullif(num_test_notes, 0) as bits_per_note,
        nats / ln(2) / nullif(duration_sec, 0)   as bits_per_second,
        nats / nullif(num_test_tokens, 0)        as nll
    from likelihoods
)

select
    if(
        coalesce(runs.leak, 0) = 0,
        rank() over (
            partition by likely.test_set, likely.carries, coalesce(runs.leak, 0) > 0
            order by likely.bits_per_note nulls last
        ),
        null
    ) as rank,
    if(
        coalesce(runs.leak, 0) = 0 and compared.whole_bits_per_note is not null,
        rank() over (
            partition by likely.test_set, coalesce(runs.leak, 0) > 0 order by compared.whole_bits_per_note nulls last
        ),
        null
    ) as whole_rank,
    runs.experiment,
    runs.run_id,
    runs.model,
    runs.tokenizer,
    array_to_string(runs.datasets, '+') as datasets,
    runs.context_length,
    runs.n_layer,
    runs.n_head,
    runs.n_embd,
    runs.num_parameters,
    likely.bits_per_note,
    compared.low,
    compared.high,
    likely.bits_per_second,
    compared.whole_bits_per_note,
    likely.carries,
    likely.round_trip_f1,
    likely.test_set,
    compared.num_contaminated,
    compared.clean_bits_per_note,
    compared.contaminated_bits_per_note,
    runs.leak,
    likely.nll,
    -- An untrained model can be far worse than any double: exp() would be an error above this.
    if(likely.nll < 700, exp(likely.nll), 'infinity'::double) as perplexity,
    likely.num_test_performances,
    likely.num_test_notes,
    runs.steps,
    runs.train_sec,
    runs.peak_memory_mb,
    runs.device,
    array_to_string(
        list_transform(
            list_sort(map_keys(runs.dataset_versions)),
            lambda name: name || '@' || left(runs.dataset_versions[name], 12)
        ),
        ' + '
    ) as data_version,
    -- Null: the run is of before licences were recorded.
    array_to_string(
        list_transform(list_sort(map_keys(runs.licences)), lambda name: name || ': ' || runs.licences[name]), ' + '
    ) as licences,
    len(runs.non_commercial_datasets) > 0 as non_commercial,
    array_to_string(
        list_transform(
            runs.non_commercial_datasets, lambda name: name || ': ' || coalesce(runs.licences[name], 'not stated')
        ),
        ' + '
    ) as non_commercial_licences,
    runs.split_version,
    runs.shards_version,
    runs.certificate,
    runs.code_version,
    nullif(array_to_string(runs.parents, ' > '), '') as parents,
    runs.parents_check
from likely
inner join runs using (experiment, run_id)
left join compared using (experiment, run_id)
order by rank nulls last, likely.bits_per_note, runs.experiment, runs.run_id;
