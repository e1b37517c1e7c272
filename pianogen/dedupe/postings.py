"""Pairs of performances that share shingles, found through an inverted index. Compiled.

One sort by hash brings the performances that hold a shingle together; a walk through each performance's shingles
then counts what it shares with every later one. The work is bounded by `max_run` for each shingle of a
performance, whatever the music: a shingle of more performances (cadences, scales, loops) pairs all of them with
the first alone, which still finds a thousand copies of one piece.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from pianogen import compiled

njit = functools.partial(compiled.njit, nogil=True)

_LAST = np.uint32(1 << 31)
"""Marks the end of a run among numbers of performances."""
_NONE = np.uint32(0xFFFFFFFF)
_PART_BITS = 6


class Postings(NamedTuple):
    """An inverted index: for each entry where its performance stands among those that hold the same shingle."""

    holders: np.ndarray
    """Numbers of performances, ascending in each run; the last of a run is marked. uint32."""
    place: np.ndarray
    """For each entry the place in `holders`, `_NONE` where nobody follows. uint32."""
    first: np.ndarray
    """Number of the first entry of each performance, and that of all; int64, shape (num_performances + 1,)."""


class SharedShingles(NamedTuple):
    """Pairs of numbers of performances, a < b, with the shingles they share; ordered by a, then b."""

    a: np.ndarray
    b: np.ndarray
    num_shared: np.ndarray
    """Windows and lines."""
    num_chroma: np.ndarray


def build_postings(shingle: np.ndarray, first: np.ndarray, max_run: int, num_threads: int = 1) -> Postings:
    """The index of performances by their shingles.

    Args:
        shingle: hashes, one performance after the other; those that stand several times in one count once.
        first: number of the first of each performance, and of all; int64. What lies behind is not looked at.
        max_run: performances that may hold a shingle before it is common.
        num_threads: that sort at a time.
    """
    shingle = shingle[: first[-1]]
    num = len(shingle)
    if num >= _LAST or len(first) > _LAST:
        raise OverflowError(f"{num:,} shingles are more than one index can number")
    # By their upper bits into parts that are sorted one by one: the whole at once would take three times the memory.
    part_of = np.empty(num, np.uint32)
    size = np.zeros((1 << _PART_BITS) + 1, np.int64)
    _deal(shingle, part_of, size)
    place = np.full(num, _NONE, np.uint32)
    performance = np.repeat(np.arange(len(first) - 1, dtype=np.uint32), np.diff(first))

    def runs_of(part: int) -> np.ndarray:
        entries = part_of[size[part] : size[part + 1]]
        values = shingle[entries]
        order = np.argsort(values, kind="stable")
        return _runs(values[order], entries[order], performance, place, max_run)

    with ThreadPoolExecutor(num_threads) as pool:
        parts = list(pool.map(runs_of, range(1 << _PART_BITS)))
    holders = np.concatenate(parts)
    before = np.cumsum([0, *map(len, parts[:-1])])
    _shift(shingle, place, before.astype(np.uint32))
    return Postings(holders, place, first)


@njit
def _deal(shingle, part_of, size):
    """Numbers of the entries by part, and where each part begins."""
    shift = np.uint64(64 - _PART_BITS)
    for value in shingle:
        size[np.int64(value >> shift) + 1] += 1
    for k in range(len(size) - 1):
        size[k + 1] += size[k]
    at = size[:-1].copy()
    for i in range(len(shingle)):
        k = np.int64(shingle[i] >> shift)
        part_of[at[k]] = i
        at[k] += 1


@njit
def _runs(values, entries, performance, place, max_run):
    """Holders in the runs of equal values; fills the entries' places."""
    holders = np.empty(len(values), np.uint32)
    num_holders = 0
    i = 0
    while i < len(values):
        begin = num_holders
        end = i
        while end < len(values) and values[end] == values[i]:
            # Entries come in the order of performances: its first one stands for each.
            if num_holders == begin or holders[num_holders - 1] != performance[entries[end]]:
                holders[num_holders] = performance[entries[end]]
                place[entries[end]] = num_holders
                num_holders += 1
            end += 1
        size = num_holders - begin
        if size == 1:
            num_holders = begin
        else:
            holders[num_holders - 1] |= _LAST
        for k in range(i, end):
            at = place[entries[k]]
            # Of the last nobody follows, and of a common one only the first tells.
            if at != _NONE and (at == begin + size - 1 or (at > begin and size > max_run)):
                place[entries[k]] = _NONE
        i = end
    return holders[:num_holders].copy()


@njit
def _shift(shingle, place, before):
    """Make places in a part's holders places in all."""
    shift = np.uint64(64 - _PART_BITS)
    for i in range(len(place)):
        if place[i] != _NONE:
            place[i] += before[np.int64(shingle[i] >> shift)]


class Thresholds(NamedTuple):
    """What a pair must share to be looked at."""

    min_shared: int
    """Shingles of windows and lines together,"""
    min_share: float
    """and their share of the smaller one's, at the coarser sampling of the two."""
    few: int
    """Where the smaller one has no more than this, one is enough;"""
    rather_few: int
    """and where it has no more than this with those of chroma, these count too."""
    min_chroma: int
    """Or shingles of chroma, of which chance brings more together,"""
    min_chroma_share: float
    """and their share."""


def shared_shingles(
    postings: Postings,
    begin: int,
    end: int,
    kind: np.ndarray,
    sampling: np.ndarray,
    num_held: np.ndarray,
    thresholds: Thresholds,
    is_new: np.ndarray,
) -> SharedShingles:
    """Pairs whose first member is one of the performances from `begin` up to `end`.

    Args:
        postings: of all performances.
        begin: number of the first performance a.
        end: number after the last one.
        kind: of each entry.
        sampling: of each performance.
        num_held: distinct shingles of each performance: without chroma all, then those that the coarse sampling keeps,
            then the same two of chroma; shape (num_performances, 4).
        thresholds: what a pair must share.
        is_new: of each performance; pairs of two that are not are left out.
    """
    index = postings.holders, postings.place, postings.first
    return SharedShingles(*_count_shared(*index, begin, end, kind, sampling, num_held, thresholds, is_new))


def are_alike(found: SharedShingles, sampling: np.ndarray, num_held: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Whether pairs share what the thresholds ask, shape (num_pairs,); arguments as of `shared_shingles`."""
    is_kept = np.empty(len(found.a), np.bool_)
    a, b, num_shared, num_chroma = (column.astype(np.int64) for column in found)
    _judge(a, b, num_shared, num_chroma, sampling, num_held, thresholds, is_kept)
    return is_kept


@njit
def _judge(a, b, shared, chroma, sampling, num_held, asked, is_kept):
    for k in range(len(a)):
        is_kept[k] = _is_alike(a[k], b[k], shared[k], chroma[k], sampling, num_held, asked)


@njit
def _is_alike(a, b, shared, chroma, sampling, num_held, asked):
    at = 0 if sampling[a] == 1 and sampling[b] == 1 else 1
    held = min(num_held[a, at], num_held[b, at])
    held_chroma = min(num_held[a, at + 2], num_held[b, at + 2])
    if shared >= asked.min_share * held and (shared >= asked.min_shared or (shared > 0 and held <= asked.few)):
        return True
    if held + held_chroma <= asked.rather_few and shared + chroma >= asked.min_shared:
        return True
    return chroma >= asked.min_chroma and chroma >= asked.min_chroma_share * held_chroma


@njit
def _count_shared(holders, place, first, begin, end, kind, sampling, num_held, asked, is_new):
    # Of chroma in the upper half.
    count = np.zeros(len(sampling), np.uint64)
    touched = np.empty(len(sampling), np.uint32)
    room = 1024
    out_a, out_b = np.empty(room, np.uint32), np.empty(room, np.uint32)
    out_shared, out_chroma = np.empty(room, np.uint32), np.empty(room, np.uint32)
    num_out = 0
    for a in range(begin, end):
        num_touched = 0
        for entry in range(first[a], first[a + 1]):
            if place[entry] == _NONE:
                continue
            one = np.uint64(1) << np.uint64(32) if kind[entry] == 2 else np.uint64(1)
            k = np.int64(place[entry])
            while not holders[k] & _LAST:
                k += 1
                b = holders[k] & ~_LAST
                if not (is_new[a] or is_new[b]):
                    continue
                if count[b] == 0:
                    touched[num_touched] = b
                    num_touched += 1
                count[b] += one
        found = touched[:num_touched]
        found.sort()
        for b in found:
            shared = np.int64(count[b] & np.uint64(0xFFFFFFFF))
            chroma = np.int64(count[b] >> np.uint64(32))
            count[b] = 0
            if not _is_alike(a, b, shared, chroma, sampling, num_held, asked):
                continue
            if num_out == room:
                room *= 2
                out_a, out_b = _grown(out_a, room), _grown(out_b, room)
                out_shared, out_chroma = _grown(out_shared, room), _grown(out_chroma, room)
            out_a[num_out] = a
            out_b[num_out] = b
            out_shared[num_out] = shared
            out_chroma[num_out] = chroma
            num_out += 1
    return out_a[:num_out].copy(), out_b[:num_out].copy(), out_shared[:num_out].copy(), out_chroma[:num_out].copy()


@njit
def _grown(values, room):
    grown = np.empty(room, values.dtype)
    grown[: len(values)] = values
    return grown
