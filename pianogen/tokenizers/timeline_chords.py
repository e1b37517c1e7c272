"""Chords of a block on its grid, in one compiled pass, as MidiTok 3.1 finds them (`detect_chords`).

Part by part, a note is looked at with those that begin at most a step of the grid after it, ten notes at most. They are
three to five notes of one chord if they end within half a beat of the first; if that is itself no longer than half a
beat, those that begin with it alone. What names a chord are the intervals above its first note, in the order of the
notes: inversions have no name, and neither has a chord of which a lower key was struck after a higher one.
"""

import numpy as np

from pianogen.compiled import njit
from pianogen.tokenizers.timeline import Grid, Timeline

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

MOST_NOTES = 10
"""That are looked at together."""
WIDEST = 24
"""Semitones from the first to the last note of a chord that has no name."""


@njit
def find_chords(line: Timeline, grid: Grid) -> np.ndarray:
    """Id of the chord that is told before each note, -1 without one; int32, shape (num_notes,)."""
    found = np.full(grid.note_edges[-1], -1, np.int32)
    for i in range(len(grid.quarter)):
        first, end = grid.note_edges[i], grid.note_edges[i + 1]
        if len(grid.part) == 0:
            _find(line, grid, np.arange(first, end), found)
            continue
        rows, edges = _rows_by_part(grid.part[first:end])
        for p in range(len(edges) - 1):
            _find(line, grid, rows[edges[p] : edges[p + 1]] + first, found)
    return found


@njit
def _rows_by_part(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the notes, part after part, and their edges."""
    num_parts = 0
    for k in range(len(part)):
        num_parts = max(num_parts, part[k] + 1)
    edges = np.zeros(num_parts + 1, np.int64)
    for k in range(len(part)):
        edges[part[k] + 1] += 1
    for p in range(num_parts):
        edges[p + 1] += edges[p]
    rows, filled = np.empty(len(part), np.int64), edges[:-1].copy()
    for k in range(len(part)):
        rows[filled[part[k]]] = k
        filled[part[k]] += 1
    return rows, edges


@njit
def _find(line: Timeline, grid: Grid, rows: np.ndarray, found: np.ndarray) -> None:
    """Chords of one part, whose notes are these rows by onset."""
    onset, length = grid.onset, grid.length
    k, reached = 0, -1
    while k < len(rows):
        begin, lasts = onset[rows[k]], length[rows[k]]
        if begin == reached:
            k += 1
            continue
        # A beat is as long as the first duration of a whole beat; a step is the shortest.
        row = grid.row[rows[k]]
        step = line.length_tick[row, 0]
        half = step * line.positions // 2
        num, is_chord = 0, True
        while num < MOST_NOTES and k + num < len(rows) and onset[rows[k + num]] <= begin + step:
            other = rows[k + num]
            is_chord &= abs(onset[other] + length[other] - begin - lasts) <= half
            num += 1
        if not is_chord:
            k += num
            continue
        if lasts <= half:
            while onset[rows[k + num - 1]] != begin:
                num -= 1
        if 3 <= num <= 5:
            chord = _chord_id(line, grid.pitch, rows[k : k + num])
            if chord >= 0:
                at = k
                while at and onset[rows[at - 1]] == begin:
                    at -= 1
                found[rows[at]] = chord
        reached = onset[rows[k + num - 1]]
        k += num


@njit
def _chord_id(line: Timeline, pitch: np.ndarray, rows: np.ndarray) -> int:
    """Of three to five notes, or -1."""
    root = np.int64(pitch[rows[0]])
    mask, last = 0, 0
    for row in rows[1:]:
        interval = np.int64(pitch[row]) - root
        # Intervals that do not ascend, or go beyond those of the chords with names, are bit 0, which none of these has.
        mask |= 1 << interval if max(last, 0) < interval < 15 else 1
        last = interval
    chord = line.chord_id[mask]
    if chord < 0 and last <= WIDEST:
        chord = line.unknown_chord_id[len(rows)]
    return chord if chord < 0 else chord + line.chord_roots * (root % 12)
