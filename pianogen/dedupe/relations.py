"""What two performances are to each other, from the figures of their alignment.

    same_bytes     the files are equal
    same_notes     the notes are, to a hundredth of a second; velocities may differ
    edited_copy    the same recording or file: transposed, at another tempo, quantised, with notes more or fewer …
    excerpt        the same, where one covers only a part of the other
    same_work      the same composition, in another performance or as its score
    shared_melody  the top lines are the same, what lies below is not

A copy keeps time with its source to some hundredths of a second over minutes, even when its notes were moved at
random; two performances drift apart by tenths within seconds. Where a copy's tempo was edited on the way it follows
its source within each short stretch, more closely than any player could.

How the thresholds were chosen, and what they give: docs/duplicates.md.
"""

from dataclasses import dataclass

import numpy as np

from pianogen.dedupe.alignment import FIGURES

RELATIONS = ("same_bytes", "same_notes", "edited_copy", "excerpt", "same_work", "shared_melody")
"""From the closest to the loosest."""
JOINING = RELATIONS[:-1]
"""Those of the same music."""
NONE = -1


@dataclass(frozen=True, kw_only=True)
class RelationConfig:
    """Where the lines are drawn."""

    min_anchors: int = 8
    """Anchors of a chain,"""
    min_coverage: float = 0.2
    """the share of the time of one of the two that they cover,"""
    min_score: float = 0.04
    """and their share of the smaller one's shingles, for a pair to be of the same music;"""
    min_score_when_matched: float = 0.025
    """or this share, where nearly all notes are found."""
    max_tempo_ratio: float = 5.0
    """Nothing is played so many times as fast."""
    many_anchors: int = 40
    """With so many the notes need not be asked, unless only outer lines or harmonies agree."""
    min_window_share: float = 0.15
    """Share of the anchors that are windows of notes; below, only those agree."""
    exact_sec: float = 0.01
    """Two that keep time so closely are no two performances: a copy, or another setting at the same tempo."""
    min_matched: float = 0.55
    """Share of one's notes that the other has at the same place, for two that do not,"""
    min_matched_exact: float = 0.88
    """for two that do,"""
    nearly_all: float = 0.9
    """and for a chain that is all too short."""
    min_score_of_harmony: float = 0.08
    """Where only lines and harmonies agree, and with this score, nearly all pitch classes may stand for pitches."""
    sure_containment: float = 0.6
    """So many of the smaller one's shingles in the other are of the same music where the chain holds"""
    min_score_when_contained: float = 0.25
    """this share of them: loops leave many out."""
    sure_score: float = 0.5
    """With this score the notes need not be asked whether a copy is one."""
    max_copy_residual_sec: float = 0.055
    max_edited_tempo_residual_sec: float = 0.004
    """With a tempo of its own for each stretch."""
    part: float = 0.8
    """An excerpt covers at most this share of its source, against what is covered of itself."""
    min_melody_share: float = 0.5
    """Shingles of the top line that two melodies share,"""
    min_melody: int = 8
    """and how many at least."""


def needs_notes(figures: np.ndarray, num_smaller: np.ndarray, config: RelationConfig) -> np.ndarray:
    """Whether shingles alone do not tell the relation of a pair whose chain is strong; shape (num_pairs,)."""
    is_doubtful = _is_copy(figures, config) & (scores(figures, num_smaller) < config.sure_score)
    return has_few_windows(figures, config) | is_doubtful


def scores(figures: np.ndarray, num_smaller: np.ndarray) -> np.ndarray:
    """Share of the smaller one's shingles that lie on the chain, 0-1; shape (num_pairs,)."""
    return np.minimum(_figure(figures, "num_anchors") / np.maximum(num_smaller, 1), 1.0)


def relations(
    figures: np.ndarray,
    num_smaller: np.ndarray,
    num_smaller_top: np.ndarray,
    matched_class: np.ndarray,
    matched: np.ndarray,
    config: RelationConfig,
) -> np.ndarray:
    """The relation of each pair.

    Args:
        figures: of each `Alignment`, shape (num_pairs, NUM_FIGURES).
        num_smaller: shingles of the one that has fewer.
        num_smaller_top: the same of the top lines; 0 where they were not counted.
        matched_class: share of one's notes whose pitch class the other has at the same place; NaN where not asked.
        matched: share of one's notes that the other has at the same place; NaN where the notes were not asked.
        config: where the lines are drawn.

    Returns:
        Places in `RELATIONS`, or `NONE`.
    """
    coverage_a, coverage_b = _figure(figures, "coverage_a"), _figure(figures, "coverage_b")
    coverage = np.maximum(coverage_a, coverage_b)
    ratio, num_anchors = _figure(figures, "tempo_ratio"), _figure(figures, "num_anchors")
    score = scores(figures, num_smaller)
    # NaN is no small residual.
    is_exact = _figure(figures, "residual_sec") <= config.exact_sec
    is_matched = matched >= np.where(is_exact, config.min_matched_exact, config.min_matched)
    is_many = (num_anchors >= config.many_anchors) & ~has_few_windows(figures, config)
    is_contained = _figure(figures, "num_shared") >= config.sure_containment * num_smaller
    is_music = (
        (num_anchors >= config.min_anchors)
        & (coverage >= config.min_coverage)
        & (ratio <= config.max_tempo_ratio)
        & (ratio * config.max_tempo_ratio >= 1)
        & (
            ((score >= config.min_score) & (is_many | is_matched))
            | ((score >= config.min_score_when_matched) & (matched >= config.nearly_all))
            | ((score >= config.min_score_when_contained) & is_contained)
            | ((score >= config.min_score_of_harmony) & (matched_class >= config.nearly_all))
        )
    )
    has_its_notes = (score >= config.sure_score) | (np.fmax(matched, matched_class) >= config.min_matched_exact)
    is_copy = is_music & _is_copy(figures, config) & has_its_notes
    is_part = np.minimum(coverage_a, coverage_b) < config.part * coverage
    num_top = _figure(figures, "num_top_lines")
    is_melody = (
        (num_smaller_top > 0) & (num_top >= config.min_melody) & (num_top >= config.min_melody_share * num_smaller_top)
    )
    named = np.where(is_melody, RELATIONS.index("shared_melody"), NONE)
    named = np.where(is_music, RELATIONS.index("same_work"), named)
    named = np.where(is_copy, RELATIONS.index("edited_copy"), named)
    return np.where(is_copy & is_part, RELATIONS.index("excerpt"), named)


def _is_copy(figures: np.ndarray, config: RelationConfig) -> np.ndarray:
    return (_figure(figures, "residual_sec") <= config.max_copy_residual_sec) | (
        _figure(figures, "own_residual_sec") <= config.max_edited_tempo_residual_sec
    )


def has_few_windows(figures: np.ndarray, config: RelationConfig) -> np.ndarray:
    """Whether hardly more than outer lines or harmonies agree; shape (num_pairs,)."""
    return _figure(figures, "num_windows") < config.min_window_share * _figure(figures, "num_anchors")


def _figure(figures: np.ndarray, name: str) -> np.ndarray:
    return figures[:, FIGURES.index(name)]
