"""Tokens that stand for several of another scheme's: byte-pair encoding, or Unigram, over its ids.

The first ids are the base scheme's own, PAD, BOS and EOS with them; each one after them stands for a run of base ids.
Runs do not cross words: with `split` "bar" a word is a bar, else a whole performance. Nothing is lost: expanding gives
the base ids back.

`learn` sees the tokens that it is given and nothing else, and the same tokens give the same vocabulary.

- BPE joins the two neighbours that are met most often, over and over (Sennrich et al., 2016; over music, Fradet et al.,
  2023); of equal counts the pair of the lower ids. Learned by the library `tokenizers`, encoded here, to the same ids.
- Unigram drops from many runs those that the likelihood misses least, and encodes by the likeliest segmentation (Kudo,
  2018). Learned and encoded here: what the library learns is another thing every time.

docs/tokenizers/subwords.md has an example and measurements.
"""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numba
import numpy as np

from pianogen.errors import SettingsError
from pianogen.lake import digest
from pianogen.midi.blocks import MusicBlock
from pianogen.tokenizers.base import (
    SPECIAL_TOKENS,
    LearnedTokenizer,
    TokenBlock,
    Tokenizer,
    make_tokenizer,
    token_block,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""

NUM_SPECIAL = len(SPECIAL_TOKENS)
FIRST_CHARACTER = 0xE000
"""The character that stands for id 0 where the library learns: of Unicode's private use."""
MOST_IDS = 0x10FFFF - FIRST_CHARACTER
LONGEST_WORD = 1000
"""Longer words are cut where the library learns: its time for a merge grows with the words that it is in."""
MIN_COUNT = 2
"""How often a run must be met to be learned."""

MOST_LEARNED = 5_000_000
"""Base ids to learn from: memory is about 250 bytes for each."""

LONGEST_RUN = 16
"""Base ids of a run of Unigram, as SentencePiece has it."""
SEEDS_PER_TOKEN = 10
"""Runs that Unigram begins with, for each token that is asked for."""
KEPT_OF_ROUND = 0.75
ROUNDS_OF_EM = 2
MIN_EXPECTED = 0.5
"""Runs that are expected less often are dropped; these three are SentencePiece's."""
SPARE = 1.1
"""So many times the runs that are asked for are left before the last choice."""
UNSEEN = -10.0
"""Log-probability of base ids that were never met, beside the least likely token's."""
DIGITS = 6
"""Of the log-probabilities that are kept."""


class Subwords(LearnedTokenizer):
    """Runs of a base scheme's ids as one.

    Args:
        base: settings of the base tokenizer, as `make_tokenizer` takes them; its tokens are ids.
        model: "bpe" or "unigram".
        vocab_size: how many tokens were asked for; where the music had fewer runs to learn, there are fewer.
        split: "bar" or "none"; "bar" where the base scheme has tokens of bars, if nothing is said.
        learned: of BPE the two ids of each merge, in their order; of Unigram the base ids of each token and its
            log-probability. Each is a string of numbers with spaces between.
    """

    def __init__(
        self,
        *,
        base: Mapping[str, Any],
        model: str = "bpe",
        vocab_size: int = 3000,
        split: str | None = None,
        learned: Sequence[str] = (),
    ) -> None:
        if not isinstance(base, Mapping):
            raise SettingsError(f"tokenizer subwords: base must be the settings of a tokenizer, found {base!r}")
        self.name = "subwords"
        self.base = make_tokenizer(base)
        split = split or _default_split(self.base)
        self.options: dict[str, Any] = {
            "base": dict(base),
            "model": model,
            "vocab_size": vocab_size,
            "split": split,
            "learned": list(learned),
        }
        _check(self.base, self.options)
        self.pitch_range, self.carries = self.base.pitch_range, self.base.carries
        self.clock = self.base.clock
        num_base = len(self.base.vocab)
        if model == "bpe":
            runs, pairs, joined = _runs_of_merges(learned, num_base)
            self._merges = _pair_table(pairs, joined)
        else:
            runs, scores = _runs_of_unigram(learned, num_base)
            self._scores = scores
            self._trie = _trie_of(runs, num_base)
        if len(runs) > vocab_size:
            raise SettingsError(f"tokenizer subwords: {len(runs)} tokens were learned, vocab_size is {vocab_size}")
        self.vocab = tuple("+".join(self.base.vocab[i] for i in run) for run in runs)
        unknown = set(self.base.unknown_ids)
        self.unknown_ids = tuple(i for i, run in enumerate(runs) if unknown.intersection(run))
        self._runs = token_block([np.array(run, np.uint32) for run in runs], self.base)
        self._begins_word = _word_beginnings(self.base, split)

    def _hashed(self) -> str:
        return digest(super()._hashed(), self.base.version)[:16]

    @property
    def is_learned(self) -> bool:
        """Whether there are runs."""
        return bool(self.options["learned"])

    def learned_from(self, music: Iterable[MusicBlock]) -> "Subwords":
        """See `LearnedTokenizer`; blocks are taken in turn until they have MOST_LEARNED ids."""
        parts: list[TokenBlock] = []
        for block in music:
            parts.append(self.base.encode_block(block))
            if sum(len(part.values) for part in parts) >= MOST_LEARNED:
                break
        tokens = token_block([part[i] for part in parts for i in range(len(part))], self.base)
        asked = {name: self.options[name] for name in ("model", "vocab_size", "split")}
        return learn(self.base, tokens, **asked, most_ids=MOST_LEARNED)

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""
        return self.shorten(self.base.encode_block(music))

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """See `Tokenizer`."""
        return self.base.decode_block(self.expand(tokens))

    def shorten(self, tokens: TokenBlock) -> TokenBlock:
        """Base ids to ids."""
        ids = np.ascontiguousarray(tokens.values)
        words = _word_edges(ids, tokens.edges, self._begins_word)
        if self.options["model"] == "bpe":
            values, edges = _merge(ids, tokens.edges, words, *self._merges)
        else:
            values, edges = _segment(ids, tokens.edges, words, len(self.base.vocab), self._scores, *self._trie)
        return TokenBlock(values.astype(self.dtype, copy=False), edges)

    def expand(self, tokens: TokenBlock) -> TokenBlock:
        """Ids to base ids; what is no id is passed over."""
        ids = np.ascontiguousarray(tokens.values)
        return TokenBlock(*_expand(ids, tokens.edges, self._runs.values, self._runs.edges))


def learn(
    base: Tokenizer,
    tokens: TokenBlock,
    *,
    model: str = "bpe",
    vocab_size: int = 3000,
    split: str | None = None,
    most_ids: int = MOST_LEARNED,
    seed: int = 0,
) -> Subwords:
    """Learn which runs of ids become tokens.

    Args:
        base: the scheme of the tokens.
        tokens: of the music to learn from, which is train alone.
        model: "bpe" or "unigram".
        vocab_size: tokens to have at last, those of the base scheme included.
        split: "bar" or "none"; "bar" where the base scheme has tokens of bars, if nothing is said.
        most_ids: of more music, performances are drawn until they have so many: memory is about 250 bytes for each.
        seed: by which they are drawn.

    Raises:
        SettingsError: an option cannot be, or the base scheme has no ids.
    """
    split = split or _default_split(base)
    options: dict[str, Any] = {"model": model, "vocab_size": vocab_size, "split": split, "learned": []}
    _check(base, options)
    tokens = _drawn(tokens, most_ids, seed)
    ids = np.ascontiguousarray(tokens.values)
    words = _word_edges(ids, tokens.edges, _word_beginnings(base, split))
    learner = _learn_bpe if model == "bpe" else _learn_unigram
    options["learned"] = learner(ids, words, len(base.vocab), vocab_size)
    return Subwords(base={"name": base.name, **base.options}, **options)


def _drawn(tokens: TokenBlock, most_ids: int, seed: int) -> TokenBlock:
    """Performances drawn until they have so many ids, in the order that they were in."""
    if len(tokens.values) <= most_ids:
        return tokens
    lengths = np.diff(tokens.edges)
    order = np.random.default_rng(seed).permutation(len(tokens))
    num = np.searchsorted(np.cumsum(lengths[order]), most_ids) + 1
    chosen = np.sort(order[:num])
    values = np.concatenate([tokens[i] for i in chosen])
    return TokenBlock(values, np.concatenate(([0], np.cumsum(lengths[chosen]))))


def _check(base: Tokenizer, options: Mapping[str, Any]) -> None:
    if base.width != 1 or not base.vocab:
        raise SettingsError(f"tokenizer subwords: the base must have ids, found {base.name}")
    if base.vocab[:NUM_SPECIAL] != SPECIAL_TOKENS:
        raise SettingsError(
            f"tokenizer subwords: the base's vocabulary must begin with {SPECIAL_TOKENS}, "
            f"found {base.vocab[:NUM_SPECIAL]} in {base.name}"
        )
    if options["model"] not in ("bpe", "unigram"):
        raise SettingsError(f"tokenizer subwords: model must be bpe or unigram, found {options['model']!r}")
    if options["split"] not in ("bar", "none"):
        raise SettingsError(f"tokenizer subwords: split must be bar or none, found {options['split']!r}")
    if options["split"] == "bar" and not _bar_ids(base).any():
        raise SettingsError(f"tokenizer subwords: split bar needs a base with tokens of bars, found {base.name}")
    size = options["vocab_size"]
    if type(size) is not int or not len(base.vocab) <= size <= MOST_IDS:
        raise SettingsError(
            f"tokenizer subwords: vocab_size must be a whole number from {len(base.vocab)}, the base's, to {MOST_IDS}, "
            f"found {size!r}"
        )


def _default_split(base: Tokenizer) -> str:
    return "bar" if _bar_ids(base).any() else "none"


def _bar_ids(base: Tokenizer) -> np.ndarray:
    return np.array([token.partition("_")[0] == "Bar" for token in base.vocab])


def _word_beginnings(base: Tokenizer, split: str) -> np.ndarray:
    """Which base ids begin a word, bool, shape (num_base,); PAD, BOS and EOS are words of their own."""
    begins = _bar_ids(base) if split == "bar" else np.zeros(len(base.vocab), np.bool_)
    begins[:NUM_SPECIAL] = True
    return begins


def _word_edges(ids: np.ndarray, edges: np.ndarray, begins_word: np.ndarray) -> np.ndarray:
    """Where words begin, and at last where the last one ends.

    Raises:
        ValueError: an id is none of the base's.
    """
    if len(ids) and not 0 <= ids.min() <= ids.max() < len(begins_word):
        raise ValueError(f"ids of the base lie in 0-{len(begins_word) - 1}, found {ids.min()} to {ids.max()}")
    begins = begins_word[ids]
    begins[1:] |= ids[:-1] < NUM_SPECIAL
    begins[edges[:-1][edges[:-1] < len(ids)]] = True
    return np.append(np.flatnonzero(begins), len(ids))


def _runs_of_merges(learned: Sequence[str], num_base: int) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
    """The base ids of each id; the pairs to merge, the first one first; the id that each becomes."""
    runs = [(i,) for i in range(num_base)]
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


def _runs_of_unigram(learned: Sequence[str], num_base: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The base ids of each id, and its log-probability; of base ids that are not listed it is the least."""
    runs = [(i,) for i in range(num_base)]
    found: dict[tuple[int, ...], float] = {}
    for text in learned:
        try:
            *numbers, score = text.split()
            run = tuple(map(int, numbers))
            found[run] = float(score)
            if not run or not all(0 <= i < num_base for i in run):
                raise ValueError
        except (ValueError, AttributeError):
            raise SettingsError(
                f"tokenizer subwords: a token must be base ids and a log-probability, found {text!r}"
            ) from None
    unseen = min(found.values(), default=0.0) + UNSEEN
    runs += [run for run in found if len(run) > 1]
    return runs, np.array([found.get(run, unseen) for run in runs])


def _learn_bpe(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> list[str]:
    """The merges that the library `tokenizers` learns, as pairs of ids."""
    from tokenizers import Tokenizer as Library
    from tokenizers import models, trainers

    if not len(ids):
        return []
    characters = [chr(FIRST_CHARACTER + i) for i in range(num_base)]
    library = Library(models.BPE(vocab={c: i for i, c in enumerate(characters)}, merges=[]))
    trainer: Any = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=MIN_COUNT, show_progress=False, initial_alphabet=characters
    )
    beginnings = np.concatenate([np.arange(a, b, LONGEST_WORD) for a, b in itertools.pairwise(words)])
    text = (ids.astype("<u4") + FIRST_CHARACTER).tobytes().decode("utf-32-le")
    library.train_from_iterator((text[a:b] for a, b in itertools.pairwise([*beginnings, len(ids)])), trainer=trainer)
    found = json.loads(library.to_str())["model"]
    id_of = found["vocab"]
    return [f"{id_of[left]} {id_of[right]}" for left, right in found["merges"]]


# Unigram -----------------------------------------------------------------------------------------------------------


def _learn_unigram(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> list[str]:
    """The runs, and log-probabilities of all tokens, by SentencePiece's rounds of EM and pruning."""
    wanted = vocab_size - num_base
    runs = [(i,) for i in range(num_base)]
    counts = np.bincount(ids, minlength=num_base).astype(np.float64)
    if not counts.sum():
        return []
    seeds, seed_counts = _seeds(ids, words, SEEDS_PER_TOKEN * wanted)
    runs += seeds
    weights = np.concatenate((counts, seed_counts * [len(run) for run in seeds]))
    scores = np.log(np.maximum(weights, MIN_EXPECTED) / weights.sum())
    while True:
        for _ in range(ROUNDS_OF_EM):
            expected = _expected_counts(ids, words, num_base, scores, *_trie_of(runs, num_base))
            stays = expected >= MIN_EXPECTED
            stays[:num_base] = True
            runs = [run for run, one in zip(runs, stays, strict=True) if one]
            expected = np.maximum(expected[stays], MIN_EXPECTED)
            # Of a Dirichlet process: rare runs get less than their share.
            scores = _digamma(expected) - _digamma(np.array([expected.sum()]))
        if len(runs) - num_base <= SPARE * wanted:
            break
        num_kept = max(int(SPARE * wanted), int(KEPT_OF_ROUND * (len(runs) - num_base)))
        keep = _needed_most(ids, words, num_base, runs, scores, num_kept)
        runs, scores = [runs[k] for k in keep], scores[keep]
    # The likeliest first; of equals the run of the lower ids.
    scores = np.round(scores, DIGITS)
    ranked = sorted(range(num_base, len(runs)), key=lambda k: (-scores[k], runs[k]))[:wanted]
    met = [i for i in range(num_base) if counts[i]]
    return [f"{' '.join(map(str, runs[k]))} {scores[k]:.{DIGITS}f}" for k in [*met, *ranked]]


def _seeds(ids: np.ndarray, words: np.ndarray, most: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Runs met at least twice that one id does not always follow; those that cover most ids, and their counts."""
    left = np.repeat(words[1:], np.diff(words)) - np.arange(len(ids))
    begins, run = np.arange(len(ids)), ids.astype(np.int64)
    factor = int(ids.max()) + 1
    first, count, length = begins[:0], begins[:0], 1
    lengths, firsts, counts = [], [], []
    while length <= LONGEST_RUN:
        # Runs of one id more: a run is the one before and the id that follows.
        longer = left[begins] > length
        begins, run = begins[longer], run[longer]
        _, index, which, count_of_longer = np.unique(
            run * factor + ids[begins + length], return_index=True, return_inverse=True, return_counts=True
        )
        if length > 1:
            always = np.zeros(len(count), np.int64)
            np.maximum.at(always, run, count_of_longer[which])
            is_seed = (count >= MIN_COUNT) & (always < count)
            lengths.append(np.full(is_seed.sum(), length))
            firsts.append(first[is_seed])
            counts.append(count[is_seed])
        first, count, length = begins[index], count_of_longer, length + 1
        # What is met once is met once with any id after it.
        again = count[which] >= MIN_COUNT
        begins, run = begins[again], which[again]
    lengths, firsts, counts = np.concatenate(lengths), np.concatenate(firsts), np.concatenate(counts)
    chosen = np.lexsort((firsts, lengths, -counts * lengths))[:most]
    runs = [tuple(ids[p : p + n].tolist()) for p, n in zip(firsts[chosen], lengths[chosen], strict=True)]
    return runs, counts[chosen]


def _needed_most(
    ids: np.ndarray, words: np.ndarray, num_base: int, runs: list[tuple[int, ...]], scores: np.ndarray, num_kept: int
) -> np.ndarray:
    """Which tokens stay, ascending: all base ids, and the `num_kept` runs that the likelihood would miss most."""
    trie = _trie_of(runs, num_base)
    everything = np.array([0, len(ids)])
    times = np.bincount(_segment(ids, everything, words, num_base, scores, *trie)[0], minlength=len(runs))
    flat, edges = _flat(runs)
    loss = _losses(flat, edges, num_base, scores, times, *trie)
    order = np.argsort(-loss[num_base:], kind="stable")[:num_kept] + num_base
    order = order[loss[order] > -np.inf]
    return np.concatenate((np.arange(num_base), np.sort(order)))


def _digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log gamma, for x > 0: its recurrence up to 6, its asymptotic series from there."""
    x, shift = x.astype(np.float64), np.zeros(len(x))
    while (is_small := x < 6).any():
        shift[is_small] -= 1 / x[is_small]
        x = x + is_small
    y = 1 / x**2
    return shift + np.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))


def _flat(runs: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([i for run in runs for i in run], np.int64),
        np.cumsum([0, *map(len, runs)], dtype=np.int64),
    )


def _trie_of(runs: Sequence[Sequence[int]], num_base: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_build_trie` makes it, of runs that begin with those of one base id each."""
    return _build_trie(*_flat(runs), num_base)


# What is compiled --------------------------------------------------------------------------------------------------


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
def _pair_table(pairs: np.ndarray, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
def _merge(
    ids: np.ndarray, edges: np.ndarray, words: np.ndarray, keys: np.ndarray, ranks: np.ndarray, joined: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the neighbours of the lowest rank, the leftmost first, until none can be; ids and their edges."""
    longest = 0
    for w in range(len(words) - 1):
        longest = max(longest, words[w + 1] - words[w])
    # Of a word: its ids, where the next and the one before stand, and the rank of each with the next, or -1.
    now, rank_at = np.empty(longest, np.int64), np.empty(longest, np.int64)
    following, before = np.empty(longest, np.int64), np.empty(longest, np.int64)
    # Ranks and positions, the lowest on top; of a position no more than its pair's own, and one for each merge by it.
    heap = np.empty(3 * longest + 2, np.int64)
    values = np.empty(len(ids), np.uint32)
    new_edges = np.zeros(len(edges), np.int64)
    n, i = 0, 0
    for w in range(len(words) - 1):
        while edges[i] <= words[w] and i + 1 < len(edges):
            new_edges[i] = n
            i += 1
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
    new_edges[i:] = n
    return values[:n].copy(), new_edges


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
def _segment(
    ids: np.ndarray,
    edges: np.ndarray,
    words: np.ndarray,
    num_base: int,
    scores: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    token_at: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest tokens of each word; of equally likely ones those whose last is longest."""
    longest = 0
    for w in range(len(words) - 1):
        longest = max(longest, words[w + 1] - words[w])
    best, token_to = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    begin_of = np.empty(longest + 1, np.int64)
    values = np.empty(len(ids), np.uint32)
    new_edges = np.zeros(len(edges), np.int64)
    n, i = 0, 0
    for w in range(len(words) - 1):
        while edges[i] <= words[w] and i + 1 < len(edges):
            new_edges[i] = n
            i += 1
        word = ids[words[w] : words[w + 1]]
        _best_paths(word, False, num_base, scores, keys, nodes, token_at, best, token_to, begin_of)
        k, last = len(word), n
        while k:
            values[last] = token_to[k]
            last += 1
            k = begin_of[k]
        values[n:last] = values[n:last][::-1].copy()
        n = last
    new_edges[i:] = n
    return values[:n].copy(), new_edges


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
def _expected_counts(
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
def _losses(
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


@njit
def _expand(
    ids: np.ndarray, edges: np.ndarray, runs: np.ndarray, run_edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Base ids and their edges."""
    num = 0
    for token in ids:
        if 0 <= token < len(run_edges) - 1:
            num += run_edges[token + 1] - run_edges[token]
    values = np.empty(num, runs.dtype)
    new_edges = np.zeros(len(edges), np.int64)
    n = 0
    for i in range(len(edges) - 1):
        for k in range(edges[i], edges[i + 1]):
            token = np.int64(ids[k])
            if 0 <= token < len(run_edges) - 1:
                for j in range(run_edges[token], run_edges[token + 1]):
                    values[n] = runs[j]
                    n += 1
        new_edges[i + 1] = n
    return values, new_edges
