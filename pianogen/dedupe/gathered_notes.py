"""Notes of the performances of a comparison, in files that its workers share, and all shingles of them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pianogen import parallel
from pianogen.dedupe.alignment import Columns
from pianogen.dedupe.corpus import Corpus, load_array
from pianogen.dedupe.fingerprint import pitched_notes
from pianogen.dedupe.shingle import CHROMA_WINDOW, TOP, shingles
from pianogen.lake import Lake
from pianogen.settings import Settings


@dataclass(frozen=True)
class _NotesTask:
    lake: Path
    ingest_block: str
    ids: frozenset[str]
    path: Path


_NOTE_ARRAYS = ("note_block", "note_begin", "note_end")


def gather_notes(lake: Lake, corpus: Corpus, numbers: np.ndarray, settings: Settings) -> None:
    """Write the notes of some performances into the corpus's folder, for `GatheredNotes`.

    Args:
        lake: whose performances these are.
        corpus: their fingerprints.
        numbers: of those whose notes are asked for.
        settings: number of workers and backend.
    """
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
        return fine_shingles(self.of(number))


def fine_shingles(notes: np.ndarray) -> FineShingles:
    """All shingles of notes: pitch, onset_sec, offset_sec, shape (3, num_notes)."""
    shingle, kind, onset_sec, pitch, is_mirrored, _ = shingles(*notes, sampling=1, chroma_window=CHROMA_WINDOW)
    top = shingle[kind == TOP]
    return FineShingles((shingle, kind, onset_sec, pitch, is_mirrored), _num_distinct(shingle), _num_distinct(top))


def _num_distinct(ascending: np.ndarray) -> int:
    return int((ascending[1:] != ascending[:-1]).sum()) + 1 if len(ascending) else 0
