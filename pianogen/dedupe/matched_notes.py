"""Notes of two performances laid on each other along a chain of anchors. Compiled."""

import numba
import numpy as np

from pianogen.dedupe.alignment import Alignment

MATCH_SEC = 0.15
"""How far the same note of two performances may lie apart, after what is between anchors was stretched."""
EXACT_MATCH_SEC = 0.05
"""The same of two that keep one time."""
SMOOTHED = 5
"""Anchors whose median tells where one lies,"""
EXACT_SMOOTHED = 41
"""and of two that keep one time."""

njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""


def share_of_matched_notes(
    a: np.ndarray, b: np.ndarray, alignment: Alignment, at_a: np.ndarray, at_b: np.ndarray, *, exact_sec: float,
    by_class: bool = False,
) -> float:  # fmt: skip
    """Share of the notes of one performance that the other has at the same place, of whichever has more of them.

    Args:
        a: pitch, onset_sec, offset_sec of one, shape (3, num_notes), ascending by onset.
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
    change = alignment.semitones, alignment.is_mirrored, alignment.tempo_ratio
    return _share(a, b, *change, at_a, at_b, min(smoothed, len(at_a)), reach_sec, by_class)


_DAY_SEC = 86400.0


@njit
def _share(a, b, semitones, is_mirrored, ratio, at_a, at_b, size, reach_sec, by_class):
    drift = _smoothed(at_b - ratio * at_a, size)
    begin, end = np.searchsorted(a[1], at_a[0]), np.searchsorted(a[1], at_a[-1], side="right")
    when = a[1, begin:end].astype(np.float64)
    pitch = a[0, begin:end].astype(np.int64)
    moved = _on_one_axis(
        semitones - pitch if is_mirrored else semitones + pitch, ratio * when + np.interp(when, at_a, drift), by_class
    )
    begin, end = np.searchsorted(b[1], at_b[0]), np.searchsorted(b[1], at_b[-1], side="right")
    others = _on_one_axis(b[0, begin:end].astype(np.int64), b[1, begin:end].astype(np.float64), by_class)
    if len(moved) == 0 or len(others) == 0:
        return 0.0
    return max(_num_near(moved, others, reach_sec) / len(moved), _num_near(others, moved, reach_sec) / len(others))


_NUM_PLACES = 512


@njit
def _on_one_axis(pitch, sec, by_class):
    """Times, ascending, on one axis for all pitches: those of a pitch lie a day after those of the last."""
    place = pitch % 12 if by_class else pitch + 128  # a pitch that was moved may lie below 0
    end = np.zeros(_NUM_PLACES, np.int64)
    for k in place:
        end[k + 1] += 1
    for k in range(_NUM_PLACES - 1):
        end[k + 1] += end[k]
    out = np.empty(len(sec))
    for i in range(len(sec)):
        out[end[place[i]]] = place[i] * _DAY_SEC + sec[i]
        end[place[i]] += 1
    # They are in order as they come, but where the drift turns time round.
    for i in range(len(out) - 1):
        if out[i] > out[i + 1]:
            out.sort()
            break
    return out


@njit
def _num_near(times, among, reach_sec):
    """How many of some times have one of others near; both ascending."""
    num = k = 0
    for time in times:
        while k + 1 < len(among) and among[k + 1] <= time:
            k += 1
        distance = abs(among[k] - time)
        if k + 1 < len(among):
            distance = min(distance, abs(among[k + 1] - time))
        num += distance <= reach_sec
    return num


@njit
def _smoothed(values, size):
    """Of each value the middle of most of the `size` around it.

    That is the middle of the shortest interval that holds a third of them: a mode, which a few wrong ones do not move.

    Source: Rousseeuw, "Least median of squares regression" (1984), with a third in place of a half.
    """
    third = max(size // 3, 1)
    middles = np.empty(len(values) - size + 1)
    row = np.sort(values[:size])
    for i in range(len(middles)):
        if i:
            _replace(row, values[i - 1], values[i + size - 1])
        at = 0
        for k in range(1, size - third):
            if row[k + third] - row[k] < row[at + third] - row[at]:
                at = k
        middles[i] = (row[at] + row[at + third]) / 2
    out = np.empty(len(values))
    for i in range(len(values)):
        out[i] = middles[min(max(i - size // 2, 0), len(middles) - 1)]
    return out


@njit
def _replace(row, old, new):
    """Put a new value in the place of an old one; the row ascends before and after."""
    i = 0
    while row[i] != old:
        i += 1
    while i + 1 < len(row) and row[i + 1] < new:
        row[i] = row[i + 1]
        i += 1
    while i > 0 and row[i - 1] > new:
        row[i] = row[i - 1]
        i -= 1
    row[i] = new
