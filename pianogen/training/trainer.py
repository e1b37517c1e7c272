"""One training run: HF Trainer over windows of the shards, with our own loss, validation and checkpoints.

- The loss of an update is the sum of nats over its targets divided by their number, over all its forward passes and
  all ranks; padding counts in neither. HF Trainer is given one item an update, and what is accumulated is decided here.
- Validation is the shared evaluator's (evaluation/likelihood.py), on a fixed part of the validation split, in fp32.
- The model kept is the checkpoint of the fewest validation bits per note, or the average of the weights there.
- With `calibrate`, how sure that model is is then chosen on the same part of the validation split.
- Seeded: what is random in an update depends on seed, step and rank alone. On a CPU two trainings give the same weights
  bit for bit, interrupted or not.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from transformers import PrinterCallback, TrainingArguments, set_seed

from pianogen.errors import TrainingError
from pianogen.models import load_model, make_model, require_fit
from pianogen.models.devices import Device, fixed_threads, pick_device
from pianogen.models.scoring import TokenModel
from pianogen.shards import ShardSet
from pianogen.shards.examples import ExampleConfig, Examples, Mixture, Source
from pianogen.training import checkpoints
from pianogen.training.averaging import WeightAverage
from pianogen.training.checkpoints import MetricsFile, Progress
from pianogen.training.experiment import ExperimentConfig, TrainingConfig
from pianogen.training.lineage import lineage_of, origin
from pianogen.training.loading import Updates
from pianogen.training.loop import Loop
from pianogen.training.parents import Beginning
from pianogen.training.ranks import Ranks
from pianogen.training.recorder import Recorder, Report, StopRequest, Validate
from pianogen.training.room import Room
from pianogen.training.runs import BEST, RUN_FILE, swap_in, write_json
from pianogen.training.samples import Sampler, Samples


@dataclasses.dataclass(frozen=True)
class Training:
    """What stays the same from the first step to what is published."""

    config: ExperimentConfig
    shards: ShardSet
    folder: Path
    device: Device
    lineage: dict[str, Any]
    beginning: Beginning | None = None
    room: Room | None = None


def train(
    config: ExperimentConfig,
    shards: ShardSet,
    folder: Path,
    *,
    validate: Validate,
    calibrate: Callable[[TokenModel], None] = lambda model: None,
    stop: StopRequest,
    report: Report = lambda metrics: None,
    sampler: Sampler | None = None,
    beginning: Beginning | None = None,
    room: Room | None = None,
    ranks: Ranks | None = None,
) -> dict[str, Any] | None:
    """Train to the end, from the last whole checkpoint where there is one.

    Args:
        config: the experiment.
        shards: its shard set.
        folder: the run's folder; the caller holds its lock.
        validate: scores the model on the validation split.
        calibrate: chooses there how sure it is, where the experiment asks for it.
        stop: asked after every step.
        report: given every line of metrics.
        sampler: draws samples with the current weights, every `training.sample_every` steps.
        beginning: what the weights are before the first step; random without it.
        room: on the disk, for checkpoints; any without it.
        ranks: the processes that train together.

    Returns:
        What run.json says, to the first rank; an empty one to others; None when a stop was asked for before the end.

    Raises:
        TrainingError: the loss is not finite, the model cannot be calibrated, the batch cannot be shared among the
            ranks, torch cannot compile, a checkpoint is another run's, or there is no room for the next one.
    """
    settings = config.training
    ranks = ranks or Ranks()
    if settings.batch_size % ranks.size:
        raise TrainingError(
            f"training.batch_size must be a multiple of the number of processes that share it, "
            f"found {settings.batch_size} and {ranks.size}"
        )
    device = pick_device(settings.device, settings.precision, ranks.local_index)
    lineage = lineage_of(config, shards, beginning)
    training = Training(config, shards, folder, device, lineage, beginning, room)
    last = _last_checkpoint(training, ranks)
    progress = checkpoints.read_progress(last) if last else Progress()
    if not _is_done(progress, settings):
        with _threads(settings, device), _metrics_file(folder, progress, ranks) as metrics:
            samples = Samples(folder, settings.sample_every, sampler) if sampler else None
            recorder = Recorder(settings, progress, metrics, validate, stop, report, samples, ranks)
            trainer = make_trainer(training, recorder)
            if recorder.average and last:
                recorder.average.load(last / checkpoints.AVERAGE_FILE)
            with _compiler_told() if settings.compile else contextlib.nullcontext():
                trainer.train(resume_from_checkpoint=str(last) if last else None)
    if not _is_done(progress, settings):
        return None
    if not ranks.is_first:
        return {}
    with _threads(settings, device):
        _publish_best(training, progress, validate, calibrate)
        return _publish_run(training, progress, ranks.size)


def _threads(settings: TrainingConfig, device: Device) -> contextlib.AbstractContextManager[None]:
    """Weights depend on how many there are."""
    return fixed_threads(settings.cpu_threads) if device.is_cpu else contextlib.nullcontext()


@contextlib.contextmanager
def _compiler_told() -> Iterator[None]:
    from torch._dynamo.exc import TorchDynamoException  # seconds, which only compiling needs

    try:
        yield
    except TorchDynamoException as error:
        raise TrainingError(
            f"training.compile: torch could not compile the model ({str(error).strip().splitlines()[0]}); on a CPU it "
            "needs a C++ compiler such as g++; install one, or take compile: false"
        ) from error


def _is_done(progress: Progress, settings: TrainingConfig) -> bool:
    return progress.stopped_early or progress.step >= settings.steps


def _last_checkpoint(training: Training, ranks: Ranks) -> Path | None:
    """Where the first rank says that training goes on from; others may look while it still tidies up."""
    folder, run_id, step = training.folder, training.lineage["run_id"], -1
    if ranks.is_first:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoints.remove_abandoned(folder)
        steps = checkpoints.checkpoint_steps(folder)
        for step in steps:
            found = checkpoints.checkpoint_path(folder, step)
            checkpoints.require_same_run(found, run_id, f"delete {found.parent} to train from the beginning")
        step = max(steps, default=-1)
    step = ranks.from_first(step)
    return checkpoints.checkpoint_path(folder, step) if step >= 0 else None


@contextlib.contextmanager
def _metrics_file(folder: Path, progress: Progress, ranks: Ranks) -> Iterator[MetricsFile | None]:
    if not ranks.is_first:
        yield None
        return
    with contextlib.closing(MetricsFile(folder, progress.step)) as metrics:
        yield metrics


def make_trainer(training: Training, recorder: Recorder) -> Loop:
    """HF Trainer with a model as it begins, and its updates from where `recorder.progress` is.

    Raises:
        TrainingError: the model does not read these tokens, cannot be calibrated, or has no room for checkpoints.
    """
    config, shards, device = training.config, training.shards, training.device
    settings, ranks = config.training, recorder.ranks
    require_fit(config.model, shards.tokenizer)
    set_seed(settings.seed)
    model = make_model(config.model, len(shards.tokenizer.vocab), shards.tokenizer)
    if settings.calibrate and not getattr(model, "calibration", ()):
        raise TrainingError(
            f"training.calibrate: {config.model.name} of {shards.tokenizer.name} has no numbers to choose after "
            "training; leave it out"
        )
    if training.beginning and not recorder.progress.step:
        training.beginning.initialise(model, config, shards)
    if training.room:
        training.room.begin(model)
    updates = Updates(
        examples_of(config, shards, getattr(model, "stride", 1)),
        settings.batch_size,
        num_batches=settings.gradient_accumulation_steps,
        num_targets=settings.tokens_per_update,
        first=recorder.progress.num_examples,
        rank=ranks.index,
        world_size=ranks.size,
    )
    args = TrainingArguments(
        output_dir=str(training.folder),
        seed=settings.seed,
        max_steps=settings.steps,
        ignore_data_skip=True,  # the updates begin where they should
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_beta2=settings.adam_beta2,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        use_cpu=device.is_cpu,
        # GPUs only: accelerate scales the loss. What runs in fp16 is decided by `_SummedNats`.
        fp16=device.precision == "fp16",
        dataloader_pin_memory=not device.is_cpu,
        remove_unused_columns=False,
        logging_strategy="no",  # logs, validation and checkpoints are the recorder's
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
    )
    trainer = Loop(
        training.folder,
        recorder,
        training.lineage,
        settings,
        device,
        training.room,
        model=model,
        args=args,
        train_dataset=updates,
        callbacks=[recorder],
    )
    trainer.remove_callback(PrinterCallback)
    if settings.ema and ranks.is_first:
        recorder.average = WeightAverage(model, settings.ema)
    return trainer


def examples_of(config: ExperimentConfig, shards: ShardSet, stride: int = 1) -> Source:
    """What is trained on: all sequences as they come, or datasets by their weights.

    Args:
        config: the experiment.
        shards: its shard set.
        stride: of the model; windows begin at multiples of it.
    """
    cut = ExampleConfig(
        view=config.training.view,
        context_length=config.training.context_length or config.model.context_length,
        stride=stride,
        seed=config.training.seed,
        augment=config.augmentation if config.augmentation.while_loading else None,
    )
    weights = config.data.weights
    if weights is None:
        return Examples(shards.sequences("train"), cut, shards.tokenizer)
    parts = {name: shards.sequences("train", [name]) for name in weights}
    if silent := [name for name, part in parts.items() if not len(part)]:
        raise TrainingError(f"data.datasets: {silent[0]} has no music in train; leave it out of the mixture")
    sources = {name: Examples(part, cut, shards.tokenizer) for name, part in parts.items()}
    return Mixture(sources, weights, config.training.seed)


def _publish_best(
    training: Training, progress: Progress, validate: Validate, calibrate: Callable[[TokenModel], None]
) -> None:
    """Write `best/`, of the best checkpoint; safe to repeat. What is calibrated is validated again."""
    config, shards, folder = training.config, training.shards, training.folder
    best = checkpoints.checkpoint_path(folder, progress.best_step)
    with checkpoints.aside(folder) as target:
        if training.room:
            training.room.require((best / checkpoints.WEIGHTS_FILE).stat().st_size)
        for name in (checkpoints.WEIGHTS_FILE, "config.json", checkpoints.LINEAGE_FILE):
            shutil.copyfile(best / name, target / name)
        if config.training.ema:
            shutil.copyfile(best / checkpoints.AVERAGE_FILE, target / checkpoints.WEIGHTS_FILE)
        if config.training.calibrate:
            model = cast("TokenModel", load_model(target, config.model.name, len(shards.tokenizer.vocab)))
            calibrate(model.to(training.device.torch_device))
            found = validate(model)
            progress.best_nll, progress.best_bits_per_note = found.nll, found.bits_per_note
            model.cpu().save_pretrained(target)
            checkpoints.stamp_weights(target / checkpoints.WEIGHTS_FILE, training.lineage)
        write_json(target / "tokenizer_settings.json", shards.info["tokenizer"])
        swap_in(target, folder / BEST)


def _publish_run(training: Training, progress: Progress, num_processes: int) -> dict[str, Any]:
    """Write run.json, which says that the run is finished, and give it."""
    config, shards = training.config, training.shards
    model = make_model(config.model, len(shards.tokenizer.vocab), shards.tokenizer)
    run = {
        **origin(config, shards, training.beginning),
        "status": "finished",
        "model": config.model.name,
        "tokenizer": shards.tokenizer.name,
        "datasets": shards.info["datasets"],
        "context_length": config.model.context_length,
        # Not every architecture has all of them.
        **{name: getattr(config.model, name, None) for name in ("n_layer", "n_head", "n_embd")},
        "num_parameters": sum(weights.numel() for weights in model.parameters()),
        "steps": progress.step,
        "stopped_early": progress.stopped_early,
        "best_step": progress.best_step,
        "validation_nll": progress.best_nll,
        "validation_bits_per_note": progress.best_bits_per_note,
        "num_validation_performances": progress.num_validation_performances,
        "seed": config.training.seed,
        "device": training.device.torch_device.type,
        "precision": training.device.precision,
        "num_processes": num_processes,
        "num_train_tokens": progress.num_tokens,
        "train_sec": progress.train_sec,
        "tokens_per_sec": progress.num_tokens / progress.train_sec,
        "peak_memory_mb": progress.peak_memory_mb,
        "peak_gpu_memory_mb": progress.peak_gpu_memory_mb,
        "checkpoint": BEST,
    }
    write_json(training.folder / RUN_FILE, run)
    return run
