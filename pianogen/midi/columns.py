"""Notes as columns: what tokenizers, augmentation and rendering take and return."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, eq=False)
class NoteColumns:
    """Notes of one performance in file time, sorted by onset, then pitch.

    Every array has shape (num_notes,): pitch 0-127, velocity 1-127, onset and duration in ticks.
    """

    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    ticks_per_quarter: int

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
        )

    @property
    def end_tick(self) -> int:
        """Last note-off, ticks; 0 without notes."""
        return int((self.onset_tick.astype(np.int64) + self.duration_tick).max(initial=0))


def from_table(notes: pa.Table, ticks_per_quarter: int) -> NoteColumns:
    """Columns of one performance from rows of the lake's `notes`, drums left out."""
    pitched = notes.filter(~pc.field("is_drum"))
    column = {name: pitched[name].to_numpy() for name in ("pitch", "velocity", "onset_tick", "duration_tick")}
    return NoteColumns(**column, ticks_per_quarter=ticks_per_quarter).sorted()
