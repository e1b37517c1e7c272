"""First looks: pairs that share shingles, aligned by those that were kept. Of a corpus that has grown, what is new.

New music changes little between performances that were there: a shingle that has become common no longer brings them
together. So pairs can be lost and never won, and those lost are told by the shingles that the new ones hold.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pianogen import parallel
from pianogen.compiled import njit
from pianogen.dedupe.alignment import FIGURES, NUM_FIGURES, align_pairs
from pianogen.dedupe.corpus import Corpus, columns_of, first_of, load_array
from pianogen.dedupe.postings import (
    Postings,
    SharedShingles,
    Thresholds,
    are_alike,
    build_postings,
    shared_shingles,
)
from pianogen.dedupe.relations import RelationConfig, needs_notes
from pianogen.dedupe.shingle import CHROMA
from pianogen.settings import Settings

THRESHOLDS = Thresholds(min_shared=2, min_share=0.015, few=12, rather_few=40, min_chroma=3, min_chroma_share=0.05)


@dataclass(frozen=True, kw_only=True)
class CandidateConfig:
    """Which pairs are looked at, and which of them twice."""

    thresholds: Thresholds = field(default_factory=lambda: THRESHOLDS)
    max_run: int = 256
    """A shingle that more performances hold is common: it pairs them with the first alone."""
    min_anchors: int = 3
    """Anchors in a chain for a second look,"""
    min_coverage: float = 0.05
    """and the share of the time of one that they cover,"""
    rather_short: int = 200
    """which is not asked where the smaller one has no more shingles than this,"""
    short: int = 40
    """and neither are anchors with no more than this."""
    enough_anchors: int = 40
    """With so many a second look would say the same."""
    max_tempo_ratio: float = 6.0
    """Nothing is played so many times as fast."""
    across_datasets: bool = False
    """Only pairs of performances of different datasets are asked for."""


class FirstLooks(NamedTuple):
    """Pairs that are strong or need a second look; ordered by a, then b."""

    a: np.ndarray
    """Numbers of performances, a < b; int64."""
    b: np.ndarray
    num_met: np.ndarray
    """Shingles that brought them together: windows and lines,"""
    num_met_chroma: np.ndarray
    """and chroma."""
    figures: np.ndarray
    """Of each `Alignment`, shape (num_pairs, NUM_FIGURES)."""


def first_looks(
    corpus: Corpus,
    config: CandidateConfig,
    relations: RelationConfig,
    settings: Settings,
    known: FirstLooks,
    is_new: np.ndarray,
    progress: parallel.Progress | None = None,
) -> FirstLooks:
    """Look at every pair that may hold the same music.

    Args:
        corpus: fingerprints of all performances.
        config: which pairs are looked at.
        relations: which of them are asked for their notes.
        settings: number of workers and backend.
        known: what this function returned for those that are not new, by their numbers of now.
        is_new: of each performance.
        progress: told of steps done and all.
    """
    if is_new.sum() * _FEW_NEW > len(is_new):
        return _look_at_all(corpus, config, relations, settings, progress)
    held = _held_by_new(corpus, is_new)
    new = _look_at_new(corpus, held, config, relations, is_new)
    old = _without_lost(corpus, held, config, known, is_new)
    both = FirstLooks(*(np.concatenate(pair) for pair in zip(old, new, strict=True)))
    order = np.lexsort((both.b, both.a))
    return FirstLooks(*(column[order] for column in both))


def no_first_looks() -> FirstLooks:
    """None at all."""
    whole = np.empty(0, np.int64)
    return FirstLooks(whole, whole, whole, whole, np.empty((0, NUM_FIGURES)))


def num_smaller(corpus: Corpus, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shingles of the one that has fewer, at the sampling that both are compared at; shape (num_pairs,)."""
    return _num_smaller(_num_held(corpus), corpus.facts["sampling"], a, b)


def needs_second_look(
    figures: np.ndarray, smaller: np.ndarray, config: CandidateConfig, relations: RelationConfig
) -> np.ndarray:
    """Whether a pair is looked at note by note, shape (num_pairs,); `smaller` as of `num_smaller`."""
    num_anchors = figures[:, _NUM_ANCHORS]
    ratio = figures[:, FIGURES.index("tempo_ratio")]
    is_playable = (ratio <= config.max_tempo_ratio) & (ratio >= 1 / config.max_tempo_ratio)
    coverage = np.maximum(figures[:, FIGURES.index("coverage_a")], figures[:, FIGURES.index("coverage_b")])
    is_wide = (coverage >= config.min_coverage) | (smaller <= config.rather_short)
    is_chain = (num_anchors >= config.min_anchors) & is_playable & is_wide
    is_weak = (num_anchors < config.enough_anchors) | needs_notes(figures, smaller, relations)
    return (is_chain | (smaller <= config.short)) & is_weak


_NUM_ANCHORS = FIGURES.index("num_anchors")
_ARRAYS = ("holders", "place", "sampling", "num_held", "dataset_of")
_NUM_TASKS = 64
_FEW_NEW = 8
"""Where less than one in so many is new, the pairs of the others are not looked at again."""


@dataclass(frozen=True)
class _Range:
    folder: Path
    begin: int
    end: int
    config: CandidateConfig
    relations: RelationConfig


def _look_at_all(
    corpus: Corpus,
    config: CandidateConfig,
    relations: RelationConfig,
    settings: Settings,
    progress: parallel.Progress | None,
) -> FirstLooks:
    postings = build_postings(columns_of(corpus.folder)[0], corpus.first, config.max_run, settings.num_workers)
    arrays = postings.holders, postings.place, corpus.facts["sampling"], _num_held(corpus), corpus.dataset_of
    for name, values in zip(_ARRAYS, arrays, strict=True):
        np.save(corpus.folder / f"{name}.npy", values)
    del postings, arrays
    num = len(corpus.ids)
    # The later ones have fewer left to be compared with.
    edges = np.unique(np.rint(num * (1 - np.sqrt(np.linspace(1, 0, _NUM_TASKS + 1)))).astype(int))
    tasks = [_Range(corpus.folder, int(i), int(j), config, relations) for i, j in itertools.pairwise(edges)]
    parts = parallel.map_blocks(_look_at_range, tasks, settings, progress)
    return FirstLooks(*map(np.concatenate, zip(no_first_looks(), *parts, strict=True)))


def _look_at_range(task: _Range) -> FirstLooks:
    read = {name: load_array(task.folder / f"{name}.npy") for name in _ARRAYS}
    columns, sampling, num_held = columns_of(task.folder), read["sampling"], read["num_held"]
    first = first_of(task.folder)
    postings = Postings(read["holders"], read["place"], first)
    all_new = np.ones(len(sampling), bool)
    found = shared_shingles(
        postings, task.begin, task.end, columns[1], sampling, num_held, task.config.thresholds, all_new
    )
    found = _asked_for(found, read["dataset_of"], task.config)
    smaller = _num_smaller(num_held, sampling, found.a, found.b)
    return _aligned(found, columns, first, smaller, task.config, task.relations)


def _asked_for(found: SharedShingles, dataset_of: np.ndarray, config: CandidateConfig) -> SharedShingles:
    if not config.across_datasets:
        return found
    is_across = dataset_of[found.a] != dataset_of[found.b]
    return SharedShingles(*(column[is_across] for column in found))


def _aligned(
    found: SharedShingles,
    columns: tuple,
    first: np.ndarray,
    smaller: np.ndarray,
    config: CandidateConfig,
    relations: RelationConfig,
) -> FirstLooks:
    """Pairs with their alignment, without those that it tells to be nothing."""
    found = SharedShingles(*(column.astype(np.int64) for column in found))
    figures = align_pairs(columns, first, found.a, found.b)
    is_strong = figures[:, _NUM_ANCHORS] >= config.enough_anchors
    kept = is_strong | needs_second_look(figures, smaller, config, relations)
    return FirstLooks(*(column[kept] for column in (*found, figures)))


def _num_held(corpus: Corpus) -> np.ndarray:
    """As `postings.shared_shingles` asks for them."""
    facts = corpus.facts
    chroma = [facts["num_chroma"], facts["num_chroma_coarse"]]
    others = [facts["num_shingles"] - chroma[0], facts["num_shingles_coarse"] - chroma[1]]
    return np.stack(others + chroma, axis=1)


def _num_smaller(num_held: np.ndarray, sampling: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    fine, coarse = (num_held[:, k] + num_held[:, k + 2] for k in (0, 1))
    is_coarse = np.maximum(sampling[a], sampling[b]) > 1
    return np.where(is_coarse, np.minimum(coarse[a], coarse[b]), np.minimum(fine[a], fine[b])).astype(np.int64)


class _Held(NamedTuple):
    """Entries of all performances, ordered by performance, whose shingles new ones hold (and a few others)."""

    shingle: np.ndarray
    kind: np.ndarray
    first: np.ndarray
    """Number of each performance's first entry, and of all."""


def _held_by_new(corpus: Corpus, is_new: np.ndarray) -> _Held:
    shingle, kind = columns_of(corpus.folder)[:2]
    is_held = np.zeros(1 << _FILTER_BITS, np.bool_)
    _mark(shingle, corpus.first, is_new, is_held)
    rows, first = _marked(shingle, corpus.first, is_held)
    return _Held(shingle[rows], kind[rows], first)


_FILTER_BITS = 23
"""Of a shingle, that tell it: few enough for a table that stays in a processor's cache."""


@njit
def _mark(shingle, first, is_new, is_held):
    shift = np.uint64(64 - _FILTER_BITS)
    for n in range(len(is_new)):
        if is_new[n]:
            for i in range(first[n], first[n + 1]):
                is_held[shingle[i] >> shift] = True


@njit
def _marked(shingle, first, is_held):
    """Numbers of the entries that are marked, and where each performance's begin among them."""
    shift = np.uint64(64 - _FILTER_BITS)
    out_first = np.zeros(len(first), np.int64)
    num = 0
    for n in range(len(first) - 1):
        for i in range(first[n], first[n + 1]):
            num += is_held[shingle[i] >> shift]
        out_first[n + 1] = num
    rows = np.empty(num, np.int64)
    num = 0
    for i in range(first[-1]):
        if is_held[shingle[i] >> shift]:
            rows[num] = i
            num += 1
    return rows, out_first


def _look_at_new(
    corpus: Corpus, held: _Held, config: CandidateConfig, relations: RelationConfig, is_new: np.ndarray
) -> FirstLooks:
    """Pairs with a new member, by an index of no more than what the new ones hold."""
    sampling, num_held = corpus.facts["sampling"], _num_held(corpus)
    postings = build_postings(held.shingle, held.first, config.max_run)
    found = shared_shingles(postings, 0, len(is_new), held.kind, sampling, num_held, config.thresholds, is_new)
    found = _asked_for(found, corpus.dataset_of, config)
    smaller = _num_smaller(num_held, sampling, found.a, found.b)
    return _aligned(found, columns_of(corpus.folder), corpus.first, smaller, config, relations)


def _without_lost(
    corpus: Corpus, held: _Held, config: CandidateConfig, known: FirstLooks, is_new: np.ndarray
) -> FirstLooks:
    """Known pairs without those whose shingles have become common."""
    performance = np.repeat(np.arange(len(is_new)), np.diff(held.first))
    order = np.argsort(held.shingle, kind="stable")
    a, b, kind = _losses(held.shingle[order], performance[order], held.kind[order], is_new, config.max_run)
    is_chroma = np.equal(kind, CHROMA)
    num = len(is_new)
    key, lost = known.a * num + known.b, a * num + b
    at = np.searchsorted(key, lost).clip(max=max(len(key) - 1, 0))
    is_known = key[at] == lost if len(key) else np.zeros(len(lost), bool)
    left = known._replace(
        num_met=known.num_met - np.bincount(at[is_known & ~is_chroma], minlength=len(key)),
        num_met_chroma=known.num_met_chroma - np.bincount(at[is_known & is_chroma], minlength=len(key)),
    )
    kept = are_alike(SharedShingles(*left[:4]), corpus.facts["sampling"], _num_held(corpus), config.thresholds)
    return FirstLooks(*(column[kept] for column in left))


@njit
def _losses(values, performance, kind, is_new, max_run):
    """Pairs of old performances, and its kind, for each shingle that no longer brings them together.

    A shingle of more than `max_run` performances brings each together with the first alone.
    """
    num = 0
    room = 1024
    out_a, out_b, out_kind = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint8)
    old = np.empty(len(is_new), np.int64)
    i = 0
    while i < len(values):
        end = i
        num_old = num_all = 0
        while end < len(values) and values[end] == values[i]:
            if end == i or performance[end] != performance[end - 1]:
                num_all += 1
                if not is_new[performance[end]]:
                    old[num_old] = performance[end]
                    num_old += 1
            end += 1
        was_common, is_common = num_old > max_run, num_all > max_run
        is_first_old = num_old > 0 and old[0] == performance[i]
        if is_common and not (was_common and is_first_old):
            # Of one that was common already only the first told; it is no longer the first.
            for x in range(1 if is_first_old else 0, 1 if was_common else num_old):
                for y in range(x + 1, num_old):
                    if num == room:
                        room *= 2
                        out_a, out_b, out_kind = _grown(out_a, room), _grown(out_b, room), _grown(out_kind, room)
                    out_a[num], out_b[num], out_kind[num] = old[x], old[y], kind[i]
                    num += 1
        i = end
    return out_a[:num].copy(), out_b[:num].copy(), out_kind[:num].copy()


@njit
def _grown(values, room):
    grown = np.empty(room, values.dtype)
    grown[: len(values)] = values
    return grown
