"""Augmentation of training music: which copies of a performance are made, and with what changes.

A copy is the performance with one value of each setting: moved by semitones (and octaves), played slower or faster,
louder or softer, less evenly, with another pedal. Every value goes with every other, or as many copies as asked are
drawn. Validation and test are never augmented. `varied` makes the music of a copy.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pianogen.errors import SettingsError
from pianogen.lake import digest

PEDALS = ("kept", "removed", "sounded")


class Variation(NamedTuple):
    """What makes a copy other than the original; the defaults are the original."""

    semitones: int = 0
    stretch: float = 1.0
    """Seconds of the copy to those of the original."""
    velocity_scale: float = 1.0
    velocity_shift: int = 0
    """Added after scaling; what leaves 1-127 stays at its end."""
    jitter_ms: float = 0.0
    """Standard deviation by which onsets are moved, each by itself; durations stay."""
    pedal: str = "kept"
    """`kept`; `removed`: notes end with their keys; `sounded`: without pedal, too, but notes as long as it held."""


ORIGINAL = Variation()


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How each training performance is multiplied.

    Raises:
        SettingsError: the original is not among the copies, a value stands twice, is of another kind than it has to
            be, or lies out of its range.
    """

    semitones: tuple[int, ...] = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6)
    """Transpositions; those that would leave the range of the scheme's pitches, or of its voices, are left out."""
    octaves: tuple[int, ...] = (0,)
    """Added to each of the transpositions."""
    stretches: tuple[float, ...] = (1.0,)
    """1.1 lasts a tenth longer. Music that keeps to its beat has its tempo changed, other music its ticks."""
    velocity_scales: tuple[float, ...] = (1.0,)
    velocity_shifts: tuple[int, ...] = (0,)
    jitters_ms: tuple[float, ...] = (0.0,)
    pedals: tuple[str, ...] = ("kept",)
    copies: int = 0
    """Copies of each performance, drawn among all, the original with them; 0: all."""
    seed: int = 0
    """Of what is drawn: copies, and jitter."""
    while_loading: bool = False
    """Shards hold the originals, and each epoch of training draws a copy of each; else shards hold all copies."""

    def __post_init__(self) -> None:
        """Refuse settings that would lose the original or repeat a copy."""
        for name, original in _ORIGINALS.items():
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)):
                raise SettingsError(f"augmentation.{name} must be a list, found {values!r}")
            kinds, words = _KINDS[type(original)]
            if wrong := [value for value in values if type(value) not in kinds]:
                raise SettingsError(f"augmentation.{name} must be {words}, found {wrong[0]!r}")
            if original not in values or len(set(values)) != len(values):
                raise SettingsError(f"augmentation.{name} must be distinct and hold {original}, found {list(values)}")
        for name, low, high in _RANGES:
            if wrong := [value for value in getattr(self, name) if not low <= value <= high]:
                raise SettingsError(f"augmentation.{name} must lie in {low} to {high}, found {wrong[0]}")
        if wrong := [name for name in self.pedals if name not in PEDALS]:
            raise SettingsError(f"augmentation.pedals are {', '.join(PEDALS)}, found {wrong[0]!r}")
        if type(self.copies) is not int or self.copies < 0:
            raise SettingsError(f"augmentation.copies must be a whole number, 0 (all) or more, found {self.copies!r}")
        if type(self.seed) is not int or self.seed < 0:
            raise SettingsError(f"augmentation.seed must be a whole number, 0 or more, found {self.seed!r}")

    @cached_property
    def variations(self) -> tuple[Variation, ...]:
        """Every copy: the original's transpositions first, ascending, then those of the others."""
        moves = sorted({s + 12 * o for s in self.semitones for o in self.octaves})
        others = itertools.product(
            *(
                # The original's value first, whatever the order of the settings' file.
                sorted(getattr(self, name), key=lambda value, original=original: (value != original, value))
                for name, original in list(_ORIGINALS.items())[2:]
            )
        )
        return tuple(Variation(semitones, *other) for other in others for semitones in moves)

    @property
    def most_copies(self) -> int:
        """Sequences that shards have of a performance at most."""
        if self.while_loading:
            return 1
        return min(self.copies or len(self.variations), len(self.variations))


_ORIGINALS = {
    "semitones": 0,
    "octaves": 0,
    "stretches": 1.0,
    "velocity_scales": 1.0,
    "velocity_shifts": 0,
    "jitters_ms": 0.0,
    "pedals": "kept",
}
"""What of each setting is the original; in the order of `Variation`, but for the octaves."""
_KINDS = {int: ((int,), "whole numbers"), float: ((int, float), "numbers"), str: ((str,), "words")}
"""What values may be, by the type of the original; bool is not among them."""
_RANGES = (
    ("semitones", -127, 127),
    ("octaves", -10, 10),
    ("stretches", 0.25, 4.0),
    ("velocity_scales", 0.1, 10.0),
    ("velocity_shifts", -126, 126),
    ("jitters_ms", 0.0, 1000.0),
)
NONE = AugmentConfig(semitones=(0,))
"""The original alone."""


class Copies(NamedTuple):
    """Which copies are made, by performance, then in the order of the variations."""

    performance: np.ndarray
    """Number of the performance of each copy, shape (num_copies,)."""
    variation: np.ndarray
    """Index of its variation."""


def copies_of(config: AugmentConfig, bounds: np.ndarray, ids: Sequence[str]) -> Copies:
    """The copies of some performances.

    Args:
        config: which copies are wanted.
        bounds: least and most semitones that a performance can be moved by, shape (num_performances, 2). The
            original is made whatever they are.
        ids: of the performances; what is drawn for one depends on nothing else.
    """
    variations = config.variations
    semitones = np.array([one.semitones for one in variations])
    is_original = np.array([one == ORIGINAL for one in variations])
    taken = []
    for (low, high), one in zip(bounds.tolist(), ids, strict=True):
        rows = np.flatnonzero(((low <= semitones) & (semitones <= high)) | is_original)
        if 0 < config.copies < len(rows):
            others = rows[~is_original[rows]]
            drawn = generator(config, "copies", one).choice(others, config.copies - 1, replace=False)
            rows = np.sort(np.concatenate((rows[is_original[rows]], drawn)))
        taken.append(rows)
    performance = np.repeat(np.arange(len(taken)), [len(rows) for rows in taken])
    return Copies(performance, np.concatenate([np.empty(0, np.int64), *taken]))


def generator(config: AugmentConfig, *what: object) -> np.random.Generator:
    """Random numbers for one purpose, the same whatever else is drawn."""
    return np.random.default_rng(int(digest(config.seed, *what)[:16], 16))


def pitch_bounds(pitch: np.ndarray, note_edges: np.ndarray, pitch_range: tuple[int, int]) -> np.ndarray:
    """Least and most semitones that keep every pitch of the range within it; 0 and 0 without such pitches.

    Args:
        pitch: MIDI numbers, shape (num_notes,).
        note_edges: of the performances, shape (num_performances + 1,).
        pitch_range: lowest and highest, both included. Pitches beyond are not looked at: they have no token.

    Returns:
        Shape (num_performances, 2).
    """
    bounds = np.zeros((len(note_edges) - 1, 2), np.int64)
    for i, (begin, end) in enumerate(itertools.pairwise(note_edges.tolist())):
        own = pitch[begin:end]
        own = own[(own >= pitch_range[0]) & (own <= pitch_range[1])]
        if len(own):
            bounds[i] = pitch_range[0] - int(own.min()), pitch_range[1] - int(own.max())
    return bounds
