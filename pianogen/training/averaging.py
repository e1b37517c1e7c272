"""The exponential moving average of a model's weights over the updates of its training.

After update k it is d * average + (1 - d) * weights with d = min(decay, (1 + k) / (10 + k)): the first updates, whose
weights are far from the last, fade sooner. Floating-point buffers, which are what batch normalisation has averaged,
are averaged in the same way, so that they are of the same time as the weights; others are those of the model.

Source of the warm-up: `tf.train.ExponentialMovingAverage`, `num_updates`.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from pianogen.errors import TrainingError


class WeightAverage:
    """The average of a model's weights, in fp32 on the model's device.

    Args:
        model: its weights are where the average begins.
        decay: at least 0, below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        # A weight that stands at two places is named once.
        named = [*model.named_parameters(), *(pair for pair in model.named_buffers() if pair[1].is_floating_point())]
        self._names = [name for name, _ in named]
        self._weights = [weight for _, weight in named]
        self._average = [weight.detach().float().clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update `step`, which counts from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [weight.detach().float() for weight in self._weights]
        torch._foreach_lerp_(self._average, weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the body the model has the average in place of its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def load(self, path: Path) -> None:
        """Go on from the average that a checkpoint holds.

        Raises:
            TrainingError: the file is not there, or holds other weights.
        """
        try:
            saved = load_file(path)
            for name, average in zip(self._names, self._average, strict=True):
                average.copy_(saved[name])
        except (OSError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{path}: not the average of this model's weights ({error}); delete {path.parent} and train again"
            ) from None

    @torch.no_grad()
    def _swap(self) -> None:
        # Copied and not exchanged: whoever holds the weights, as optimizer and compiled code do, finds them in place.
        for weight, average in zip(self._weights, self._average, strict=True):
            held = weight.detach().clone()
            weight.copy_(average)
            average.copy_(held)
