"""Tokens that stand for several of another scheme's: byte-pair encoding, or Unigram, over its ids.

The first ids are the base scheme's own, PAD, BOS and EOS with them; each one after them stands for a run of base ids.
Runs do not cross words: with `split` "bar" a word is a bar, else a whole performance. Nothing is lost: expanding gives
the base ids back.

`learn` sees the tokens that it is given and nothing else, and the same tokens give the same vocabulary.

- BPE joins the two neighbours that are met most often, over and over (Sennrich et al., 2016; over music, Fradet et al.,
  2023); of equal counts the pair of the lower ids. The library `tokenizers` learns and encodes the same.
- Unigram drops from many runs those that the likelihood misses least, and encodes by the likeliest segmentation (Kudo,
  2018). What the library learns is another thing every time.

docs/tokenizers/subwords.md has an example and measurements.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.lake import digest
from pianogen.midi.blocks import MusicBlock
from pianogen.tokenizers.base import (
    SPECIAL_TOKENS,
    LayeredTokenizer,
    TokenBlock,
    Tokenizer,
    make_tokenizer,
    token_block,
)
from pianogen.tokenizers.subwords_bpe import MOST_IDS, learn_bpe, runs_of_merges
from pianogen.tokenizers.subwords_segmentation import merge, pair_table, segment, trie_of
from pianogen.tokenizers.subwords_unigram import learn_unigram, runs_of_unigram

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

NUM_SPECIAL = len(SPECIAL_TOKENS)
MOST_LEARNED = 5_000_000
"""Base ids to learn from: memory is about 50 bytes for each with BPE, 100 with Unigram."""


class Subwords(LayeredTokenizer):
    """Runs of a base scheme's ids as one.

    Args:
        base: settings of the base tokenizer, as `make_tokenizer` takes them; its tokens are ids.
        model: "bpe" or "unigram".
        vocab_size: how many tokens were asked for; where the music had fewer runs to learn, there are fewer.
        split: "bar" or "none"; "bar" where the base scheme has tokens of bars, if nothing is said.
        learned: of BPE the two ids of each merge, in their order; of Unigram the base ids of each token and its
            log-probability. Each is a string of numbers with spaces between.
    """

    most_learned = MOST_LEARNED
    code = tuple(f"pianogen.tokenizers.subwords_{part}" for part in ("bpe", "unigram", "segmentation"))

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
        if not isinstance(learned, (list, tuple)):
            raise SettingsError(f"tokenizer subwords: learned must be a list of strings, found {learned!r}")
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
        self.clock, self.reads_parts = self.base.clock, self.base.reads_parts
        num_base = len(self.base.vocab)
        if model == "bpe":
            runs, pairs, joined = runs_of_merges(learned, num_base)
            self._merges = pair_table(pairs, joined)
        else:
            runs, scores = runs_of_unigram(learned, num_base)
            self.scores = scores
            """Log-probability of each id."""
            self._trie = trie_of(runs, num_base)
        if len(runs) > vocab_size:
            raise SettingsError(f"tokenizer subwords: {len(runs)} tokens were learned, vocab_size is {vocab_size}")
        self.vocab = tuple("+".join(self.base.vocab[i] for i in run) for run in runs)
        unknown = set(self.base.unknown_ids)
        self.unknown_ids = tuple(i for i, run in enumerate(runs) if unknown.intersection(run))
        self.runs = token_block([np.array(run, np.uint32) for run in runs], self.base)
        """Base ids of each id."""
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
            values, edges = merge(ids, words, *self._merges)
        else:
            values, edges = segment(ids, words, len(self.base.vocab), self.scores, *self._trie)
        return TokenBlock(values.astype(self.dtype, copy=False), edges[np.searchsorted(words, tokens.edges)])

    def expand(self, tokens: TokenBlock) -> TokenBlock:
        """Ids to base ids; what is no id is passed over."""
        ids = np.ascontiguousarray(tokens.values)
        return TokenBlock(*_expand(ids, tokens.edges, self.runs.values, self.runs.edges))


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
        most_ids: of more music, performances are drawn until they have so many.
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
    learner = learn_bpe if model == "bpe" else learn_unigram
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
