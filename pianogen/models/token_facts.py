"""What the ids of a scheme mean, for models that look inside them: read from the names of its vocabulary."""

from typing import NamedTuple

import numpy as np

from pianogen.errors import TrainingError
from pianogen.tokenizers.base import SPECIAL_TOKENS, Tokenizer
from pianogen.tokenizers.jsb import VOICES, Jsb

UNITS_PER_QUARTER = 8
"""Of time, where tokens tell quarters; where they tell milliseconds a unit is 10 of them."""
MS_PER_UNIT = 10


class Grid(NamedTuple):
    """What the ids of voices on steps mean: after the special ones come rest and pitches, ascending."""

    num_voices: int
    num_symbols: int
    steps_per_beat: int
    beats_per_bar: int = 4

    @property
    def steps_per_bar(self) -> int:
        """Steps after which places in the bar come again."""
        return self.steps_per_beat * self.beats_per_bar


class Events(NamedTuple):
    """What the ids of events mean. Of each id, shape (num_ids,) each; int64 but for two."""

    kind: np.ndarray
    """Number of the name before the underscore, in the order of the vocabulary."""
    ends_event: np.ndarray
    """Whether an event is whole with it; bool."""
    is_bar: np.ndarray
    """Whether a bar begins with it; bool."""
    place: np.ndarray
    """In the bar, in units; -1: it tells none."""
    advance: np.ndarray
    """Units that pass with it."""
    pitch: np.ndarray
    """MIDI pitch; 0: it has none."""
    units_per_bar: int
    """0: the scheme tells no bars."""

    @property
    def pitch_ids(self) -> np.ndarray:
        """Ids of the pitches of notes that begin, ascending by pitch, one after the other."""
        named = np.flatnonzero(self.pitch)
        return named[self.kind[named] == self.kind[named[0]]]


def layout_of(tokenizer: Tokenizer) -> Grid | Events:
    """What the ids of a scheme mean.

    Raises:
        TrainingError: its vocabulary is neither one of voices on steps nor of events with pitches and times.
    """
    if isinstance(tokenizer, Jsb):
        if tokenizer.options["onsets"]:
            raise TrainingError("model pianist reads jsb without onsets; take onsets: false")
        num_symbols = len(tokenizer.vocab) - len(SPECIAL_TOKENS)
        return Grid(len(VOICES), num_symbols, tokenizer.options["steps_per_quarter"])
    names = [name.partition("_") for name in tokenizer.vocab]
    kinds = list(dict.fromkeys(kind for kind, _, _ in names))
    if "Duration" in kinds and "Pitch" in kinds:
        last = {"Duration"}
    elif "NoteOn" in kinds and "Velocity" in kinds:
        # A velocity stands before its note, or after it.
        last = {"NoteOff", "PedalOn", "PedalOff", "NoteOn" if tokenizer.name == "performance" else "Velocity"}
    else:
        raise TrainingError(
            f"model pianist reads voices on steps (jsb) or events (remi, tsd, midi_like, performance); "
            f"{tokenizer.name} tells neither: take another tokenizer"
        )
    units_per_bar = 4 * UNITS_PER_QUARTER if "Bar" in kinds else 0
    return Events(
        kind=np.array([kinds.index(kind) for kind, _, _ in names]),
        ends_event=np.array([kind in last for kind, _, _ in names]),
        is_bar=np.array([kind == "Bar" for kind, _, _ in names]),
        place=np.array([int(value) if kind == "Position" else -1 for kind, _, value in names]),
        advance=np.array([_units(value) if kind == "TimeShift" else 0 for kind, _, value in names]),
        pitch=np.array([int(value) if kind in ("Pitch", "NoteOn", "NoteOff") else 0 for kind, _, value in names]),
        units_per_bar=units_per_bar,
    )


def _units(value: str) -> int:
    """Of a time shift: milliseconds, or beats, places and places of a beat."""
    if "." not in value:
        return int(value) // MS_PER_UNIT
    beats, places, per_beat = (int(part) for part in value.split("."))
    return beats * UNITS_PER_QUARTER + places * UNITS_PER_QUARTER // per_beat
