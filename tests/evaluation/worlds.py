"""A world of finitely many pieces, whose law is known, and a model that knows it through the tokens of any scheme."""

import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch
from builders import notes

from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.shards.rows import framed
from pianogen.tokenizers.base import Tokenizer

PITCHES = {60: 0.7, 67: 0.3}
STAYS = 0.4
"""How often a pitch follows itself; else it is drawn from PITCHES."""
VELOCITIES = {41: 0.75, 90: 0.25}
DURATIONS = {0.5: 0.6, 1.0: 0.4}
"""Quarters."""
RESTS = {0.0: 0.7, 0.5: 0.3}
"""Quarters between the end of a note and the next."""
GOES_ON = 0.6
MOST_NOTES = 3


def entropy(law: dict[float, float]) -> float:
    """Nats."""
    return -sum(p * math.log(p) for p in law.values())


def next_pitch(before: int | None) -> dict[int, float]:
    """The law of the pitch that follows."""
    return {p: q if before is None else STAYS * (p == before) + (1 - STAYS) * q for p, q in PITCHES.items()}


class World:
    """Pieces of one voice, of up to MOST_NOTES notes, and how likely each is.

    Args:
        velocities: their law.
    """

    def __init__(self, velocities: dict[int, float] = VELOCITIES) -> None:
        self.pieces: list[NoteColumns] = []
        probabilities: list[float] = []
        self.expected = dict.fromkeys(("pitch", "onset", "duration", "velocity", "end"), 0.0)
        """Nats that each attribute takes of a piece on the mean."""
        for number in range(1, MOST_NOTES + 1):
            for facts in itertools.product(
                itertools.product(PITCHES, repeat=number),
                itertools.product(velocities, repeat=number),
                itertools.product(DURATIONS, repeat=number),
                itertools.product(RESTS, repeat=number - 1),
            ):
                pitches, loudness, durations, rests = facts
                p_pitch = math.prod(next_pitch(a)[b] for a, b in zip((None, *pitches), pitches, strict=False))
                p_velocity = math.prod(velocities[v] for v in loudness)
                p_duration = math.prod(DURATIONS[d] for d in durations)
                p_onset = math.prod(RESTS[rest] for rest in rests) * GOES_ON ** (number - 1)
                p_end = 1 - GOES_ON if number < MOST_NOTES else 1.0
                p = p_pitch * p_velocity * p_duration * p_onset * p_end
                of_attribute = (p_pitch, p_onset, p_duration, p_velocity, p_end)
                for name, value in zip(self.expected, of_attribute, strict=True):
                    self.expected[name] -= p * math.log(value)
                onset = [0.0, *itertools.accumulate(d + r for d, r in zip(durations, rests, strict=False))]
                piece = notes(*zip(onset[:number], pitches, durations, strict=True))
                piece.velocity[:] = loudness
                self.pieces.append(piece)
                probabilities.append(p)
        self.probability = np.array(probabilities)
        assert math.isclose(self.probability.sum(), 1.0)

    @property
    def nats(self) -> np.ndarray:
        """-ln p of each piece."""
        return -np.log(self.probability)

    def sequences(self, tokenizer: Tokenizer) -> list[np.ndarray]:
        """Tokens of each piece, with BOS and EOS."""
        tokens = tokenizer.encode_block(music_block(self.pieces))
        return [framed(tokenizer, tokens[i]) for i in range(len(tokens))]


class KnowsAll(torch.nn.Module):
    """A model that knows how likely each sequence is, and so what follows any beginning of one.

    Args:
        sequences: all that there can be, BOS first.
        probability: of each.
        vocab_size: ids that there are.
    """

    def __init__(self, sequences: Sequence[np.ndarray], probability: np.ndarray, vocab_size: int) -> None:
        super().__init__()
        self.after: list[dict[int, int]] = [{}]
        mass = [0.0]
        for ids, p in zip(sequences, probability, strict=True):
            node = 0
            for token in ids.tolist():
                if token not in self.after[node]:
                    self.after[node][token] = len(self.after)
                    self.after.append({})
                    mass.append(0.0)
                node = self.after[node][token]
                mass[node] += p
        self.logits = torch.full((len(self.after), vocab_size), -torch.inf, dtype=torch.float64)
        for node, following in enumerate(self.after):
            for token, child in following.items():
                self.logits[node, token] = math.log(mass[child])
        # After the end of a piece nothing is known.
        self.logits[[node for node, following in enumerate(self.after) if not following]] = 0.0

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> SimpleNamespace:
        nodes = []
        for row in input_ids.tolist():
            node, path = 0, []
            for token in row:
                node = self.after[node].get(token, node)
                path.append(node)
            nodes.append(path)
        logits = self.logits[torch.tensor(nodes)]
        nats = -logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        return SimpleNamespace(logits=logits, nats=torch.where(labels < 0, 0.0, nats).float())
