"""What comes again: pitches struck again and again, figures, and bars."""

import numpy as np

from pianogen.compiled import njit

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

FIGURE = 8
"""Intervals of a figure: eight of a byte each are a number of 64 bits."""
PER_QUARTER = 24
"""Places at which a bar's onsets are told apart."""

SUMS = ("note_run", "chord_run", "num_again", "num_figures", "num_new_figures", "num_bars", "num_new_bars")
"""Columns of the result: longest runs; notes whose pitch was struck the moment before in their track; figures and
bars, and how many of them were new."""


@njit
def repetitions(
    edges: np.ndarray,
    pitch: np.ndarray,
    part: np.ndarray,
    onset_tick: np.ndarray,
    ticks_per_quarter: np.ndarray,
    bar_ticks: np.ndarray,
) -> np.ndarray:
    """SUMS of each performance, shape (num_performances, len(SUMS)).

    Args:
        edges: as of `counted_notes.Notes`; so are the other columns of notes.
        pitch: ascending among notes of one onset.
        part: number of its track and program.
        onset_tick: note-on.
        ticks_per_quarter: shape (num_performances,).
        bar_ticks: length of a bar, shape (num_performances,).
    """
    num = len(edges) - 1
    sums = np.zeros((num, 7), np.int64)
    for i in range(num):
        first, end = edges[i], edges[i + 1]
        if first == end:
            continue
        sums[i, 0], sums[i, 1], sums[i, 2] = _runs(pitch[first:end], part[first:end], onset_tick[first:end])
        if end - first > FIGURE:
            figures = _figures(pitch[first:end])
            sums[i, 3], sums[i, 4] = len(figures), _num_distinct(figures)
        bars = _bars(pitch[first:end], onset_tick[first:end], ticks_per_quarter[i], bar_ticks[i])
        sums[i, 5], sums[i, 6] = len(bars), _num_distinct(bars)
    return sums


@njit
def _runs(pitch: np.ndarray, part: np.ndarray, onset_tick: np.ndarray) -> tuple[int, int, int]:
    # Of all numbers that parts can have a few occur: these are counted from 0.
    place_of = np.full(part.max() + 1, -1, np.int32)
    num_parts = 0
    for k in range(len(part)):
        if place_of[part[k]] < 0:
            place_of[part[k]] = num_parts
            num_parts += 1
    # Pitches that each part struck at its last moment, a bit each, and how often in a row.
    low, high = np.zeros(num_parts, np.uint64), np.zeros(num_parts, np.uint64)
    run = np.zeros(num_parts, np.int64)
    now_low, now_high = np.zeros(num_parts, np.uint64), np.zeros(num_parts, np.uint64)
    size = np.zeros(num_parts, np.int64)
    one = np.uint64(1)
    note_run = chord_run = num_again = 0
    k = 0
    while k < len(pitch):
        begin = k
        while k < len(pitch) and onset_tick[k] == onset_tick[begin]:
            t, bit = place_of[part[k]], one << np.uint64(pitch[k] % 64)
            is_again = (low[t] if pitch[k] < 64 else high[t]) & bit
            num_again += is_again != 0
            now = now_low if pitch[k] < 64 else now_high
            # A pitch that a part strikes twice at once is one.
            size[t] += now[t] & bit == 0
            now[t] |= bit
            k += 1
        for n in range(begin, k):
            t = place_of[part[n]]
            if size[t] == 0:
                continue
            run[t] = run[t] + 1 if now_low[t] == low[t] and now_high[t] == high[t] else 1
            if size[t] == 1:
                note_run = max(note_run, run[t])
            else:
                chord_run = max(chord_run, run[t])
            low[t], high[t], size[t] = now_low[t], now_high[t], 0
            now_low[t] = now_high[t] = 0
    return note_run, chord_run, num_again


@njit
def _figures(pitch: np.ndarray) -> np.ndarray:
    """Eight intervals each, as one number."""
    num = len(pitch) - FIGURE
    found = np.empty(num, np.uint64)
    figure = np.uint64(0)
    for k in range(len(pitch) - 1):
        interval = np.uint64((np.int64(pitch[k + 1]) - np.int64(pitch[k])) & 0xFF)
        figure = (figure << np.uint64(8)) | interval
        if k >= FIGURE - 1:
            found[k - FIGURE + 1] = figure
    return found


@njit
def _bars(pitch: np.ndarray, onset_tick: np.ndarray, quarter: int, bar: int) -> np.ndarray:
    """A hash of each bar with notes: the sum over its notes, whatever their order."""
    found = np.empty(len(pitch), np.uint64)
    num, begin = 0, np.int64(-bar)
    for k in range(len(pitch)):
        if onset_tick[k] >= begin + bar:
            begin = onset_tick[k] // bar * bar
            found[num] = 0
            num += 1
        # A float's quotient of whole numbers of this size is exact where it is whole.
        place = int((2 * PER_QUARTER * (onset_tick[k] - begin) + quarter) / (2 * quarter))
        found[num - 1] += _mixed(np.uint64(place * 128 + pitch[k] + 1))
    return found[:num]


@njit
def _mixed(value: np.uint64) -> np.uint64:
    """A number whose sums do not meet by chance. Source: splitmix64 (Steele et al. 2014)."""
    value = value * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit
def _num_distinct(values: np.ndarray) -> int:
    """By a table of twice as many places, at least, in which each value looks for its own from its hash on."""
    size = 16
    while size < 2 * len(values):
        size *= 2
    places = np.zeros(size, np.uint64)
    num, is_zero_there = 0, False
    for value in values:
        # An empty place holds 0.
        if value == 0:
            is_zero_there = True
            continue
        place = np.int64(_mixed(value) & np.uint64(size - 1))
        while places[place] != 0 and places[place] != value:
            place = (place + 1) & (size - 1)
        num += places[place] == 0
        places[place] = value
    return num + is_zero_there
