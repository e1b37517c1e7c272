"""Pairs of performances that share shingles, found through an inverted index. Compiled.

One sort by hash brings the performances that hold a shingle together; a walk through each performance's shingles
then counts what it shares with every later one. The work is bounded by `MAX_RUN` for each shingle of a
performance, whatever the music: a shingle of more performances (cadences, scales, loops) pairs all of them with
the first alone, which still finds a thousand copies of one piece.
"""

from typing import NamedTuple

import numba
import numpy as np

MAX_RUN = 512

njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""

_LAST = np.uint32(1 << 31)
"""Marks the end of a run among numbers of performances."""
_NONE = np.uint32(0xFFFFFFFF)
_PARTS = 64


class Postings(NamedTuple):
    """An inverted index: for each entry where its performance stands among those that hold the same shingle."""

    holders: np.ndarray
    """Numbers of performances, ascending in each run; the last of a run is marked. uint32."""
    place: np.ndarray
    """For each entry the place in `holders`, `_NONE` where nobody follows. uint32."""
    first: np.ndarray
    """Number of the first entry of each performance, and that of all; int64, shape (num_performances + 1,)."""
    num_common: int
    """Shingles that more than `MAX_RUN` performances hold."""


class SharedShingles(NamedTuple):
    """Pairs of numbers of performances, a < b, with the shingles they share; ordered by a, then b."""

    a: np.ndarray
    b: np.ndarray
    num_shared: np.ndarray


def build_postings(shingle: np.ndarray, first: np.ndarray) -> Postings:
    """The index of performances by their shingles.

    Args:
        shingle: hashes, one performance after the other; those that stand several times in one count once.
        first: number of the first of each performance, and of all; int64. What lies behind is not looked at.
    """
    shingle = shingle[: first[-1]]
    num = len(shingle)
    if num >= _LAST or len(first) > _LAST:
        raise OverflowError(f"{num:,} shingles are more than one index can number")
    # By their upper bits into parts that are sorted one by one: the whole at once would take three times the memory.
    part_of = np.empty(num, np.uint32)
    size = np.zeros(_PARTS + 1, np.int64)
    _deal(shingle, part_of, size)
    place = np.full(num, _NONE, np.uint32)
    performance = np.repeat(np.arange(len(first) - 1, dtype=np.uint32), np.diff(first))
    holders = np.empty(num, np.uint32)
    num_holders = num_common = 0
    for k in range(_PARTS):
        entries = part_of[size[k] : size[k + 1]]
        values = shingle[entries]
        order = np.argsort(values, kind="stable")
        num_holders, common = _add_runs(values[order], entries[order], performance, holders, place, num_holders)
        num_common += common
    return Postings(holders[:num_holders].copy(), place, first, num_common)


@njit
def _deal(shingle, part_of, size):
    """Numbers of the entries by part, and where each part begins."""
    shift = np.uint64(64 - 6)
    for value in shingle:
        size[np.int64(value >> shift) + 1] += 1
    for k in range(_PARTS):
        size[k + 1] += size[k]
    at = size[:-1].copy()
    for i in range(len(shingle)):
        k = np.int64(shingle[i] >> shift)
        part_of[at[k]] = i
        at[k] += 1


@njit
def _add_runs(values, entries, performance, holders, place, num_holders):
    """Add the runs of equal values; the number of holders then, and of runs that are too long."""
    num_common = 0
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
        num_common += size > MAX_RUN
        if size == 1:
            num_holders = begin
        else:
            holders[num_holders - 1] |= _LAST
        for k in range(i, end):
            at = place[entries[k]]
            # Of the last nobody follows, and of a common one only the first tells.
            if at != _NONE and (at == begin + size - 1 or (at > begin and size > MAX_RUN)):
                place[entries[k]] = _NONE
        i = end
    return num_holders, num_common


class Thresholds(NamedTuple):
    """What a pair must share to be looked at."""

    min_shared: int
    """Shingles of windows and lines together,"""
    min_share: float
    """and their share of the smaller one's, at the coarser sampling of the two."""
    few: int
    """Where the smaller one has no more than this, one is enough."""
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
    """
    return SharedShingles(
        *_count_shared(
            postings.holders, postings.place, postings.first, begin, end, kind, sampling, num_held, *thresholds
        )
    )


@njit
def _count_shared(
    holders, place, first, begin, end, kind, sampling, num_held,
    min_shared, min_share, few, min_chroma, min_chroma_share,
):  # fmt: skip
    # Of chroma in the upper half.
    count = np.zeros(len(sampling), np.uint64)
    touched = np.empty(len(sampling), np.uint32)
    room = 1024
    out_a, out_b, out_shared = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint32)
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
            at = 0 if sampling[a] == 1 and sampling[b] == 1 else 1
            smaller = min(num_held[a, at], num_held[b, at])
            is_like = shared >= min_share * smaller and (shared >= min_shared or (shared > 0 and smaller <= few))
            fewer = min(num_held[a, at + 2], num_held[b, at + 2])
            if not is_like and (chroma < min_chroma or chroma < min_chroma_share * fewer):
                continue
            if num_out == room:
                room *= 2
                out_a, out_b, out_shared = _grown(out_a, room), _grown(out_b, room), _grown(out_shared, room)
            out_a[num_out] = a
            out_b[num_out] = b
            out_shared[num_out] = shared + chroma
            num_out += 1
    return out_a[:num_out].copy(), out_b[:num_out].copy(), out_shared[:num_out].copy()


@njit
def _grown(values, room):
    grown = np.empty(room, values.dtype)
    grown[: len(values)] = values
    return grown
