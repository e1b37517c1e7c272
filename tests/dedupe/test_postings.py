from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.dedupe.postings import (
    Postings,
    SharedShingles,
    Thresholds,
    are_alike,
    build_postings,
    shared_shingles,
)
from pianogen.dedupe.shingle import CHROMA, COARSE, TOP, WINDOWS

MAX_RUN = 100
ANY = Thresholds(min_shared=1, min_share=0.0, few=0, rather_few=0, min_chroma=1, min_chroma_share=0.0)
SPREAD = 0x9E3779B97F4A7C15
"""Times this, small numbers lie all over the range of hashes."""


def hash_of(number: int) -> int:
    """Multiples of `COARSE` stay such; every third stands for chroma."""
    return number * SPREAD % 2**64


def kind_of(number: int) -> int:
    return (WINDOWS, TOP, CHROMA)[number % 3]


def entries_of(corpus: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes and kinds of all, and where each performance begins."""
    rows = [sorted((hash_of(number), kind_of(number)) for number in held) for held in corpus]
    every = [row for held in rows for row in held]
    first = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return np.array([h for h, _ in every], np.uint64), np.array([k for _, k in every], np.uint8), first


def num_held_of(corpus: list[list[int]]) -> np.ndarray:
    counts = [
        [
            len({n for n in held if (kind_of(n) == CHROMA) == is_chroma and hash_of(n) % sampling == 0})
            for is_chroma in (False, True)
            for sampling in (1, COARSE)
        ]
        for held in corpus
    ]
    return np.array(counts, np.int32).reshape(len(corpus), 4)


def found_in(
    corpus: list[list[int]],
    thresholds: Thresholds = ANY,
    sampling: list[int] | None = None,
    edges: list[int] | None = None,
) -> list[tuple[int, int, int]]:
    shingle, kind, first = entries_of(corpus)
    postings = build_postings(shingle, first, MAX_RUN, num_threads=2)
    rows = []
    for begin, end in pairwise(edges or [0, len(corpus)]):
        part = shared_shingles(
            postings,
            begin,
            end,
            kind,
            np.array(sampling or [1] * len(corpus), np.int32),
            num_held_of(corpus),
            thresholds,
            np.ones(len(corpus), bool),
        )
        rows += rows_of(part)
    return rows


def rows_of(found: SharedShingles) -> list[tuple[int, int, int]]:
    """Pairs with all the shingles that they share."""
    return list(zip(found.a.tolist(), found.b.tolist(), (found.num_shared + found.num_chroma).tolist(), strict=True))


def brute(
    corpus: list[list[int]], thresholds: Thresholds = ANY, sampling: list[int] | None = None
) -> list[tuple[int, int, int]]:
    num_held = num_held_of(corpus)
    found = []
    for a, b in combinations(range(len(corpus)), 2):
        both = set(corpus[a]) & set(corpus[b])
        num_chroma = sum(kind_of(number) == CHROMA for number in both)
        num_others = len(both) - num_chroma
        is_coarse = bool(sampling) and max(sampling[a], sampling[b]) > 1
        others, chroma = (min(num_held[a, k + is_coarse], num_held[b, k + is_coarse]) for k in (0, 2))
        is_enough = num_others >= thresholds.min_shared or (num_others > 0 and others <= thresholds.few)
        is_like = is_enough and num_others >= thresholds.min_share * others
        is_like_by_both = others + chroma <= thresholds.rather_few and num_others + num_chroma >= thresholds.min_shared
        is_like_by_chroma = num_chroma >= thresholds.min_chroma and num_chroma >= thresholds.min_chroma_share * chroma
        # A pair that shares nothing is never met.
        if both and (is_like or is_like_by_both or is_like_by_chroma):
            found.append((a, b, len(both)))
    return found


corpora = st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12)
thresholds = st.builds(
    Thresholds,
    min_shared=st.integers(1, 5),
    min_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    few=st.sampled_from([0, 3, 12]),
    rather_few=st.sampled_from([0, 8, 40]),
    min_chroma=st.integers(1, 4),
    min_chroma_share=st.sampled_from([0.0, 0.25, 1.0]),
)


@settings(max_examples=100, deadline=None)
@given(corpora)
def test_shared_counts_are_sizes_of_intersections_in_order_of_a_then_b(corpus):
    assert found_in(corpus) == brute(corpus)


@settings(max_examples=100, deadline=None)
@given(corpora, st.data())
def test_every_division_into_ranges_gives_the_same_pairs_in_the_same_order(corpus, data):
    cuts = data.draw(st.lists(st.integers(0, len(corpus)), max_size=5))
    assert found_in(corpus, edges=[0, *sorted(cuts), len(corpus)]) == brute(corpus)


@settings(max_examples=100, deadline=None)
@given(corpora, thresholds, st.data())
def test_pairs_below_the_thresholds_are_left_out(corpus, thresholds, data):
    sampling = data.draw(st.lists(st.sampled_from([1, COARSE]), min_size=len(corpus), max_size=len(corpus)))
    # Of what is sampled coarsely only multiples are there.
    held = [[number for number in one if hash_of(number) % s == 0] for one, s in zip(corpus, sampling, strict=True)]
    assert found_in(held, thresholds, sampling) == brute(held, thresholds, sampling)


@settings(deadline=None)
@given(corpora)
def test_a_shingle_that_stands_several_times_counts_once(corpus):
    assert found_in([held * 3 for held in corpus]) == found_in(corpus)


@settings(max_examples=100, deadline=None)
@given(corpora, thresholds, st.data())
def test_of_the_new_ones_all_pairs_are_counted_and_of_the_others_none(corpus, thresholds, data):
    is_new = np.array(data.draw(st.lists(st.booleans(), min_size=len(corpus), max_size=len(corpus))), bool)
    shingle, kind, first = entries_of(corpus)
    postings = build_postings(shingle, first, MAX_RUN)
    sampling = np.ones(len(corpus), np.int32)
    found = shared_shingles(postings, 0, len(corpus), kind, sampling, num_held_of(corpus), thresholds, is_new)
    assert rows_of(found) == [row for row in brute(corpus, thresholds) if is_new[row[0]] or is_new[row[1]]]


@settings(deadline=None)
@given(corpora, thresholds)
def test_pairs_are_judged_afterwards_as_they_were_when_they_were_counted(corpus, thresholds):
    shingle, kind, first = entries_of(corpus)
    held, ones = num_held_of(corpus), np.ones(len(corpus), np.int32)
    every = shared_shingles(build_postings(shingle, first, MAX_RUN), 0, len(corpus), kind, ones, held, ANY, ones > 0)
    kept = are_alike(every, ones, held, thresholds)
    assert [row for row, is_kept in zip(rows_of(every), kept, strict=True) if is_kept] == brute(corpus, thresholds)


def test_neighbouring_hashes_and_the_ends_of_the_range_are_kept_apart():
    values = [0, 1, 2**58 - 1, 2**58, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
    holders = [set(values[:k]) for k in range(len(values) + 1)]
    rows = [sorted(held) for held in holders]
    shingle = np.array([value for row in rows for value in row], np.uint64)
    first = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    kind = np.zeros(len(shingle), np.uint8)
    num_held = np.array([[len(row), 0, 0, 0] for row in rows], np.int32)
    postings = build_postings(shingle, first, MAX_RUN)
    ones = np.ones(len(rows), np.int32)
    found = shared_shingles(postings, 0, len(rows), kind, ones, num_held, ANY, ones > 0)
    expected = [(a, b, len(holders[a])) for a, b in combinations(range(1, len(rows)), 2)]
    assert rows_of(found) == expected


def holders_of(postings: Postings) -> list[list[int]]:
    last = np.uint32(1 << 31)
    runs: list[list[int]] = [[]]
    for holder in postings.holders:
        runs[-1].append(int(holder & ~last))
        if holder & last:
            runs.append([])
    assert runs.pop() == []
    return runs


@settings(deadline=None)
@given(corpora)
def test_the_index_holds_each_shingle_that_two_have_with_all_who_have_it(corpus):
    shingle, _, first = entries_of(corpus)
    expected = [
        [i for i, held in enumerate(corpus) if number in held]
        for number in sorted({n for held in corpus for n in held}, key=hash_of)
    ]
    postings = build_postings(shingle, first, MAX_RUN)
    assert holders_of(postings) == [run for run in expected if len(run) > 1]


@pytest.mark.parametrize(("num", "is_common"), [(MAX_RUN, False), (MAX_RUN + 1, True), (MAX_RUN + 88, True)])
def test_a_shingle_of_very_many_performances_pairs_all_with_the_first_alone(num, is_common):
    # All share one; those at both ends one more. The first of all holds it twice.
    corpus = [[1], *([1, 100 + i] for i in range(num - 1))]
    corpus[0] = [1, 1]
    corpus[3].append(4)
    corpus[num - 1].append(4)
    found = found_in(corpus)
    if is_common:
        expected = [(0, b, 1) for b in range(1, num)] + [(3, num - 1, 1)]
    else:
        expected = [(a, b, 1 + ((a, b) == (3, num - 1))) for a, b in combinations(range(num), 2)]
    assert found == expected
    # The first of a run need not be the first of all.
    assert found_in([[2], *corpus]) == [(a + 1, b + 1, n) for a, b, n in expected]
    assert found_in(corpus, edges=[0, 3, 4, num // 2, num]) == expected


def test_more_pairs_than_the_first_room_for_them():
    num = 80
    assert num * (num - 1) // 2 > 2048
    assert found_in([[1, 2]] * num) == [(a, b, 2) for a, b in combinations(range(num), 2)]


@pytest.mark.parametrize("corpus", [[], [[]], [[], []], [[1, 2]], [[1], [], [2]]], ids=str)
def test_nothing_shared_is_no_pair(corpus):
    assert found_in(corpus) == []


def test_rows_behind_the_last_performance_are_not_looked_at():
    shingle = np.array([5, 7, 5, 5, 7, 9], np.uint64)
    found = build_postings(shingle, np.array([0, 2, 3], np.int64), MAX_RUN)
    assert holders_of(found) == [[0, 1]]
    assert len(found.place) == 3
    assert holders_of(build_postings(shingle, np.zeros(1, np.int64), MAX_RUN)) == []
