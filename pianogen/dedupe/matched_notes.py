"""Notes of two performances laid on each other along a chain of anchors. Compiled."""

import numpy as np

from pianogen.compiled import njit
from pianogen.dedupe.alignment import Alignment

MATCH_SEC = 0.15
"""How far the same note of two performances may lie apart, after what is between anchors was stretched."""
EXACT_MATCH_SEC = 0.05
"""The same of two that keep one time."""
SMOOTHED = 5
"""Anchors whose median tells where one lies,"""
EXACT_SMOOTHED = 41
"""and of two that keep one time."""
MAX_PLATEAUS = 8
PLATEAU_SEC = 0.05
"""How far anchors lie from the plateau of drift that they belong to."""
MIN_PLATEAU = 3
"""Anchors of a plateau, and that speak for another one before it is changed for that."""


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
    is_exact = alignment.residual_sec <= exact_sec
    reach_sec, smoothed = (EXACT_MATCH_SEC, EXACT_SMOOTHED) if is_exact else (MATCH_SEC, SMOOTHED)
    change = alignment.semitones, alignment.is_mirrored, alignment.tempo_ratio
    return _share(a, b, *change, at_a, at_b, min(smoothed, len(at_a)), reach_sec, is_exact, by_class)


_DAY_SEC = 86400.0


@njit
def _share(a, b, semitones, is_mirrored, ratio, at_a, at_b, size, reach_sec, is_exact, by_class):
    when, pitch = _between(a, at_a[0], at_a[-1])
    image = semitones - pitch if is_mirrored else semitones + pitch
    when_b, pitch_b = _between(b, at_b[0], at_b[-1])
    # Single anchors are some notes off, where a shingle is much like its neighbour.
    drift = at_b - ratio * at_a
    moved = _on_one_axis(image, ratio * when + np.interp(when, at_a, _smoothed(drift, size)), by_class)
    share = _share_near(moved, _on_one_axis(pitch_b, when_b, by_class), reach_sec)
    if is_exact:
        # Where one has a repeat that the other leaves out, most anchors around one may stand on its other side.
        drift = _plateaus(drift)
        is_told, is_told_b = _told(when, when_b, ratio, at_a, drift)
        moved = _on_one_axis(image[is_told], (ratio * when + _nearest(when, at_a, drift))[is_told], by_class)
        share = max(share, _share_near(moved, _on_one_axis(pitch_b[is_told_b], when_b[is_told_b], by_class), reach_sec))
    return share


@njit
def _between(notes, first_sec, last_sec):
    """Onsets, ascending, and pitches of the notes between two times, both included."""
    begin, end = np.searchsorted(notes[1], first_sec), np.searchsorted(notes[1], last_sec, side="right")
    return notes[1, begin:end].astype(np.float64), notes[0, begin:end].astype(np.int64)


@njit
def _told(when, when_b, ratio, at_a, drift):
    """Which notes of a and of b lie where the plateaus have both, and not in what one has more."""
    is_told, is_told_b = np.ones(len(when), np.bool_), np.ones(len(when_b), np.bool_)
    is_told_b[: np.searchsorted(when_b, ratio * at_a[0] + drift[0] - PLATEAU_SEC)] = False
    is_told_b[np.searchsorted(when_b, ratio * at_a[-1] + drift[-1] + PLATEAU_SEC) :] = False
    for i in range(len(drift) - 1):
        if drift[i + 1] > drift[i]:
            middle = ratio * (at_a[i] + at_a[i + 1]) / 2
            _leave_out(is_told_b, when_b, middle + drift[i], middle + drift[i + 1])
        elif drift[i + 1] < drift[i]:
            middle = (ratio * (at_a[i] + at_a[i + 1]) + drift[i] + drift[i + 1]) / 2
            _leave_out(is_told, when, (middle - drift[i]) / ratio, (middle - drift[i + 1]) / ratio)
    return is_told, is_told_b


@njit
def _leave_out(is_told, when, first_sec, last_sec):
    is_told[np.searchsorted(when, first_sec) : np.searchsorted(when, last_sec)] = False


@njit
def _share_near(some, others, reach_sec):
    if len(some) == 0 or len(others) == 0:
        return 0.0
    return max(_num_near(some, others, reach_sec) / len(some), _num_near(others, some, reach_sec) / len(others))


@njit
def _nearest(when, at, values):
    """The value of the anchor that is nearest to each of ascending times."""
    out = np.empty(len(when))
    k = 0
    for i in range(len(when)):
        while k + 1 < len(at) and abs(at[k + 1] - when[i]) <= abs(at[k] - when[i]):
            k += 1
        out[i] = values[k]
    return out


@njit
def _plateaus(drift):
    """The drift of each anchor, as one of few values: the path that leaves out least anchors and changes least.

    A change costs as much as `MIN_PLATEAU` anchors that are left out (Viterbi's algorithm).
    """
    levels = _levels(drift)
    num = len(levels)
    cost, back = np.zeros(num), np.zeros((len(drift), num), np.int64)
    for i in range(len(drift)):
        best = np.argmin(cost)
        change = cost[best] + MIN_PLATEAU
        for k in range(num):
            back[i, k] = k if cost[k] <= change else best
            cost[k] = min(cost[k], change) + (abs(drift[i] - levels[k]) > PLATEAU_SEC)
    out = np.empty(len(drift))
    k = np.argmin(cost)
    for i in range(len(drift) - 1, -1, -1):
        out[i] = levels[k]
        k = back[i, k]
    return out


@njit
def _levels(drift):
    """Values that most of the drifts are near, the commonest first; one at least."""
    left = np.sort(drift)
    levels = np.empty(MAX_PLATEAUS)
    num = 0
    while num < MAX_PLATEAUS and len(left):
        begin = end = first = 0
        for last in range(len(left)):
            while left[last] - left[first] > 2 * PLATEAU_SEC:
                first += 1
            if last + 1 - first > end - begin:
                begin, end = first, last + 1
        if num and end - begin < MIN_PLATEAU:
            break
        levels[num] = left[(begin + end) // 2]
        num += 1
        left = np.concatenate((left[:begin], left[end:]))
    return levels[:num]


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
