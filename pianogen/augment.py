"""Augmentation of training music: transposition.

Validation and test are never augmented.
"""

from dataclasses import dataclass

import numpy as np

from pianogen.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How each training performance is multiplied."""

    semitones: tuple[int, ...] = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6)
    """Transpositions of every training performance; 0 is the original."""

    def __post_init__(self) -> None:
        """Refuse settings that would lose the original or repeat a copy."""
        if 0 not in self.semitones or len(set(self.semitones)) != len(self.semitones):
            raise SettingsError(f"augmentation.semitones must be distinct and hold 0, found {list(self.semitones)}")


def transpositions_within(pitch: np.ndarray, config: AugmentConfig, pitch_range: tuple[int, int]) -> list[int]:
    """The transpositions, ascending, that keep every pitch within `pitch_range`; 0 is always one.

    Args:
        pitch: MIDI numbers, shape (num_notes,).
        config: which transpositions are wanted.
        pitch_range: lowest and highest pitch allowed, both included.
    """
    if not len(pitch):
        return [0]
    low, high = int(pitch.min()), int(pitch.max())
    return [s for s in sorted(config.semitones) if s == 0 or (pitch_range[0] <= low + s and high + s <= pitch_range[1])]
