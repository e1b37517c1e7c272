"""What can be done to the notes of a piece: pure functions, whose chance comes from the generator they are given."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes

TICKS_PER_QUARTER = 480
TICKS_PER_SEC = 960
"""At 120 quarters a minute."""
SIXTEENTH_SEC = 0.125
NEIGHBOURS = 20
"""Notes before and after a note whose pitches are its surroundings."""
MIN_EXCERPT_NOTES = 40


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes by onset, then pitch: arrays of shape (num_notes,), pitch and velocity int64, times float64 seconds."""

    pitch: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray
    velocity: np.ndarray

    def __len__(self) -> int:
        """Number of notes."""
        return len(self.pitch)

    @property
    def end_sec(self) -> float:
        """Last note-off, seconds."""
        return float(self.offset_sec.max(initial=0.0))

    @property
    def start_sec(self) -> float:
        """First onset, seconds; 0 without notes."""
        return float(self.onset_sec.min()) if len(self) else 0.0

    @property
    def span_sec(self) -> float:
        """First onset to last note-off, seconds."""
        return self.end_sec - self.start_sec

    def in_order(self) -> "Notes":
        """The same notes by onset, then pitch; those outside MIDI's pitches left out, none before 0."""
        rows = np.lexsort((self.offset_sec, self.pitch, self.onset_sec))
        rows = rows[(self.pitch[rows] >= 0) & (self.pitch[rows] <= 127)]
        notes = self.take(rows)
        onset = np.maximum(notes.onset_sec, 0)
        return replace(notes, onset_sec=onset, offset_sec=np.maximum(notes.offset_sec, onset))

    def take(self, rows: np.ndarray) -> "Notes":
        """The notes of these rows (indices or a mask)."""
        return Notes(self.pitch[rows], self.onset_sec[rows], self.offset_sec[rows], self.velocity[rows])

    def with_more(self, other: "Notes") -> "Notes":
        """These notes and others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Notes(*(np.concatenate(pair) for pair in pairs)).in_order()


def notes_of(table: pa.Table) -> Notes:
    """Notes of one performance from rows of the lake's `notes`, drums left out."""
    pitched = table.filter(~pc.field("is_drum"))
    pitch, velocity = (pitched[name].to_numpy().astype(np.int64) for name in ("pitch", "velocity"))
    return Notes(pitch, pitched["onset_sec"].to_numpy(), pitched["offset_sec"].to_numpy(), velocity).in_order()


def render(notes: Notes) -> bytes:
    """A MIDI file of one track at 120 quarters a minute; a note lasts a tick at least."""
    notes = notes.in_order()
    onset = np.rint(notes.onset_sec * TICKS_PER_SEC).astype(np.int32)
    offset = np.rint(notes.offset_sec * TICKS_PER_SEC).astype(np.int32)
    return midi_bytes(
        NoteColumns(
            pitch=notes.pitch.astype(np.uint8),
            velocity=np.clip(notes.velocity, 1, 127).astype(np.uint8),
            onset_tick=onset,
            duration_tick=np.maximum(offset - onset, 1),
            ticks_per_quarter=TICKS_PER_QUARTER,
        ).sorted()
    )


# Pitch


def transposed(notes: Notes, semitones: int) -> Notes:
    """Every pitch moved; those that leave MIDI's range are left out."""
    return replace(notes, pitch=notes.pitch + semitones).in_order()


def mirrored(notes: Notes) -> Notes:
    """Upside down within its own range: low keys for high ones."""
    return replace(notes, pitch=notes.pitch.min() + notes.pitch.max() - notes.pitch).in_order()


def local_range(pitch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest pitch of each note's surroundings, each of shape (num_notes,)."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(pitch, NEIGHBOURS, mode="edge"), 2 * NEIGHBOURS + 1)
    return windows.min(axis=1), windows.max(axis=1)


def with_hands_swapped(notes: Notes) -> Notes:
    """What lies below the middle of its surroundings two octaves up, the rest two octaves down."""
    lowest, highest = local_range(notes.pitch)
    shift = np.where(2 * notes.pitch < lowest + highest, 24, -24)
    return replace(notes, pitch=notes.pitch + shift).in_order()


def with_octaves(notes: Notes, share: float, semitones: int, rng: Generator) -> Notes:
    """Some notes doubled at the octave."""
    doubled = notes.take(_some(len(notes), share, rng))
    return notes.with_more(replace(doubled, pitch=doubled.pitch + semitones))


def with_shuffled_pitches(notes: Notes, rng: Generator) -> Notes:
    """The same rhythm and the same pitches, in another order."""
    return replace(notes, pitch=rng.permutation(notes.pitch)).in_order()


# Notes


def with_notes_dropped(notes: Notes, share: float, rng: Generator) -> Notes:
    """Some notes left out."""
    is_kept = np.ones(len(notes), bool)
    is_kept[_some(len(notes), share, rng)] = False
    return notes.take(is_kept)


def with_notes_added(notes: Notes, share: float, rng: Generator) -> Notes:
    """Random notes at any time between two notes, within the pitches around them."""
    beside = rng.integers(0, max(len(notes) - 1, 1), round(len(notes) * share))
    lowest, highest = local_range(notes.pitch)
    gap = np.diff(notes.onset_sec, append=notes.onset_sec[-1:])[beside]
    onset = notes.onset_sec[beside] + rng.random(len(beside)) * gap
    duration = (notes.offset_sec - notes.onset_sec)[rng.permutation(beside)]
    pitch = rng.integers(lowest[beside], highest[beside] + 1)
    return notes.with_more(Notes(pitch, onset, onset + duration, notes.velocity[beside]))


def with_ornaments(notes: Notes, share: float, rng: Generator) -> Notes:
    """Some notes with a mordent (the neighbour after 50 ms, the note again), a trill or a grace note."""
    more: list[tuple[int, float, float, int]] = []
    for i in _some(len(notes), share, rng).tolist():
        pitch, velocity = int(notes.pitch[i]), int(notes.velocity[i])
        onset, offset = float(notes.onset_sec[i]), float(notes.offset_sec[i])
        neighbour = pitch + int(rng.choice([-2, -1, 1, 2]))
        kind = rng.integers(3)
        if kind == 0:
            more += [
                (neighbour, onset + 0.05, onset + 0.1, velocity),
                (pitch, onset + 0.1, max(offset, onset + 0.15), velocity),
            ]
        elif kind == 1:
            steps = int(np.clip((offset - onset) / 0.07, 2, 9))
            for k in range(1, steps):
                more.append((neighbour if k % 2 else pitch, onset + 0.07 * k, onset + 0.07 * (k + 1), velocity))
        else:
            more.append((neighbour, max(onset - 0.06, 0.0), onset, velocity))
    columns = [np.array(column) for column in zip(*more, strict=True)]
    return notes.with_more(Notes(*columns)) if columns else notes


# Touch and time


def with_other_velocities(notes: Notes, rng: Generator) -> Notes:
    """A slow swell over each minute, and a hand of one's own."""
    swell = 1 + 0.3 * np.sin(2 * np.pi * notes.onset_sec / 60)
    velocity = np.rint(notes.velocity * swell + rng.normal(0, 8, len(notes)))
    return replace(notes, velocity=np.clip(velocity, 1, 127).astype(np.int64))


def pedalled(notes: Notes, rng: Generator) -> Notes:
    """Note-offs moved to the next lift of a pedal that is changed every one to three seconds."""
    lifts = np.cumsum(rng.uniform(1, 3, int(notes.end_sec) + 5))
    lift = lifts[np.minimum(np.searchsorted(lifts, notes.offset_sec), len(lifts) - 1)]
    offset = np.maximum(notes.offset_sec, lift)
    for pitch in np.unique(notes.pitch):
        rows = np.flatnonzero(notes.pitch == pitch)
        # A key that is struck again ends its note before.
        again = np.append(notes.onset_sec[rows[1:]], np.inf)
        offset[rows] = np.maximum(np.minimum(offset[rows], again), np.minimum(notes.offset_sec[rows], again))
    return replace(notes, offset_sec=offset)


def stretched(notes: Notes, ratio: float) -> Notes:
    """Every second made `ratio` seconds."""
    return replace(notes, onset_sec=notes.onset_sec * ratio, offset_sec=notes.offset_sec * ratio)


def with_other_tempos(notes: Notes, rng: Generator) -> Notes:
    """A tempo of 0.7 to 1.4 of the old one for 10 to 30 seconds, then another."""
    steps = rng.uniform(10, 30, int(notes.end_sec / 10) + 2)
    paces = 1 / rng.uniform(0.7, 1.4, len(steps))
    before, after = np.append(0, np.cumsum(steps)), np.append(0, np.cumsum(steps * paces))
    return replace(
        notes,
        onset_sec=np.interp(notes.onset_sec, before, after),
        offset_sec=np.interp(notes.offset_sec, before, after),
    ).in_order()


def jittered(notes: Notes, deviation_sec: float, rng: Generator) -> Notes:
    """Every note moved by itself, normally distributed; durations stay."""
    moved = rng.normal(0, deviation_sec, len(notes))
    return replace(notes, onset_sec=notes.onset_sec + moved, offset_sec=notes.offset_sec + moved).in_order()


def quantised(notes: Notes, step_sec: float = SIXTEENTH_SEC) -> Notes:
    """Onsets and offsets on a grid; a note lasts a step at least."""
    onset = np.rint(notes.onset_sec / step_sec)
    offset = np.maximum(np.rint(notes.offset_sec / step_sec), onset + 1)
    return replace(notes, onset_sec=onset * step_sec, offset_sec=offset * step_sec).in_order()


def with_repeats_held(notes: Notes, gap_sec: float = 0.05) -> Notes:
    """Notes of one pitch with no more than this between them are one, as piano rolls have them."""
    if not len(notes):
        return notes
    notes = notes.take(np.lexsort((notes.onset_sec, notes.pitch)))
    # One axis for all pitches: those of the next begin far beyond the end of the last.
    axis = notes.pitch * 1e6
    end = np.maximum.accumulate(axis + notes.offset_sec)[:-1]
    first = np.flatnonzero(np.concatenate(([True], (axis + notes.onset_sec)[1:] > end + gap_sec)))
    return replace(notes.take(first), offset_sec=np.maximum.reduceat(notes.offset_sec, first)).in_order()


def reversed_in_time(notes: Notes) -> Notes:
    """The last onset first; durations stay."""
    onset = notes.onset_sec.max(initial=0.0) - notes.onset_sec
    return replace(notes, onset_sec=onset, offset_sec=onset + notes.offset_sec - notes.onset_sec).in_order()


# Form


def with_silence(notes: Notes, at_sec: float, silence_sec: float = 5.0) -> Notes:
    """All that begins at a time or later comes later."""
    shift = np.where(notes.onset_sec >= at_sec, silence_sec, 0.0)
    return replace(notes, onset_sec=notes.onset_sec + shift, offset_sec=notes.offset_sec + shift)


def excerpt(notes: Notes, start_sec: float, end_sec: float) -> Notes:
    """The notes that begin within a time, which begins the file; what sounds on is cut off."""
    part = notes.take((notes.onset_sec >= start_sec) & (notes.onset_sec < end_sec))
    offset = np.minimum(part.offset_sec, end_sec)
    return replace(part, onset_sec=part.onset_sec - start_sec, offset_sec=offset - start_sec)


def excerpt_start(notes: Notes, length_sec: float, rng: Generator) -> float | None:
    """A note's onset from which an excerpt has 40 notes, or as many as any has; None where the piece is shorter."""
    starts = np.unique(notes.onset_sec)
    starts = starts[starts + length_sec <= notes.end_sec]
    if not len(starts):
        return None
    counts = np.searchsorted(notes.onset_sec, starts + length_sec) - np.searchsorted(notes.onset_sec, starts)
    return float(rng.choice(starts[counts >= min(MIN_EXCERPT_NOTES, counts.max())]))


def cut(notes: Notes, first: float, end: float) -> Notes:
    """A share of the time from the first note to the end of the last."""
    return excerpt(notes, *(notes.start_sec + share * notes.span_sec for share in (first, end)))


def followed_by(notes: Notes, other: Notes, pause_sec: float = 2.0) -> Notes:
    """Two pieces in one file."""
    start = notes.end_sec + pause_sec
    return notes.with_more(replace(other, onset_sec=other.onset_sec + start, offset_sec=other.offset_sec + start))


def _some(num: int, share: float, rng: Generator) -> np.ndarray:
    """Row numbers, ascending, of a share of the notes."""
    return np.sort(rng.choice(num, round(num * share), replace=False))
