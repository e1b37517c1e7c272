"""Music as columns: what tokenizers, augmentation and rendering take and return."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pianogen.midi.time import TempoMap, tempo_map

PARTS = ("track", "program")
"""Columns that say which part a note belongs to; most readers do without."""


def _none(width: int) -> np.ndarray:
    return np.empty((0, width), np.int32)


def no_tracks() -> np.ndarray:
    """The column `track` of notes whose parts are not told."""
    return np.empty(0, np.int16)


def no_programs() -> np.ndarray:
    """The column `program` of notes whose parts are not told."""
    return np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class NoteColumns:
    """Notes of one performance in file time, sorted by onset, then pitch, with what is said of their time.

    Every array of notes has shape (num_notes,): pitch 0-127, velocity 1-127, onset and duration in ticks.
    """

    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    ticks_per_quarter: int
    press_tick: np.ndarray = field(default_factory=lambda: _none(2))
    """When the sustain pedal goes down and comes up, ascending and disjoint, int32, shape (num_presses, 2)."""
    tempos: np.ndarray = field(default_factory=lambda: _none(2))
    """Tick and microseconds per quarter, ascending, int32, shape (num_tempos, 2); without any, 120 a minute."""
    metres: np.ndarray = field(default_factory=lambda: _none(3))
    """Tick, numerator and denominator, ascending, int32, shape (num_metres, 3); without any, 4/4."""
    track: np.ndarray = field(default_factory=no_tracks)
    """Number of each note's track in its file, int16; empty where parts are not told: all notes are of one track."""
    program: np.ndarray = field(default_factory=no_programs)
    """Instrument of each note by General MIDI, 0-127, uint8; empty where `track` is: all notes are a piano's."""

    def __len__(self) -> int:
        """Number of notes."""
        return len(self.pitch)

    def sorted(self) -> "NoteColumns":
        """The same notes by onset, then pitch, then duration."""
        order = np.lexsort((self.duration_tick, self.pitch, self.onset_tick))
        return self.take(order)

    def take(self, rows: np.ndarray) -> "NoteColumns":
        """The notes of these rows (indices or a mask)."""
        return replace(
            self,
            pitch=self.pitch[rows],
            velocity=self.velocity[rows],
            onset_tick=self.onset_tick[rows],
            duration_tick=self.duration_tick[rows],
            track=self.track[rows] if len(self.track) else self.track,
            program=self.program[rows] if len(self.program) else self.program,
        )

    @property
    def end_tick(self) -> int:
        """Last note-off, ticks; 0 without notes."""
        return int((self.onset_tick.astype(np.int64) + self.duration_tick).max(initial=0))

    @property
    def tempo_map(self) -> TempoMap:
        """Ticks to seconds."""
        return tempo_map(self.tempos[:, 0], self.tempos[:, 1], self.ticks_per_quarter)


def from_table(notes: pa.Table, ticks_per_quarter: int) -> NoteColumns:
    """Columns of one performance from rows of the lake's `notes`, drums left out; with its parts, if they are there."""
    pitched = notes.filter(~pc.field("is_drum"))
    names = ["pitch", "velocity", "onset_tick", "duration_tick"]
    names += [name for name in PARTS if name in notes.column_names]
    column = {name: pitched[name].to_numpy() for name in names}
    return NoteColumns(**column, ticks_per_quarter=ticks_per_quarter).sorted()


def music_of_tables(tables: Mapping[str, pa.Table], ticks_per_quarter: int) -> NoteColumns:
    """Columns of one performance from its rows of the lake's tables: notes without drums, pedal, tempos, metres."""
    tempos, metres, presses = tables["tempos"], tables["time_signatures"], tables["pedal_presses"]
    notes = from_table(tables["notes"], ticks_per_quarter)
    usec = np.rint(60e6 / tempos["tempo_qpm"].to_numpy())
    notes = replace(notes, tempos=_rows(tempos["tick"].to_numpy(), usec))
    metre = _rows(*(metres[name].to_numpy() for name in ("tick", "numerator", "denominator")))
    is_sustain = pc.equal(presses["pedal"], "sustain")  # pyright: ignore[reportAttributeAccessIssue]
    seconds = [presses[name].filter(is_sustain).to_numpy() for name in ("press_sec", "lift_sec")]
    press = _rows(*(notes.tempo_map.ticks(sec) for sec in seconds))
    return replace(notes, metres=metre[np.argsort(metre[:, 0], kind="stable")], press_tick=united(press))


def _rows(*columns: np.ndarray) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.int32)


def united(press_tick: np.ndarray) -> np.ndarray:
    """Presses of whatever channels as presses of one pedal: ascending, disjoint, none of no length.

    Args:
        press_tick: down and up, shape (num_presses, 2).
    """
    press_tick = press_tick[np.argsort(press_tick[:, 0], kind="stable")]
    press_tick = press_tick[press_tick[:, 1] > press_tick[:, 0]]
    reached = np.concatenate(([-1], np.maximum.accumulate(press_tick[:, 1])))[: len(press_tick)]
    begins = np.flatnonzero(press_tick[:, 0] > reached)
    ends = np.maximum.reduceat(press_tick[:, 1], begins) if len(begins) else press_tick[:0, 1]
    return np.stack((press_tick[begins, 0], ends), axis=1)
