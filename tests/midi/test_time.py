import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.midi.time import SEC_STEPS, tempo_map


def test_seconds_follow_a_tempo_map_worked_out_by_hand():
    # 480 ticks at 120 qpm: 0.5 s. 960 at 60: 2 s. Then 240 qpm: 480 ticks in 0.25 s.
    tempo = tempo_map(np.array([0, 480, 1440]), np.array([500_000, 1_000_000, 250_000]), 480)
    assert tempo.tempo_qpm.tolist() == [120, 60, 240]
    assert tempo.start_sec.tolist() == [0, 0.5, 2.5]
    ticks = np.array([0, 240, 480, 960, 1440, 1920])
    assert tempo.seconds(ticks).tolist() == [0, 0.25, 0.5, 1.5, 2.5, 2.75]
    assert tempo.seconds(ticks.reshape(3, 2)).shape == (3, 2)


@pytest.mark.parametrize(
    "ticks, tempos, kept",
    [
        ([], [], [(0, 500_000)]),
        ([480], [250_000], [(0, 500_000), (480, 250_000)]),
        ([0], [250_000], [(0, 250_000)]),
        ([0, 0, 480, 480], [1, 2, 3, 4], [(0, 2), (480, 4)]),
        ([480, 0], [3, 2], [(0, 2), (480, 3)]),
        ([0, 480], [0, 0], [(0, 500_000)]),
        ([0, 0], [300_000, 0], [(0, 300_000)]),
    ],
)
def test_the_map_begins_at_0_and_the_last_tempo_at_a_tick_holds(ticks, tempos, kept):
    tempo = tempo_map(np.array(ticks, np.int32), np.array(tempos, np.int32), 480)
    assert list(zip(tempo.tick.tolist(), tempo.microseconds_per_quarter.tolist(), strict=True)) == kept


def seconds_one_tick_after_another(tick: int, events: list[tuple[int, int]], ticks_per_quarter: int) -> float:
    microseconds, now = 500_000, 0.0
    for at in range(tick):
        for when, tempo in events:
            if when == at and tempo:
                microseconds = tempo
        now += microseconds / 1e6 / ticks_per_quarter
    return now


@given(
    events=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2**24 - 1)), max_size=8),
    ticks=st.lists(st.integers(0, 80), min_size=1, max_size=6),
    ticks_per_quarter=st.integers(1, 960),
)
def test_seconds_are_those_of_adding_tick_by_tick(events, ticks, ticks_per_quarter):
    at, tempos = (np.array([pair[i] for pair in events], np.int64) for i in (0, 1))
    found = tempo_map(at, tempos, ticks_per_quarter).seconds(np.array(ticks))
    expected = [seconds_one_tick_after_another(tick, events, ticks_per_quarter) for tick in ticks]
    # Rounded to steps of a millionth of a second.
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0.51 / SEC_STEPS)
