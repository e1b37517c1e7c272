"""How many pitches are held, or sound, at once, and how far apart they lie: a sweep over the notes as they begin."""

import numpy as np

from pianogen.compiled import njit

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

FINGERS = 5
REACH = 16
"""Semitones that one hand spans: a tenth."""

HANDS = ("spread_sec", "spread_max", "hands_sec", "beyond_sec")
"""Columns of the third result of `pitches_together`: seconds times the spread, the widest spread, seconds times the
distance of the hands, and seconds that no two hands can hold."""


@njit
def pitches_together(
    is_asked: np.ndarray,
    edges: np.ndarray,
    pitch: np.ndarray,
    onset_tick: np.ndarray,
    offset_tick: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    with_hands: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds and ticks with each number of pitches at once, and HANDS, of each performance.

    Notes of no length count nowhere, and what ends at a tick ends before what begins there.

    Args:
        is_asked: which performances are looked at, shape (num_performances,); the others have zeros.
        edges: as of `counted_notes.Notes`; so are the columns of notes.
        pitch: 0-127.
        onset_tick: note-on.
        offset_tick: where the note ends, of the same type; both may be seconds, too.
        onset_sec: note-on, seconds.
        offset_sec: where the note ends, seconds.
        with_hands: whether HANDS are asked for.

    Returns:
        Twice the shape (num_performances, 129), in the first column without the silence at the end, and
        (num_performances, len(HANDS)).
    """
    num = len(edges) - 1
    seconds, ticks = np.zeros((num, 129)), np.zeros((num, 129))
    hands = np.zeros((num, 4))
    # The pitches that are there, ascending; of each, and of the one that ends first, when its last note ends.
    pitches, below = np.zeros(128, np.int64), np.zeros(128, np.int64)
    is_there = np.zeros(128, np.bool_)
    end_tick, end_sec = np.zeros(128, offset_tick.dtype), np.zeros(128)
    never = offset_tick.dtype.type(2**62)
    for i in np.flatnonzero(is_asked):
        at_seconds, at_ticks, of_hands = seconds[i], ticks[i], hands[i]
        num_there, first, first_end = 0, 0, never
        tick, sec = offset_tick.dtype.type(0), 0.0
        for k in range(edges[i], edges[i + 1] + 1):
            is_over = k == edges[i + 1]
            if not is_over and offset_tick[k] <= onset_tick[k]:
                continue
            begin = never if is_over else onset_tick[k]
            while first_end <= begin and num_there:
                passed = end_sec[first] - sec
                at_ticks[num_there] += first_end - tick
                at_seconds[num_there] += passed
                if with_hands and num_there > 1:
                    _look_at_hands(of_hands, pitches, below, num_there, passed)
                tick, sec = first_end, end_sec[first]
                num_there = _without_ended(pitches, is_there, end_tick, num_there, tick)
                first, first_end = _first_to_end(pitches, end_tick, num_there, never)
            if is_over:
                break
            if begin > tick:
                passed = onset_sec[k] - sec
                at_ticks[num_there] += begin - tick
                at_seconds[num_there] += passed
                if with_hands and num_there > 1:
                    _look_at_hands(of_hands, pitches, below, num_there, passed)
                tick, sec = begin, onset_sec[k]
            p = np.int64(pitch[k])
            if is_there[p]:
                if offset_tick[k] <= end_tick[p]:
                    continue
                end_tick[p], end_sec[p] = offset_tick[k], offset_sec[k]
                if p == first:
                    first, first_end = _first_to_end(pitches, end_tick, num_there, never)
                continue
            is_there[p] = True
            num_there = _with(pitches, num_there, p)
            end_tick[p], end_sec[p] = offset_tick[k], offset_sec[k]
            if end_tick[p] < first_end:
                first, first_end = p, end_tick[p]
    return seconds, ticks, hands


@njit
def _look_at_hands(total: np.ndarray, pitches: np.ndarray, below: np.ndarray, num_there: int, sec: float) -> None:
    """Add what HANDS says of two pitches or more; `below` is room for the sums of the pitches below each."""
    lowest, highest = pitches[0], pitches[num_there - 1]
    widest, within_reach, whole = 0, 1, lowest
    # One loop without a branch: it runs twice for every note.
    for k in range(1, num_there):
        # Of equal gaps the lowest is the greatest number.
        widest = max(widest, (pitches[k] - pitches[k - 1]) << 8 | (255 - k))
        within_reach += pitches[k] - lowest <= REACH
        below[k] = whole
        whole += pitches[k]
    num_low = 255 - (widest & 255)
    num_high, low = num_there - num_low, below[num_low]
    total[0] += sec * (highest - lowest)
    total[1] = max(total[1], highest - lowest)
    total[2] += sec * ((whole - low) / num_high - low / num_low)
    # The lower hand takes as many as it can from below; what is left must fit into the other.
    taken = min(within_reach, FINGERS)
    if taken < num_there and (num_there - taken > FINGERS or highest - pitches[taken] > REACH):
        total[3] += sec


@njit
def _with(pitches: np.ndarray, num_there: int, pitch: int) -> int:
    """Put a pitch into the ascending list; how many there are then."""
    k = num_there
    while k and pitches[k - 1] > pitch:
        pitches[k] = pitches[k - 1]
        k -= 1
    pitches[k] = pitch
    return num_there + 1


@njit
def _without_ended(pitches: np.ndarray, is_there: np.ndarray, end_tick: np.ndarray, num_there: int, tick: float) -> int:
    """Leave out the pitches that have ended; how many there are then."""
    num = 0
    for n in range(num_there):
        p = pitches[n]
        # Written over by the next, where it has ended.
        pitches[num] = p
        is_there[p] = end_tick[p] > tick
        num += is_there[p]
    return num


@njit
def _first_to_end(pitches: np.ndarray, end_tick: np.ndarray, num_there: int, never: float) -> tuple[int, float]:
    """The pitch that ends first, and when."""
    first, first_end = 0, never
    for n in range(num_there):
        p = pitches[n]
        first = p if end_tick[p] < first_end else first
        first_end = min(first_end, end_tick[p])
    return first, first_end
