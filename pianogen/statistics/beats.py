"""Beats, bars and grooves on the file's ticks, as MusPy has them, and where pedals and tempi hold."""

import numpy as np

from pianogen.compiled import njit
from pianogen.statistics.bins import NUM_TEMPOS, TEMPO_WIDTH

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

SUMS = ("num_beats", "num_empty_beats", "num_bars", "num_empty_bars", "num_differences")
"""Columns of the result of `beats_and_bars`; num_differences is of the onset patterns of neighbouring bars."""


@njit
def last_ticks(edges: np.ndarray, begin: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Where the last event of each performance ends, ticks, 0 without any, shape (num_performances,)."""
    last = np.zeros(len(edges) - 1, np.int64)
    for i in range(len(last)):
        for k in range(edges[i], edges[i + 1]):
            last[i] = max(last[i], np.int64(begin[k]) + duration[k])
    return last


@njit
def beats_and_bars(
    edges: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    end_tick: np.ndarray,
    ticks_per_quarter: np.ndarray,
    bar_ticks: np.ndarray,
) -> np.ndarray:
    """SUMS of each performance, shape (num_performances, len(SUMS)).

    Args:
        edges: as of `Notes`; so are the other columns of notes, but with the drums among them.
        onset_tick: note-on.
        duration_tick: to the note-off.
        end_tick: where the performance ends, shape (num_performances,).
        ticks_per_quarter: shape (num_performances,).
        bar_ticks: length of a bar, shape (num_performances,).
    """
    num = len(edges) - 1
    sums = np.zeros((num, 5), np.int64)
    for i in range(num):
        first, end = edges[i], edges[i + 1]
        onset, duration = onset_tick[first:end], duration_tick[first:end]
        for column, length in ((0, ticks_per_quarter[i]), (2, bar_ticks[i])):
            sums[i, column] = end_tick[i] // length + 1
            sums[i, column + 1] = sums[i, column] - _num_touched(onset, duration, length)
        sums[i, 4] = _num_differences(onset, bar_ticks[i], sums[i, 2])
    return sums


@njit
def _num_touched(onset: np.ndarray, duration: np.ndarray, length: int) -> int:
    """Stretches of this length that a note touches, its note-off included."""
    num, reached = 0, 0
    for k in range(len(onset)):
        # Most notes end in the last stretch that was touched.
        offset = np.int64(onset[k]) + duration[k]
        if offset < reached * length:
            continue
        begin, end = max(onset[k] // length, reached), offset // length + 1
        num += end - begin
        reached = end
    return num


@njit
def _num_differences(onset: np.ndarray, bar: int, num_bars: int) -> int:
    """Places at which one of two neighbouring bars has an onset and the other has none, over all neighbours."""
    num, ahead = 0, 0
    for k in range(len(onset)):
        tick = np.int64(onset[k])
        if k and onset[k - 1] == tick:
            continue
        while ahead < len(onset) and onset[ahead] < tick + bar:
            ahead += 1
        # A place in the bar after, and one in the bar before; neither is one where both have an onset.
        num += (tick < (num_bars - 1) * bar) + (tick >= bar)
        if ahead < len(onset) and onset[ahead] == tick + bar:
            num -= 2
    return num


@njit
def pressed_sec(
    performance: np.ndarray, press_sec: np.ndarray, lift_sec: np.ndarray, end_sec: np.ndarray
) -> np.ndarray:
    """Seconds of each performance in which one pedal is down, on whatever channel, shape (num_performances,).

    Args:
        performance: of each press, ascending; within one by press_sec, shape (num_presses,).
        press_sec: when it goes down.
        lift_sec: when it comes up.
        end_sec: what is later does not count, shape (num_performances,).
    """
    seconds = np.zeros(len(end_sec))
    last, reached = -1, 0.0
    for k in range(len(performance)):
        i = performance[k]
        if i != last:
            last, reached = i, 0.0
        begin, end = max(press_sec[k], reached), min(lift_sec[k], end_sec[i])
        if end > begin:
            seconds[i] += end - begin
        reached = max(reached, lift_sec[k])
    return seconds


@njit
def seconds_at_tempo(
    performance: np.ndarray, time_sec: np.ndarray, tempo_qpm: np.ndarray, end_sec: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Histogram of the tempo over time, and the slowest and fastest that lasts, of each performance.

    Args:
        performance: of each tempo, ascending; within one by time, shape (num_tempos,).
        time_sec: from when it holds.
        tempo_qpm: quarters per minute.
        end_sec: until when the last one holds, shape (num_performances,).

    Returns:
        Shapes (num_performances, NUM_TEMPOS) and (num_performances, 2); NaN where no tempo lasts.
    """
    seconds = np.zeros((len(end_sec), NUM_TEMPOS))
    extremes = np.full((len(end_sec), 2), np.nan)
    for k in range(len(performance)):
        i = performance[k]
        has_next = k + 1 < len(performance) and performance[k + 1] == i
        until = min(time_sec[k + 1], end_sec[i]) if has_next else end_sec[i]
        if until <= time_sec[k]:
            continue
        seconds[i, min(int(tempo_qpm[k] / TEMPO_WIDTH), NUM_TEMPOS - 1)] += until - time_sec[k]
        extremes[i, 0] = tempo_qpm[k] if np.isnan(extremes[i, 0]) else min(extremes[i, 0], tempo_qpm[k])
        extremes[i, 1] = tempo_qpm[k] if np.isnan(extremes[i, 1]) else max(extremes[i, 1], tempo_qpm[k])
    return seconds, extremes
