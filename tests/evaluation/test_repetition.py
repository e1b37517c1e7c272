"""Cycles, repeats and compression beside what their definitions give by plain Python; loops, trills and nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.evaluation.repetition import (
    MIN_CYCLE_NOTES,
    MIN_CYCLE_SEC,
    Cycle,
    compression_ratio,
    distinct_share,
    longest_cycles,
    measure_repetition,
    repeated_share,
    step_symbols,
)


def even(*pitches: int, step_sec: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """One note after the other."""
    return np.array(pitches, np.int64), np.arange(len(pitches)) * step_sec


def slow_longest_cycle(pitch: np.ndarray, onset: np.ndarray, times: int) -> Cycle:
    """By looking at every period and every stretch: in bins of 50 ms, as the header of the module says."""
    num = len(pitch)
    wait = [int((onset[i + 1] - onset[i]) / 0.05 + 0.5001) for i in range(num - 1)]
    best = Cycle()
    for period in range(1, num // 2 + 1):
        for first in range(num - period):
            end = first + period
            while end < num and pitch[end] == pitch[end - period]:
                end += 1
                if end == num or wait[end - 1] != wait[end - 1 - period]:
                    break
            size, sec = end - first, onset[end - 1] - onset[first]
            is_cycle = size >= times * period and size >= MIN_CYCLE_NOTES and sec >= MIN_CYCLE_SEC
            if is_cycle and sec > best.duration_sec:
                best = Cycle(first, size, period, float(sec))
    return best


@st.composite
def melodies(draw) -> tuple[np.ndarray, np.ndarray]:
    """A few notes, then something over and over, then a few more."""
    note = st.tuples(st.integers(60, 62), st.sampled_from([0.0, 0.25, 0.5]))
    before, period, after = (draw(st.lists(note, max_size=n)) for n in (6, 7, 6))
    rows = [*before, *period * draw(st.integers(0, 7)), *after]
    pitch = np.array([row[0] for row in rows], np.int64)
    return pitch, np.cumsum([0.0, *(row[1] for row in rows)])[: len(rows)]


@given(melodies())
def test_the_longest_cycle_is_the_one_that_a_look_at_every_stretch_finds(melody):
    for times, found in zip((2, 3), longest_cycles(*melody), strict=True):
        expected = slow_longest_cycle(*melody, times)
        assert (found.duration_sec, found.period_notes) == (expected.duration_sec, expected.period_notes)
        assert found.num_notes == expected.num_notes


def test_a_figure_over_and_over_is_a_cycle_with_its_period_and_rounds():
    measures = measure_repetition(*even(*[60, 64, 67, 72, 67, 64] * 10), None)
    for times in (2, 3):
        assert measures[f"cycle{times}_share"] == 1.0
        assert measures[f"cycle{times}_period_notes"] == 6
        assert measures[f"cycle{times}_times"] == 10.0
        assert measures[f"cycle{times}_period_sec"] == pytest.approx(59 * 0.25 / 10)


def test_a_trill_is_no_cycle_and_a_model_that_hangs_in_one_is():
    def trill(seconds: float) -> tuple[np.ndarray, np.ndarray]:
        return even(*[72, 74] * round(seconds / 0.2), step_sec=0.1)

    assert longest_cycles(*trill(3.0))[1] == Cycle()
    assert longest_cycles(*trill(12.0))[1].duration_sec == pytest.approx(11.9)


def test_what_is_said_twice_is_no_loop():
    rng = np.random.default_rng(0)
    phrase = rng.integers(50, 80, 40).tolist()
    twice, three = longest_cycles(*even(*phrase, *phrase, *rng.integers(50, 80, 20)))
    assert (twice.first, twice.num_notes, twice.period_notes) == (0, 80, 40)
    assert three == Cycle()


def test_a_cycle_in_another_rhythm_each_time_is_none():
    pitch, _ = even(*[60, 64, 67, 72] * 12)
    onset = np.cumsum(np.repeat(0.2 + 0.1 * np.arange(12), 4))
    assert longest_cycles(pitch, onset) == [Cycle(), Cycle()]


def test_onsets_that_differ_by_less_than_a_float_tells_make_no_other_bins():
    # A sixteenth at 120 quarters a minute is two bins and a half.
    pitch = np.tile([60, 64, 67, 72], 20)
    onset = np.arange(80) * 0.125 + np.random.default_rng(1).uniform(-1e-9, 1e-9, 80)
    assert longest_cycles(pitch, np.sort(onset))[1].num_notes == 80


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 17))
def test_shares_of_runs_are_those_of_counting_tuples(symbols, n):
    runs = [tuple(symbols[i : i + n]) for i in range(len(symbols) - n + 1)]
    array = np.array(symbols, np.int64)
    if not runs:
        assert repeated_share(array, n) is None
        assert distinct_share(array, n) is None
        return
    assert repeated_share(array, n) == pytest.approx(sum(runs.count(run) > 1 for run in runs) / len(runs))
    assert distinct_share(array, n) == pytest.approx(len(set(runs)) / len(runs))


def test_a_phrase_that_comes_again_in_another_key_is_repeated():
    phrase = np.random.default_rng(2).integers(50, 70, 20)
    steps = step_symbols(*even(*phrase, *(phrase + 5)))
    assert repeated_share(steps, 8) == pytest.approx(2 * 12 / 32)


def test_loops_compress_and_noise_does_not():
    rng = np.random.default_rng(3)
    noise = compression_ratio(*even(*rng.integers(21, 109, 300)))
    loop = compression_ratio(*even(*np.tile(rng.integers(21, 109, 10), 30)))
    assert loop < 0.15 < 0.4 < noise


@pytest.mark.parametrize("num", [0, 1])
def test_of_no_note_and_of_one_nothing_is_asked_that_needs_two(num):
    measures = measure_repetition(*even(*[60] * num), None)
    known = {name for name, value in measures.items() if value is not None}
    assert known == ({"cycle2_share", "cycle3_share", "compression_ratio"} if num else set())


def test_all_notes_alike_are_one_cycle_and_one_run():
    measures = measure_repetition(*even(*[60] * 50), np.zeros(50, np.uint16))
    assert (measures["cycle3_share"], measures["cycle3_period_notes"]) == (1.0, 1)
    assert (measures["repeated_16"], measures["repeated_tokens_16"], measures["distinct_1"]) == (1.0, 1.0, 1 / 49)


def test_a_chord_at_one_moment_is_no_cycle():
    assert longest_cycles(np.full(100, 60), np.zeros(100)) == [Cycle(), Cycle()]
