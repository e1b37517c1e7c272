"""Notes of pairs, what lies on what in them, and which notes are the same."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.audit.anchors import find_anchors, pace
from pianogen.audit.matching import (
    EDITED_TOLERANCE_SEC,
    PERFORMED_TOLERANCE_SEC,
    Notes,
    TimeMap,
    match_notes,
    time_map,
)
from pianogen.dedupe.folder import StageProgress, stage
from pianogen.lake import Lake
from pianogen.settings import Settings

_EDITED = ("same_bytes", "same_notes", "edited_copy")
_SIDES = ("performance_a", "performance_b")
_PAIRS_PER_TASK = 10


@dataclass(frozen=True, eq=False)
class Roll:
    """One pair, to be seen and heard."""

    performance_a: str
    performance_b: str
    a: Notes
    b: Notes
    times: TimeMap
    matches: np.ndarray
    """Numbers of equal notes in a and in b, shape (num_matches, 2)."""
    is_aligned: bool
    """Whether anchors were found; without, the two are laid beginning on beginning."""


@dataclass(frozen=True)
class _Task:
    pairs: list[Mapping[str, Any]]
    music: Mapping[str, Notes]


def read_rolls(
    lake: Lake, pairs: pa.Table, settings: Settings, progress: StageProgress | None = None
) -> tuple[Roll, ...]:
    """Rolls of pairs, in their order.

    Args:
        lake: that has their notes.
        pairs: rows with performance_a, performance_b, relation, semitones, is_mirrored, tempo_ratio.
        settings: number of workers and backend.
        progress: told the number of pairs laid on each other.
    """
    rows = pairs.to_pylist()
    music = _notes(lake, {row[side] for row in rows for side in _SIDES})
    tasks = []
    for i in range(0, len(rows), _PAIRS_PER_TASK):
        some = rows[i : i + _PAIRS_PER_TASK]
        tasks.append(_Task(some, {row[side]: music[row[side]] for row in some for side in _SIDES}))
    done = parallel.map_blocks(_rolls, tasks, settings, stage("pairs aligned", progress))
    return tuple(itertools.chain.from_iterable(done))


def _rolls(task: _Task) -> list[Roll]:
    return [roll_of(row, *(task.music[row[side]] for side in _SIDES)) for row in task.pairs]


def roll_of(pair: Mapping[str, Any], a: Notes, b: Notes) -> Roll:
    """A pair laid on each other by its evidence and its notes."""
    semitones, is_mirrored = pair["semitones"], pair["is_mirrored"]
    times_a, times_b = find_anchors(a, b, semitones, is_mirrored)
    is_aligned = len(times_a) > 0
    ratio = pair["tempo_ratio"] or (pace(times_a, times_b) if is_aligned else 1.0)
    if not is_aligned:
        # Too few notes for anchors: beginning on beginning.
        times_a, times_b = a.onset_sec[:1].astype(float), b.onset_sec[:1].astype(float)
    times = time_map(times_a, times_b, ratio)
    tolerance = EDITED_TOLERANCE_SEC if pair["relation"] in _EDITED else PERFORMED_TOLERANCE_SEC
    matches = match_notes(a, b, semitones, is_mirrored, times, tolerance)
    return Roll(pair["performance_a"], pair["performance_b"], a, b, times, matches, is_aligned)


def _notes(lake: Lake, performances: set[str]) -> dict[str, Notes]:
    """Notes of performances, without drums."""
    with lake.connect(["notes"]) as connection:
        connection.register("wanted", pa.table({"performance_id": sorted(performances)}))
        table = connection.sql(_NOTES).to_arrow_table()
    ids = table["performance_id"].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()
    columns = [table[name].to_numpy() for name in Notes._fields]
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1)).tolist()
    return {
        ids.dictionary[codes[start]].as_py(): Notes(*(column[start:end] for column in columns))
        for start, end in itertools.pairwise(edges)
    }


_NOTES = """
select performance_id, pitch, velocity, onset_sec, offset_sec, held_sec
from notes
where not is_drum and performance_id in (select performance_id from wanted)
order by performance_id, onset_sec, pitch, velocity, offset_sec
"""
