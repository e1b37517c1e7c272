"""Every pair of performances that shares shingles, measured: first by the shingles that were kept, then, where those
are few, by all.

Thousands of pairs share a few shingles by chance, and are told at a glance: their anchors make no chain. Of short
pieces and of weak resemblances too little was kept to tell; they are looked at again, note by note.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pianogen import parallel
from pianogen.dedupe.alignment import FIGURES, NUM_FIGURES, align_pairs
from pianogen.dedupe.corpus import Corpus, columns_of, load_array
from pianogen.dedupe.looks import SecondLooks, look_at_pairs
from pianogen.dedupe.postings import Postings, Thresholds, build_postings, shared_shingles
from pianogen.dedupe.relations import RelationConfig, needs_notes
from pianogen.lake import Lake
from pianogen.settings import Settings

THRESHOLDS = Thresholds(min_shared=2, min_share=0.015, few=12, min_chroma=4, min_chroma_share=0.1)


@dataclass(frozen=True, kw_only=True)
class CandidateConfig:
    """Which pairs are looked at, and which of them twice."""

    thresholds: Thresholds = THRESHOLDS
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """Pairs of numbers of performances, with what their alignment says; a has the lower id."""

    a: np.ndarray
    b: np.ndarray
    figures: np.ndarray
    """Of each `Alignment`, shape (num_pairs, NUM_FIGURES)."""
    num_smaller: np.ndarray
    """Shingles of the one that has fewer, at the sampling that both were compared at."""
    num_smaller_top: np.ndarray
    """The same of top lines, where all shingles were compared; else 0."""
    matched_class: np.ndarray
    """The same by pitch class alone, where lines and harmonies agree and not much else; NaN elsewhere."""
    matched: np.ndarray
    """Share of notes that the other has at the same place, the greater of the two; NaN where notes were not asked."""
    looks: SecondLooks
    """Of the pairs that were compared note by note."""


def compare_all(
    lake: Lake,
    corpus: Corpus,
    config: CandidateConfig,
    relations: RelationConfig,
    settings: Settings,
    known: SecondLooks,
    progress: parallel.Progress | None = None,
) -> Comparison:
    """Measure every pair that may hold the same music.

    Args:
        lake: whose performances these are.
        corpus: their fingerprints.
        config: which pairs are looked at.
        relations: which of those are looked at note by note.
        settings: number of workers and backend.
        known: pairs that were compared note by note before.
        progress: told of steps done and all.
    """
    postings = build_postings(columns_of(corpus.folder)[0], corpus.first)
    facts = corpus.facts
    num_held = [facts["num_shingles"] - facts["num_chroma"], facts["num_shingles_coarse"] - facts["num_chroma_coarse"]]
    num_held += [facts["num_chroma"], facts["num_chroma_coarse"]]
    arrays = (
        postings.holders,
        postings.place,
        corpus.first,
        corpus.rank,
        facts["sampling"],
        np.stack(num_held, axis=1),
    )
    for name, values in zip(_ARRAYS, arrays, strict=True):
        np.save(corpus.folder / f"{name}.npy", values)
    del postings, arrays
    num = len(corpus.ids)
    # The later ones have fewer left to be compared with.
    edges = np.unique(np.rint(num * (1 - np.sqrt(np.linspace(1, 0, _NUM_TASKS + 1)))).astype(int))
    tasks = [_Range(corpus.folder, int(i), int(j), config, relations) for i, j in itertools.pairwise(edges)]
    parts = parallel.map_blocks(_compare_range, tasks, settings, progress)
    a, b, figures, smaller = (np.concatenate([part[k] for part in parts]) for k in range(4)) if parts else _nothing()
    is_fine = _needs_second_look(figures, smaller, config, relations)
    again = np.flatnonzero(is_fine)
    looks = look_at_pairs(lake, corpus, a[again], b[again], relations, settings, known, progress)
    smaller_top, matched, matched_class = (np.full(len(a), value) for value in (0, np.nan, np.nan))
    figures[again], smaller[again], smaller_top[again] = looks.figures, looks.num_smaller, looks.num_smaller_top
    matched[again], matched_class[again] = looks.matched, looks.matched_class
    return Comparison(a, b, figures, smaller, smaller_top, matched_class, matched, looks)


_NUM_ANCHORS = FIGURES.index("num_anchors")
_ARRAYS = ("holders", "place", "first", "rank", "sampling", "num_held")
_NUM_TASKS = 64


@dataclass(frozen=True)
class _Range:
    folder: Path
    begin: int
    end: int
    config: CandidateConfig
    relations: RelationConfig


def _nothing() -> tuple[np.ndarray, ...]:
    return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, NUM_FIGURES)), np.empty(0, np.int64)


def _compare_range(task: _Range) -> tuple[np.ndarray, ...]:
    read = {name: load_array(task.folder / f"{name}.npy") for name in _ARRAYS}
    config = task.config
    columns = columns_of(task.folder)
    postings = Postings(read["holders"], read["place"], read["first"], 0)
    found = shared_shingles(
        postings, task.begin, task.end, columns[1], read["sampling"], read["num_held"], config.thresholds
    )
    a, b = found.a.astype(np.int64), found.b.astype(np.int64)
    is_turned = read["rank"][a] > read["rank"][b]
    a[is_turned], b[is_turned] = b[is_turned], a[is_turned]
    figures = align_pairs(columns, read["first"], a, b)
    is_coarse = np.maximum(read["sampling"][a], read["sampling"][b]) > 1
    fine, coarse = (read["num_held"][:, k] + read["num_held"][:, k + 2] for k in (0, 1))
    smaller = np.where(is_coarse, np.minimum(coarse[a], coarse[b]), np.minimum(fine[a], fine[b])).astype(np.int64)
    kept = _needs_second_look(figures, smaller, config, task.relations) | (
        figures[:, _NUM_ANCHORS] >= config.enough_anchors
    )
    return a[kept], b[kept], figures[kept], smaller[kept]


def _needs_second_look(
    figures: np.ndarray, smaller: np.ndarray, config: CandidateConfig, relations: RelationConfig
) -> np.ndarray:
    num_anchors = figures[:, _NUM_ANCHORS]
    ratio = figures[:, FIGURES.index("tempo_ratio")]
    is_playable = (ratio <= config.max_tempo_ratio) & (ratio >= 1 / config.max_tempo_ratio)
    coverage = np.maximum(figures[:, FIGURES.index("coverage_a")], figures[:, FIGURES.index("coverage_b")])
    is_wide = (coverage >= config.min_coverage) | (smaller <= config.rather_short)
    is_chain = (num_anchors >= config.min_anchors) & is_playable & is_wide
    is_weak = (num_anchors < config.enough_anchors) | needs_notes(figures, smaller, relations)
    return (is_chain | (smaller <= config.short)) & is_weak
