"""Training windows: which tokens make the k-th example of a training.

Each sequence is cut into the fewest windows of context_length + 1 tokens that cover it, spread evenly: all of
them are full, neighbours overlap by what is too much, and none holds two pieces. A sequence shorter than
that is one window, padded at its end. Every epoch takes each window once, in an order drawn from seed and
epoch. So the k-th example depends on nothing but k, and a resumed training goes on where it was.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from pianogen.shards import Sequences
from pianogen.tokenizers.base import PAD_ID

IGNORED = -100
"""Target of a position that is not counted in the loss."""


@dataclass(frozen=True)
class Windows:
    """Where windows begin: sequence and token, int64, shape (num_windows,) each."""

    sequence: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.sequence)


def cut_windows(lengths: np.ndarray, context_length: int) -> Windows:
    """Windows over sequences of these lengths.

    Args:
        lengths: tokens of each sequence with BOS and EOS, at least 2, shape (num_sequences,).
        context_length: tokens that the model sees; a window has one more, the last target.
    """
    targets = np.maximum(lengths - 1, 1)
    counts = -(-targets // context_length)
    sequence = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
    # The last window ends with its sequence; the others stand at equal steps before it.
    slack = np.maximum(targets - context_length, 0)[sequence]
    gaps = np.maximum(counts - 1, 1)[sequence]
    return Windows(sequence=sequence, start=number * slack // gaps)


class WindowDataset(torch.utils.data.Dataset):
    """The examples of a whole training, in order; tokens stay in the memory-mapped shards.

    An example is a dict of int64 tensors of shape (context_length,): `input_ids`, and the token that follows
    each, as `labels` (`IGNORED` past the end).

    Args:
        sequences: the train split.
        context_length: tokens of a window.
        num_examples: length of the training, in examples.
        seed: of the order.
    """

    def __init__(self, sequences: Sequences, context_length: int, num_examples: int, seed: int) -> None:
        self.sequences = sequences
        self.context_length = context_length
        self.num_examples = num_examples
        self.seed = seed
        self.windows = cut_windows(sequences.lengths(), context_length)
        # One epoch's order at a time: examples are read in ascending order.
        self._order = functools.lru_cache(maxsize=2)(self._draw_order)

    def __len__(self) -> int:
        """Examples of the whole training, not of one epoch."""
        return self.num_examples

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        """The k-th example."""
        epoch, position = divmod(k, len(self.windows))
        window = self._order(epoch)[position]
        start = int(self.windows.start[window])
        tokens = self.sequences[int(self.windows.sequence[window])][start : start + self.context_length + 1]
        input_ids = np.full(self.context_length, PAD_ID, np.int64)
        labels = np.full(self.context_length, IGNORED, np.int64)
        input_ids[: len(tokens) - 1] = tokens[:-1]
        labels[: len(tokens) - 1] = tokens[1:]
        # `shift_labels` tells the HF Trainer that labels are aligned with inputs; it counts these.
        targets = torch.from_numpy(labels)
        return {"input_ids": torch.from_numpy(input_ids), "labels": targets, "shift_labels": targets}

    def _draw_order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.windows))
