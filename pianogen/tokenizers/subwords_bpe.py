"""Byte-pair encoding: which ids are joined, learned and read."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import SettingsError

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

MOST_IDS = 2**31 - 1
"""Places hold ids of 32 bits."""
MIN_COUNT = 2
"""How often a pair must be met to be joined."""
NONE = -1
ID, BEFORE, AFTER, PAIR = range(4)
"""Columns of places: the id there, the places of those beside it in its word, and the pair that begins there."""

NUM_LATELY = 2**18
"""Pairs whose numbers are remembered while all are counted."""


class _Pairs(NamedTuple):
    """Pairs by their numbers, and the places where each begins, so that a merge costs no more than those."""

    number_of: dict[int, int]
    """Of the two ids as one number."""
    ids: list[int]
    counts: list[int]
    heads: list[int]
    """First entry of each pair's list."""
    entries: np.ndarray
    """Place and next entry, shape (entries, 2)."""
    num_entries: np.ndarray
    places: np.ndarray


def learn_bpe(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> list[str]:
    """The pairs of ids to merge, the first one first.

    Args:
        ids: base ids.
        words: where words begin, and at last where the last one ends.
        num_base: ids of the base.
        vocab_size: ids to have at last, the base's included; there are fewer where no pair is met twice.
    """
    merges = _learned_merges(ids.astype(np.int32), words, num_base, vocab_size)
    return [f"{left} {right}" for left, right in merges.tolist()]


@njit
def _learned_merges(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> np.ndarray:
    """The pairs to merge, shape (merges, 2)."""
    pairs = _pairs(ids, words)
    # The most frequent on top, of equals that of the lower ids; counts that have gone down are noticed there.
    heap = [(-pairs.counts[p], pairs.ids[p], p) for p in range(len(pairs.ids))]
    heapq.heapify(heap)
    # By the id before or after it, the pair that the new id makes with it.
    most = min(vocab_size, num_base + len(ids)) + 1
    with_before, with_after = np.full(most, NONE), np.full(most, NONE)
    merges = []
    while num_base + len(merges) < vocab_size and len(heap):
        negative, both, p = heapq.heappop(heap)
        if -negative < MIN_COUNT:
            break
        if pairs.counts[p] != -negative:
            heapq.heappush(heap, (-pairs.counts[p], both, p))
            continue
        new = num_base + len(merges)
        merges.append((both >> 32, both & 0xFFFFFFFF))
        for q in _join(pairs, p, new, with_before, with_after):
            left, right = pairs.ids[q] >> 32, pairs.ids[q] & 0xFFFFFFFF
            with_before[left] = with_after[right] = NONE
            heapq.heappush(heap, (-pairs.counts[q], pairs.ids[q], q))
    found = np.empty((len(merges), 2), np.int64)
    for m in range(len(merges)):
        found[m, 0], found[m, 1] = merges[m]
    return found


@njit
def _pairs(ids: np.ndarray, words: np.ndarray) -> _Pairs:
    """All pairs of words."""
    places = np.empty((len(ids), 4), np.int32)
    # A merge takes one id away and adds two entries at most.
    entries, num_entries = np.empty((3 * len(ids), 2), np.int32), np.zeros(1, np.int64)
    number_of = {np.int64(NONE): NONE}
    numbers, counts, heads = [np.int64(0) for _ in range(0)], [0 for _ in range(0)], [0 for _ in range(0)]
    pairs = _Pairs(number_of, numbers, counts, heads, entries, num_entries, places)
    # Of pairs met lately the number, which takes less than to look it up.
    lately = np.full((NUM_LATELY, 2), NONE, np.int64)
    for w in range(len(words) - 1):
        for k in range(words[w], words[w + 1]):
            places[k, ID], places[k, BEFORE], places[k, AFTER], places[k, PAIR] = ids[k], k - 1, k + 1, NONE
        places[words[w], BEFORE] = places[words[w + 1] - 1, AFTER] = NONE
        for k in range(words[w], words[w + 1] - 1):
            both = np.int64(ids[k]) << 32 | np.int64(ids[k + 1])
            slot = (31 * ids[k] + ids[k + 1]) % NUM_LATELY
            if lately[slot, 0] != both:
                lately[slot, 0], lately[slot, 1] = both, _number(pairs, ids[k], ids[k + 1])
            _add(pairs, k, lately[slot, 1])
    return pairs


@njit
def _number(pairs: _Pairs, left: int, right: int) -> int:
    """The number of a pair; it gets the next one where it has none."""
    both = np.int64(left) << 32 | np.int64(right)
    if both not in pairs.number_of:
        pairs.number_of[both] = len(pairs.ids)
        pairs.ids.append(both)
        pairs.counts.append(0)
        pairs.heads.append(NONE)
    return pairs.number_of[both]


@njit
def _add(pairs: _Pairs, k: int, p: int) -> None:
    """Pair p begins at k.

    The entry of the pair that did is left in its list: k never comes back to it, since the runs at k and after it grow.
    """
    if pairs.places[k, PAIR] >= 0:
        pairs.counts[pairs.places[k, PAIR]] -= 1
    pairs.places[k, PAIR] = p
    pairs.counts[p] += 1
    entry = pairs.num_entries[0]
    pairs.entries[entry, 0], pairs.entries[entry, 1] = k, pairs.heads[p]
    pairs.heads[p] = entry
    pairs.num_entries[0] += 1


@njit
def _join(pairs: _Pairs, p: int, new: int, with_before: np.ndarray, with_after: np.ndarray) -> list[int]:
    """Pair p becomes the id `new` wherever it is met; the pairs that are met more often for it."""
    places, found = pairs.places, np.empty(pairs.counts[p], np.int32)
    n, entry = len(found), pairs.heads[p]
    while entry >= 0:
        if places[pairs.entries[entry, 0], PAIR] == p:
            n -= 1
            found[n] = pairs.entries[entry, 0]
        entry = pairs.entries[entry, 1]
    if pairs.ids[p] >> 32 == pairs.ids[p] & 0xFFFFFFFF:
        # Of three in a row the first two are joined.
        found.sort()
    grown = [0 for _ in range(0)]
    for k in found:
        if places[k, PAIR] != p:
            continue
        gone = places[k, AFTER]
        before, after = places[k, BEFORE], places[gone, AFTER]
        for place in (k, gone):
            if places[place, PAIR] >= 0:
                pairs.counts[places[place, PAIR]] -= 1
                places[place, PAIR] = NONE
        places[k, ID], places[k, AFTER] = new, after
        if after >= 0:
            places[after, BEFORE] = k
            other = places[after, ID]
            if with_after[other] < 0:
                with_after[other] = _number(pairs, new, other)
                grown.append(with_after[other])
            _add(pairs, k, with_after[other])
        if before >= 0:
            other = places[before, ID]
            if with_before[other] < 0:
                with_before[other] = _number(pairs, other, new)
                grown.append(with_before[other])
            _add(pairs, before, with_before[other])
    return grown


def runs_of_merges(learned: Sequence[str], num_base: int) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
    """The base ids of each id; the pairs to merge, the first one first; the id that each becomes."""
    runs: list[tuple[int, ...]] = [(i,) for i in range(num_base)]
    id_of = {run: i for i, run in enumerate(runs)}
    pairs, joined = [], []
    for text in learned:
        try:
            left, right = map(int, text.split())
            if left < 0 or right < 0:
                raise ValueError
            run = runs[left] + runs[right]
        except (ValueError, IndexError, AttributeError):
            raise SettingsError(f"tokenizer subwords: a merge must be two ids learned before, found {text!r}") from None
        # Two ways to one run lead to one id.
        if run not in id_of:
            id_of[run] = len(runs)
            runs.append(run)
        pairs.append((left, right))
        joined.append(id_of[run])
    return runs, np.array(pairs, np.int64).reshape(-1, 2), np.array(joined, np.int64)
