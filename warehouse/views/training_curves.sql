-- How each training went, or goes: losses, speed and memory by step.
-- Grain: run, step that was logged or validated.  Units: nats per token (nll), bits, seconds, tokens a second, MiB.
-- Reads: metrics.  Used by: docs/watching.md.
create or replace view training_curves as
with steps as (
    select
        experiment,
        run_id,
        step,
        max(nll) filter (where split = 'train')            as train_nll,
        max(nll) filter (where split = 'validation')       as validation_nll,
        max(bits_per_note)                                 as validation_bits_per_note,
        max(learning_rate)                                 as learning_rate,
        max(gradient_norm)                                 as gradient_norm,
        max(tokens_per_sec) filter (where split = 'train') as tokens_per_sec,
        max(elapsed_sec)                                   as elapsed_sec,
        min(remaining_sec)                                 as remaining_sec,
        max(memory_mb)                                     as memory_mb,
        max(gpu_memory_mb)                                 as gpu_memory_mb
    from metrics
    where split in ('train', 'validation')
    group by all
)

select
    * exclude (tokens_per_sec, elapsed_sec, remaining_sec, memory_mb, gpu_memory_mb),
    min(validation_nll) over (partition by experiment, run_id order by step) as best_validation_nll,
    tokens_per_sec,
    elapsed_sec,
    remaining_sec,
    memory_mb,
    gpu_memory_mb
from steps
order by experiment, run_id, step;
