"""Pairs looked at note by note: all their shingles, and the share of notes that one has where the other has them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pianogen import parallel
from pianogen.dedupe.alignment import NUM_FIGURES, Alignment, Columns, align, chain
from pianogen.dedupe.corpus import Corpus, load_array
from pianogen.dedupe.fingerprint import pitched_notes
from pianogen.dedupe.relations import RelationConfig, has_few_windows
from pianogen.dedupe.shingle import TOP, shingles
from pianogen.lake import Lake
from pianogen.settings import Settings

_PAIRS_PER_LOOK = 512


class SecondLooks(NamedTuple):
    """What the notes of pairs say; a row for each, ascending by `pair` where they are kept."""

    pair: np.ndarray
    """A number made of the digests of both."""
    num_smaller: np.ndarray
    num_smaller_top: np.ndarray
    matched: np.ndarray
    matched_class: np.ndarray
    figures: np.ndarray


def no_second_looks() -> SecondLooks:
    """None at all."""
    whole = np.empty(0, np.int64)
    return SecondLooks(np.empty(0, np.uint64), whole, whole, np.empty(0), np.empty(0), np.empty((0, NUM_FIGURES)))


def look_at_pairs(
    lake: Lake,
    corpus: Corpus,
    a: np.ndarray,
    b: np.ndarray,
    relations: RelationConfig,
    settings: Settings,
    known: SecondLooks,
    progress: parallel.Progress | None = None,
) -> SecondLooks:
    """Look at pairs note by note.

    Args:
        lake: whose performances these are.
        corpus: their fingerprints.
        a: numbers of the first of each pair,
        b: and of the second.
        relations: which of them are asked for pitch classes too.
        settings: number of workers and backend.
        known: looks that need not be done again.
        progress: told of steps done and all.

    Returns:
        A row for each pair, in their order.
    """
    digests = corpus.facts["notes_digest"]
    pair = _pair_numbers(digests[a], digests[b])
    at = np.searchsorted(known.pair, pair).clip(max=max(len(known.pair) - 1, 0))
    is_known = known.pair[at] == pair if len(known.pair) else np.zeros(len(pair), bool)
    new = np.flatnonzero(~is_known)
    _gather_notes(lake, corpus, np.unique(np.concatenate((a[new], b[new]))), settings)
    parts = [new[i : i + _PAIRS_PER_LOOK] for i in range(0, len(new), _PAIRS_PER_LOOK)]
    tasks = [_Look(corpus.folder, relations, a[rows], b[rows]) for rows in parts]
    seen = parallel.map_blocks(_look_again, tasks, settings, progress)
    columns = []
    for name, kept in zip(SecondLooks._fields[1:], known[1:], strict=True):
        column = np.empty((len(pair), *kept.shape[1:]), kept.dtype)
        column[is_known] = kept[at[is_known]]
        if len(new):
            column[new] = np.concatenate([part[name] for part in seen])
        columns.append(column)
    return SecondLooks(pair, *columns)


def _pair_numbers(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One number for two digests in this order; two pairs share one once in 10^19."""
    with np.errstate(over="ignore"):
        return a * np.uint64(0x9E3779B97F4A7C15) + (b ^ (b >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class _NotesTask:
    lake: Path
    ingest_block: str
    ids: frozenset[str]
    path: Path


_NOTE_ARRAYS = ("note_block", "note_begin", "note_end")


def _gather_notes(lake: Lake, corpus: Corpus, numbers: np.ndarray, settings: Settings) -> None:
    """Write the notes of some performances into the corpus's folder, for `GatheredNotes`."""
    by_block: dict[int, list[int]] = {}
    for number in numbers.tolist():
        by_block.setdefault(int(corpus.block_of[number]), []).append(number)
    tasks = [
        _NotesTask(
            lake.root,
            corpus.ingest_blocks[block],
            frozenset(corpus.ids[n] for n in members),
            corpus.folder / _name(block),
        )
        for block, members in sorted(by_block.items())
    ]
    places = np.zeros((3, len(corpus.ids)), np.int64)
    gathered = parallel.map_blocks(_gather_block, tasks, settings)
    for (block, members), ends in zip(sorted(by_block.items()), gathered, strict=True):
        for number in members:
            places[:, number] = block, *ends[corpus.ids[number]]
    for name, values in zip(_NOTE_ARRAYS, places, strict=True):
        np.save(corpus.folder / f"{name}.npy", values)


def _gather_block(task: _NotesTask) -> dict[str, tuple[int, int]]:
    parts, ends, at = [np.empty(0, np.float32)], {}, 0
    for notes in pitched_notes(Lake(task.lake), task.ingest_block):
        if notes.performance_id in task.ids:
            parts.append(np.stack([notes.pitch, notes.onset_sec, notes.offset_sec]).astype(np.float32).ravel())
            ends[notes.performance_id] = at, at + len(notes.pitch)
            at += len(notes.pitch)
    np.concatenate(parts).tofile(task.path)
    return ends


def _name(block: int) -> str:
    return f"notes-{block}.float32"


class FineShingles(NamedTuple):
    """All shingles of one performance (see `shingle.Shingles`), and how many are distinct."""

    columns: Columns
    num_distinct: int
    num_top_lines: int


class GatheredNotes:
    """Notes that were gathered, and all shingles of them; those of the last few hundred performances are kept."""

    def __init__(self, folder: Path) -> None:
        self._places = [load_array(folder / f"{name}.npy") for name in _NOTE_ARRAYS]
        self._folder = folder
        self.of = lru_cache(maxsize=512)(self._notes)
        self.shingles_of = lru_cache(maxsize=512)(self._shingles)

    def forget(self) -> None:
        """Give the memory back: a cache of methods is a cycle, which a worker that collects rarely would keep."""
        self.of.cache_clear()
        self.shingles_of.cache_clear()

    def _notes(self, number: int) -> np.ndarray:
        """Pitch, onset_sec, offset_sec of a performance, shape (3, num_notes)."""
        block, begin, end = (int(column[number]) for column in self._places)
        # Read, not mapped: the notes of a large corpus would fill the memory.
        values = np.fromfile(self._folder / _name(block), np.float32, 3 * (end - begin), offset=12 * begin)
        return values.reshape(3, -1)

    def _shingles(self, number: int) -> FineShingles:
        shingle, kind, onset_sec, pitch, is_mirrored, _ = shingles(*self.of(number), sampling=1)
        top = shingle[kind == TOP]
        return FineShingles((shingle, kind, onset_sec, pitch, is_mirrored), _num_distinct(shingle), _num_distinct(top))


def _num_distinct(ascending: np.ndarray) -> int:
    return int((ascending[1:] != ascending[:-1]).sum()) + 1 if len(ascending) else 0


@dataclass(frozen=True)
class _Look:
    folder: Path
    relations: RelationConfig
    a: np.ndarray
    b: np.ndarray


def _look_again(task: _Look) -> dict[str, np.ndarray]:
    gathered, num = GatheredNotes(task.folder), len(task.a)
    out = SecondLooks(
        np.empty(0, np.uint64),
        np.zeros(num, np.int64),
        np.zeros(num, np.int64),
        np.full(num, np.nan),
        np.full(num, np.nan),
        np.zeros((num, NUM_FIGURES)),
    )
    exact_sec = task.relations.exact_sec
    for k, (a, b) in enumerate(zip(task.a.tolist(), task.b.tolist(), strict=True)):
        one, other = gathered.shingles_of(a), gathered.shingles_of(b)
        alignment = align(one.columns, other.columns)
        out.figures[k] = alignment
        out.num_smaller[k] = min(one.num_distinct, other.num_distinct)
        out.num_smaller_top[k] = min(one.num_top_lines, other.num_top_lines)
        if not alignment.num_anchors:
            continue
        notes, anchors = (gathered.of(a), gathered.of(b)), chain(one.columns, other.columns)
        out.matched[k] = share_of_matched_notes(*notes, alignment, *anchors, exact_sec=exact_sec)
        # Where hands have changed places, pitches have too.
        if has_few_windows(out.figures[k : k + 1], task.relations)[0]:
            by_class = share_of_matched_notes(*notes, alignment, *anchors, exact_sec=exact_sec, by_class=True)
            out.matched_class[k] = by_class
    gathered.forget()
    return out._asdict()


MATCH_SEC = 0.15
"""How far the same note of two performances may lie apart, after what is between anchors was stretched."""
EXACT_MATCH_SEC = 0.05
"""The same of two that keep one time."""
SMOOTHED = 5
"""Anchors whose median tells where one lies,"""
EXACT_SMOOTHED = 41
"""and of two that keep one time."""


def share_of_matched_notes(
    a: np.ndarray, b: np.ndarray, alignment: Alignment, at_a: np.ndarray, at_b: np.ndarray, *, exact_sec: float,
    by_class: bool = False,
) -> float:  # fmt: skip
    """Share of the notes of one performance that the other has at the same place, of whichever has more of them.

    Args:
        a: pitch, onset_sec, offset_sec of one, shape (3, num_notes).
        b: the same of the other.
        alignment: of a and b.
        at_a: times of the chain in a,
        at_b: and in b; only what lies between its ends counts.
        exact_sec: residual up to which the two keep one time.
        by_class: ask for the pitch class alone.
    """
    if len(at_a) < 2:
        return 0.0
    # Single anchors are some notes off, where a shingle is much like its neighbour.
    is_exact = alignment.residual_sec <= exact_sec
    reach_sec, smoothed = (EXACT_MATCH_SEC, EXACT_SMOOTHED) if is_exact else (MATCH_SEC, SMOOTHED)
    drift = at_b - alignment.tempo_ratio * at_a
    size = min(smoothed, len(drift))
    middles = _middle_of_most(np.lib.stride_tricks.sliding_window_view(drift, size))
    drift = middles[np.clip(np.arange(len(drift)) - size // 2, 0, len(middles) - 1)]
    image = alignment.semitones - a[0] if alignment.is_mirrored else a[0] + alignment.semitones
    when = alignment.tempo_ratio * a[1] + np.interp(a[1], at_a, drift)
    moved = np.stack((image, when))[:, (a[1] >= at_a[0]) & (a[1] <= at_a[-1])]
    within = b[:2, (b[1] >= at_b[0]) & (b[1] <= at_b[-1])]
    if by_class:
        moved[0] %= 12
        within = np.stack((within[0] % 12, within[1]))
    return max(_share_found(moved, within, reach_sec), _share_found(within, moved, reach_sec))


def _middle_of_most(rows: np.ndarray) -> np.ndarray:
    """Middle of the shortest interval that holds a third of a row's values: a mode, which a few wrong ones do not move.

    Source: Rousseeuw, "Least median of squares regression" (1984), with a third in place of a half.
    """
    rows = np.sort(rows, axis=1)
    size = max(rows.shape[1] // 3, 1)
    at = np.argmin(rows[:, size:] - rows[:, :-size], axis=1)
    every = np.arange(len(rows))
    return (rows[every, at] + rows[every, at + size]) / 2


def _share_found(notes: np.ndarray, among: np.ndarray, reach_sec: float) -> float:
    """Share of notes (pitch, time) that have one of the same pitch near them among others."""
    if not notes.shape[1] or not among.shape[1]:
        return 0.0
    # One axis for pitch and time: a pitch's notes lie a day from those of the next.
    notes, among, day = notes.astype(np.float64), among.astype(np.float64), 86400.0
    line, key = np.sort(among[0] * day + among[1]), notes[0] * day + notes[1]
    right = np.searchsorted(line, key).clip(max=len(line) - 1)
    nearest = np.minimum(np.abs(line[right] - key), np.abs(line[np.maximum(right - 1, 0)] - key))
    return float((nearest <= reach_sec).mean())
