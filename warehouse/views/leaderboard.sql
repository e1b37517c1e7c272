-- How well each evaluated run predicts the test music; the fewest bits per note come first.
-- Grain: finished run with an evaluation.  Units: bits, nats per token (nll), seconds, megabytes.
-- Reads: evaluations, runs.  Used by: report, the command `pianogen leaderboard`.
--
-- bits_per_note = summed nats / ln 2 / notes, bits_per_second the same over seconds of music: both compare models
-- of different tokenizers, and bits_per_note alone ranks; equal values share a rank. nll and perplexity = exp(nll)
-- depend on what one token is, and compare only rows of the same tokenizer. Sums run over the whole test split.
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
        sum(nats)               as nats
    from evaluations
    group by experiment, run_id
),

scores as (
    select
        experiment,
        run_id,
        num_test_performances,
        num_test_notes,
        nats / ln(2) / nullif(num_test_notes, 0) as bits_per_note,
        nats / ln(2) / nullif(duration_sec, 0)   as bits_per_second,
        nats / nullif(num_test_tokens, 0)        as nll
    from likelihoods
)

select
    rank() over (order by scores.bits_per_note nulls last) as rank,
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
    scores.bits_per_note,
    scores.bits_per_second,
    scores.nll,
    -- An untrained model can be far worse than any double: exp() would be an error above this.
    if(scores.nll < 700, exp(scores.nll), 'infinity'::double) as perplexity,
    scores.num_test_performances,
    scores.num_test_notes,
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
from scores
inner join runs using (experiment, run_id)
order by rank, runs.experiment, runs.run_id;
