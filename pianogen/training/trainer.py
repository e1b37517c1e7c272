"""One training run: HF Trainer over windows of the shards, with our own loss, validation and checkpoints.

- The loss of an update is the sum of nats over its targets divided by their number; padding counts in neither,
  and gradient accumulation changes nothing but memory.
- Validation is the shared evaluator's (evaluation/likelihood.py), on a fixed part of the validation split.
- The model kept is the checkpoint of the lowest validation nll.
- Seeded. On a CPU two trainings give the same weights bit for bit, interrupted or not.
"""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from pianogen.errors import TrainingError
from pianogen.models import make_model
from pianogen.models.devices import Device, fixed_threads, pick_device
from pianogen.models.scoring import TokenModel
from pianogen.shards import ShardSet
from pianogen.shards.examples import IGNORED, ExampleConfig, Examples, Mixture, Source
from pianogen.training import checkpoints
from pianogen.training.checkpoints import MetricsFile, Progress
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.lineage import lineage_of, origin
from pianogen.training.loading import ExampleDataset
from pianogen.training.pace import CHECKPOINT
from pianogen.training.parents import Beginning
from pianogen.training.recorder import Recorder, Report, StopRequest, Validate
from pianogen.training.room import Room
from pianogen.training.runs import BEST, RUN_FILE, swap_in, write_json
from pianogen.training.samples import Sampler, Samples


def train(
    config: ExperimentConfig,
    shards: ShardSet,
    folder: Path,
    *,
    validate: Validate,
    stop: StopRequest,
    report: Report = lambda metrics: None,
    sampler: Sampler | None = None,
    beginning: Beginning | None = None,
    room: Room | None = None,
) -> dict[str, Any] | None:
    """Train to the end, from the last whole checkpoint where there is one.

    Args:
        config: the experiment.
        shards: its shard set.
        folder: the run's folder; the caller holds its lock.
        validate: scores the model on the validation split.
        stop: asked after every step.
        report: given every line of metrics.
        sampler: draws samples with the current weights, every `training.sample_every` steps.
        beginning: what the weights are before the first step; random without it.
        room: on the disk, for checkpoints; any without it.

    Returns:
        What run.json says; None when a stop was asked for before the last step.

    Raises:
        TrainingError: the loss is not finite, a checkpoint is another run's, or there is no room for the next one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.remove_abandoned(folder)
    lineage = lineage_of(config, shards, beginning)
    steps = checkpoints.checkpoint_steps(folder)
    for step in steps:
        found = checkpoints.checkpoint_path(folder, step)
        checkpoints.require_same_run(found, lineage["run_id"], f"delete {found.parent} to train from the beginning")
    last = checkpoints.checkpoint_path(folder, steps[-1]) if steps else None
    progress = checkpoints.read_progress(last) if last else Progress()
    device = pick_device(config.training.device)
    threads = fixed_threads(config.training.cpu_threads) if device.is_cpu else contextlib.nullcontext()
    if progress.step < config.training.steps:
        with threads, contextlib.closing(MetricsFile(folder, progress.step)) as metrics:
            samples = Samples(folder, config.training.sample_every, sampler) if sampler else None
            recorder = Recorder(config.training, progress, metrics, validate, stop, report, samples)
            trainer = _make_trainer(config, shards, folder, device, recorder, beginning, room)
            trainer.train(resume_from_checkpoint=str(last) if last else None)
    if progress.step < config.training.steps:
        return None
    return _publish(config, shards, folder, device, progress, beginning, room)


def _make_trainer(
    config: ExperimentConfig,
    shards: ShardSet,
    folder: Path,
    device: Device,
    recorder: Recorder,
    beginning: Beginning | None = None,
    room: Room | None = None,
) -> "_Trainer":
    settings = config.training
    if shards.tokenizer.width > 1:
        raise TrainingError(
            f"model {config.model.name} reads ids; a token of {shards.tokenizer.name} as it is set is a row of "
            f"{shards.tokenizer.width} numbers: take another tokenizer"
        )
    set_seed(settings.seed)
    model = make_model(config.model, len(shards.tokenizer.vocab))
    if beginning and not recorder.progress.step:
        beginning.initialise(model, config, shards)
    if room:
        room.begin(model)
    num_examples = settings.steps * settings.gradient_accumulation_steps * settings.batch_size
    dataset = ExampleDataset(_examples(config, shards), num_examples)
    args = TrainingArguments(
        output_dir=str(folder),
        seed=settings.seed,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        train_sampling_strategy="sequential",  # the dataset is the training in order
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_beta2=settings.adam_beta2,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        use_cpu=device.is_cpu,
        bf16=device.bf16,
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
    lineage = lineage_of(config, shards, beginning)
    options: dict[str, Any] = {"model": model, "args": args, "train_dataset": dataset, "callbacks": [recorder]}
    trainer = _Trainer(folder, recorder, lineage, room, **options)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _examples(config: ExperimentConfig, shards: ShardSet) -> Source:
    """What is trained on: all sequences as they come, or datasets by their weights."""
    cut = ExampleConfig(
        view=config.training.view,
        context_length=config.model.context_length,
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


class _Trainer(Trainer):
    """HF Trainer with the loss that the module's header states, and checkpoints that appear whole.

    Args:
        folder: the run's folder.
        recorder: told what happens.
        lineage: what every checkpoint says of itself.
        room: for checkpoints; any without it.
        options: of HF Trainer.
    """

    def __init__(
        self, folder: Path, recorder: Recorder, lineage: dict[str, Any], room: Room | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.reserve = room.reserved if room else contextlib.nullcontext
        self.folder = folder
        self.recorder = recorder
        self.lineage = lineage
        # It tells `compute_loss` how many targets the whole update has, whatever the model's signature.
        self.model_accepts_loss_kwargs = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Sum of nats of these windows over the number of targets of the whole update."""
        outputs = model(input_ids=inputs["input_ids"], labels=inputs["labels"])
        nats = outputs.nats.sum()
        num_tokens = inputs["labels"].ne(IGNORED).sum()
        self.recorder.count(nats.detach(), num_tokens)
        loss = nats / (num_tokens if num_items_in_batch is None else num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """As HF collects them; their time is the loader's."""
        with self.recorder.loading():
            return super().get_batch_samples(epoch_iterator, num_batches, device)

    def _get_grad_norm(self, model, grad_norm=None):
        """As HF finds it, for the metrics."""
        self.recorder.gradient_norm = super()._get_grad_norm(model, grad_norm)
        return self.recorder.gradient_norm

    def _save_checkpoint(self, model, trial) -> None:
        """As HF saves it, but into a folder that becomes the checkpoint when it is whole."""
        self.recorder.before_checkpoint()
        with (
            self.recorder.paused(CHECKPOINT),
            checkpoints.new_checkpoint(self.folder, self.recorder.progress, self.lineage, self.reserve) as folder,
        ):
            self.args.output_dir = str(folder)
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self.args.output_dir = str(self.folder)
            written = folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            for path in written.iterdir():
                path.rename(folder / path.name)
            written.rmdir()
            if isinstance(self.model, TokenModel):
                self.model.save_config(folder)
            checkpoints.stamp_weights(folder / checkpoints.WEIGHTS_FILE, self.lineage)
            # A pickle that nothing reads; the run's identity holds its settings.
            (folder / "training_args.bin").unlink()


def _publish(
    config: ExperimentConfig,
    shards: ShardSet,
    folder: Path,
    device: Device,
    progress: Progress,
    beginning: Beginning | None = None,
    room: Room | None = None,
) -> dict[str, Any]:
    """Write `best/`, then run.json; safe to repeat."""
    best = checkpoints.checkpoint_path(folder, progress.best_step)
    with checkpoints.aside(folder) as target:
        if room:
            room.require((best / checkpoints.WEIGHTS_FILE).stat().st_size)
        for name in (checkpoints.WEIGHTS_FILE, "config.json", checkpoints.LINEAGE_FILE):
            shutil.copyfile(best / name, target / name)
        write_json(target / "tokenizer_settings.json", shards.info["tokenizer"])
        swap_in(target, folder / BEST)
    model = make_model(config.model, len(shards.tokenizer.vocab))
    run = {
        **origin(config, shards, beginning),
        "status": "finished",
        "model": config.model.name,
        "tokenizer": shards.tokenizer.name,
        "datasets": shards.info["datasets"],
        "context_length": config.model.context_length,
        # Not every architecture has all of them.
        **{name: getattr(config.model, name, None) for name in ("n_layer", "n_head", "n_embd")},
        "num_parameters": sum(weights.numel() for weights in model.parameters()),
        "steps": progress.step,
        "best_step": progress.best_step,
        "validation_nll": progress.best_nll,
        "validation_bits_per_note": progress.best_bits_per_note,
        "num_validation_performances": progress.num_validation_performances,
        "seed": config.training.seed,
        "device": device.torch_device.type,
        "num_train_tokens": progress.num_tokens,
        "train_sec": progress.train_sec,
        "tokens_per_sec": progress.num_tokens / progress.train_sec,
        "peak_memory_mb": progress.peak_memory_mb,
        "peak_gpu_memory_mb": progress.peak_gpu_memory_mb,
        "checkpoint": BEST,
    }
    write_json(folder / RUN_FILE, run)
    return run
