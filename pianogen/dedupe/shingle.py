"""Shingles: what stays of a few notes when key, tempo, rubato, touch and octave doubling are taken away. Compiled.

Three kinds, all exact under transposition and blind to time:

    window       10 consecutive notes (by onset, then pitch; a unison counts once): their pitches, sorted, as
                 steps from one to the next. Sorting makes it blind to spread chords.
    top line     12 consecutive intervals between notes that no higher note covers; one that is struck again counts
                 once, as piano rolls and words leave no trace of that, or another
    chroma       consecutive notes by their pitch classes alone, a class that sounds twice in a chord once: how
                 often each occurs. Doubled octaves leave it as it was, and hands that change places. Of 16 notes
                 where two performances are compared, of 24 in an index: a large corpus has each count of 16
                 thousands of times.

A window or line and its mirror image on the keyboard are one shingle, whose occurrences say which they are.
Long performances keep the shingles whose hash is a multiple of `COARSE` (FracMinHash), short ones all of them.

Source: Hera et al., "Deriving confidence intervals for mutation rates across a wide range of evolutionary
distances using FracMinHash" (2023), on windows of pitches in place of k-mers; skyline: Uitdenbogerd and Zobel,
"Melodic matching techniques for large music databases" (1999).
"""

from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit

WINDOW = 10
CHROMA_WINDOW, LONG_CHROMA_WINDOW = 16, 24
LINE = 12
"""Intervals of a shingle of a line."""
COARSE = 8
LONG_FROM = 400
"""Notes from which a performance is long."""
MIN_DISTINCT = 4
"""Distinct pitches that a shingle needs: trills and repeated chords are alike in all music."""
MIN_CLASSES = 5
"""The same of pitch classes."""
MAX_PLACES = 4
"""Places of one shingle that are kept: a loop has a thousand."""
CHORD_SEC = 0.05
"""Notes that begin so near each other are played together."""

WINDOWS, TOP, CHROMA = 0, 1, 2


class Shingles(NamedTuple):
    """Shingles of one performance, ascending by hash, then onset."""

    shingle: np.ndarray
    """uint64."""
    kind: np.ndarray
    """`WINDOWS`, `TOP` or `CHROMA`."""
    onset_sec: np.ndarray
    """Of its first note, float32."""
    pitch: np.ndarray
    """Where it lies: of two occurrences that are the same way up, the difference is the transposition; of two that
    are mirror images, the sum is the sum of any pitch and its image."""
    is_mirrored: np.ndarray
    sampling: int
    """One shingle in this many was kept."""


class Windows(NamedTuple):
    """All windows of notes of one performance, in the order of their first notes."""

    shingle: np.ndarray
    """uint64, the same numbers as of `WINDOWS` in `Shingles`."""
    first: np.ndarray
    """Number of the window's first note, int64,"""
    last: np.ndarray
    """and of its last one."""
    pitch: np.ndarray
    """As of `Shingles`, int64."""
    is_mirrored: np.ndarray


def windows(pitch: np.ndarray, onset_sec: np.ndarray) -> Windows:
    """Every window of notes of one performance, those too that `shingles` samples or finds too often.

    Args:
        pitch: MIDI numbers, shape (num_notes,), ordered by onset, then pitch.
        onset_sec: seconds, shape (num_notes,).
    """
    room = max(len(pitch), 1)
    shingle, is_mirrored = np.empty(room, np.uint64), np.empty(room, np.bool_)
    first, last, where = (np.empty(room, np.int64) for _ in range(3))
    num = _windows(pitch.astype(np.int64), onset_sec.astype(np.float64), shingle, first, last, where, is_mirrored)
    return Windows(shingle[:num], first[:num], last[:num], where[:num], is_mirrored[:num])


def shingles(
    pitch: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    sampling: int = 0,
    chroma_window: int = LONG_CHROMA_WINDOW,
) -> Shingles:
    """Shingles of one performance.

    Args:
        pitch: MIDI numbers, shape (num_notes,), ordered by onset, then pitch.
        onset_sec: seconds, shape (num_notes,).
        offset_sec: seconds, shape (num_notes,).
        sampling: keep one in so many; 0: as many as the performance's length asks for.
        chroma_window: notes of a shingle of chroma, `CHROMA_WINDOW` or `LONG_CHROMA_WINDOW`.
    """
    room = max(3 * len(pitch), 1)
    shingle, kind = np.empty(room, np.uint64), np.empty(room, np.uint8)
    onset, where = np.empty(room, np.float32), np.empty(room, np.uint8)
    is_mirrored = np.empty(room, np.bool_)
    num, sampling = _shingles(
        pitch.astype(np.int64), onset_sec.astype(np.float64), offset_sec.astype(np.float64), sampling, chroma_window,
        shingle, kind, onset, where, is_mirrored,
    )  # fmt: skip
    return Shingles(shingle[:num], kind[:num], onset[:num], where[:num], is_mirrored[:num], sampling)


@njit
def _shingles(pitch, onset, offset, sampling, chroma_window, out_shingle, out_kind, out_onset, out_pitch, out_mirrored):
    """Fill the columns; the number of rows, and the sampling."""
    notes = _without_unisons(pitch, onset)
    if sampling == 0:
        sampling = COARSE if len(notes) >= LONG_FROM else 1
    num = _add_windows(pitch, onset, notes, sampling, 0, out_shingle, out_onset, out_pitch, out_mirrored)
    out_kind[:num] = WINDOWS
    line = _top_line(pitch, onset, offset, notes)
    end = _add_line(pitch, onset, line, sampling, num, out_shingle, out_onset, out_pitch, out_mirrored)
    out_kind[num:end] = TOP
    num = _add_chroma(
        pitch, onset, notes, sampling, chroma_window, end, out_shingle, out_onset, out_pitch, out_mirrored
    )
    out_kind[end:num] = CHROMA
    return _in_order(num, out_shingle, out_kind, out_onset, out_pitch, out_mirrored), sampling


@njit
def _without_unisons(pitch, onset):
    """Numbers of the notes; of those that begin together at one pitch, the first."""
    count = 0
    notes = np.empty(len(pitch), np.int64)
    for i in range(len(pitch)):
        if i == 0 or pitch[i] != pitch[i - 1] or onset[i] != onset[i - 1]:
            notes[count] = i
            count += 1
    return notes[:count]


@njit
def _windows(pitch, onset, out_shingle, out_first, out_last, out_pitch, out_mirrored):
    """Fill the columns; the number of rows."""
    notes = _without_unisons(pitch, onset)
    # The numbers of first notes stand in for their times.
    place = np.arange(len(pitch))
    num = _add_windows(pitch, place, notes, 1, 0, out_shingle, out_first, out_pitch, out_mirrored)
    k = 0
    for i in range(num):
        while notes[k] != out_first[i]:
            k += 1
        out_last[i] = notes[k + WINDOW - 1]
    return num


@njit
def _add_windows(pitch, onset, notes, sampling, num, out_shingle, out_onset, out_pitch, out_mirrored):
    window = np.empty(WINDOW, np.int64)
    if len(notes) < WINDOW:
        return num
    for i in range(WINDOW - 1):
        _insert(window, i, pitch[notes[i]])
    for first in range(len(notes) - WINDOW + 1):
        _insert(window, WINDOW - 1, pitch[notes[first + WINDOW - 1]])
        up = np.uint64(0)
        down = np.uint64(0)
        distinct = 1
        # Nine steps of 7 bits each: one 64-bit number holds a window without loss.
        for i in range(1, WINDOW):
            step = window[i] - window[i - 1]
            distinct += step > 0
            up = (up << np.uint64(7)) | np.uint64(step)
            down |= np.uint64(step) << np.uint64(7 * (i - 1))
        if distinct >= MIN_DISTINCT:
            hashed = _mix(min(up, down))
            if hashed % np.uint64(sampling) == 0:
                out_shingle[num] = hashed
                out_onset[num] = onset[notes[first]]
                out_pitch[num] = window[0] if up <= down else window[WINDOW - 1]
                out_mirrored[num] = up > down
                num += 1
        _remove(window, WINDOW, pitch[notes[first]])
    return num


@njit
def _insert(window, size, value):
    i = size
    while i > 0 and window[i - 1] > value:
        window[i] = window[i - 1]
        i -= 1
    window[i] = value


@njit
def _remove(window, size, value):
    i = 0
    while window[i] != value:
        i += 1
    while i + 1 < size:
        window[i] = window[i + 1]
        i += 1


@njit
def _top_line(pitch, onset, offset, notes):
    """Numbers of the notes that no higher one covers: begins with them, or outlasts their half; no repeats."""
    line = np.empty(len(notes), np.int64)
    num = 0
    until = np.full(128, -1.0)
    last = len(notes) - 1
    highest = 0
    for k in range(len(notes)):
        i = notes[k]
        middle = onset[i] + 0.5 * (offset[i] - onset[i])
        is_covered = False
        for p in range(pitch[i] + 1, highest + 1):
            if until[p] > middle and until[p] > onset[i]:
                is_covered = True
                break
        ahead = k + 1
        while not is_covered and ahead <= last and onset[notes[ahead]] - onset[i] <= CHORD_SEC:
            is_covered = pitch[notes[ahead]] > pitch[i]
            ahead += 1
        # A note that began together with this one, and has ended, covers it too.
        back = k - 1
        while not is_covered and back >= 0 and onset[i] - onset[notes[back]] <= CHORD_SEC:
            is_covered = pitch[notes[back]] > pitch[i]
            back -= 1
        if not is_covered and (num == 0 or pitch[line[num - 1]] != pitch[i]):
            line[num] = i
            num += 1
        until[pitch[i]] = max(until[pitch[i]], offset[i])
        highest = max(highest, pitch[i])
    return line[:num]


@njit
def _add_line(pitch, onset, line, sampling, num, out_shingle, out_onset, out_pitch, out_mirrored):
    seen = np.full(128, -1)
    for first in range(len(line) - LINE):
        up = np.uint64(0)
        down = np.uint64(0)
        distinct = 1
        seen[pitch[line[first]]] = first
        for i in range(1, LINE + 1):
            value = pitch[line[first + i]]
            step = max(-15, min(15, value - pitch[line[first + i - 1]]))
            up = (up << np.uint64(5)) | np.uint64(step + 16)
            down = (down << np.uint64(5)) | np.uint64(16 - step)
            distinct += seen[value] < first
            seen[value] = first
        if distinct >= MIN_DISTINCT:
            hashed = _mix(min(up, down) | np.uint64(1 << 63))
            if hashed % np.uint64(sampling) == 0:
                out_shingle[num] = hashed
                out_onset[num] = onset[line[first]]
                out_pitch[num] = pitch[line[first]]
                out_mirrored[num] = up > down
                num += 1
    return num


@njit
def _add_chroma(pitch, onset, notes, sampling, size, num, out_shingle, out_onset, out_pitch, out_mirrored):
    events = np.empty(len(notes), np.int64)
    count = 0
    last = np.full(12, -1e9)
    for i in notes:
        # Of what one class plays in a chord the first, which is the lowest where they begin together.
        if onset[i] - last[pitch[i] % 12] > CHORD_SEC:
            last[pitch[i] % 12] = onset[i]
            events[count] = i
            count += 1
    # Twelve counts of 5 bits each.
    counts = np.uint64(0)
    for k in range(count):
        counts += np.uint64(1) << np.uint64(5 * (pitch[events[k]] % 12))
        if k >= size:
            counts -= np.uint64(1) << np.uint64(5 * (pitch[events[k - size]] % 12))
        if k < size - 1:
            continue
        distinct = 0
        lowest = counts
        turn = 0
        turned = counts
        for r in range(12):
            distinct += (turned & np.uint64(31)) > np.uint64(0)
            if turned < lowest:
                lowest = turned
                turn = r
            # One class down: what stood lowest comes out on top.
            turned = (turned >> np.uint64(5)) | ((turned & np.uint64(31)) << np.uint64(55))
        if distinct >= MIN_CLASSES:
            hashed = _mix(lowest | np.uint64(1 << 62))
            if hashed % np.uint64(sampling) == 0:
                out_shingle[num] = hashed
                out_onset[num] = onset[events[k - size + 1]]
                out_pitch[num] = turn
                out_mirrored[num] = False
                num += 1
    return num


@njit
def _mix(value):
    """A bijection of uint64 that spreads every input bit (the finalizer of SplitMix64)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit
def _in_order(num, shingle, kind, onset, pitch, mirrored):
    """Sort the rows by hash, then kind and onset, as they were added; of each hash and kind the first places stay."""
    order = _ascending(shingle[:num])
    columns = (shingle[:num].copy(), kind[:num].copy(), onset[:num].copy(), pitch[:num].copy(), mirrored[:num].copy())
    out = 0
    places = 0
    for k in range(num):
        i = order[k]
        is_same = k > 0 and columns[0][i] == columns[0][order[k - 1]] and columns[1][i] == columns[1][order[k - 1]]
        places = places + 1 if is_same else 1
        if places <= MAX_PLACES:
            shingle[out] = columns[0][i]
            kind[out] = columns[1][i]
            onset[out] = columns[2][i]
            pitch[out] = columns[3][i]
            mirrored[out] = columns[4][i]
            out += 1
    return out


@njit
def _ascending(values):
    """Numbers of the values in ascending order, equals as they stand: by eleven bits at a time, the last first.

    For thousands of hashes faster than sorts by comparison, and no order that a file can be given makes it slower.
    """
    order, other = np.arange(len(values)), np.empty(len(values), np.int64)
    size = np.empty((1 << 11) + 1, np.int64)
    for shift in range(0, 64, 11):
        size[:] = 0
        for value in values:
            size[((value >> np.uint64(shift)) & np.uint64(0x7FF)) + np.uint64(1)] += 1
        for k in range(1 << 11):
            size[k + 1] += size[k]
        for i in order:
            k = (values[i] >> np.uint64(shift)) & np.uint64(0x7FF)
            other[size[k]] = i
            size[k] += 1
        order, other = other, order
    return order
