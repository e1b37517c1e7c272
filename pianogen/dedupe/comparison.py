"""Every pair of performances that shares shingles, measured: first by the shingles that were kept, then, where those
are few, by all.

Thousands of pairs share a few shingles by chance, and are told at a glance: their anchors make no chain. Of short
pieces and of weak resemblances too little was kept to tell; they are looked at again, note by note.
"""

from dataclasses import dataclass

import numpy as np

from pianogen import parallel
from pianogen.dedupe.corpus import Corpus
from pianogen.dedupe.first_looks import (
    CandidateConfig,
    FirstLooks,
    first_looks,
    needs_second_look,
    no_first_looks,
    num_smaller,
)
from pianogen.dedupe.looks import SecondLooks, look_at_pairs, no_second_looks
from pianogen.dedupe.relations import RelationConfig
from pianogen.lake import Lake
from pianogen.settings import Settings


@dataclass(frozen=True, eq=False)
class KnownLooks:
    """What an earlier comparison saw."""

    first: FirstLooks
    """Of those performances that are not new, by their numbers of now."""
    is_new: np.ndarray
    """Of each performance of now."""
    second: SecondLooks


def nothing_known(corpus: Corpus) -> KnownLooks:
    """Nothing was compared before."""
    return KnownLooks(no_first_looks(), np.ones(len(corpus.ids), bool), no_second_looks())


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
    first_looks: FirstLooks
    second_looks: SecondLooks
    """Of the pairs that were compared note by note."""


def compare_all(
    lake: Lake,
    corpus: Corpus,
    config: CandidateConfig,
    relations: RelationConfig,
    settings: Settings,
    known: KnownLooks,
    progress: parallel.Progress | None = None,
) -> Comparison:
    """Measure every pair that may hold the same music.

    Args:
        lake: whose performances these are.
        corpus: their fingerprints.
        config: which pairs are looked at.
        relations: which of those are looked at note by note.
        settings: number of workers and backend.
        known: what was seen before. Nothing but time depends on it.
        progress: told of steps done and all.
    """
    first = first_looks(corpus, config, relations, settings, known.first, known.is_new, progress)
    a, b, figures, smaller = first.a, first.b, first.figures.copy(), num_smaller(corpus, first.a, first.b)
    again = np.flatnonzero(needs_second_look(figures, smaller, config, relations))
    looks = look_at_pairs(lake, corpus, a[again], b[again], relations, settings, known.second, progress)
    smaller_top, matched, matched_class = (np.full(len(a), value) for value in (0, np.nan, np.nan))
    figures[again], smaller[again], smaller_top[again] = looks.figures, looks.num_smaller, looks.num_smaller_top
    matched[again], matched_class[again] = looks.matched, looks.matched_class
    return Comparison(a, b, figures, smaller, smaller_top, matched_class, matched, first, looks)
