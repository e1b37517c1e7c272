"""How much a piece goes round in circles: cycles, n-grams that come again, and how far its notes can be compressed.

Notes are ordered by onset, then pitch. Each is read in two ways:

    as played     pitch, and the time to the next note in bins of 50 ms: what is the same in one key at one tempo
    as a step     interval from the note before, and the time since it in the same bins: what is the same in any key

A cycle is a stretch of notes, as played, that has a period: each note equals the one a period before it. It is
maximal, no longer one has the same period, and it goes round at least twice (`cycle2`) or three times (`cycle3`).
A trill, a tremolo and a bar of Alberti bass are cycles by that, so a cycle counts from `MIN_CYCLE_SEC` and
`MIN_CYCLE_NOTES` on: figures are shorter, a player or a model that hangs is not. Of several the longest in time counts.

    cycle<k>_share         notes of the longest cycle that goes round k times or more / all notes      share 0-1
    cycle<k>_period_notes  its period                                                                  notes
    cycle<k>_period_sec    time of its stretch / how often it goes round                               seconds
    cycle<k>_times         its notes / its period: how often it goes round, the last time in part      times
    repeated_<n>           runs of n steps that stand at another place too / all runs of n steps       share 0-1
    repeated_tokens_<n>    the same of runs of n tokens of the experiment's tokenizer                  share 0-1
    distinct_<n>           different runs of n steps / all runs of n steps                             share 0-1
    compression_ratio      bytes of the compressed steps / bytes of the steps                          -

A share of cycles is 0 where there is none; what is asked of too few notes is null. The canonical bytes are two for
each note: the interval modulo 256 (0 of the first), and the bins of time, at most 255 (0 of the first); the
compressor is raw LZMA2. All but the cycles depend on how long the music is: compare them at equal numbers of notes.
What pitches alone repeat, and bars, is `repeated_figure_share` and `repeated_bar_share` of `pianogen.measured`.

Source: maximal repetitions ("runs"), Main and Lorentz, J. Algorithms 5 (1984), found here by hashes in O(n log² n);
distinct-n, Li et al., NAACL 2016; 1 - distinct-n is rep-n of Welleck et al., ICLR 2020.
"""

import lzma
from dataclasses import dataclass

import numpy as np

from pianogen.compiled import njit

# pyright: reportArgumentType=false
# Its scalars are what numba makes of them.

BIN_SEC = 0.05
LEAN = 1e-4
"""Of a bin, added before rounding down: what falls on an edge falls on one side, whatever its last digit is."""
MIN_CYCLE_SEC = 4.0
"""From the first onset to the last."""
MIN_CYCLE_NOTES = 16
TIMES = (2, 3)
NGRAMS = (4, 8, 16)
DISTINCT = (1, 2, 4)

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**20}]


@dataclass(frozen=True)
class Cycle:
    """The longest cycle of a piece; of none all is 0."""

    first: int = 0
    """Number of its first note."""
    num_notes: int = 0
    period_notes: int = 0
    duration_sec: float = 0.0
    """First onset to last."""

    @property
    def times(self) -> float:
        """How often it goes round."""
        return self.num_notes / self.period_notes if self.num_notes else 0.0


def measure_repetition(pitch: np.ndarray, onset_sec: np.ndarray, tokens: np.ndarray | None) -> dict[str, float | None]:
    """The measures of the header by name.

    Args:
        pitch: MIDI numbers, shape (num_notes,), ordered by onset, then pitch.
        onset_sec: seconds, shape (num_notes,).
        tokens: ids of the same notes, shape (num_tokens,); None where there are none.
    """
    measures: dict[str, float | None] = {}
    num_notes = len(pitch)
    for times, cycle in zip(TIMES, longest_cycles(pitch, onset_sec), strict=True):
        is_there = cycle.num_notes > 0
        measures[f"cycle{times}_share"] = cycle.num_notes / num_notes if num_notes else None
        measures[f"cycle{times}_period_notes"] = cycle.period_notes if is_there else None
        measures[f"cycle{times}_period_sec"] = cycle.duration_sec / cycle.times if is_there else None
        measures[f"cycle{times}_times"] = cycle.times if is_there else None
    steps = step_symbols(pitch, onset_sec)
    measures |= {f"repeated_{n}": repeated_share(steps, n) for n in NGRAMS}
    measures |= {f"repeated_tokens_{n}": None if tokens is None else repeated_share(tokens, n) for n in NGRAMS}
    measures |= {f"distinct_{n}": distinct_share(steps, n) for n in DISTINCT}
    return {**measures, "compression_ratio": compression_ratio(pitch, onset_sec)}


def longest_cycles(pitch: np.ndarray, onset_sec: np.ndarray) -> list[Cycle]:
    """The longest cycle that goes round at least as often as each of `TIMES`; arguments as of `measure_repetition`."""
    time_to_next = np.append(_bins(np.diff(onset_sec)), -1)[: len(pitch)]
    pitch = pitch.astype(np.int64)
    symbols = np.unique(pitch * 2**32 + time_to_next, return_inverse=True)[1].astype(np.int64)
    onset = onset_sec.astype(np.float64)
    found = _longest_cycles(symbols, pitch, onset, np.array(TIMES), MIN_CYCLE_SEC, MIN_CYCLE_NOTES)
    return [
        Cycle(first, num, period, float(onset_sec[first + num - 1] - onset_sec[first])) if num else Cycle()
        for first, num, period in found.tolist()
    ]


def step_symbols(pitch: np.ndarray, onset_sec: np.ndarray) -> np.ndarray:
    """A number for each step from note to note, int64, shape (num_notes - 1,)."""
    return np.diff(pitch.astype(np.int64)) * 2**32 + _bins(np.diff(onset_sec))


def repeated_share(symbols: np.ndarray, n: int) -> float | None:
    """Share of the runs of n symbols that stand at another place too; None without any."""
    if len(symbols) < n:
        return None
    counts = _counts_of_runs(symbols, n)
    return float(counts[counts > 1].sum() / counts.sum())


def distinct_share(symbols: np.ndarray, n: int) -> float | None:
    """Number of different runs of n symbols by that of all; None without any."""
    if len(symbols) < n:
        return None
    counts = _counts_of_runs(symbols, n)
    return float(len(counts) / counts.sum())


def compression_ratio(pitch: np.ndarray, onset_sec: np.ndarray) -> float | None:
    """Size of the canonical bytes when compressed, by their size; None without notes."""
    if not len(pitch):
        return None
    canonical = np.zeros((len(pitch), 2), np.uint8)
    canonical[1:, 0] = np.diff(pitch.astype(np.int64)) % 256
    canonical[1:, 1] = np.minimum(_bins(np.diff(onset_sec)), 255)
    compressed = lzma.compress(canonical.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)
    return len(compressed) / canonical.size


def _bins(sec: np.ndarray) -> np.ndarray:
    return np.floor(np.asarray(sec, np.float64) / BIN_SEC + 0.5 + LEAN).astype(np.int64)


def _counts_of_runs(symbols: np.ndarray, n: int) -> np.ndarray:
    """How often each different run of n symbols stands, n of them at least."""
    # By doubling: a run of n is told by the numbers of two runs of half its length, at its beginning and at its end.
    number, length = np.unique(symbols, return_inverse=True)[1].astype(np.int64), 1
    while length < n:
        step = min(length, n - length)
        pairs = number[: len(number) - step] * (number.max() + 1) + number[step:]
        number = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
        length += step
    return np.bincount(number)


_MODULI = (2147483647, 2147483629)
"""Primes below 2^31: products of two remainders are numbers of 64 bits."""
_BASES = (911382323, 972663749)


@njit
def _longest_cycles(symbols, pitch, onset, times, min_sec, min_notes):
    """First note, number of notes and period of the longest cycle of each number of times, shape (num_times, 3).

    A cycle of period p holds, within each p of its notes, one whose number is a multiple of p; there the longest
    common extensions to both sides of the pair (i, i + p) are the cycle. Sum over p of n / p pairs: n log n.
    """
    num = len(symbols)
    best = np.zeros((len(times), 3), np.int64)
    longest = np.zeros(len(times))
    hashes, powers = _prefix_hashes(symbols)
    for period in range(1, num // 2 + 1):
        for i in range(0, num - period, period):
            end = i + period + _common_ahead(hashes, powers, i, i + period, num)
            # Of the last note of a cycle only the pitch counts: what follows is no part of it.
            end += end < num and pitch[end] == pitch[end - period]
            first = i - _common_behind(hashes, powers, i, i + period, period)
            size = end - first
            if size < min_notes or onset[end - 1] - onset[first] < min_sec:
                continue
            for k in range(len(times)):
                # Of equally long ones the shortest period, which comes first.
                if size >= times[k] * period and onset[end - 1] - onset[first] > longest[k]:
                    longest[k] = onset[end - 1] - onset[first]
                    best[k, 0], best[k, 1], best[k, 2] = first, size, period
    return best


@njit
def _prefix_hashes(symbols):
    """Hashes of all beginnings by both moduli, and the powers of the bases; each of shape (num + 1, 2)."""
    hashes, powers = np.zeros((len(symbols) + 1, 2), np.int64), np.ones((len(symbols) + 1, 2), np.int64)
    for k in range(2):
        for i in range(len(symbols)):
            hashes[i + 1, k] = (hashes[i, k] * _BASES[k] + symbols[i] + 1) % _MODULI[k]
            powers[i + 1, k] = powers[i, k] * _BASES[k] % _MODULI[k]
    return hashes, powers


@njit
def _is_same(hashes, powers, i, j, length):
    """Whether the symbols from i on and from j on are the same."""
    for k in range(2):
        one = (hashes[i + length, k] - hashes[i, k] * powers[length, k]) % _MODULI[k]
        other = (hashes[j + length, k] - hashes[j, k] * powers[length, k]) % _MODULI[k]
        if one != other:
            return False
    return True


@njit
def _common_ahead(hashes, powers, i, j, num):
    low, high = 0, num - j
    while low < high:
        middle = (low + high + 1) // 2
        if _is_same(hashes, powers, i, j, middle):
            low = middle
        else:
            high = middle - 1
    return low


@njit
def _common_behind(hashes, powers, i, j, at_most):
    """How many symbols before i are those before j."""
    low, high = 0, min(i, at_most)
    while low < high:
        middle = (low + high + 1) // 2
        if _is_same(hashes, powers, i - middle, j - middle, middle):
            low = middle
        else:
            high = middle - 1
    return low
