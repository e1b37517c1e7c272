"""One training run: HF Trainer over windows of the shards, with our own loss, validation and checkpoints.

- The loss of an update is the sum of nats over its targets divided by their number; padding counts in neither,
  and gradient accumulation changes nothing but memory.
- Validation is the shared evaluator's (evaluation/likelihood.py), on a fixed part of the validation split.
- The model kept is the checkpoint of the lowest validation nll.
- Seeded. On a CPU two trainings give the same weights bit for bit, interrupted or not.
"""

import contextlib
import dataclasses
import importlib.metadata
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from pianogen.errors import TrainingError
from pianogen.models import make_model
from pianogen.models.devices import MIB, Device, fixed_threads, peak_memory_mb, pick_device
from pianogen.models.scoring import TokenModel
from pianogen.shards import ShardSet
from pianogen.shards.examples import IGNORED, ExampleConfig, Examples, Mixture, Source
from pianogen.training import checkpoints
from pianogen.training.checkpoints import MetricsFile, Progress
from pianogen.training.experiment import ExperimentConfig, TrainingConfig
from pianogen.training.loading import ExampleDataset
from pianogen.training.runs import BEST, PACKAGES, RUN_FILE, run_id, swap_in, training_code_version, write_json


class Validation(Protocol):
    """What a validation found; see evaluation/likelihood.py."""

    @property
    def nll(self) -> float: ...  # noqa: D102
    @property
    def bits_per_note(self) -> float: ...  # noqa: D102
    @property
    def num_tokens(self) -> int: ...  # noqa: D102
    @property
    def num_performances(self) -> int: ...  # noqa: D102


Validate = Callable[[torch.nn.Module], Validation]
Report = Callable[[dict[str, Any]], None]


class StopRequest(Protocol):
    """Says whether somebody wants the training to save a checkpoint and end."""

    requested: bool


def train(
    config: ExperimentConfig,
    shards: ShardSet,
    folder: Path,
    *,
    validate: Validate,
    stop: StopRequest,
    report: Report = lambda metrics: None,
) -> dict[str, Any] | None:
    """Train to the end, from the last whole checkpoint where there is one.

    Args:
        config: the experiment.
        shards: its shard set.
        folder: the run's folder; the caller holds its lock.
        validate: scores the model on the validation split.
        stop: asked after every step.
        report: given every line of metrics.

    Returns:
        What run.json says; None when a stop was asked for before the last step.

    Raises:
        TrainingError: the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.remove_abandoned(folder)
    steps = checkpoints.checkpoint_steps(folder)
    last = checkpoints.checkpoint_path(folder, steps[-1]) if steps else None
    progress = checkpoints.read_progress(last) if last else Progress()
    device = pick_device(config.training.device)
    threads = fixed_threads(config.training.cpu_threads) if device.is_cpu else contextlib.nullcontext()
    if progress.step < config.training.steps:
        with threads, contextlib.closing(MetricsFile(folder, progress.step)) as metrics:
            recorder = _Recorder(config.training, progress, metrics, validate, stop, report)
            _make_trainer(config, shards, folder, device, recorder).train(
                resume_from_checkpoint=str(last) if last else None
            )
    if progress.step < config.training.steps:
        return None
    return _publish(config, shards, folder, device, progress)


def _make_trainer(
    config: ExperimentConfig, shards: ShardSet, folder: Path, device: Device, recorder: "_Recorder"
) -> "_Trainer":
    settings = config.training
    if shards.tokenizer.width > 1:
        raise TrainingError(
            f"model {config.model.name} reads ids; a token of {shards.tokenizer.name} as it is set is a row of "
            f"{shards.tokenizer.width} numbers: take another tokenizer"
        )
    set_seed(settings.seed)
    model = make_model(config.model, len(shards.tokenizer.vocab))
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
    lineage = _lineage(config, shards)
    trainer = _Trainer(folder, recorder, lineage, model=model, args=args, train_dataset=dataset, callbacks=[recorder])
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
        options: of HF Trainer.
    """

    def __init__(self, folder: Path, recorder: "_Recorder", lineage: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
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

    def _save_checkpoint(self, model, trial) -> None:
        """As HF saves it, but into a folder that becomes the checkpoint when it is whole."""
        self.recorder.before_checkpoint()
        with (
            self.recorder.paused(),
            checkpoints.new_checkpoint(self.folder, self.recorder.progress, self.lineage) as folder,
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


class _Recorder(TrainerCallback):
    """Counts, logs, validates, and says when to save and to stop."""

    def __init__(
        self,
        config: TrainingConfig,
        progress: Progress,
        metrics: MetricsFile,
        validate: Validate,
        stop: StopRequest,
        report: Report,
    ) -> None:
        self.config = config
        self.progress = progress
        self.metrics = metrics
        self.validate = validate
        self.stop = stop
        self.report = report
        self.learning_rate = 0.0
        self._nats: torch.Tensor | float = progress.interval_nats
        self._tokens: torch.Tensor | int = progress.interval_tokens
        self._earlier_sec = progress.train_sec
        self._begin = self._interval_begin = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clocks."""
        self._begin = time.perf_counter()
        self._interval_begin = self._begin - self.progress.interval_sec

    def count(self, nats: torch.Tensor, num_tokens: torch.Tensor) -> None:
        """Add one forward pass; stays on the device, since reading a GPU's number waits for it."""
        self._nats = self._nats + nats.double()
        self._tokens = self._tokens + num_tokens

    def on_optimizer_step(self, args, state, control, **kwargs):
        """The learning rate that was used, before the schedule moves on."""
        self.learning_rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args, state, control, **kwargs):
        """What is due after an update."""
        step = self.progress.step = state.global_step
        is_last = step == self.config.steps
        if step % self.config.log_every == 0 or is_last:
            self._log()
        if step % self.config.validate_every == 0 or is_last:
            self._validate(kwargs["model"])
        if self.stop.requested:
            control.should_training_stop = True
        control.should_save = step % self.config.checkpoint_every == 0 or is_last or self.stop.requested
        return control

    @contextlib.contextmanager
    def paused(self):
        """Leave the body's time out of the training speed."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._interval_begin += time.perf_counter() - begin

    def before_checkpoint(self) -> None:
        """Bring `progress` up to now, and the metrics to disk."""
        self._read_clocks()
        self.progress.interval_nats, self.progress.interval_tokens = float(self._nats), int(self._tokens)
        self._require_finite(self.progress.interval_nats)
        self.metrics.sync()

    def _log(self) -> None:
        nats, num_tokens = float(self._nats), int(self._tokens)
        self._require_finite(nats)
        self._read_clocks()
        self.progress.num_tokens += num_tokens
        self._write(
            split="train",
            nll=nats / num_tokens,
            learning_rate=self.learning_rate,
            tokens_per_sec=num_tokens / self.progress.interval_sec,
        )
        self._nats, self._tokens = 0.0, 0
        self._interval_begin = time.perf_counter()

    def _validate(self, model: torch.nn.Module) -> None:
        with self.paused():
            begin = time.perf_counter()
            found = self.validate(model)
            tokens_per_sec = found.num_tokens / (time.perf_counter() - begin)
        self._require_finite(found.nll)
        progress = self.progress
        progress.num_validation_performances = found.num_performances
        if progress.best_nll is None or found.nll < progress.best_nll:
            progress.best_step, progress.best_nll = progress.step, found.nll
            progress.best_bits_per_note = found.bits_per_note
        self._read_clocks()
        self._write(split="validation", nll=found.nll, tokens_per_sec=tokens_per_sec)

    def _write(self, **values: Any) -> None:
        line = {
            "step": self.progress.step,
            **values,
            "elapsed_sec": self.progress.train_sec,
            "memory_mb": self.progress.peak_memory_mb,
        }
        self.metrics.write(**line)
        self.report(line)

    def _read_clocks(self) -> None:
        now = time.perf_counter()
        progress = self.progress
        progress.train_sec = self._earlier_sec + now - self._begin
        progress.interval_sec = now - self._interval_begin
        progress.peak_memory_mb = max(progress.peak_memory_mb, peak_memory_mb())
        if torch.cuda.is_available():
            gpu = torch.cuda.max_memory_allocated() / MIB
            progress.peak_gpu_memory_mb = max(progress.peak_gpu_memory_mb, gpu)

    def _require_finite(self, value: float) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self.progress.step}: the loss is {value}, it must be finite; lower training.learning_rate, "
                "or raise training.warmup_steps"
            )


def _origin(config: ExperimentConfig, shards: ShardSet) -> dict[str, Any]:
    """What the weights of a run come from, the gate's certificate included."""
    return {
        "experiment": config.name,
        "run_id": run_id(config, shards.version),
        "dataset_versions": shards.info["dataset_versions"],
        # Of shards from before they were recorded nothing is known.
        "licences": shards.info.get("licences"),
        "non_commercial_datasets": shards.info.get("non_commercial_datasets"),
        "split_version": shards.info["split_version"],
        "shards_version": shards.version,
        "certificate": shards.info["certificate"],
        "code_version": training_code_version(config.model.name),
    }


def _lineage(config: ExperimentConfig, shards: ShardSet) -> dict[str, Any]:
    """What a checkpoint says of itself wherever it is copied: where it comes from, and how it was made."""
    return {
        **_origin(config, shards),
        "model": dataclasses.asdict(config.model),
        "training": dataclasses.asdict(config.training),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _publish(
    config: ExperimentConfig, shards: ShardSet, folder: Path, device: Device, progress: Progress
) -> dict[str, Any]:
    """Write `best/`, then run.json; safe to repeat."""
    best = checkpoints.checkpoint_path(folder, progress.best_step)
    with checkpoints.aside(folder) as target:
        for name in (checkpoints.WEIGHTS_FILE, "config.json", checkpoints.LINEAGE_FILE):
            shutil.copyfile(best / name, target / name)
        write_json(target / "tokenizer_settings.json", shards.info["tokenizer"])
        swap_in(target, folder / BEST)
    model = make_model(config.model, len(shards.tokenizer.vocab))
    run = {
        **_origin(config, shards),
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
