"""Nats per token of chorales: of models alone, of their mixture, and of models that learn on from what they read.

S steps, V voices.
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pianogen.models.pianist_steps import NUM_SPECIAL, StepPianist
from pianogen.models.steps_seen import Seen, what_is_seen
from pianogen.shards import Sequences, ShardSet
from pianogen.tokenizers.jsb import REST_ID, VOICES
from pianogen.training.experiment import ExperimentConfig

NUM_DRAWS = 10_000
BEAT = 4
"""Steps after which a model that learns on has learned from them."""
LEARNING_RATE = 2e-5
"""Of plain gradient steps on the nats of a beat. Chosen on a fifth of the validation chorales, with one model."""

StepNats = Callable[["Trained", torch.Tensor], torch.Tensor | None]


class Trained(NamedTuple):
    """A finished run."""

    config: ExperimentConfig
    model: StepPianist
    shards: ShardSet
    cpu_minutes: float
    folder: Path

    @property
    def parameters(self) -> int:
        """Weights."""
        return sum(weight.numel() for weight in self.model.parameters())


def as_they_are(sequences: Sequences) -> list[int]:
    """Those that are not transposed, in an order of the chorales that does not depend on the tokenizer's settings."""
    chosen = np.flatnonzero(np.asarray(sequences.semitones) == 0).tolist()
    return sorted(chosen, key=lambda i: sequences.performance_ids[i])


def pieces_of(one: Trained, split: str) -> list[torch.Tensor]:
    """Ids of whole chorales as they are, without BOS and EOS, in the model's order of voices, (1, S * V) each."""
    sequences = one.shards.sequences(split)
    return [torch.from_numpy(np.asarray(sequences[i][1:-1], np.int64))[None] for i in as_they_are(sequences)]


@torch.inference_mode()
def nats_of(one: Trained, ids: torch.Tensor, semitones: int = 0) -> torch.Tensor | None:
    """-ln p of each step, (S,); None where a transposition leaves the range."""
    moved = torch.where(ids > REST_ID, ids + semitones, ids)
    if ((ids > REST_ID) & ((moved <= REST_ID) | (moved >= one.model.vocab_size))).any():
        return None
    return one.model.step_nats(moved, range(len(VOICES)))[0].double()


def nats_learning_on(one: Trained, ids: torch.Tensor) -> torch.Tensor:
    """-ln p of each step, (S,), by a model whose network for voices learns from each beat once it is scored.

    So every step is still given only what is before it. The next chorale begins with the weights of the training.
    Source: dynamic evaluation, Krause et al. (2018), arXiv 1709.07432; here by plain gradient steps.
    """
    symbols = (ids - NUM_SPECIAL).clamp(min=0).view(1, -1, len(VOICES))
    num_steps = symbols.shape[1]
    with torch.no_grad():
        seen = what_is_seen(symbols, torch.ones(1, dtype=torch.bool), one.model.grid)
        expected = one.model.trunk(seen)
    voices = copy.deepcopy(one.model.voices)
    learning = [weight.requires_grad_() for weight in voices.parameters()]
    found = []
    for begin in range(0, num_steps, BEAT):
        beat = symbols[:, begin : begin + BEAT]
        rank = torch.arange(len(VOICES)).expand(beat.shape)
        logits = voices(expected[:, begin : begin + BEAT], _between(seen, begin, begin + BEAT), beat, rank)
        nats = -logits.log_softmax(-1).gather(-1, beat[..., None]).sum((-1, -2))[0]
        gradients = torch.autograd.grad(nats.sum(), learning, allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(learning, gradients, strict=True):
                if gradient is not None:
                    weight -= LEARNING_RATE * gradient
        found.append(nats.detach().double())
    return torch.cat(found)


def _between(seen: Seen, begin: int, end: int) -> Seen:
    """What is known of some of the steps."""
    keys = seen.keys._replace(tonic=seen.keys.tonic[:, begin:end], mode=seen.keys.mode[:, begin:end])
    rest = {name: value[:, begin:end] for name, value in seen._asdict().items() if name != "keys"}
    return Seen(keys=keys, **rest)


def mixture(trained: Sequence[Trained], split: str, ways: Sequence[StepNats]) -> dict[str, float]:
    """Of all models and ways to score a chorale alike."""
    pieces = [pieces_of(one, split) for one in trained]
    nats = []
    for versions in zip(*pieces, strict=True):
        members = itertools.product(zip(trained, versions, strict=True), ways)
        parts = [way(one, ids) for (one, ids), way in members]
        stacked = torch.stack([part for part in parts if part is not None])
        nats.append(math.log(len(stacked)) - (-stacked).logsumexp(0))
    return _told(nats, pieces[0])


def _told(nats: Sequence[torch.Tensor], pieces: Sequence[torch.Tensor]) -> dict[str, float]:
    """Nats per token with its interval."""
    sums = np.array([float(x.sum()) for x in nats])
    tokens = np.array([ids.numel() for ids in pieces])
    drawn = np.random.default_rng(1).integers(len(sums), size=(NUM_DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / tokens[drawn].sum(1), (0.025, 0.975))
    return {"nats": sums.sum() / tokens.sum(), "low": low, "high": high}
