"""Base ids to tokens, compiled: by merges in their order, or by the likeliest path; and what Unigram's learner counts.

Tables of merges and of the trie of runs are arrays of 2**n places, hashed by key.
"""

import math
from collections.abc import Sequence

import numpy as np

from pianogen.compiled import njit

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.


def joined_runs(runs: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Runs one after the other, and their edges."""
    return (
        np.array([i for run in runs for i in run], np.int64),
        np.cumsum([0, *map(len, runs)], dtype=np.int64),
    )


def trie_of(runs: Sequence[Sequence[int]], num_base: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_build_trie` makes it, of runs that begin with those of one base id each."""
    return _build_trie(*joined_runs(runs), num_base)


@njit
def _slot(keys: np.ndarray, key: int) -> int:
    """Where a key stands in a table of 2**n keys, or the free slot where it belongs; free ones hold -1."""
    mask = len(keys) - 1
    # Fibonacci hashing: the upper bits of a product.
    slot = np.int64((np.uint64(key) * np.uint64(11400714819323198485)) >> np.uint64(33)) & mask
    while keys[slot] != key and keys[slot] >= 0:
        slot = (slot + 1) & mask
    return slot


@njit
def _empty_table(num: int) -> np.ndarray:
    """Room for so many keys, a quarter full at most."""
    size = 16
    while size < 4 * num:
        size *= 2
    return np.full(size, -1, np.int64)


@njit
def pair_table(pairs: np.ndarray, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of pairs, the rank of each key's merge, and the id that each rank leads to."""
    keys = _empty_table(len(pairs))
    ranks = np.empty(len(keys), np.int64)
    for rank in range(len(pairs)):
        key = pairs[rank, 0] << 32 | pairs[rank, 1]
        slot = _slot(keys, key)
        if keys[slot] < 0:
            keys[slot], ranks[slot] = key, rank
    return keys, ranks, joined


@njit
def merge(
    ids: np.ndarray, words: np.ndarray, keys: np.ndarray, ranks: np.ndarray, joined: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the neighbours of the lowest rank, the leftmost first, until none can be; ids, and edges of the words."""
    longest = 0
    for w in range(len(words) - 1):
        longest = max(longest, words[w + 1] - words[w])
    # Of a word: its ids, where the next and the one before stand, and the rank of each with the next, or -1.
    now, rank_at = np.empty(longest, np.int64), np.empty(longest, np.int64)
    following, before = np.empty(longest, np.int64), np.empty(longest, np.int64)
    # Ranks and positions, the lowest on top; of a position no more than its pair's own, and one for each merge by it.
    heap = np.empty(3 * longest + 2, np.int64)
    values = np.empty(len(ids), np.uint32)
    edges, n = np.zeros(len(words), np.int64), 0
    for w in range(len(words) - 1):
        begin, length = words[w], words[w + 1] - words[w]
        size = 0
        for k in range(length):
            now[k] = ids[begin + k]
            following[k], before[k] = k + 1, k - 1
        for k in range(length):
            rank_at[k] = -1
            if k + 1 < length:
                size = _look_up(now[k], now[k + 1], k, keys, ranks, rank_at, heap, size)
        while size:
            top = heap[0]
            size = _pop(heap, size)
            k, rank = top & 0xFFFFFFFF, top >> 32
            if rank_at[k] != rank:
                continue
            gone = following[k]
            now[k] = joined[rank]
            rank_at[k], rank_at[gone] = -1, -1
            following[k] = following[gone]
            if following[k] < length:
                before[following[k]] = k
                size = _look_up(now[k], now[following[k]], k, keys, ranks, rank_at, heap, size)
            if before[k] >= 0:
                rank_at[before[k]] = -1
                size = _look_up(now[before[k]], now[k], before[k], keys, ranks, rank_at, heap, size)
        k = 0
        while k < length:
            values[n] = now[k]
            n += 1
            k = following[k]
        edges[w + 1] = n
    return values[:n].copy(), edges


@njit
def _look_up(
    left: int,
    right: int,
    k: int,
    keys: np.ndarray,
    ranks: np.ndarray,
    rank_at: np.ndarray,
    heap: np.ndarray,
    size: int,
) -> int:
    """Put the pair at k into the heap where it can be merged; how many the heap has then."""
    slot = _slot(keys, left << 32 | right)
    if keys[slot] < 0:
        return size
    rank_at[k] = ranks[slot]
    entry, at = ranks[slot] << 32 | k, size
    while at and heap[(at - 1) >> 1] > entry:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = entry
    return size + 1


@njit
def _pop(heap: np.ndarray, size: int) -> int:
    """Take the lowest out; how many are left."""
    size -= 1
    entry, at = heap[size], 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = entry
    return size


@njit
def _build_trie(flat: np.ndarray, edges: np.ndarray, num_base: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of edges (node times num_base plus id), the node that each leads to, and the token at each node, or -1.

    The node of one id is that id.
    """
    keys = _empty_table(len(flat))
    nodes = np.empty(len(keys), np.int64)
    token_at = np.full(len(flat) + num_base, -1, np.int64)
    token_at[:num_base] = np.arange(num_base)
    num_nodes = num_base
    for token in range(num_base, len(edges) - 1):
        node = flat[edges[token]]
        for k in range(edges[token] + 1, edges[token + 1]):
            key = node * num_base + flat[k]
            slot = _slot(keys, key)
            if keys[slot] < 0:
                keys[slot], nodes[slot] = key, num_nodes
                num_nodes += 1
            node = nodes[slot]
        token_at[node] = token
    return keys, nodes, token_at


@njit
def segment(
    ids: np.ndarray,
    words: np.ndarray,
    num_base: int,
    scores: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    token_at: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest tokens of each word, of equally likely ones those whose last is longest, and edges of the words."""
    longest = 0
    for w in range(len(words) - 1):
        longest = max(longest, words[w + 1] - words[w])
    best, token_to = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    begin_of = np.empty(longest + 1, np.int64)
    values = np.empty(len(ids), np.uint32)
    edges, n = np.zeros(len(words), np.int64), 0
    for w in range(len(words) - 1):
        word = ids[words[w] : words[w + 1]]
        _best_paths(word, False, num_base, scores, keys, nodes, token_at, best, token_to, begin_of)
        k, last = len(word), n
        while k:
            values[last] = token_to[k]
            last += 1
            k = begin_of[k]
        values[n:last] = values[n:last][::-1].copy()
        n = edges[w + 1] = last
    return values[:n].copy(), edges


@njit
def _best_paths(
    word: np.ndarray,
    in_parts: bool,
    num_base: int,
    scores: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    token_at: np.ndarray,
    best: np.ndarray,
    token_to: np.ndarray,
    begin_of: np.ndarray,
) -> None:
    """Fill the best log-probability up to each place, the token that ends there and where that begins.

    `in_parts`: the word as one token is passed over.
    """
    length = len(word)
    best[0] = 0.0
    best[1 : length + 1] = -np.inf
    for a in range(length):
        node = np.int64(word[a])
        b = a + 1
        while True:
            token = token_at[node]
            if token >= 0 and not (in_parts and b - a == length):
                score = best[a] + scores[token]
                if score > best[b]:
                    best[b], token_to[b], begin_of[b] = score, token, a
            if b == length:
                break
            key = node * num_base + np.int64(word[b])
            slot = _slot(keys, key)
            if keys[slot] < 0:
                break
            node = nodes[slot]
            b += 1


@njit
def expected_counts(
    ids: np.ndarray,
    words: np.ndarray,
    num_base: int,
    scores: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    token_at: np.ndarray,
) -> np.ndarray:
    """How often each token is expected over all segmentations of the words."""
    longest = 0
    for w in range(len(words) - 1):
        longest = max(longest, words[w + 1] - words[w])
    # Log-probability of all segmentations from the beginning to a place, and from there to the end.
    forth, back = np.empty(longest + 1), np.empty(longest + 1)
    expected = np.zeros(len(scores))
    for w in range(len(words) - 1):
        word = ids[words[w] : words[w + 1]]
        length = len(word)
        forth[0] = 0.0
        forth[1 : length + 1] = -np.inf
        for a in range(length):
            node, b = np.int64(word[a]), a + 1
            while True:
                token = token_at[node]
                if token >= 0:
                    forth[b] = _log_sum(forth[b], forth[a] + scores[token])
                if b == length:
                    break
                slot = _slot(keys, node * num_base + np.int64(word[b]))
                if keys[slot] < 0:
                    break
                node = nodes[slot]
                b += 1
        back[length] = 0.0
        for a in range(length - 1, -1, -1):
            back[a] = -np.inf
            node, b = np.int64(word[a]), a + 1
            while True:
                token = token_at[node]
                if token >= 0:
                    score = scores[token] + back[b]
                    back[a] = _log_sum(back[a], score)
                    expected[token] += math.exp(forth[a] + score - forth[length])
                if b == length:
                    break
                slot = _slot(keys, node * num_base + np.int64(word[b]))
                if keys[slot] < 0:
                    break
                node = nodes[slot]
                b += 1
    return expected


@njit
def _log_sum(a: float, b: float) -> float:
    low, high = min(a, b), max(a, b)
    return high if low < high - 50.0 else high + math.log1p(math.exp(low - high))


@njit
def losses(
    flat: np.ndarray,
    edges: np.ndarray,
    num_base: int,
    scores: np.ndarray,
    times: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    token_at: np.ndarray,
) -> np.ndarray:
    """How much log-likelihood goes with each token; minus infinity where it is not missed at all.

    A token without which its best parts are taken: they are met as often as it was, besides.
    """
    longest = 0
    for token in range(num_base, len(edges) - 1):
        longest = max(longest, edges[token + 1] - edges[token])
    best, token_to = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    begin_of = np.empty(longest + 1, np.int64)
    loss = np.full(len(scores), -np.inf)
    total = np.float64(times.sum())
    for token in range(num_base, len(edges) - 1):
        if not times[token]:
            continue
        word = flat[edges[token] : edges[token + 1]]
        _best_paths(word, True, num_base, scores, keys, nodes, token_at, best, token_to, begin_of)
        if best[len(word)] > scores[token]:
            continue
        num_parts, k = 0, len(word)
        while k:
            num_parts += 1
            k = begin_of[k]
        total_without = math.log(total + times[token] * (num_parts - 1))
        in_parts, k = 0.0, len(word)
        while k:
            in_parts += math.log(times[token_to[k]] + times[token]) - total_without
            k = begin_of[k]
        loss[token] = times[token] * (math.log(times[token]) - math.log(total) - in_parts)
    return loss
