"""Places where two performances of one music agree, given how the pitches of one follow from the other's.

The search for pairs keeps one shingle in several and no times of most; here, for few pairs, every window of notes
counts. A window is `WINDOW` consecutive notes by their pitches, sorted, so that spread chords do not matter; a second
kind is as many consecutive highest notes, which stay where octaves are doubled or the accompaniment is another.
The longest chain of equal windows that moves forward in both is kept, less chance hits that stand alone.
"""

from bisect import bisect_left

import numpy as np

from pianogen.audit.matching import Notes, steps_go_on

WINDOW = 8
MIN_DISTINCT = 4
"""Distinct pitches that a window needs: trills and repeated chords are alike in all music."""
MAX_PLACES = 6
"""A window that stands more often than this in one of the two tells no place."""
CHORD_SEC = 0.05
"""Notes that begin so near each other are played together."""
APART_SEC = 0.2
"""Anchors nearer than this to the one before say nothing new."""

_FACTORS = np.random.default_rng(8).integers(1, 2**63, WINDOW, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def find_anchors(a: Notes, b: Notes, semitones: int, is_mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times in a and in b at which both have the same notes; strictly ascending in both, at times none.

    Args:
        a: notes of one performance.
        b: notes of the other.
        semitones: b is a transposed up by this; where it is mirrored, the sum of a pitch and its image.
        is_mirrored: b is a's mirror image on the keyboard.
    """
    pitch_b = b.pitch.astype(np.int64)
    back = semitones - pitch_b if is_mirrored else pitch_b - semitones
    hash_a, time_a = _windows(a.pitch.astype(np.int64), a.onset_sec, is_mirrored=False)
    hash_b, time_b = _windows(back, b.onset_sec, is_mirrored)
    at_a, at_b = _equal(hash_a, time_a, hash_b, time_b)
    chain = _longest_chain(at_a, at_b)
    at_a, at_b = at_a[chain], at_b[chain]
    if len(at_a) < 2:
        return at_a[:0], at_b[:0]
    ratio = pace(at_a, at_b)
    goes_on = steps_go_on(at_a, at_b, ratio)
    has_neighbour = np.concatenate(([False], goes_on)) | np.concatenate((goes_on, [False]))
    at_a, at_b = at_a[has_neighbour], at_b[has_neighbour]
    if len(at_a) < 2:
        return at_a[:0], at_b[:0]
    kept = _without_detours(at_a, at_b, ratio)
    at_a, at_b = at_a[kept], at_b[kept]
    kept = _thinned(at_a, steps_go_on(at_a, at_b, ratio))
    return at_a[kept], at_b[kept]


def pace(times_a: np.ndarray, times_b: np.ndarray) -> float:
    """Seconds of b per second of a: the median over steps of several anchors, since jumps would tilt a fitted line."""
    lag = min(6, len(times_a) - 1)
    return float(np.median((times_b[lag:] - times_b[:-lag]) / (times_a[lag:] - times_a[:-lag])))


def _windows(pitch: np.ndarray, onset: np.ndarray, is_mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the windows of both kinds, and the mean onset of each."""
    order = np.lexsort((pitch, onset))
    pitch, onset = pitch[order], np.asarray(onset, np.float64)[order]
    chord = np.cumsum(np.concatenate(([0], np.diff(onset) > CHORD_SEC)))[: len(onset)]
    # The highest note of each chord; in a mirror image, turned back already, it is the highest as well.
    by_height = np.lexsort((pitch, chord))
    is_top = np.concatenate((np.diff(chord[by_height]) > 0, [True]))[: len(onset)]
    top = np.sort(by_height[is_top])
    hashes, times = [np.empty(0, np.uint64)], [np.empty(0)]
    for salt, line, ordered in ((0, np.arange(len(pitch)), False), (1, top, True)):
        if len(line) < WINDOW:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(pitch[line], WINDOW)
        rising = np.sort(windows, axis=1)
        is_telling = 1 + (np.diff(rising, axis=1) != 0).sum(axis=1) >= MIN_DISTINCT
        rows = (windows if ordered else rising) + 256  # turned back, a pitch may lie below 0
        values = (rows.astype(np.uint64) * _FACTORS).sum(axis=1, dtype=np.uint64) * np.uint64(2) + np.uint64(salt)
        mean = np.lib.stride_tricks.sliding_window_view(onset[line], WINDOW).mean(axis=1)
        hashes.append(values[is_telling])
        times.append(mean[is_telling])
    return np.concatenate(hashes), np.concatenate(times)


def _equal(
    hash_a: np.ndarray, time_a: np.ndarray, hash_b: np.ndarray, time_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times of all pairs of equal windows, by a's time, b's falling."""
    order_a, order_b = np.argsort(hash_a, kind="stable"), np.argsort(hash_b, kind="stable")
    values_a, first_a, count_a = np.unique(hash_a[order_a], return_index=True, return_counts=True)
    values_b, first_b, count_b = np.unique(hash_b[order_b], return_index=True, return_counts=True)
    _, in_a, in_b = np.intersect1d(values_a, values_b, assume_unique=True, return_indices=True)
    is_few = (count_a[in_a] <= MAX_PLACES) & (count_b[in_b] <= MAX_PLACES)
    at_a, at_b = [], []
    for i, j in zip(in_a[is_few], in_b[is_few], strict=True):
        places_a = order_a[first_a[i] : first_a[i] + count_a[i]]
        places_b = order_b[first_b[j] : first_b[j] + count_b[j]]
        at_a.append(np.repeat(time_a[places_a], len(places_b)))
        at_b.append(np.tile(time_b[places_b], len(places_a)))
    found_a = np.concatenate([np.empty(0), *at_a])
    found_b = np.concatenate([np.empty(0), *at_b])
    order = np.lexsort((-found_b, found_a))
    return found_a[order], found_b[order]


def _longest_chain(at_a: np.ndarray, at_b: np.ndarray) -> np.ndarray:
    """Numbers of the longest run of pairs whose times grow in both (patience sorting); `at_a` ascends."""
    ends_time: list[float] = []
    ends: list[int] = []
    before = np.full(len(at_b), -1)
    for i, sec in enumerate(at_b.tolist()):
        k = bisect_left(ends_time, sec)
        if k:
            before[i] = ends[k - 1]
        if k == len(ends):
            ends.append(i)
            ends_time.append(sec)
        else:
            ends[k], ends_time[k] = i, sec
    chain = []
    i = ends[-1] if ends else -1
    while i >= 0:
        chain.append(i)
        i = int(before[i])
    return np.array(chain[::-1], np.int64)


def _without_detours(at_a: np.ndarray, at_b: np.ndarray, ratio: float) -> np.ndarray:
    """Numbers of the anchors that stay when runs are left out that only lead astray.

    A phrase that comes back gives the chain a few anchors more where it jumps to the wrong one and jumps back. Of such
    a run the two neighbours are longer, and go on into each other without it.
    """
    jumps = np.flatnonzero(~steps_go_on(at_a, at_b, ratio)) + 1
    runs = np.split(np.arange(len(at_a)), jumps)
    kept: list[np.ndarray] = []
    while runs:
        run = runs.pop(0)
        if kept and runs and len(run) < min(len(kept[-1]), len(runs[0])):
            ends = np.array([kept[-1][-1], runs[0][0]])
            if steps_go_on(at_a[ends], at_b[ends], ratio)[0]:
                runs[0] = np.concatenate([kept.pop(), runs[0]])
                continue
        kept.append(run)
    return np.concatenate(kept)


def _thinned(at_a: np.ndarray, goes_on: np.ndarray) -> np.ndarray:
    """Numbers of the anchors that stay: those at a jump, and one every so often."""
    kept = [0]
    for i in range(1, len(at_a)):
        at_jump = not goes_on[i - 1] or (i < len(goes_on) and not goes_on[i])
        if at_jump or i == len(at_a) - 1 or at_a[i] - at_a[kept[-1]] >= APART_SEC:
            kept.append(i)
    return np.array(kept, np.int64)
