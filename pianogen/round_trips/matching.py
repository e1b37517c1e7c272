"""Which notes of a source come back, and how far off: decoded notes matched with those of the source.

A decoded note can stand for a source note of the same pitch whose onset lies within `TOLERANCE_SEC` of its own. A
matching takes each note once at most, and has as many pairs as there can be. Of it follow, in sums over notes:

    precision       matched / decoded
    recall          matched / notes of the source
    F1              2 · matched / (notes of the source + decoded)
    onset error     mean |onset decoded − onset source| of the pairs, seconds; likewise duration and velocity
    pitch F1        as F1, of pairs of equal pitch whatever their onsets: what is left where no onset is told

Within a pitch both sides are sorted by onset, and every note reaches as far as every other: going through both and
pairing the first two that may be paired gives a matching of the most pairs (as in the merge of two sorted lists; a note
that is passed over has nothing left to be paired with). Which of several such matchings is taken matters to the
errors alone, where two notes of one pitch begin within the tolerance of each other.

Source: mir_eval, `transcription.precision_recall_f1_overlap` with `offset_ratio=None`, which matches onsets within
50 ms and no ends. Ours differs: pitches are MIDI numbers and must be equal, where it allows 50 cents; distances are not
rounded to 0.1 ms, but a millionth of a second is granted, to which the lake rounds; notes of a dataset add up, where it
is used to average pieces; errors of onset, duration and velocity it does not have.
"""

import numpy as np

from pianogen.compiled import njit
from pianogen.midi.time import SEC_STEPS

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

TOLERANCE_SEC = 0.05
_REACH_SEC = TOLERANCE_SEC + 1 / SEC_STEPS
NUM_PITCHES = 128

MATCHED, SAME_PITCH = 0, 1
"""Columns of the counts."""
ONSET, SHIFT, DURATION, VELOCITY = 0, 1, 2, 3
"""Columns of the sums: |onset error|, onset error (later is positive) and |duration error|, seconds; |velocity|."""


@njit
def match_notes(
    edges: np.ndarray,
    pitch: np.ndarray,
    onset_sec: np.ndarray,
    duration_sec: np.ndarray,
    velocity: np.ndarray,
    decoded_edges: np.ndarray,
    decoded_pitch: np.ndarray,
    decoded_onset_sec: np.ndarray,
    decoded_duration_sec: np.ndarray,
    decoded_velocity: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Match the notes of each performance.

    Args:
        edges: notes of performance i are edges[i] to edges[i + 1].
        pitch: MIDI numbers of the source.
        onset_sec: note-on; any order.
        duration_sec: to the note-off.
        velocity: 1-127.
        decoded_edges: and the rest, the same of what was decoded.
        decoded_pitch: MIDI numbers.
        decoded_onset_sec: in the seconds of the source.
        decoded_duration_sec: in the seconds of the source.
        decoded_velocity: 1-127.

    Returns:
        Counts, int64, shape (num_performances, 2): pairs; pairs of equal pitch whatever their onsets. Sums over the
        pairs, shape (num_performances, 4): see ONSET and those after it.
    """
    num = len(edges) - 1
    counts, sums = np.zeros((num, 2), np.int64), np.zeros((num, 4))
    mates = pair_notes(
        edges, pitch, onset_sec, duration_sec, decoded_edges, decoded_pitch, decoded_onset_sec, decoded_duration_sec
    )
    for i in range(num):
        here, there = np.zeros(NUM_PITCHES, np.int64), np.zeros(NUM_PITCHES, np.int64)
        for k in range(edges[i], edges[i + 1]):
            here[pitch[k]] += 1
        for m in range(decoded_edges[i], decoded_edges[i + 1]):
            there[decoded_pitch[m]] += 1
            k = mates[m]
            if k >= 0:
                shift = decoded_onset_sec[m] - onset_sec[k]
                counts[i, MATCHED] += 1
                sums[i, ONSET] += abs(shift)
                sums[i, SHIFT] += shift
                sums[i, DURATION] += abs(decoded_duration_sec[m] - duration_sec[k])
                sums[i, VELOCITY] += abs(np.int64(decoded_velocity[m]) - np.int64(velocity[k]))
        counts[i, SAME_PITCH] = np.minimum(here, there).sum()
    return counts, sums


@njit
def pair_notes(
    edges: np.ndarray,
    pitch: np.ndarray,
    onset_sec: np.ndarray,
    duration_sec: np.ndarray,
    decoded_edges: np.ndarray,
    decoded_pitch: np.ndarray,
    decoded_onset_sec: np.ndarray,
    decoded_duration_sec: np.ndarray,
) -> np.ndarray:
    """The source note that each decoded note stands for.

    Args: as of `match_notes`.

    Returns:
        Places in the columns of the source, -1 where there is none, int64, shape (num_decoded,).
    """
    mates = np.full(len(decoded_pitch), -1, np.int64)
    for i in range(len(edges) - 1):
        first, decoded_first = edges[i], decoded_edges[i]
        order, starts = _by_pitch(pitch[first : edges[i + 1]], onset_sec[first : edges[i + 1]], duration_sec[first:])
        decoded = slice(decoded_first, decoded_edges[i + 1])
        other, other_starts = _by_pitch(
            decoded_pitch[decoded], decoded_onset_sec[decoded], decoded_duration_sec[decoded_first:]
        )
        for p in range(NUM_PITCHES):
            a, b = starts[p], other_starts[p]
            while a < starts[p + 1] and b < other_starts[p + 1]:
                k, m = first + order[a], decoded_first + other[b]
                shift = decoded_onset_sec[m] - onset_sec[k]
                if shift > _REACH_SEC:
                    a += 1
                elif shift < -_REACH_SEC:
                    b += 1
                else:
                    mates[m] = k
                    a += 1
                    b += 1
    return mates


@njit
def _by_pitch(pitch: np.ndarray, onset_sec: np.ndarray, duration_sec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of notes by pitch, onset and duration, and where each pitch begins, shape (NUM_PITCHES + 1,)."""
    starts = np.zeros(NUM_PITCHES + 1, np.int64)
    for k in range(len(pitch)):
        starts[pitch[k] + 1] += 1
    starts = np.cumsum(starts)
    order, free = np.empty(len(pitch), np.int64), starts.copy()
    for k in range(len(pitch)):
        order[free[pitch[k]]] = k
        free[pitch[k]] += 1
    for p in range(NUM_PITCHES):
        own = order[starts[p] : starts[p + 1]]
        if not _ascends(own, onset_sec, duration_sec):
            own[:] = own[np.argsort(duration_sec[own], kind="mergesort")]
            own[:] = own[np.argsort(onset_sec[own], kind="mergesort")]
    return order, starts


@njit
def _ascends(places: np.ndarray, onset_sec: np.ndarray, duration_sec: np.ndarray) -> bool:
    """Whether notes come by onset, then duration, as those of the lake mostly do."""
    for n in range(1, len(places)):
        before, k = places[n - 1], places[n]
        if onset_sec[before] > onset_sec[k]:
            return False
        if onset_sec[before] == onset_sec[k] and duration_sec[before] > duration_sec[k]:
            return False
    return True
