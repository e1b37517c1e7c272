-- Evaluated runs, and what others report: side by side, and never ranked together.
-- Grain: row of leaderboard, or of reference_results.  Units: bits, nats (nll) per what nll_per says, seconds, megabytes.
-- Reads: leaderboard, reference_results.  Used by: report, the command `pianogen leaderboard`.
--
-- standing is 'measured here', or who reports. A reported row has no rank and no bits per note: its loss is per token
-- of another tokenizer, on another split, so it compares with no row of ours, and with few others. A measured row
-- carries the reference that its experiment is named for, with is_reduced where it is the experiment of that name at
-- reduced length ('-reduced'); null: none. is_checked is false where a figure is quoted from memory.
create or replace view leaderboard_with_references as
select
    'measured here' as standing,
    reference_results.reference,
    leaderboard.experiment,
    leaderboard.run_id,
    ends_with(leaderboard.experiment, '-reduced') as is_reduced,
    leaderboard.rank,
    leaderboard.bits_per_note,
    leaderboard.nll,
    'token of ' || leaderboard.tokenizer as nll_per,
    leaderboard.perplexity,
    leaderboard.model,
    leaderboard.tokenizer,
    leaderboard.datasets,
    'test' as split,
    leaderboard.context_length,
    leaderboard.n_layer,
    leaderboard.n_head,
    leaderboard.n_embd,
    leaderboard.num_parameters,
    leaderboard.steps,
    leaderboard.train_sec,
    leaderboard.peak_memory_mb as memory_mb,
    leaderboard.device,
    null::varchar as source,
    null::boolean as is_checked,
    null::varchar as note
from leaderboard
left join reference_results
    on leaderboard.experiment in (reference_results.experiment, reference_results.experiment || '-reduced')

union all by name

select
    'reported by ' || reported_by as standing,
    reference,
    experiment,
    nll,
    nll_per,
    perplexity,
    model,
    tokenizer,
    datasets,
    split,
    context_length,
    n_layer,
    n_head,
    n_embd,
    (million_parameters * 1e6)::bigint as num_parameters,
    train_sec,
    memory_mb,
    source,
    is_checked,
    note
from reference_results;
