"""Where every ten notes of the training music stand: the index that copies are looked up in, made once.

A window is ten consecutive notes by their pitches, sorted, as steps from one to the next (`dedupe.shingle`): the same
in any key, at any tempo. All windows are kept, unlike those of the fingerprints, since a few seconds hold few. Notes
of a chord are put in the order of their pitches first, so that one that is spread gives the windows of one that a
tokenizer's grid has closed. A window and its mirror image on the keyboard are two here. Runs are left out, windows
of seven different pitches or more that lie a tone apart at most: scales of all kinds are in all music.

A block of the ingest has a block of windows, whatever the split: another split reads the same blocks and looks at other
performances in them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.compiled import njit
from pianogen.dedupe.fingerprint import pitched_notes
from pianogen.dedupe.shingle import CHORD_SEC, MAX_PLACES, windows
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage
from pianogen.settings import Settings

# pyright: reportArgumentType=false
# Its scalars are what numba makes of them.

WINDOWS, OWNERS = "_windows", "_windows_of"
"""Tables of a block: a row for each place, ascending by window; a row for each performance, in the block's order."""

RUN_PITCHES, RUN_STEP = 7, 2
"""Different pitches of a window that is a run, and semitones between them at most."""

STAGE = Stage(
    name="windows",
    modules=("pianogen.evaluation.window_index", "pianogen.dedupe.fingerprint", "pianogen.dedupe.shingle"),
    packages=("numpy", "pyarrow"),
    tables=(WINDOWS, OWNERS),
)


class Places(NamedTuple):
    """Places of windows in one performance or several."""

    window: np.ndarray
    """uint64; equal ones are the same ten notes, the same way up."""
    owner: np.ndarray
    """Number of the performance, int64."""
    first: np.ndarray
    """Number of the window's first note, as `in_chords` orders them, int64,"""
    last: np.ndarray
    """and of its last one; -1 where it is not told."""
    pitch: np.ndarray
    """The difference of two places of one window is the transposition, int64."""

    def take(self, rows: np.ndarray) -> "Places":
        """The places of these rows."""
        return Places(*(column[rows] for column in self))


class Melody(NamedTuple):
    """Pitches and times by chords; shape (num_notes,) each."""

    pitch: np.ndarray
    onset_sec: np.ndarray
    """Of the first note of its chord, ascending."""
    offset_sec: np.ndarray


def in_chords(pitch: np.ndarray, onset_sec: np.ndarray, offset_sec: np.ndarray) -> tuple[Melody, np.ndarray]:
    """Notes by chord, then pitch, and for each of them its number among those given.

    Args:
        pitch: MIDI numbers, shape (num_notes,), ordered by onset.
        onset_sec: seconds, ascending; what begins within `CHORD_SEC` of the first note of a chord belongs to it.
        offset_sec: seconds.
    """
    began = _chord_onsets(np.asarray(onset_sec, np.float64))
    order = np.lexsort((pitch, began))
    return Melody(pitch[order].astype(np.int64), began[order], np.asarray(offset_sec, np.float64)[order]), order


@njit
def _chord_onsets(onset):
    out = np.empty(len(onset))
    for i in range(len(onset)):
        out[i] = out[i - 1] if i and onset[i] - out[i - 1] <= CHORD_SEC else onset[i]
    return out


def places_of(melody: Melody, owner: int) -> Places:
    """Every window of one performance that is no run, by its first note."""
    found = windows(melody.pitch, melody.onset_sec)
    window = (found.shingle & ~np.uint64(1)) | found.is_mirrored.astype(np.uint64)
    places = Places(window, np.full(len(window), owner), found.first, found.last, found.pitch)
    return places.take(~_are_runs(melody.pitch, found.first, found.last))


@njit
def _are_runs(pitch, first, last):
    out = np.zeros(len(first), np.bool_)
    for k in range(len(first)):
        window = np.sort(pitch[first[k] : last[k] + 1])
        num, is_run = 1, True
        for i in range(1, len(window)):
            num += window[i] > window[i - 1]
            is_run &= window[i] - window[i - 1] <= RUN_STEP
        out[k] = is_run and num >= RUN_PITCHES
    return out


def build_window_index(
    lake: Lake,
    name: str,
    performance_ids: Collection[str],
    settings: Settings,
    progress: parallel.Progress | None = None,
) -> Manifest:
    """Windows of all blocks of the ingest that hold some performances, unless they are there.

    Args:
        lake: read, and written to.
        name: of the experiment, partition of the manifest.
        performance_ids: of the training music.
        settings: number of workers and backend.
        progress: told the number of blocks done, and of those to be done.

    Raises:
        LakeError: a performance is no longer in the lake.
    """
    left, tasks = set(performance_ids), []
    for manifest in lake.manifests("ingest"):
        for block in manifest.blocks:
            members = lake.read_block("ingest", block, "performances", ["performance_id"])["performance_id"].to_pylist()
            if not left.isdisjoint(members):
                tasks.append(_Task(lake.root, block, STAGE.key(inputs=[block])))
                left -= set(members)
    if left:
        raise LakeError(
            f"{lake.root}: {len(left)} performances of the train split are no longer there (the first: {min(left)}); "
            "build the shards again and train again"
        )
    parallel.map_blocks(_index_block, [t for t in tasks if not lake.has_block(STAGE.name, t.key)], settings, progress)
    info = {"ingest_blocks": [task.ingest_block for task in tasks]}
    return lake.publish(STAGE, [task.key for task in tasks], partition=name, info=info)


@dataclass(frozen=True)
class _Task:
    lake: Path
    ingest_block: str
    key: str


def _index_block(task: _Task) -> None:
    lake = Lake(task.lake)
    ids, parts = [], [places_of(Melody(*(np.empty(0),) * 3), 0)]
    for notes in pitched_notes(lake, task.ingest_block):
        melody, _ = in_chords(notes.pitch, notes.onset_sec, notes.offset_sec)
        parts.append(places_of(melody, len(ids)))
        ids.append(notes.performance_id)
    places = Places(*map(np.concatenate, zip(*parts, strict=True)))
    # By window, then performance; of the places of one window in one performance the first stay: a loop has thousands.
    order = np.lexsort((places.owner, places.window))
    places = places.take(order)
    places = places.take(_place_numbers(places.window, places.owner) < MAX_PLACES)
    columns = {
        "window": pa.array(places.window, pa.uint64()),
        "owner": pa.array(places.owner, pa.int32()),
        "first": pa.array(places.first, pa.int32()),
        "pitch": pa.array(places.pitch, pa.uint8()),
    }
    owners = pa.table({"performance_id": pa.array(ids, pa.string())})
    lake.write_block(STAGE.name, task.key, {WINDOWS: pa.table(columns), OWNERS: owners})


@njit
def _place_numbers(window, owner):
    """Of each place its number among those of its window and performance, from 0."""
    out = np.zeros(len(window), np.int64)
    for i in range(1, len(window)):
        if window[i] == window[i - 1] and owner[i] == owner[i - 1]:
            out[i] = out[i - 1] + 1
    return out


class WindowIndex:
    """The windows of the training music of an experiment, read block by block.

    Args:
        lake: where they lie.
        manifest: of `build_window_index`.
        performance_ids: of the training music; other performances of the same blocks are passed over.
        work_of: the work of each performance, by whatever name; without one it is a work of its own.
    """

    def __init__(
        self, lake: Lake, manifest: Manifest, performance_ids: Iterable[str], work_of: Mapping[str, str]
    ) -> None:
        self._lake, self._manifest = lake, manifest
        self.ids = tuple(sorted(set(performance_ids)))
        self._number = {name: k for k, name in enumerate(self.ids)}
        works = {name: k for k, name in enumerate(sorted({work_of.get(i, i) for i in self.ids}))}
        self._work = np.array([works[work_of.get(i, i)] for i in self.ids], np.int64)

    def find(self, wanted: np.ndarray, max_works: int) -> Places:
        """Places of windows that are not common property, ascending by window.

        Args:
            wanted: windows, ascending, none twice.
            max_works: a window that stands in more works than this is not looked up.
        """
        parts = [Places(np.empty(0, np.uint64), *(np.empty(0, np.int64),) * 4)]
        is_common = np.zeros(len(wanted), bool)
        works = np.empty(0, np.int64)
        for key in self._manifest.blocks:
            places = self._look_up(key, wanted, is_common)
            parts.append(places)
            # One number for each window and work in which it stands.
            at = np.searchsorted(wanted, places.window)
            works = np.union1d(works, at * len(self._work) + self._work[places.owner])
            is_common |= np.bincount(works // max(len(self._work), 1), minlength=len(wanted)) > max_works
        found = Places(*map(np.concatenate, zip(*parts, strict=True)))
        found = found.take(~is_common[np.searchsorted(wanted, found.window)])
        return found.take(np.lexsort((found.first, found.owner, found.window)))

    def _look_up(self, key: str, wanted: np.ndarray, is_common: np.ndarray) -> Places:
        owners = self._lake.read_block(STAGE.name, key, OWNERS)["performance_id"].to_pylist()
        number = np.array([self._number.get(name, -1) for name in owners], np.int64)
        table = self._lake.read_block(STAGE.name, key, WINDOWS)
        window = table["window"].to_numpy()
        begin = np.searchsorted(window, wanted)
        num = np.where(is_common, 0, np.searchsorted(window, wanted, side="right") - begin)
        rows = np.arange(num.sum()) + np.repeat(begin - np.cumsum(num) + num, num)
        owner = number[table["owner"].to_numpy()[rows]] if len(owners) else np.empty(0, np.int64)
        rows, owner = rows[owner >= 0], owner[owner >= 0]
        first, pitch = (table[name].to_numpy()[rows].astype(np.int64) for name in ("first", "pitch"))
        return Places(window[rows], owner, first, np.full(len(rows), -1), pitch)

    def melodies(self, owners: Collection[int]) -> dict[int, Melody]:
        """Notes of some performances by their numbers."""
        wanted = set(owners)
        found: dict[int, Melody] = {}
        for key, block in zip(self._manifest.blocks, self._manifest.info["ingest_blocks"], strict=True):
            names = self._lake.read_block(STAGE.name, key, OWNERS)["performance_id"].to_pylist()
            if wanted.isdisjoint(self._number.get(name, -1) for name in names):
                continue
            for notes in pitched_notes(self._lake, block):
                number = self._number.get(notes.performance_id, -1)
                if number in wanted:
                    found[number] = in_chords(notes.pitch, notes.onset_sec, notes.offset_sec)[0]
        return found
