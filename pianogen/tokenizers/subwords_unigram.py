"""Unigram: which runs of ids are tokens, and how likely each is, learned and read.

Source: Kudo, "Subword Regularization" (2018), by the rounds of SentencePiece.
"""

import math
from collections.abc import Sequence

import numpy as np

from pianogen.errors import SettingsError
from pianogen.tokenizers.subwords_segmentation import expected_counts, joined_runs, losses, segment, trie_of

MIN_COUNT = 2
"""How often a run must be met to be learned."""
LONGEST_RUN = 16
"""Base ids of a run, as SentencePiece has it."""
SEEDS_PER_TOKEN = 10
"""Runs to begin with, for each token that is asked for."""
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


def learn_unigram(ids: np.ndarray, words: np.ndarray, num_base: int, vocab_size: int) -> list[str]:
    """The runs, and log-probabilities of all tokens, by SentencePiece's rounds of EM and pruning."""
    wanted = vocab_size - num_base
    runs = [(i,) for i in range(num_base)]
    counts = np.bincount(ids, minlength=num_base).astype(np.float64)
    if not counts.sum():
        return []
    seeds, seed_counts = seed_runs(ids, words, SEEDS_PER_TOKEN * wanted)
    runs += seeds
    weights = np.concatenate((counts, seed_counts * [len(run) for run in seeds]))
    scores = np.log(np.maximum(weights, MIN_EXPECTED) / weights.sum())
    while True:
        for _ in range(ROUNDS_OF_EM):
            expected = expected_counts(ids, words, num_base, scores, *trie_of(runs, num_base))
            stays = expected >= MIN_EXPECTED
            stays[:num_base] = True
            runs = [run for run, one in zip(runs, stays, strict=True) if one]
            expected = np.maximum(expected[stays], MIN_EXPECTED)
            # Of a Dirichlet process: rare runs get less than their share.
            scores = digamma(expected) - digamma(np.array([expected.sum()]))
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


def seed_runs(ids: np.ndarray, words: np.ndarray, most: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
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
    trie = trie_of(runs, num_base)
    times = np.bincount(segment(ids, words, num_base, scores, *trie)[0], minlength=len(runs))
    flat, edges = joined_runs(runs)
    loss = losses(flat, edges, num_base, scores, times, *trie)
    order = np.argsort(-loss[num_base:], kind="stable")[:num_kept] + num_base
    order = order[loss[order] > -np.inf]
    return np.concatenate((np.arange(num_base), np.sort(order)))


def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log gamma, for x > 0: its recurrence up to 6, its asymptotic series from there."""
    x, shift = x.astype(np.float64), np.zeros(len(x))
    while (is_small := x < 6).any():
        shift[is_small] -= 1 / x[is_small]
        x = x + is_small
    y = 1 / x**2
    return shift + np.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))


def runs_of_unigram(learned: Sequence[str], num_base: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The base ids of each id, and its log-probability; of base ids that are not listed it is the least."""
    runs = [(i,) for i in range(num_base)]
    found: dict[tuple[int, ...], float] = {}
    for text in learned:
        try:
            *numbers, score = text.split()
            run, likelihood = tuple(map(int, numbers)), float(score)
            if not run or not all(0 <= i < num_base for i in run) or not math.isfinite(likelihood):
                raise ValueError
        except (ValueError, AttributeError):
            raise SettingsError(
                f"tokenizer subwords: a token must be base ids and a log-probability, found {text!r}"
            ) from None
        if run in found:
            raise SettingsError(f"tokenizer subwords: a run must not be learned twice, found {text!r} again")
        found[run] = likelihood
    unseen = min(found.values(), default=0.0) + UNSEEN
    runs += [run for run in found if len(run) > 1]
    return runs, np.array([found.get(run, unseen) for run in runs])
