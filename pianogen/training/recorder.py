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
from pianogen.training.averaging import WeightAverage
from pianogen.training.checkpoints import MetricsFile, Progress
from pianogen.training.experiment import TrainingConfig
from pianogen.training.pace import SAMPLE, VALIDATION, Pace
from pianogen.training.ranks import Ranks
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
    """Counts, logs, validates, and says when to save and to stop.

    All ranks have one; sums are over all of them, and the first validates, writes and decides.

    Args:
        config: when what is due.
        progress: what the run has reached; kept up to date.
        metrics: where the first rank writes.
        validate: scores the model on the validation split.
        stop: asked after every step.
        report: given every line of metrics.
        ranks: the processes that train together.
    """

    average: WeightAverage | None = None
    """What is validated in place of the weights, where training averages them."""

    def __init__(
        self,
        config: TrainingConfig,
        progress: Progress,
        metrics: MetricsFile | None,
        validate: Validate,
        stop: StopRequest,
        report: Report,
        samples: Samples | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.config = config
        self.progress = progress
        self.ranks = ranks or Ranks()
        self.metrics = metrics
        self.validate = validate
        self.stop = stop
        self.report = report
        self.samples = samples
        self.pace = Pace(config, progress)
        self.learning_rate = 0.0
        # What the run has counted before goes on in one of them.
        self._nats: torch.Tensor | float = progress.interval_nats if self.ranks.is_first else 0.0
        self._tokens = progress.interval_tokens if self.ranks.is_first else 0
        self._loading_sec = progress.interval_loading_sec
        self.gradient_norm: torch.Tensor | float | None = None
        """Of the last update, before it was clipped; stays on the device until a line is written."""
        self._earlier_sec = progress.train_sec
        self._begin = self._interval_begin = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clocks, and draw the samples that a stop cut short."""
        self._begin = time.perf_counter()
        self._interval_begin = self._begin - self.progress.interval_sec
        self._draw_samples(kwargs["model"])

    def count(self, nats: torch.Tensor, num_tokens: int) -> None:
        """Add an update; nats stay on the device, since reading a GPU's number waits for it."""
        self._nats = self._nats + nats.double()
        self._tokens += num_tokens

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Inside the body the model is the one that would be kept."""
        return self.average.in_place() if self.average else contextlib.nullcontext()

    def on_optimizer_step(self, args, state, control, **kwargs):
        """The learning rate that was used, before the schedule moves on."""
        self.learning_rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args, state, control, **kwargs):
        """What is due after an update."""
        step = self.progress.step = state.global_step
        is_last = step == self.config.steps
        if self.average:
            self.average.update(step)
        if step % self.config.log_every == 0 or is_last:
            self._log()
        if self.ranks.is_first and (step % self.config.validate_every == 0 or is_last):
            self._validate(kwargs["model"])
        self._draw_samples(kwargs["model"])
        is_asked, self.progress.stopped_early = self.ranks.any(self.stop.requested, self.progress.stopped_early)
        if is_asked or self.progress.stopped_early:
            control.should_training_stop = True
        control.should_save = step % self.config.checkpoint_every == 0 or is_last or control.should_training_stop
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
        self.progress.interval_nats, self.progress.interval_tokens = self._counted()
        self.progress.interval_loading_sec = self._loading_sec
        self._require_finite(self.progress.interval_nats)
        if self.metrics:
            self.metrics.sync()

    def _counted(self) -> tuple[float, int]:
        """Nats and targets of all ranks since the last logged step."""
        nats = torch.as_tensor(self._nats, dtype=torch.float64)
        nats, num_tokens = self.ranks.sum(torch.stack((nats, nats.new_tensor(self._tokens))))
        return float(nats), int(num_tokens)

    def _log(self) -> None:
        nats, num_tokens = self._counted()
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
        with self.paused(VALIDATION), self.averaged():
            begin = time.perf_counter()
            found = self.validate(model)
            tokens_per_sec = found.num_tokens / (time.perf_counter() - begin)
        self._require_finite(found.nll)
        progress = self.progress
        progress.num_validation_performances = found.num_performances
        if self._is_best(found):
            progress.best_step, progress.best_nll = progress.step, found.nll
            progress.best_bits_per_note = found.bits_per_note
            progress.num_validations_since_best = 0
        else:
            progress.num_validations_since_best += 1
        is_out = 0 < self.config.patience <= progress.num_validations_since_best
        progress.stopped_early = is_out and progress.step < self.config.steps
        self._read_clocks()
        self._write(
            split="validation",
            nll=found.nll,
            bits_per_note=found.bits_per_note,
            **self._last_update(),
            tokens_per_sec=tokens_per_sec,
        )

    def _is_best(self, found: Validation) -> bool:
        bits, nll = self.progress.best_bits_per_note, self.progress.best_nll
        # Of music without notes bits per note are infinite; then nll tells.
        return bits is None or nll is None or (found.bits_per_note, found.nll) < (bits, nll)

    def _last_update(self) -> dict[str, float]:
        norm = {} if self.gradient_norm is None else {"gradient_norm": float(self.gradient_norm)}
        return {"learning_rate": self.learning_rate, **norm}

    def _draw_samples(self, model: torch.nn.Module) -> None:
        progress = self.progress
        if self.samples is None or not self.samples.due(progress):
            return
        with self.paused(SAMPLE), self.averaged():
            lines = self.samples.draw(model, progress.step, self.stop)
        if lines is None:
            return  # asked to stop meanwhile: the next start draws them
        progress.sampled_step = progress.step
        self._read_clocks()
        for line in lines:
            self._write(split="sample", **line)

    def _write(self, **values: Any) -> None:
        if not self.metrics:
            return
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
