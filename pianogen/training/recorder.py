"""What happens during a training: counted, logged, validated; and when to save and to stop."""

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from transformers import TrainerCallback

from pianogen.errors import TrainingError
from pianogen.models.devices import MIB, peak_memory_mb
from pianogen.training.checkpoints import MetricsFile, Progress
from pianogen.training.experiment import TrainingConfig
from pianogen.training.pace import SAMPLE, VALIDATION, Pace
from pianogen.training.samples import Samples


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


class Recorder(TrainerCallback):
    """Counts, logs, validates, and says when to save and to stop."""

    def __init__(
        self,
        config: TrainingConfig,
        progress: Progress,
        metrics: MetricsFile,
        validate: Validate,
        stop: StopRequest,
        report: Report,
        samples: Samples | None = None,
    ) -> None:
        self.config = config
        self.progress = progress
        self.metrics = metrics
        self.validate = validate
        self.stop = stop
        self.report = report
        self.samples = samples
        self.pace = Pace(config, progress)
        self.learning_rate = 0.0
        self.gradient_norm: torch.Tensor | float | None = None
        """Of the last update, before it was clipped; stays on the device until a line is written."""
        self._nats: torch.Tensor | float = progress.interval_nats
        self._tokens: torch.Tensor | int = progress.interval_tokens
        self._loading_sec = progress.interval_loading_sec
        self._earlier_sec = progress.train_sec
        self._begin = self._interval_begin = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clocks, and draw the samples that a stop cut short."""
        self._begin = time.perf_counter()
        self._interval_begin = self._begin - self.progress.interval_sec
        self._draw_samples(kwargs["model"])

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
        self._draw_samples(kwargs["model"])
        if self.stop.requested:
            control.should_training_stop = True
        control.should_save = step % self.config.checkpoint_every == 0 or is_last or self.stop.requested
        return control

    @contextlib.contextmanager
    def paused(self, part: str):
        """Leave the time of the body, a part as `pace` names them, out of the training speed."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            self._interval_begin += seconds
            self.pace.add(part, self.progress.step, seconds)

    @contextlib.contextmanager
    def loading(self):
        """Count the body's time as the loader's."""
        begin = time.perf_counter()
        yield
        self._loading_sec += time.perf_counter() - begin

    def before_checkpoint(self) -> None:
        """Bring `progress` up to now, and the metrics to disk."""
        self._read_clocks()
        self.progress.interval_nats, self.progress.interval_tokens = float(self._nats), int(self._tokens)
        self.progress.interval_loading_sec = self._loading_sec
        self._require_finite(self.progress.interval_nats)
        self.metrics.sync()

    def _log(self) -> None:
        nats, num_tokens = float(self._nats), int(self._tokens)
        self._require_finite(nats)
        self._read_clocks()
        self.progress.num_tokens += num_tokens
        interval_sec = self.progress.interval_sec
        self.pace.add_updates(self.progress.step, interval_sec)
        self._write(
            split="train",
            nll=nats / num_tokens,
            **self._last_update(),
            tokens_per_sec=num_tokens / interval_sec,
            loader_share=self._loading_sec / interval_sec,
        )
        self._nats, self._tokens, self._loading_sec = 0.0, 0, 0.0
        self._interval_begin = time.perf_counter()

    def _validate(self, model: torch.nn.Module) -> None:
        with self.paused(VALIDATION):
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
        self._write(
            split="validation",
            nll=found.nll,
            bits_per_note=found.bits_per_note,
            **self._last_update(),
            tokens_per_sec=tokens_per_sec,
        )

    def _last_update(self) -> dict[str, float]:
        norm = {} if self.gradient_norm is None else {"gradient_norm": float(self.gradient_norm)}
        return {"learning_rate": self.learning_rate, **norm}

    def _draw_samples(self, model: torch.nn.Module) -> None:
        progress = self.progress
        if self.samples is None or not self.samples.due(progress):
            return
        with self.paused(SAMPLE):
            lines = self.samples.draw(model, progress.step, self.stop)
        if lines is None:
            return  # asked to stop meanwhile: the next start draws them
        progress.sampled_step = progress.step
        self._read_clocks()
        for line in lines:
            self._write(split="sample", **line)

    def _write(self, **values: Any) -> None:
        progress = self.progress
        gpu = {"gpu_memory_mb": progress.peak_gpu_memory_mb} if torch.cuda.is_available() else {}
        line = {
            "step": progress.step,
            **values,
            "elapsed_sec": progress.train_sec,
            "remaining_sec": self.pace.remaining_sec(progress.step),
            "memory_mb": progress.peak_memory_mb,
            **gpu,
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
