import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.midi.pedal import merge_presses, presses, sounding_offsets

CHANGES = st.lists(st.tuples(st.integers(0, 50), st.sampled_from([0, 1, 63, 64, 65, 127])), max_size=20).map(
    lambda changes: sorted(changes, key=lambda change: change[0])
)
INTERVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=12).map(
    lambda found: np.array([(start, start + length) for start, length in found], np.int64).reshape(-1, 2)
)


def pressed(*changes: tuple[int, int], end_tick: int = 100) -> list[list[int]]:
    tick, value = (np.array([change[i] for change in changes]) for i in (0, 1))
    return presses(tick, value, end_tick).tolist()


def test_a_pedal_is_down_from_64():
    assert pressed((10, 63), (20, 64), (30, 127), (40, 63), (50, 0)) == [[20, 40]]


def test_a_pedal_that_stays_down_is_lifted_at_the_end_of_the_music():
    assert pressed((10, 127)) == [[10, 100]]
    assert pressed((10, 127), (20, 0), (150, 127)) == [[10, 20], [150, 150]]


def test_a_pedal_that_is_never_pressed_has_no_presses():
    assert pressed((10, 0), (20, 0)) == []
    assert presses(np.empty(0, np.int32), np.empty(0, np.uint8), 100).shape == (0, 2)


@given(CHANGES, st.integers(0, 60))
def test_presses_are_those_of_a_foot_that_goes_up_and_down(changes, end_tick):
    expected, down = [], None
    for tick, value in changes:
        if value >= 64 and down is None:
            down = tick
        elif value < 64 and down is not None:
            expected.append([down, tick])
            down = None
    if down is not None:
        expected.append([down, max(end_tick, down)])
    tick, value = (np.array([change[i] for change in changes], np.int64) for i in (0, 1))
    assert presses(tick, value, end_tick).tolist() == expected


@given(INTERVALS)
def test_merged_presses_cover_the_same_times_and_do_not_touch(intervals):
    def covered(found: np.ndarray) -> set[float]:
        return {t / 2 for start, end in found.tolist() for t in range(2 * start, 2 * end + 1)}

    merged = merge_presses(intervals)
    assert covered(merged) == covered(intervals)
    assert (np.diff(merged[:, 0]) > 0).all()
    assert (merged[1:, 0] > merged[:-1, 1]).all()


def test_a_note_sounds_until_the_lift_of_the_press_it_ends_in():
    press_sec = np.array([[1.0, 2.0], [3.0, 4.0]])
    offset_sec = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.9, 5.0])
    assert sounding_offsets(offset_sec, press_sec).tolist() == [0.5, 2.0, 2.0, 2.0, 2.5, 4.0, 5.0]


@given(INTERVALS, st.lists(st.integers(0, 60), min_size=1, max_size=10))
def test_sounding_offsets_are_those_of_asking_every_press(intervals, offsets):
    press_sec = merge_presses(intervals).astype(float)
    expected = [max([offset, *(up for down, up in press_sec.tolist() if down <= offset <= up)]) for offset in offsets]
    assert sounding_offsets(np.array(offsets, float), press_sec).tolist() == expected


def test_presses_that_run_backwards_are_refused_with_their_times():
    with pytest.raises(ValueError, match=r"press_sec must ascend: 1\.500 s follows 2\.000 s"):
        sounding_offsets(np.array([1.0]), np.array([[1.0, 2.0], [1.5, 3.0]]))
