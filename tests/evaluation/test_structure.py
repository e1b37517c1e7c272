"""The fitness of segments beside the published algorithm, written out; and what repeats is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shingling import improvised, read_notes

from pianogen.evaluation.structure import (
    BOUNDS,
    MAX_FRAMES,
    PENALTY,
    Fitness,
    frames_of,
    measure_structure,
    segment_fitness,
    similarity,
    structureness,
)


def slow_fitness(matrix: np.ndarray, start: int, length: int) -> float:
    """Of one segment: the table of scores is filled first, then the paths are walked back (their section III)."""
    part = matrix[:, start : start + length]
    num = len(part)
    table = np.full((num, length + 1), -np.inf)
    table[0, 0], table[0, 1] = 0.0, part[0, 0]
    for n in range(1, num):
        table[n, 0] = max(table[n - 1, 0], table[n - 1, length])
        table[n, 1] = table[n, 0] + part[n, 0]
        for m in range(2, length + 1):
            table[n, m] = part[n, m - 1] + max(table[a, b] for a, b in steps_before(n, m))
    score = max(table[-1, 0], table[-1, length])
    n, m = num - 1, length if table[-1, length] >= table[-1, 0] else 0
    cells, rows = [], []
    while n > 0 or m > 0:
        if m == 0:
            n, m = n - 1, length if table[n - 1, length] > table[n - 1, 0] else 0
            continue
        cells.append((n, m))
        if m == length or len(rows) % 2 == 0:
            rows.append(n)  # where the path ends
        if m == 1:
            rows.append(n)  # where it begins
            m = 0
            continue
        n, m = max(steps_before(n, m), key=lambda cell: table[cell])
    covered = sum(end - begin + 1 for end, begin in zip(rows[::2], rows[1::2], strict=True))
    normal_score, normal_coverage = (score - length) / len(cells), (covered - length) / num
    total = normal_score + normal_coverage
    return 2 * normal_score * normal_coverage / total if total else 0.0


def steps_before(n: int, m: int) -> list[tuple[int, int]]:
    found = [(n - 1, m - 1)]
    found += [(n - 2, m - 1)] if n > 1 else []
    return found + ([(n - 1, m - 2)] if m > 2 else [])


@settings(max_examples=25)
@given(st.integers(2, 14), st.integers(0, 10**6))
def test_the_fitness_of_every_segment_is_that_of_walking_the_best_paths_back(num, seed):
    rng = np.random.default_rng(seed)
    # Values that no two sums share: of equal paths either may be walked.
    matrix = np.where(rng.random((num, num)) < 0.4, rng.random((num, num)), PENALTY + rng.random((num, num)) / 100)
    np.fill_diagonal(matrix, 1.0)
    found = segment_fitness(matrix)
    for length in range(1, num + 1):
        for start in range(num - length + 1):
            expected = slow_fitness(matrix, start, length)
            if length == 1:
                # A path of a single cell begins where it ends.
                continue
            assert found[length - 1, start] == pytest.approx(expected, abs=1e-9), (length, start)


def test_what_a_piece_says_three_times_has_two_thirds_of_the_greatest_fitness():
    part = np.random.default_rng(0).random((20, 12))
    chroma = np.tile(part, (3, 1))
    matrix = np.where((np.arange(60)[:, None] - np.arange(60)[None, :]) % 20 == 0, 1.0, PENALTY)
    fitness = segment_fitness(matrix)
    # Score (60 - 20) / 60 and coverage (60 - 20) / 60.
    assert fitness[19, 0] == pytest.approx(2 / 3)
    assert fitness.max() == pytest.approx(2 / 3)
    assert similarity(chroma / np.linalg.norm(chroma, axis=1, keepdims=True)).max() == 1.0


def test_music_that_comes_again_even_in_another_key_has_structure_and_wandering_has_less():
    phrase = improvised(1, 40)
    said = phrase.followed_by(phrase.up(5), 0.0).followed_by(phrase, 0.0).followed_by(phrase.up(2), 0.0)
    repeated, wandering = measure_structure(*said), measure_structure(*improvised(2, 160))
    length = phrase.offset_sec.max()
    name = next(name for name, (low, high) in BOUNDS.items() if low <= length < high)
    assert repeated[name] > 0.5 > 0.3 > wandering[name]


@pytest.mark.parametrize("num, expected", [(0, None), (1, 0.0)])
def test_of_no_note_nothing_is_said_and_one_has_no_structure(num, expected):
    notes = improvised(1, 5).take(slice(0, num))
    assert measure_structure(*notes) == dict.fromkeys(BOUNDS, expected)


def test_one_long_note_is_a_segment_that_says_all():
    held = measure_structure(np.array([60]), np.array([0.0]), np.array([40.0]))
    assert all(0 <= value <= 1 for value in held.values())


def test_frames_hold_the_time_of_each_pitch_class_and_a_long_piece_has_longer_ones():
    chroma, frame_sec = frames_of(np.array([60, 67, 72]), np.array([1.0, 1.5, 3.0]), np.array([2.0, 3.0, 3.5]))
    assert frame_sec == 1.0
    # From the first onset: C for a second and G for half of it; G; C for a half.
    assert chroma[0] == pytest.approx(np.eye(12)[0] * 2 / 5**0.5 + np.eye(12)[7] / 5**0.5)
    assert chroma[1:] == pytest.approx(np.eye(12)[[7, 0]])
    chroma, frame_sec = frames_of(np.array([60, 62]), np.array([0.0, 999.0]), np.array([1.0, 1500.0]))
    assert (len(chroma), frame_sec) == (MAX_FRAMES, 10.0)
    # Where nothing sounds all classes are alike.
    assert chroma[50] == pytest.approx(np.full(12, 12**-0.5))


def test_the_indicator_is_the_highest_fitness_of_its_lengths():
    values = np.zeros((40, 40))
    values[2, 5], values[7, 1], values[20, 0] = 0.3, 0.4, 0.9
    fitness = Fitness(values, 1.0)
    assert [structureness(fitness, *bounds) for bounds in BOUNDS.values()] == [0.4, 0.4, 0.9]
    assert structureness(Fitness(values[:10, :10], 1.0), 15.0, np.inf) == 0.0


def test_real_music_has_indicators_between_0_and_1(real_data):
    for path in sorted((real_data / "pop909").rglob("*.mid"))[::60]:
        found = measure_structure(*read_notes(path).take(slice(0, 300)))
        assert all(0 <= value <= 1 for value in found.values())
        assert found["structure_short"] > 0
