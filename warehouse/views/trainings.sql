-- Where each training stands: its latest step, losses, speed, memory, time left, and the sample drawn last.
-- Grain: run that has logged a step.  Units: nats per token (nll), bits, seconds, tokens a second, MiB.
-- Reads: metrics, runs.  Used by: docs/watching.md.
create or replace view trainings as
with latest as (
    select
        experiment,
        run_id,
        max(step)                                                        as step,
        arg_max(nll, step) filter (where split = 'train')                as train_nll,
        arg_max(nll, step) filter (where split = 'validation')           as validation_nll,
        arg_max(bits_per_note, step) filter (where split = 'validation') as validation_bits_per_note,
        min(nll) filter (where split = 'validation')                     as best_validation_nll,
        arg_max(tokens_per_sec, step) filter (where split = 'train')     as tokens_per_sec,
        max(elapsed_sec)                                                 as elapsed_sec,
        arg_max(remaining_sec, elapsed_sec)                              as remaining_sec,
        max(memory_mb)                                                   as memory_mb,
        max(gpu_memory_mb)                                               as gpu_memory_mb,
        arg_max(file, step)                                              as newest_sample
    from metrics
    group by all
)

select
    latest.experiment,
    latest.run_id,
    runs.run_id is not null as is_finished,
    latest.* exclude (experiment, run_id)
from latest
left join runs using (experiment, run_id)
order by latest.experiment, latest.run_id;
