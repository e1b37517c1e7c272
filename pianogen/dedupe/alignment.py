"""How two performances lie on each other: transposition, mirror image, a chain of anchors, how far times differ.

An anchor is a shingle that stands in both. The anchors that agree on one transposition vote for it; of those, the
longest chain that moves forward in both performances is the alignment. It passes over repeats that one of
the two leaves out, and over chance hits; music and its retrograde have none. A straight line through every
`STRETCH_SEC` of the chain tells tempo and residual: a copy follows it to the hundredth of a second, another performance
does not. Compiled.
"""

from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit

LONG_STRETCH_SEC = 120.0
SHORT_STRETCH_SEC = 15.0
MIN_STRETCH_ANCHORS = 6
MAX_GAP_SEC = 10.0
"""Between anchors that lie further apart nothing is known to agree."""

SAME = 127
"""Place of the vote for no transposition; -127 stands at 0."""
MIRRORED = 255
"""Place of the vote for a mirror image with sum 0."""
CHROMA = 510
"""Place of the vote for no transposition but octaves; 11 more follow."""
NUM_CHANGES = 522


Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Arrays shingle, kind, onset_sec, pitch, is_mirrored, ascending by shingle in each performance (see `shingle`)."""


class Alignment(NamedTuple):
    """What the shingles of two performances, a and b, say of each other."""

    num_shared: int
    """Distinct shingles in both."""
    num_anchors: int
    """Anchors of the chain that have a neighbour which goes with them."""
    num_windows: int
    """Those of them that are windows of notes, not lines."""
    semitones: int
    """b is a, transposed up by this; of a mirror image, the sum of a pitch and its image."""
    is_mirrored: bool
    tempo_ratio: float
    """Seconds of b per second of a."""
    residual_sec: float
    """Median distance of an anchor from the line through its stretch, all lines of one slope, in seconds of the
    faster of the two; NaN where no stretch has enough of them."""
    own_residual_sec: float
    """The same for short stretches that each have a slope of their own, and not the median but the third tenth, since
    stretches in which a tempo changes have none: small for copies whose tempo was edited, too."""
    coverage_a: float
    """Share of a's time, first to last shingle, that the chain covers."""
    coverage_b: float
    num_top_lines: int
    """Distinct shingles of the top line in both."""

    def turned(self) -> "Alignment":
        """The same, as seen from b."""
        return self._replace(
            semitones=self.semitones if self.is_mirrored else -self.semitones,
            tempo_ratio=1 / self.tempo_ratio if self.tempo_ratio else 0.0,
            coverage_a=self.coverage_b,
            coverage_b=self.coverage_a,
        )


FIGURES = Alignment._fields
NUM_FIGURES = len(FIGURES)


def align(a: Columns, b: Columns) -> Alignment:
    """Align two performances.

    Args:
        a: shingles of one,
        b: and of the other.
    """
    return align_with_anchors(a, b)[0]


def align_with_anchors(a: Columns, b: Columns) -> tuple[Alignment, np.ndarray, np.ndarray]:
    """Align two performances; arguments as of `align`.

    Returns:
        The alignment, and the times in a and in b of its anchors, in seconds, ascending, each of shape (num_anchors,).
    """
    out = np.zeros(NUM_FIGURES)
    at_a, at_b = _align(*a, *b, out)
    return alignment_of(out), at_a, at_b


def align_pairs(columns: Columns, first: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Align many pairs.

    Args:
        columns: shingles of all performances, one after the other.
        first: number of each one's first row, and of all.
        a: number of one performance of each pair.
        b: number of the other.

    Returns:
        Figures of each `Alignment`, shape (num_pairs, NUM_FIGURES).
    """
    out = np.zeros((len(a), NUM_FIGURES))
    _align_pairs(*columns, first, a, b, out)
    return out


def alignment_of(row: np.ndarray) -> Alignment:
    """An alignment from its numbers."""
    kinds = Alignment.__annotations__.values()
    return Alignment(*(kind(value) for kind, value in zip(kinds, row.tolist(), strict=True)))


@njit
def _align_pairs(shingle, kind, onset, pitch, mirrored, first, a, b, out):
    for k in range(len(a)):
        i, end_i = first[a[k]], first[a[k] + 1]
        j, end_j = first[b[k]], first[b[k] + 1]
        _align(
            shingle[i:end_i], kind[i:end_i], onset[i:end_i], pitch[i:end_i], mirrored[i:end_i],
            shingle[j:end_j], kind[j:end_j], onset[j:end_j], pitch[j:end_j], mirrored[j:end_j], out[k],
        )  # fmt: skip


@njit
def _align(hash_a, kind_a, onset_a, pitch_a, mirrored_a, hash_b, kind_b, onset_b, pitch_b, mirrored_b, out):
    """Fill `out` with the numbers of an `Alignment`; times of its anchors in a and in b."""
    out[:] = 0
    out[6] = out[7] = np.nan
    num_shared, num_top, change, at_a, at_b, kind = _linked(
        hash_a, kind_a, onset_a, pitch_a, mirrored_a, hash_b, kind_b, onset_b, pitch_b, mirrored_b
    )
    out[0] = num_shared
    out[10] = num_top
    if num_shared == 0:
        return at_a[:0], at_b[:0]
    out[3] = change - SAME if change <= 2 * SAME else change - MIRRORED
    out[4] = change >= MIRRORED
    ratio = _tempo_ratio(at_a, at_b)
    out[5] = ratio
    if ratio <= 0:
        return at_a[:0], at_b[:0]
    is_step = _steps(at_a, at_b, ratio)
    is_held = np.zeros(len(at_a), np.bool_)
    covered_a, covered_b = 0.0, 0.0
    for i in range(len(is_step)):
        if is_step[i]:
            # An anchor without a neighbour that goes with it is a chance hit.
            is_held[i] = is_held[i + 1] = True
            covered_a += at_a[i + 1] - at_a[i]
            covered_b += at_b[i + 1] - at_b[i]
    out[1] = is_held.sum()
    out[2] = (is_held & (kind == 0)).sum()
    out[6] = _residual(at_a, at_b, is_step, ratio, LONG_STRETCH_SEC, ratio, 0.5)
    out[7] = _residual(at_a, at_b, is_step, ratio, SHORT_STRETCH_SEC, 0.0, 0.3)
    out[8] = covered_a / max(_span(onset_a), 1e-9)
    out[9] = covered_b / max(_span(onset_b), 1e-9)
    return at_a[is_held], at_b[is_held]


@njit
def _linked(hash_a, kind_a, onset_a, pitch_a, mirrored_a, hash_b, kind_b, onset_b, pitch_b, mirrored_b):
    """Shared shingles, those of both top lines, the change that won, and times and kinds of its longest chain."""
    votes = np.zeros(NUM_CHANGES, np.int64)
    num_shared, num_top = _vote(hash_a, kind_a, pitch_a, mirrored_a, hash_b, kind_b, pitch_b, mirrored_b, votes)
    change = _winner(votes)
    num = _num_agreeing(votes, change)
    at_a, at_b, kind = _anchors(
        hash_a, kind_a, onset_a, pitch_a, mirrored_a, hash_b, onset_b, pitch_b, mirrored_b, change, num
    )
    if num:
        links = _longest_chain(at_b)
        at_a, at_b, kind = at_a[links], at_b[links], kind[links]
    return num_shared, num_top, change, at_a, at_b, kind


@njit
def _change(kind, pitch_a, mirrored_a, pitch_b, mirrored_b):
    """Place of the vote of one pair of occurrences."""
    if kind == 2:
        return CHROMA + (np.int64(pitch_b) - np.int64(pitch_a)) % 12
    if mirrored_a == mirrored_b:
        return SAME + np.int64(pitch_b) - np.int64(pitch_a)
    return MIRRORED + np.int64(pitch_b) + np.int64(pitch_a)


@njit
def _end_of(values, i):
    end = i + 1
    while end < len(values) and values[end] == values[i]:
        end += 1
    return end


@njit
def _vote(hash_a, kind_a, pitch_a, mirrored_a, hash_b, kind_b, pitch_b, mirrored_b, votes):
    """Votes of all pairs of occurrences; the number of distinct shingles in both, and of those of both top lines."""
    num_shared = num_top = 0
    i = j = 0
    while i < len(hash_a) and j < len(hash_b):
        if hash_a[i] < hash_b[j]:
            i += 1
        elif hash_a[i] > hash_b[j]:
            j += 1
        else:
            end_i, end_j = _end_of(hash_a, i), _end_of(hash_b, j)
            num_shared += 1
            is_top = False
            for k in range(i, end_i):
                for m in range(j, end_j):
                    votes[_change(kind_a[k], pitch_a[k], mirrored_a[k], pitch_b[m], mirrored_b[m])] += 1
                    is_top |= kind_a[k] == 1 and kind_b[m] == 1
            num_top += is_top
            i, j = end_i, end_j
    return num_shared, num_top


@njit
def _winner(votes):
    """The change with most votes; of equals the same way up, and the smallest transposition, upwards first."""
    best, most = SAME, votes[SAME] + votes[CHROMA]
    for distance in range(1, SAME + 1):
        for semitones in (distance, -distance):
            # Pitch classes vote for every transposition that they agree with.
            num = votes[SAME + semitones] + votes[CHROMA + semitones % 12]
            if num > most:
                best, most = SAME + semitones, num
    for change in range(MIRRORED, CHROMA):
        if votes[change] > most:
            best, most = change, votes[change]
    return best


@njit
def _num_agreeing(votes, change):
    return votes[change] if change >= MIRRORED else votes[change] + votes[CHROMA + (change - SAME) % 12]


@njit
def _agrees(change, winner):
    if change >= CHROMA:
        return winner < MIRRORED and (winner - SAME) % 12 == change - CHROMA
    return change == winner


@njit
def _anchors(hash_a, kind_a, onset_a, pitch_a, mirrored_a, hash_b, onset_b, pitch_b, mirrored_b, change, num):
    """Times in a and in b, and kinds, of the occurrences that voted for the change; by a's time, b's falling."""
    at_a, at_b, kind = np.empty(num), np.empty(num), np.empty(num, np.uint8)
    found = i = j = 0
    while i < len(hash_a) and j < len(hash_b):
        if hash_a[i] < hash_b[j]:
            i += 1
        elif hash_a[i] > hash_b[j]:
            j += 1
        else:
            end_i, end_j = _end_of(hash_a, i), _end_of(hash_b, j)
            for k in range(i, end_i):
                for m in range(j, end_j):
                    if _agrees(_change(kind_a[k], pitch_a[k], mirrored_a[k], pitch_b[m], mirrored_b[m]), change):
                        at_a[found] = onset_a[k]
                        at_b[found] = onset_b[m]
                        kind[found] = kind_a[k]
                        found += 1
            i, j = end_i, end_j
    order = np.argsort(-at_b, kind="mergesort")
    order = order[np.argsort(at_a[order], kind="mergesort")]
    return at_a[order], at_b[order], kind[order]


@njit
def _longest_chain(at_b):
    """Numbers of the anchors of the longest chain whose times grow in both (patience sorting)."""
    num = len(at_b)
    ends = np.empty(num, np.int64)
    before = np.empty(num, np.int64)
    length = 0
    for i in range(num):
        low, high = 0, length
        while low < high:
            middle = (low + high) >> 1
            if at_b[ends[middle]] < at_b[i]:
                low = middle + 1
            else:
                high = middle
        before[i] = ends[low - 1] if low else -1
        ends[low] = i
        if low == length:
            length += 1
    chain = np.empty(length, np.int64)
    i = ends[length - 1]
    for k in range(length - 1, -1, -1):
        chain[k] = i
        i = before[i]
    return chain


@njit
def _tempo_ratio(at_a, at_b):
    """Median pace of b against a, between anchors an eighth of the chain apart.

    Nearer ones tell of spread chords and touch; a line through all would be tilted by the jump over a repeat.
    """
    num = len(at_a)
    if num < 2:
        return 0.0
    lag = max(min(4, num - 1), num // 8)
    if lag % 2 and lag > 1:
        lag -= 1  # of music that swings, every other note is late: an odd lag would have two paces
    return np.median((at_b[lag:] - at_b[:-lag]) / (at_a[lag:] - at_a[:-lag]))


@njit
def _steps(at_a, at_b, ratio):
    """Whether each step of the chain is near enough, and at a pace near enough to the whole, to be one passage."""
    is_step = np.zeros(max(len(at_a) - 1, 0), np.bool_)
    for i in range(len(is_step)):
        step_a = at_a[i + 1] - at_a[i]
        step_b = (at_b[i + 1] - at_b[i]) / ratio
        difference = abs(step_b - step_a)
        is_near = max(step_a, step_b) * min(1.0, ratio) <= MAX_GAP_SEC
        is_step[i] = is_near and (difference * min(1.0, ratio) <= 0.5 or difference <= 0.6 * max(step_a, step_b))
    return is_step


@njit
def _residual(at_a, at_b, is_step, ratio, stretch_sec, slope, quantile):
    """Distance of anchors from lines through the stretches of the chain, in seconds of the faster of the two.

    Args:
        stretch_sec: how long a stretch may be, in seconds of the faster.
        slope: of all lines; 0: each stretch has its own.
        quantile: which of the distances, from the least (0) to the greatest (1).
    """
    num = len(at_a)
    distances = np.empty(num)
    found = 0
    reach = stretch_sec * max(1.0, 1.0 / ratio)
    first = 0
    while first < num:
        end = first + 1
        while end < num and is_step[end - 1] and at_a[end] - at_a[first] <= reach:
            end += 1
        count = end - first
        if count >= MIN_STRETCH_ANCHORS:
            a, b = at_a[first:end], at_b[first:end]
            half = count // 2
            own = slope if slope else np.median((b[half:] - b[: count - half]) / (a[half:] - a[: count - half]))
            from_line = b - own * a
            distances[found : found + count] = np.abs(from_line - np.median(from_line))
            found += count
        first = end
    return np.quantile(distances[:found], quantile) / max(1.0, ratio) if found else np.nan


@njit
def _span(onset):
    return np.float64(onset.max() - onset.min())
