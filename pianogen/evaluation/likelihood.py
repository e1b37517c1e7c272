"""How well a model predicts music: the one place where likelihood is computed, in training and after.

Every token of a sequence but BOS is scored exactly once, EOS included: nats = -ln p(token | tokens before it).
A sequence longer than the context is scored through a sliding window, in which each token is given all tokens
before it, or at least half a context of them. Logits are turned into probabilities in fp32, sums are in fp64.

    nll             sum of nats / number of tokens scored                   nats per token
    perplexity      exp(nll)                                                -
    bits_per_note   sum of nats / ln 2 / number of notes                    bits per note
    bits_per_second sum of nats / ln 2 / seconds of music                   bits per second

Sums run over all performances before the division (micro-average). Notes are those of the source, drums
left out, whether the tokenizer kept them or not: so bits per note of two tokenizers can be compared on the same
performances, though a tokenizer that drops detail has less to predict. nll and perplexity can't be
compared across vocabularies.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from pianogen.shards import Sequences
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import PAD_ID

BATCH_TOKENS = 8192
"""Tokens of one forward pass; sums depend on it in the last digits, so it is fixed."""


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Sums over a set of performances."""

    nats: float
    num_tokens: int
    num_notes: int
    num_performances: int

    @property
    def nll(self) -> float:
        """Nats per token."""
        return self.nats / self.num_tokens

    @property
    def bits_per_note(self) -> float:
        """Bits per note of the source; infinite where there is none."""
        return self.nats / math.log(2) / self.num_notes if self.num_notes else math.inf


def measure(model: torch.nn.Module, sequences: Sequences, chosen: Sequence[int], context_length: int) -> Likelihood:
    """The model's likelihood of the chosen sequences, together."""
    tokens = [sequences[i] for i in chosen]
    return Likelihood(
        nats=float(score(model, tokens, context_length).sum()),
        num_tokens=sum(len(ids) - 1 for ids in tokens),
        num_notes=int(sequences.num_notes[list(chosen)].sum()),
        num_performances=len({sequences.performance_ids[i] for i in chosen}),
    )


def choose_within(sequences: Sequences, max_tokens: int) -> list[int]:
    """Indices of sequences in the order of their performance ids until they hold `max_tokens`; at least one.

    Ids are hashes, so this is a random sample, and the same one for every model.
    """
    chosen: list[int] = []
    total = 0
    lengths = sequences.lengths()
    for i in sorted(range(len(sequences)), key=lambda i: (sequences.performance_ids[i], sequences.semitones[i])):
        if chosen and total + lengths[i] > max_tokens:
            break
        chosen.append(i)
        total += int(lengths[i])
    return chosen


def score(model: torch.nn.Module, sequences: Sequence[np.ndarray], context_length: int) -> np.ndarray:
    """Nats of each sequence, float64, shape (num_sequences,).

    Args:
        model: `model(input_ids, labels).nats` for ids (B, T) and what follows them; put into evaluation mode here, and
            back after.
        sequences: tokens with BOS first, at least one each: ids, or rows of numbers.
        context_length: the most tokens that the model takes.
    """
    nats = np.zeros(len(sequences))
    with torch.inference_mode():
        for places, of_windows in nats_of_windows(model, sequences, context_length):
            for i, value in zip(places, of_windows.tolist(), strict=True):
                nats[i] += value
    return nats


def nats_of_windows(
    model: torch.nn.Module, sequences: Sequence[np.ndarray], context_length: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Batches of windows, which together score each token once: indices of their sequences, and nats, fp64, (B,).

    Args: as of `score`.
    """
    for batch in batches_of(model, sequences, context_length):
        nats = model(input_ids=batch.given, labels=batch.following).nats.cpu().double()
        yield [i for i, *_ in batch.windows], (nats * batch.counted).sum(1)


class Batch(NamedTuple):
    """Windows side by side."""

    windows: list[tuple[int, int, int, int]]
    """Index of the sequence, and what `scoring_windows` says."""
    given: torch.Tensor
    """What is read, (B, T) or (B, T, width), on the model's device."""
    following: torch.Tensor
    """What follows each, IGNORED after the end of a window."""
    counted: torch.Tensor
    """What is scored here and not in another window, bool, (B, T), on the CPU."""


def batches_of(model: torch.nn.Module, sequences: Sequence[np.ndarray], context_length: int) -> Iterator[Batch]:
    """Batches of windows that score each token once; the model is in evaluation mode meanwhile.

    Args: as of `score`.
    """
    windows = [
        (i, *window)
        for i, ids in enumerate(sequences)
        for window in scoring_windows(len(ids) - 1, context_length, getattr(model, "stride", 1))
    ]
    # Longest first: windows of one batch differ little in length, so there is little padding.
    windows.sort(key=lambda window: (window[1] - window[2], window[0], window[1]))
    device = next(model.parameters(), torch.empty(0)).device
    was_training = model.training
    model.eval()
    try:
        batch_size = max(1, BATCH_TOKENS // context_length)
        for first in range(0, len(windows), batch_size):
            yield _batch(sequences, windows[first : first + batch_size], device)
    finally:
        model.train(was_training)


def scoring_windows(num_targets: int, context_length: int, stride: int = 1) -> list[tuple[int, int, int]]:
    """Windows that score each of `num_targets` tokens once; they start at multiples of `stride`.

    Returns:
        (start, end, skip): the model reads tokens [start, end), which predict tokens [start + 1, end + 1); the
        first `skip` of those were scored by the window before.
    """
    if num_targets < 1:
        return []
    end = min(num_targets, context_length)
    windows = [(0, end, 0)]
    while end < num_targets:
        scored = end
        start = (min(num_targets, end + context_length // 2) - context_length) // stride * stride
        # Where a context is short of two strides, half of one cannot be kept.
        start = max(start, windows[-1][0] + stride)
        end = min(num_targets, start + context_length)
        windows.append((start, end, scored - start))
    return windows


def _batch(sequences: Sequence[np.ndarray], windows: list[tuple[int, int, int, int]], device: torch.device) -> Batch:
    longest = max(end - start for _, start, end, _ in windows)
    width = sequences[0].shape[1:]
    shape, kind = (len(windows), longest, *width), np.float32 if width else np.int64
    input_ids, targets = np.full(shape, PAD_ID, kind), np.full(shape, IGNORED, kind)
    counted = np.zeros((len(windows), longest), bool)
    for row, (i, start, end, skip) in enumerate(windows):
        tokens = sequences[i][start : end + 1]
        input_ids[row, : end - start] = tokens[:-1]
        targets[row, : end - start] = tokens[1:]
        counted[row, skip : end - start] = True
    given, following = (torch.from_numpy(ids).to(device) for ids in (input_ids, targets))
    return Batch(windows, given, following, torch.from_numpy(counted))
