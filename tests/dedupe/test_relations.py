import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.dedupe.alignment import FIGURES, Alignment
from pianogen.dedupe.relations import JOINING, NONE, RELATIONS, RelationConfig, needs_notes, relations, scores

CONFIG = RelationConfig(
    min_anchors=8,
    min_coverage=0.2,
    min_score=0.05,
    min_score_when_matched=0.025,
    max_tempo_ratio=5.0,
    many_anchors=40,
    min_window_share=0.15,
    exact_sec=0.01,
    min_matched=0.55,
    min_matched_exact=0.75,
    nearly_all=0.9,
    min_score_of_harmony=0.08,
    sure_containment=0.6,
    min_score_when_contained=0.25,
    sure_score=0.5,
    max_copy_residual_sec=0.055,
    max_edited_tempo_residual_sec=0.004,
    part=0.8,
    min_melody_share=0.5,
    min_melody=8,
)
"""Lines drawn here, since those of the project move when they are calibrated again."""
NAN = math.nan

COPY = Alignment(
    num_shared=160,
    num_anchors=100,
    num_windows=60,
    semitones=3,
    is_mirrored=False,
    tempo_ratio=1.1,
    residual_sec=0.001,
    own_residual_sec=0.001,
    coverage_a=0.95,
    coverage_b=0.95,
    num_top_lines=60,
)
"""With 200 shingles of the smaller one, of which 80 are of the top line: as clear as can be."""
WORK = COPY._replace(residual_sec=0.4, own_residual_sec=0.05)
"""Another performance."""
FEW = WORK._replace(num_shared=40, num_anchors=12, num_windows=10, num_top_lines=0)
"""Of 200: a chain that the notes must speak for."""


def named(
    figures: Alignment = COPY,
    num_smaller: int = 200,
    num_smaller_top: int = 0,
    matched_class: float = NAN,
    matched: float = NAN,
    config: RelationConfig = CONFIG,
) -> str | None:
    (place,) = relations(
        np.array([figures], float),
        np.array([num_smaller]),
        np.array([num_smaller_top]),
        np.array([matched_class]),
        np.array([matched]),
        config,
    )
    return None if place == NONE else RELATIONS[place]


def test_the_loosest_relation_does_not_join():
    assert {*RELATIONS} - {*JOINING} == {"shared_melody"} == {RELATIONS[-1]}


def test_clear_cases_by_the_lines_of_the_project():
    project = RelationConfig()
    assert named(COPY, config=project) == "edited_copy"
    assert named(COPY._replace(coverage_a=0.1), config=project) == "excerpt"
    assert named(WORK, config=project) == "same_work"
    assert named(FEW, config=project) is None


def test_clear_cases():
    assert named(COPY) == "edited_copy"
    assert named(WORK) == "same_work"
    assert named(COPY._replace(coverage_a=0.3)) == "excerpt"
    assert named(COPY._replace(coverage_b=0.3)) == "excerpt"
    assert named(FEW, matched=0.8) == "same_work"
    assert named(FEW) is None
    assert named(COPY._replace(num_anchors=3), num_smaller_top=80) == "shared_melody"


# Figure by figure: just on this side of a threshold, and just on that


@pytest.mark.parametrize(
    ("figures", "relation"),
    [
        # A copy keeps time, by one line or by many.
        (COPY._replace(residual_sec=0.055, own_residual_sec=0.05), "edited_copy"),
        (COPY._replace(residual_sec=0.0551, own_residual_sec=0.05), "same_work"),
        (COPY._replace(residual_sec=0.4, own_residual_sec=0.004), "edited_copy"),
        (COPY._replace(residual_sec=0.4, own_residual_sec=0.0041), "same_work"),
        (COPY._replace(residual_sec=NAN, own_residual_sec=NAN), "same_work"),
        (COPY._replace(residual_sec=NAN, own_residual_sec=0.001), "edited_copy"),
        (COPY._replace(residual_sec=0.001, own_residual_sec=NAN), "edited_copy"),
        # An excerpt covers less of its source than of itself.
        (COPY._replace(coverage_a=0.76), "edited_copy"),
        (COPY._replace(coverage_a=0.759), "excerpt"),
        (WORK._replace(coverage_a=0.2), "same_work"),
        # Coverage of the one that is covered more.
        (COPY._replace(coverage_a=0.2, coverage_b=0.2), "edited_copy"),
        (COPY._replace(coverage_a=0.199, coverage_b=0.199), None),
        (COPY._replace(coverage_a=0.0, coverage_b=0.2), "excerpt"),
        # Tempo.
        (COPY._replace(tempo_ratio=5.0), "edited_copy"),
        (COPY._replace(tempo_ratio=5.01), None),
        (COPY._replace(tempo_ratio=0.2), "edited_copy"),
        (COPY._replace(tempo_ratio=0.199), None),
        (COPY._replace(tempo_ratio=0.0), None),
        (COPY._replace(tempo_ratio=NAN), None),
        # Anchors that need no notes, unless hardly any is a window.
        (WORK._replace(num_anchors=40, num_windows=6), "same_work"),
        (WORK._replace(num_anchors=39, num_windows=39), None),
        (WORK._replace(num_anchors=40, num_windows=5), None),
        # Transposition and mirror image do not matter.
        (COPY._replace(semitones=124, is_mirrored=True), "edited_copy"),
        (COPY._replace(semitones=-40), "edited_copy"),
    ],
)
def test_a_figure_at_its_threshold(figures, relation):
    assert named(figures) == relation


@pytest.mark.parametrize(
    ("num_anchors", "num_smaller", "matched", "relation"),
    [
        # Score 0.05 with notes that are half there.
        (8, 160, 0.55, "same_work"),
        (8, 161, 0.55, None),
        (8, 160, 0.549, None),
        (8, 160, NAN, None),
        # Half the score with nearly all of them.
        (8, 320, 0.9, "same_work"),
        (8, 320, 0.899, None),
        (8, 321, 1.0, None),
        (7, 100, 1.0, None),
        # Many anchors, and the least score.
        (40, 800, NAN, "same_work"),
        (40, 801, NAN, None),
    ],
)
def test_scores_and_notes_at_their_thresholds(num_anchors, num_smaller, matched, relation):
    figures = FEW._replace(num_anchors=num_anchors, num_windows=num_anchors, num_shared=0)
    assert named(figures, num_smaller, matched=matched) == relation


@pytest.mark.parametrize(
    ("residual_sec", "matched", "relation"),
    [
        (0.0101, 0.55, "same_work"),
        (0.01, 0.55, None),
        (0.01, 0.749, None),
        (0.01, 0.75, "edited_copy"),
        (NAN, 0.55, "same_work"),
    ],
)
def test_two_that_keep_time_exactly_must_agree_in_more_notes(residual_sec, matched, relation):
    assert named(FEW._replace(residual_sec=residual_sec), matched=matched) == relation


@pytest.mark.parametrize(
    ("num_shared", "num_anchors", "relation"),
    [(120, 50, "same_work"), (119, 50, None), (120, 49, None), (200, 8, None)],
)
def test_one_that_is_contained_needs_less_of_a_chain_of_windows(num_shared, num_anchors, relation):
    # No window, so that the number of anchors alone is not enough.
    figures = WORK._replace(num_shared=num_shared, num_anchors=num_anchors, num_windows=0)
    assert named(figures, 200) == relation


@pytest.mark.parametrize(
    ("num_anchors", "matched_class", "relation"),
    [(16, 0.9, "same_work"), (15, 0.9, None), (16, 0.899, None), (16, NAN, None)],
)
def test_where_only_harmonies_agree_nearly_all_pitch_classes_must(num_anchors, matched_class, relation):
    figures = FEW._replace(num_anchors=num_anchors, num_windows=0)
    assert named(figures, 200, matched_class=matched_class) == relation


@pytest.mark.parametrize(
    ("num_anchors", "matched", "matched_class", "relation"),
    [
        (100, NAN, NAN, "edited_copy"),
        (99, NAN, NAN, "same_work"),
        (99, 0.75, NAN, "edited_copy"),
        (99, NAN, 0.75, "edited_copy"),
        (99, 0.749, 0.749, "same_work"),
    ],
)
def test_a_copy_has_the_notes_of_its_source(num_anchors, matched, matched_class, relation):
    figures = COPY._replace(num_anchors=num_anchors, num_windows=num_anchors)
    assert named(figures, 200, matched=matched, matched_class=matched_class) == relation


@pytest.mark.parametrize(
    ("num_top", "num_smaller_top", "relation"),
    [
        (8, 16, "shared_melody"),
        (8, 17, None),
        (7, 10, None),
        (8, 8, "shared_melody"),
        # Where top lines were not counted nothing is known of them.
        (8, 0, None),
        (0, 0, None),
    ],
)
def test_melodies_are_shared_by_half_of_the_smaller_top_line(num_top, num_smaller_top, relation):
    assert named(FEW._replace(num_top_lines=num_top), 200, num_smaller_top) == relation


def test_a_closer_relation_goes_before_a_shared_melody():
    assert named(COPY, num_smaller_top=80) == "edited_copy"
    assert named(WORK, num_smaller_top=80) == "same_work"


# Rows


figure = st.builds(
    Alignment,
    num_shared=st.integers(0, 300),
    num_anchors=st.integers(0, 200),
    num_windows=st.integers(0, 200),
    semitones=st.integers(-127, 254),
    is_mirrored=st.booleans(),
    tempo_ratio=st.one_of(st.floats(0, 8), st.just(0.0)),
    residual_sec=st.one_of(st.floats(0, 0.1), st.just(NAN)),
    own_residual_sec=st.one_of(st.floats(0, 0.01), st.just(NAN)),
    coverage_a=st.floats(0, 1),
    coverage_b=st.floats(0, 1),
    num_top_lines=st.integers(0, 100),
)
share = st.one_of(st.floats(0, 1), st.just(NAN))
row = st.tuples(figure, st.integers(0, 400), st.integers(0, 200), share, share)


@settings(deadline=None)
@given(st.lists(row, max_size=20))
def test_many_rows_at_once_are_named_as_each_alone(rows):
    figures = np.array([r[0] for r in rows], float).reshape(len(rows), len(FIGURES))
    columns = [np.array([r[k] for r in rows], float) for k in range(1, 5)]
    found = relations(figures, *columns, CONFIG)
    assert [None if place == NONE else RELATIONS[place] for place in found] == [named(*r) for r in rows]


@settings(deadline=None)
@given(row)
def test_exchanging_the_two_changes_no_relation(one):
    figures = one[0]
    turned = figures._replace(coverage_a=figures.coverage_b, coverage_b=figures.coverage_a)
    assert named(turned, *one[1:]) == named(figures, *one[1:])


@settings(deadline=None)
@given(row)
def test_equal_hashes_alone_make_the_two_closest_relations(one):
    assert named(*one) in {None, *RELATIONS[2:]}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=20))
def test_scores_are_shares_of_the_smaller_one(rows):
    figures = np.array([COPY._replace(num_anchors=num) for num, _ in rows], float).reshape(len(rows), len(FIGURES))
    found = scores(figures, np.array([num for _, num in rows], int))
    assert found.tolist() == [min(num / max(smaller, 1), 1) for num, smaller in rows]


@pytest.mark.parametrize(
    ("figures", "num_smaller", "is_asked"),
    [
        (COPY, 200, False),
        (COPY, 201, True),  # a copy by its time, with less than half the shingles
        (WORK, 201, False),
        (WORK._replace(num_windows=14), 100, True),  # harmonies and lines
        (WORK._replace(num_windows=15), 100, False),
        (COPY._replace(residual_sec=NAN, own_residual_sec=NAN), 1000, False),
        (COPY._replace(num_anchors=0, num_windows=0, residual_sec=NAN, own_residual_sec=NAN), 100, False),
    ],
)
def test_notes_are_asked_where_shingles_do_not_tell(figures, num_smaller, is_asked):
    assert needs_notes(np.array([figures], float), np.array([num_smaller]), CONFIG).tolist() == [is_asked]
