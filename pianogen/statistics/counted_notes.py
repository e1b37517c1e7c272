"""The notes that are measured, and histograms and sums over them, in one compiled pass each."""

from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit
from pianogen.statistics.bins import (
    HISTOGRAMS,
    NUM_LENGTHS,
    NUM_QUARTERS,
    PER_DOUBLING,
    PER_QUARTER,
    POSITIONS,
    SHORTEST_SEC,
    WIDEST,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

CHORD_SEC = 0.05
"""What is struck within this time of its first note is one moment of the top line."""
GRIDS = (4, 6, 8, 12, 16, 20, 24)
"""Parts of a quarter: 16ths, triplets, and so on up to 64ths, quintuplets beside 16ths, and triplets beside 32nds."""
LEAP = 7

COUNTED = (
    "pitch", "velocity", "duration_sec", "sounding_duration_sec", "duration_quarters", "ioi_sec", "melodic_interval",
    "onset_position",
)  # fmt: skip
"""Histograms that `count_notes` fills, side by side."""
FIRST_BIN = {
    name: int(first)
    for name, first in zip(COUNTED, np.cumsum([0, *(HISTOGRAMS[n].num_bins for n in COUNTED)]), strict=False)
}
NUM_BINS = sum(HISTOGRAMS[name].num_bins for name in COUNTED)

SUMS = (
    "duration_sec", "duration_sec_squares", "duration_sec_median", "duration_ticks", "duration_ticks_median",
    "sounding_duration_sec", "sounding_duration_sec_median", "num_iois", "ioi_sec", "ioi_sec_median", "num_intervals",
    "interval_size", "num_interval_steps", "num_interval_leaps", "grid_distance", "sounding_end_sec",
)  # fmt: skip
"""Columns of the second result of `count_notes`; squares are of the distances from the mean."""

_VELOCITY, _DURATION, _SOUNDING, _QUARTERS, _IOI, _INTERVAL, _POSITION = (FIRST_BIN[name] for name in COUNTED[1:])

_MANTISSA_BITS = 52
_MANTISSA = 2**_MANTISSA_BITS - 1
_EXPONENT_OF_SHORTEST = int(np.float64(SHORTEST_SEC).view(np.int64)) >> _MANTISSA_BITS
_WITHIN_DOUBLING = (2.0 ** (np.arange(1, PER_DOUBLING) / PER_DOUBLING)).view(np.int64) & _MANTISSA
"""Mantissas of the edges of bins between a power of two and the next."""


class Notes(NamedTuple):
    """Notes of performances without drums."""

    edges: np.ndarray
    """Notes of performance i are edges[i] to edges[i + 1], shape (num_performances + 1,)."""
    part: np.ndarray
    """Number of the track and program; as all that follow shape (num_notes,), by onset, then by pitch."""
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    offset_tick: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray
    sounding_offset_sec: np.ndarray
    has_pedal: np.ndarray
    """Whether a pedal holds a note, shape (num_performances,)."""


@njit
def without_drums(
    edges: np.ndarray,
    is_drum: np.ndarray,
    track: np.ndarray,
    program: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    held_sec: np.ndarray,
) -> Notes:
    """The notes that are no drums, from all notes as the lake has them."""
    num = 0
    for k in range(len(is_drum)):
        num += not is_drum[k]
    new_edges, has_pedal = np.zeros(len(edges), np.int64), np.zeros(len(edges) - 1, np.bool_)
    part, new_pitch, new_velocity = np.empty(num, np.int32), np.empty(num, np.uint8), np.empty(num, np.uint8)
    new_onset_tick, new_offset_tick = np.empty(num, np.int64), np.empty(num, np.int64)
    new_onset_sec, new_offset_sec, sounding_offset_sec = np.empty(num), np.empty(num), np.empty(num)
    at = 0
    for i in range(len(edges) - 1):
        is_held = False
        for k in range(edges[i], edges[i + 1]):
            if is_drum[k]:
                continue
            # A file of one track has all its instruments there.
            part[at] = np.int32(track[k]) * 128 + program[k]
            new_pitch[at] = pitch[k]
            new_velocity[at] = velocity[k]
            new_onset_tick[at] = onset_tick[k]
            new_offset_tick[at] = np.int64(onset_tick[k]) + duration_tick[k]
            new_onset_sec[at] = onset_sec[k]
            new_offset_sec[at] = offset_sec[k]
            sounding_offset_sec[at] = offset_sec[k] + held_sec[k]
            is_held |= held_sec[k] > 0
            at += 1
        new_edges[i + 1], has_pedal[i] = at, is_held
    return Notes(
        new_edges,
        part,
        new_pitch,
        new_velocity,
        new_onset_tick,
        new_offset_tick,
        new_onset_sec,
        new_offset_sec,
        sounding_offset_sec,
        has_pedal,
    )


@njit
def count_notes(notes: Notes, ticks_per_quarter: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histograms, sums, and the time that each pitch class is held, of each performance.

    Args:
        notes: of performances.
        ticks_per_quarter: shape (num_performances,).

    Returns:
        Counts, shape (num_performances, NUM_BINS), the histograms of COUNTED side by side; SUMS, shape
        (num_performances, len(SUMS)); seconds, shape (num_performances, 12).
    """
    edges, pitch, velocity, onset_tick = notes.edges, notes.pitch, notes.velocity, notes.onset_tick
    onset_sec, offset_sec, sounding_offset_sec = notes.onset_sec, notes.offset_sec, notes.sounding_offset_sec
    num = len(edges) - 1
    counts = np.zeros((num, NUM_BINS), np.int64)
    sums = np.zeros((num, 16))
    class_sec = np.zeros((num, 12))
    cosine, sine = np.empty(0), np.empty(0)
    for i in range(num):
        first, end = edges[i], edges[i + 1]
        if first == end:
            continue
        row, total, of_class, quarter = counts[i], sums[i], class_sec[i], ticks_per_quarter[i]
        ticks = np.empty(end - first)
        duration = np.empty(end - first)
        sounding = np.empty(end - first)
        iois = np.empty(end - first)
        place = np.empty(end - first, np.uint8)
        num_iois = 0
        quarter_tick = np.int64(0)
        at_tick = np.zeros(quarter, np.int64)
        if len(cosine) != quarter:
            turn = 2 * np.pi * np.arange(quarter) / quarter
            cosine, sine = np.cos(turn), np.sin(turn)
        group_sec, top, last_top = onset_sec[first], -1, -1
        for k in range(first, end):
            p = np.int64(pitch[k])
            row[p] += 1
            row[_VELOCITY + velocity[k]] += 1
            sec = offset_sec[k] - onset_sec[k]
            duration[k - first] = sec
            sounding[k - first] = sounding_offset_sec[k] - onset_sec[k]
            of_class[p % 12] += sec
            total[15] = max(total[15], sounding_offset_sec[k])
            length = notes.offset_tick[k] - onset_tick[k]
            ticks[k - first] = length
            total[3] += length
            # A float's quotient of whole numbers of this size is exact where it is whole.
            parts = int((2 * PER_QUARTER * length + quarter) / (2 * quarter))
            place[k - first] = min(parts, NUM_QUARTERS - 1)
            row[_QUARTERS + place[k - first]] += 1
            if onset_tick[k] >= quarter_tick + quarter:
                quarter_tick = onset_tick[k] // quarter * quarter
            at_tick[onset_tick[k] - quarter_tick] += 1

            if k > first and onset_tick[k] > onset_tick[k - 1]:
                iois[num_iois] = onset_sec[k] - onset_sec[k - 1]
                num_iois += 1
            if onset_sec[k] - group_sec > CHORD_SEC:
                _step(row, total, last_top, top)
                group_sec, last_top, top = onset_sec[k], top, -1
            top = max(top, p)
        _step(row, total, last_top, top)
        for tick in range(quarter):
            row[_POSITION + int((2 * POSITIONS * tick + quarter) / (2 * quarter)) % POSITIONS] += at_tick[tick]
        total[14] = _grid_distance(at_tick, end - first, cosine, sine)
        total[4] = _median(ticks, place, row[_QUARTERS : _QUARTERS + NUM_QUARTERS])
        total[0], total[2] = _count_lengths(row[_DURATION : _DURATION + NUM_LENGTHS], duration, place)
        mean = total[0] / len(duration)
        for sec in duration:
            total[1] += (sec - mean) * (sec - mean)
        total[5], total[6] = _count_lengths(row[_SOUNDING : _SOUNDING + NUM_LENGTHS], sounding, place)
        total[7] = num_iois
        if num_iois:
            total[8], total[9] = _count_lengths(row[_IOI : _IOI + NUM_LENGTHS], iois[:num_iois], place)
    return counts, sums, class_sec


@njit
def _count_lengths(counts: np.ndarray, lengths: np.ndarray, place: np.ndarray) -> tuple[float, float]:
    """Count lengths of time into their bins, which are read off the floats' bits; their sum and their median.

    Args:
        counts: of each bin, shape (NUM_LENGTHS,); written.
        lengths: seconds, one at least.
        place: room for the bin of each.
    """
    total = 0.0
    bits = lengths.view(np.int64)
    for k in range(len(lengths)):
        total += lengths[k]
        number = PER_DOUBLING * ((bits[k] >> _MANTISSA_BITS) - _EXPONENT_OF_SHORTEST)
        for edge in _WITHIN_DOUBLING:
            number += (bits[k] & _MANTISSA) >= edge
        place[k] = min(max(number, 0), NUM_LENGTHS - 1)
        counts[place[k]] += 1
    return total, _median(lengths, place, counts)


@njit
def _median(values: np.ndarray, place: np.ndarray, counts: np.ndarray) -> float:
    """The median, looked for in its bin alone.

    Args:
        values: one at least.
        place: bin of each; greater values have no smaller ones.
        counts: number of values in each bin.
    """
    low, high = (len(values) - 1) // 2, len(values) // 2
    below, first = 0, 0
    while below + counts[first] <= low:
        below += counts[first]
        first += 1
    within, last = counts[first], first
    while below + within <= high:
        last += 1
        within += counts[last]
    near = np.empty(within)
    num = 0
    for k in range(len(values)):
        if first <= place[k] <= last:
            near[num] = values[k]
            num += 1
    near = np.partition(near, high - below)
    middle = near[high - below]
    return middle if low == high else (near[: high - below].max() + middle) / 2


@njit
def _grid_distance(at_tick: np.ndarray, num_notes: int, cosine: np.ndarray, sine: np.ndarray) -> float:
    """How far onsets are from the grid that they are nearest to, wherever it begins.

    Each grid is a circle on which the quarter goes round as many times as it has parts. The mean of the onsets as
    points on it has length 1 where all lie on the grid, or all as far beside it, and nearly 0 where they lie anywhere.

    Args:
        at_tick: notes that begin at each tick of the quarter, shape (ticks_per_quarter,).
        num_notes: their sum.
        cosine: of the ticks, where the quarter goes round once.
        sine: the same.

    Returns:
        One less the longest of the means. Source: the circular variance of Mardia and Jupp 2000, § 2.3.
    """
    quarter = len(at_tick)
    longest = 0.0
    for parts in GRIDS:
        x, y = 0.0, 0.0
        place = 0
        for tick in range(quarter):
            x += at_tick[tick] * cosine[place]
            y += at_tick[tick] * sine[place]
            place += parts % quarter
            place -= quarter if place >= quarter else 0
        longest = max(longest, np.sqrt(x * x + y * y))
    return max(0.0, 1 - longest / num_notes)


@njit
def _step(row: np.ndarray, total: np.ndarray, before: int, now: int) -> None:
    """A step of the top line."""
    if before < 0:
        return
    interval = now - before
    row[_INTERVAL + min(max(interval, -WIDEST), WIDEST) + WIDEST] += 1
    total[10] += 1
    total[11] += abs(interval)
    total[12] += 1 <= abs(interval) <= 2
    total[13] += abs(interval) > LEAP
