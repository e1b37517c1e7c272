"""Shingles of a performance: what stays of its notes when key, tempo, rubato and touch are taken away.

A shingle is a window of 10 consecutive notes (by onset, then pitch; a unison counts once): its pitches
sorted, less the lowest. No time is in it, so it does not mind how fast or how evenly the notes are
played; sorting makes it blind to spread chords; subtracting makes it exact under transposition. Long
performances keep the shingles whose hash is a multiple of 8 (FracMinHash), short ones all of them, so
that two of any length can be compared at the coarser rate of the two.

Source: Hera et al., "Deriving confidence intervals for mutation rates across a wide range of
evolutionary distances using FracMinHash" (2023), on windows of pitches in place of k-mers.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.dedupe.content_hash import content_hashes
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.settings import Settings
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="fingerprints",
    modules=("pianogen.dedupe.content_hash", "pianogen.dedupe.fingerprint"),
    packages=("pyarrow",),
    tables=("content_hashes", "shingles", "fingerprints"),
)
WINDOW = 10
COARSE = 8
"""Sampling of long performances: one shingle in this many."""
LONG_FROM = 400
"""Notes from which a performance is long."""
MIN_DISTINCT = 4
"""Distinct pitches that a window needs: trills and repeated chords are alike in all music."""


@dataclass(frozen=True, eq=False)
class Shingles:
    """Distinct shingles of one performance, ascending, with the place where each first begins."""

    shingle: np.ndarray
    lowest_pitch: np.ndarray
    onset_sec: np.ndarray
    is_unique: np.ndarray
    sampling: int


def shingles(pitch: np.ndarray, onset_sec: np.ndarray) -> Shingles:
    """Shingles of one performance.

    Args:
        pitch: MIDI numbers, shape (num_notes,).
        onset_sec: seconds, shape (num_notes,).

    Returns:
        Hashes as uint64 and, for each, the lowest pitch and the onset of its first window.
    """
    order = np.lexsort((pitch, onset_sec))
    pitch, onset_sec = pitch[order].astype(np.int64), onset_sec[order]
    is_new = np.concatenate(([True], (np.diff(pitch) != 0) | (np.diff(onset_sec) > 0)))[: len(pitch)]
    pitch, onset_sec = pitch[is_new], onset_sec[is_new]
    sampling = COARSE if len(pitch) >= LONG_FROM else 1
    if len(pitch) < WINDOW:
        none = np.empty(0, np.uint64)
        return Shingles(none, np.empty(0, np.uint8), np.empty(0, np.float32), np.empty(0, bool), sampling)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(pitch, WINDOW), axis=1)
    lowest = windows[:, 0]
    is_telling = 1 + (np.diff(windows, axis=1) != 0).sum(axis=1) >= MIN_DISTINCT
    # Nine differences of 7 bits each: one 64-bit number holds a window without loss.
    packed = ((windows[:, 1:] - lowest[:, None]).astype(np.uint64) << (np.arange(WINDOW - 1, dtype=np.uint64) * 7)).sum(
        axis=1, dtype=np.uint64
    )
    hashed = _mix(packed)
    kept = np.flatnonzero(is_telling & (hashed % np.uint64(sampling) == 0))
    values, first, count = np.unique(hashed[kept], return_index=True, return_counts=True)
    at = kept[first]
    return Shingles(values, lowest[at].astype(np.uint8), onset_sec[at].astype(np.float32), count == 1, sampling)


def _mix(values: np.ndarray) -> np.ndarray:
    """A bijection of uint64 that spreads every input bit (the finalizer of SplitMix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class _Task:
    lake: Path
    ingest_block: str
    key: str


def fingerprint_dataset(
    lake: Lake, dataset: str, settings: Settings, progress: parallel.Progress | None = None
) -> Manifest:
    """Content hashes and shingles of every performance of an ingested dataset, one block for each of its blocks."""
    ingested = lake.require("ingest", dataset)
    tasks = [_Task(lake.root, block, STAGE.key(inputs=[block])) for block in ingested.blocks]
    todo = [task for task in tasks if not lake.has_block(STAGE.name, task.key)]
    parallel.map_blocks(_fingerprint_block, todo, settings, progress)
    info = {"num_performances": ingested.info["num_performances"], "ingest_blocks": digest(ingested.blocks)}
    return lake.publish(STAGE, [task.key for task in tasks], partition=dataset, info=info)


def _fingerprint_block(task: _Task) -> None:
    lake = Lake(task.lake)
    notes = lake.read_block("ingest", task.ingest_block, "notes")
    ids = notes["performance_id"].combine_chunks().dictionary_encode()
    column = {name: notes[name].to_numpy() for name in ("pitch", "velocity", "onset_sec", "offset_sec", "is_drum")}
    codes = ids.indices.to_numpy()
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    hashes, sketches, parts = [], [], []
    for start, end in itertools.pairwise(edges):
        performance_id = ids.dictionary[codes[start]].as_py()
        rows = start + np.flatnonzero(~column["is_drum"][start:end])
        pitch, onset_sec = column["pitch"][rows], column["onset_sec"][rows]
        found = content_hashes(pitch, column["velocity"][rows], onset_sec, column["offset_sec"][rows])
        hashes.append({"performance_id": performance_id, **vars(found)})
        sketch = shingles(pitch, onset_sec)
        sketches.append(
            {
                "performance_id": performance_id,
                "sampling": sketch.sampling,
                "num_shingles": len(sketch.shingle),
                "num_shingles_coarse": int((sketch.shingle % np.uint64(COARSE) == 0).sum()),
            }
        )
        fields = [sketch.shingle, sketch.lowest_pitch, sketch.onset_sec, sketch.is_unique]
        names = SCHEMAS["shingles"].names
        parts.append(pa.table([pa.repeat(performance_id, len(sketch.shingle)), *fields], names=names))
    lake.write_block(
        STAGE.name,
        task.key,
        {
            "content_hashes": pa.Table.from_pylist(hashes, schema=SCHEMAS["content_hashes"]),
            "fingerprints": pa.Table.from_pylist(sketches, schema=SCHEMAS["fingerprints"]),
            "shingles": pa.concat_tables([SCHEMAS["shingles"].empty_table(), *parts]),
        },
    )
