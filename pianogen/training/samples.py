"""Samples while a model trains: drawn with its current weights, written beside its checkpoints.

    <run>/samples/step-00000400-prompted.mid

The training goes on as if nothing had been drawn: random states and every module's mode are what they were. A sample
that cannot be drawn is a line of the metrics that says why. What is drawn, and how, is the sampler's affair; see
generation/while_training.py.
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from pianogen.training.checkpoints import Progress
from pianogen.training.runs import SAMPLES, write_whole


class Drawn(Protocol):
    """A sample; see generation/continuation.py."""

    @property
    def num_notes(self) -> int: ...  # noqa: D102
    @property
    def duration_sec(self) -> float: ...  # noqa: D102
    @property
    def midi(self) -> bytes: ...  # noqa: D102


class Sampler(Protocol):
    """Draws samples with a model that it leaves in evaluation mode."""

    @property
    def names(self) -> Sequence[str]:
        """Of its samples."""
        ...

    def __call__(self, model: torch.nn.Module, step: int, before_token: Callable[[], None]) -> Sequence[Drawn]:
        """A sample for each name, the same for the same weights and step.

        Args:
            model: on any device.
            step: of the training.
            before_token: called before each token; what it raises ends the drawing.
        """
        ...


class StopRequest(Protocol):
    """Says whether somebody wants the training to end."""

    requested: bool


class _StoppedError(Exception):
    """Somebody wants the training to end."""


class Samples:
    """Draws the samples of a run when they are due, and writes them.

    Args:
        run: the run's folder.
        every: steps; 0: never.
        sampler: draws them.
    """

    def __init__(self, run: Path, every: int, sampler: Sampler) -> None:
        self.run, self.every, self.sampler = run, every, sampler

    def due(self, progress: Progress) -> bool:
        """Whether this step has samples that were not drawn yet."""
        step = progress.step
        return bool(self.every and step and step % self.every == 0 and progress.sampled_step < step)

    def draw(self, model: torch.nn.Module, step: int, stop: StopRequest) -> list[dict[str, Any]] | None:
        """What the metrics say of each sample; None when a stop was asked for before they were drawn.

        Args:
            model: of the training.
            step: of the training.
            stop: asked before each token: a cancel does not wait for the end of a piece.
        """

        def before_token() -> None:
            if stop.requested:
                raise _StoppedError

        try:
            with undisturbed(model):
                drawn = self.sampler(model, step, before_token)
        except _StoppedError:
            return None
        except Exception as error:  # whatever it is, a look at a model may not end its training
            told = f"{type(error).__name__}: {error}"
            return [{"sample": name, "error": told} for name in self.sampler.names]
        return [self._write(name, step, one) for name, one in zip(self.sampler.names, drawn, strict=True)]

    def _write(self, name: str, step: int, drawn: Drawn) -> dict[str, Any]:
        line: dict[str, Any] = {"sample": name, "num_notes": drawn.num_notes, "duration_sec": drawn.duration_sec}
        if not drawn.num_notes:
            return {**line, "error": "no notes"}
        path = Path(SAMPLES) / f"step-{step:08d}-{name}.mid"
        try:
            (self.run / SAMPLES).mkdir(exist_ok=True)
            write_whole(self.run / path, drawn.midi)
        except OSError as error:
            return {**line, "error": str(error)}
        return {**line, "file": path.as_posix()}


@contextlib.contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode for the body, and all back as it was: modes and random states."""
    modes = [(module, module.training) for module in model.modules()]
    of_python, of_numpy = random.getstate(), np.random.get_state()
    device = next(model.parameters(), torch.empty(0)).device
    model.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        for module, was_training in modes:
            module.training = was_training
