"""Notes as the fingerprints see them, changes to them, and their shingles by plain Python, slowly."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from corpora import improvise, write_midi
from hypothesis import strategies as st

from pianogen.dedupe.shingle import (
    CHORD_SEC,
    CHROMA,
    CHROMA_WINDOW,
    COARSE,
    LINE,
    LONG_CHROMA_WINDOW,
    LONG_FROM,
    MAX_PLACES,
    MIN_CLASSES,
    MIN_DISTINCT,
    TOP,
    WINDOW,
    WINDOWS,
    Shingles,
    shingles,
)
from pianogen.midi.columns import NoteColumns
from pianogen.midi.parse import parse_midi

STEP_SEC = 0.125
TICKS_PER_SEC = 960


class Notes(NamedTuple):
    """Of one performance, ordered by onset, then pitch."""

    pitch: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray

    def take(self, rows) -> "Notes":
        return Notes(*(column[rows] for column in self))

    def in_order(self) -> "Notes":
        return self.take(np.lexsort((self.pitch, self.onset_sec)))

    def up(self, semitones: int) -> "Notes":
        return self._replace(pitch=self.pitch + semitones)

    def stretched(self, ratio: float) -> "Notes":
        return self._replace(onset_sec=self.onset_sec * ratio, offset_sec=self.offset_sec * ratio)

    def later(self, sec: float) -> "Notes":
        return self._replace(onset_sec=self.onset_sec + sec, offset_sec=self.offset_sec + sec)

    def mirrored(self, total: int) -> "Notes":
        return self._replace(pitch=total - self.pitch).in_order()

    def backwards(self) -> "Notes":
        end = self.offset_sec.max()
        return self._replace(onset_sec=end - self.offset_sec, offset_sec=end - self.onset_sec).in_order()

    def jittered(self, sec: float, seed: int = 0) -> "Notes":
        moved = np.random.default_rng(seed).normal(0, sec, len(self.pitch))
        return self._replace(onset_sec=self.onset_sec + moved, offset_sec=self.offset_sec + moved).in_order()

    def followed_by(self, other: "Notes", gap_sec: float = 1.0) -> "Notes":
        other = other.later(self.offset_sec.max() + gap_sec - other.onset_sec.min())
        return Notes(*(np.concatenate(columns) for columns in zip(self, other, strict=True)))

    def doubled(self, semitones: int, is_doubled: np.ndarray) -> "Notes":
        """With a note of the same time an octave or so away from some."""
        return self.followed_by(self.take(is_doubled).up(semitones), 0)._replace(
            onset_sec=np.concatenate((self.onset_sec, self.onset_sec[is_doubled])),
            offset_sec=np.concatenate((self.offset_sec, self.offset_sec[is_doubled])),
        ).in_order()  # fmt: skip

    def shingles(self, sampling: int = 0) -> Shingles:
        return shingles(*self, sampling=sampling, chroma_window=chroma_window(sampling))

    def columns(self, sampling: int = 0) -> tuple[np.ndarray, ...]:
        """What `alignment` asks for."""
        return self.shingles(sampling)[:5]


def chroma_window(sampling: int) -> int:
    """As it goes with this sampling: of all shingles (1), those of chroma are short."""
    return CHROMA_WINDOW if sampling == 1 else LONG_CHROMA_WINDOW


def improvised(seed: int, num_notes: int) -> Notes:
    columns = improvise(seed, num_notes)
    sec = 0.5 / columns.ticks_per_quarter
    onset = columns.onset_tick * sec
    return Notes(columns.pitch.astype(np.int64), onset, onset + columns.duration_tick * sec).in_order()


def melody(seed: int, num_notes: int) -> Notes:
    """One note after the other, with room to be mirrored and transposed."""
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.integers(1, 4, num_notes)) * STEP_SEC
    pitch = 50 + np.abs(np.cumsum(rng.integers(-6, 7, num_notes)) % 48 - 24)
    return Notes(pitch, onset, onset + STEP_SEC)


def notes_of(rows: list[tuple[float, int, float]]) -> Notes:
    """From (onset, pitch, duration), in steps."""
    onset, pitch, duration = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    return Notes(pitch.astype(np.int64), onset * STEP_SEC, (onset + duration) * STEP_SEC).in_order()


def write_notes(path: Path, notes: Notes, velocity: int = 80) -> Path:
    """A MIDI file of theirs, to the millisecond."""
    onset, offset = (np.rint(times * TICKS_PER_SEC).astype(np.int32) for times in notes[1:])
    columns = NoteColumns(
        pitch=notes.pitch.astype(np.uint8),
        velocity=np.full(len(notes.pitch), velocity, np.uint8),
        onset_tick=onset,
        duration_tick=np.maximum(offset - onset, 1),
        ticks_per_quarter=TICKS_PER_SEC // 2,
    )
    return write_midi(path, columns.sorted())


def read_notes(path: Path) -> Notes:
    columns = parse_midi(path.read_bytes()).notes
    is_pitched = ~columns["is_drum"].to_numpy()
    names = ("pitch", "onset_sec", "offset_sec")
    pitch, onset_sec, offset_sec = (columns[name].to_numpy()[is_pitched] for name in names)
    return Notes(pitch.astype(np.int64), onset_sec, offset_sec).in_order()


def some_notes(min_size: int = 0, max_size: int = 60, lowest: int = 30, highest: int = 90) -> st.SearchStrategy[Notes]:
    """Any notes on a grid of steps: chords, unisons, notes that overlap, notes of no length."""
    row = st.tuples(
        st.integers(0, 3).map(float), st.integers(lowest, highest), st.sampled_from([0.0, 0.5, 1.0, 2.0, 9.0])
    )
    return st.lists(row, min_size=min_size, max_size=max_size).map(_by_steps)


def _by_steps(rows: list[tuple[float, int, float]]) -> Notes:
    """Each onset counts from the one before."""
    onset = np.cumsum([row[0] for row in rows]).tolist()
    return notes_of([(at, *row[1:]) for at, row in zip(onset, rows, strict=True)])


# By plain Python


class Place(NamedTuple):
    shingle: int
    kind: int
    onset_sec: float
    pitch: int
    is_mirrored: bool


def slow_shingles(notes: Notes, sampling: int = 0) -> list[Place]:
    """What `shingles` must give."""
    size = chroma_window(sampling)
    rows = list(dict.fromkeys(zip(*(column.tolist() for column in notes[:2]), strict=True)))
    offset_of = dict(
        reversed(list(zip(zip(*(c.tolist() for c in notes[:2]), strict=True), notes.offset_sec.tolist(), strict=True)))
    )
    sampling = sampling or (COARSE if len(rows) >= LONG_FROM else 1)
    found = [*_slow_windows(rows), *_slow_line(slow_top_line(rows, offset_of)), *_slow_chroma(rows, size)]
    kept: list[Place] = []
    num_places: Counter = Counter()
    for place in found:
        num_places[place[:2]] += 1
        if place.shingle % sampling == 0 and num_places[place[:2]] <= MAX_PLACES:
            kept.append(place._replace(onset_sec=float(np.float32(place.onset_sec))))
    return sorted(kept, key=lambda place: (place.shingle, place.kind))


def places_of(found: Shingles) -> list[Place]:
    return [Place(*row) for row in zip(*(column.tolist() for column in found[:5]), strict=True)]


def mixed(value: int) -> int:
    """SplitMix64's finalizer."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def _number(digits: list[int], bits: int) -> int:
    return sum(digit << bits * i for i, digit in enumerate(reversed(digits)))


def _slow_windows(rows: list[tuple[int, float]]) -> list[Place]:
    found = []
    for i in range(len(rows) - WINDOW + 1):
        pitches = sorted(pitch for pitch, _ in rows[i : i + WINDOW])
        steps = [high - low for low, high in pairwise(pitches)]
        up, down = _number(steps, 7), _number(steps[::-1], 7)
        if len(set(pitches)) >= MIN_DISTINCT:
            where = pitches[-1] if up > down else pitches[0]
            found.append(Place(mixed(min(up, down)), WINDOWS, rows[i][1], where, up > down))
    return found


def slow_top_line(rows: list[tuple[int, float]], offset_of: dict[tuple[int, float], float]) -> list[tuple[int, float]]:
    """Notes with no higher one that begins with them or, begun before, outlasts their half."""

    def is_covered(pitch: int, onset: float) -> bool:
        middle = onset + 0.5 * (offset_of[pitch, onset] - onset)
        for other, at in rows:
            if other > pitch:
                is_together = (at - onset if at > onset else onset - at) <= CHORD_SEC
                outlasts = at < onset and offset_of[other, at] > max(middle, onset)
                if is_together or outlasts:
                    return True
        return False

    return [row for row in rows if not is_covered(*row)]


def _slow_line(line: list[tuple[int, float]]) -> list[Place]:
    found = []
    line = [row for k, row in enumerate(line) if k == 0 or row[0] != line[k - 1][0]]
    for i in range(len(line) - LINE):
        pitches = [pitch for pitch, _ in line[i : i + LINE + 1]]
        steps = [max(-15, min(15, after - before)) for before, after in pairwise(pitches)]
        up, down = _number([16 + step for step in steps], 5), _number([16 - step for step in steps], 5)
        if len(set(pitches)) >= MIN_DISTINCT:
            found.append(Place(mixed(min(up, down) | 1 << 63), TOP, line[i][1], pitches[0], up > down))
    return found


def _slow_chroma(rows: list[tuple[int, float]], size: int) -> list[Place]:
    events: list[tuple[int, float]] = []
    last: dict[int, float] = {}
    for pitch, onset in rows:
        if onset - last.get(pitch % 12, -np.inf) > CHORD_SEC:
            last[pitch % 12] = onset
            events.append((pitch % 12, onset))
    found = []
    for i in range(len(events) - size + 1):
        counts = Counter(pitch_class for pitch_class, _ in events[i : i + size])
        # The class r comes lowest; the least of the twelve numbers stands for all.
        turned = [_number([counts[(r + c) % 12] for c in reversed(range(12))], 5) for r in range(12)]
        if len(counts) >= MIN_CLASSES:
            turn = turned.index(min(turned))
            found.append(Place(mixed(min(turned) | 1 << 62), CHROMA, events[i][1], turn, False))
    return found
