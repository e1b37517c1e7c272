"""The matching has as many pairs as there can be, and its sums are those of its pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.round_trips.matching import (
    DURATION,
    MATCHED,
    ONSET,
    SAME_PITCH,
    SHIFT,
    TOLERANCE_SEC,
    VELOCITY,
    match_notes,
)

Notes = list[tuple[int, float, float, int]]
"""Pitch, onset, duration, velocity."""

# Steps of 20 ms: 40 apart can be paired, 60 apart cannot.
NOTES = st.lists(
    st.tuples(
        st.integers(60, 62),
        st.integers(0, 12).map(lambda n: n * 0.02),
        st.integers(1, 3).map(lambda n: n * 0.5),
        st.integers(1, 127),
    ),
    max_size=10,
)


def match(pieces: list[tuple[Notes, Notes]]) -> tuple[np.ndarray, np.ndarray]:
    def columns(side: int) -> list[np.ndarray]:
        notes = [note for piece in pieces for note in piece[side]]
        edges = np.cumsum([0, *(len(piece[side]) for piece in pieces)])
        kinds = (np.uint8, float, float, np.uint8)
        return [edges, *(np.array([note[k] for note in notes], kind) for k, kind in enumerate(kinds))]

    return match_notes(*columns(0), *columns(1))


def most_pairs(source: Notes, decoded: Notes, reach: float) -> int:
    """By augmenting paths (Kuhn), which asks nothing of order."""
    reached = [[m for m, b in enumerate(decoded) if a[0] == b[0] and abs(a[1] - b[1]) <= reach + 1e-9] for a in source]
    partner: dict[int, int] = {}

    def finds(k: int, seen: set[int]) -> bool:
        for m in reached[k]:
            if m not in seen:
                seen.add(m)
                if m not in partner or finds(partner[m], seen):
                    partner[m] = k
                    return True
        return False

    return sum(finds(k, set()) for k in range(len(source)))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NOTES, NOTES), min_size=1, max_size=3))
def test_no_matching_has_more_pairs_whatever_the_order_of_the_notes(pieces):
    counts, sums = match(pieces)
    assert counts[:, MATCHED].tolist() == [most_pairs(a, b, TOLERANCE_SEC) for a, b in pieces]
    assert counts[:, SAME_PITCH].tolist() == [most_pairs(a, b, 1e9) for a, b in pieces]
    assert (sums[:, ONSET] <= TOLERANCE_SEC * counts[:, MATCHED] + 1e-9).all()
    assert (np.abs(sums[:, SHIFT]) <= sums[:, ONSET] + 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(NOTES, NOTES)
def test_either_side_may_be_the_source(a, b):
    (counts, sums), (swapped, swapped_sums) = match([(a, b)]), match([(b, a)])
    assert np.array_equal(counts, swapped)
    assert sums[0, SHIFT] == pytest.approx(-swapped_sums[0, SHIFT])
    kept = [ONSET, DURATION, VELOCITY]
    assert sums[0, kept] == pytest.approx(swapped_sums[0, kept])


@settings(max_examples=50, deadline=None)
@given(NOTES)
def test_music_is_itself(notes):
    counts, sums = match([(notes, notes[::-1])])
    assert counts.tolist() == [[len(notes), len(notes)]]
    # Of notes of one pitch, onset and duration, velocity does not say which is which.
    assert not sums[:, [ONSET, SHIFT, DURATION]].any()


def test_sums_are_those_of_the_pairs():
    source = [(60, 0.0, 1.0, 80), (60, 1.0, 0.5, 80), (64, 0.0, 1.0, 80), (67, 2.0, 1.0, 80)]
    decoded = [(60, 0.03, 0.8, 90), (60, 0.96, 0.5, 75), (65, 0.0, 1.0, 80), (67, 2.1, 1.0, 80)]
    counts, sums = match([(source, decoded)])
    assert counts.tolist() == [[2, 3]]
    assert sums[0] == pytest.approx([0.07, -0.01, 0.2, 15])


def test_the_tolerance_is_reached_and_not_exceeded():
    counts, _ = match([([(60, 1.0, 1.0, 80)], [(60, 1.05, 1.0, 80)]), ([(60, 1.0, 1.0, 80)], [(60, 1.0501, 1.0, 80)])])
    assert counts[:, MATCHED].tolist() == [1, 0]


def test_thousands_of_notes_at_one_place_take_no_time_to_speak_of():
    notes = [(60, 0.0, 1.0 + n, 80) for n in range(50_000)]
    counts, sums = match([(notes, notes[::-1])])
    assert counts[0, MATCHED] == len(notes)
    assert sums[0, DURATION] == 0
