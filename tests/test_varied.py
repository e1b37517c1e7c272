"""The music of a copy."""

from dataclasses import replace

import numpy as np
import pytest
from builders import notes
from hypothesis import given
from hypothesis import strategies as st

from pianogen.augment import ORIGINAL
from pianogen.varied import keeps_to_beat, varied

STEPS = notes((0, 60, 1), (1, 64, 1), (2, 67, 0.5), (2.5, 64, 1.5))
"""At 480 ticks a quarter, on the beat."""
PLAYED = notes(*[(onset, 60, 0.5) for onset in np.sort(np.random.default_rng(4).integers(0, 20_000, 80)) / 480])
"""At no beat."""


def seconds(music) -> np.ndarray:
    return music.tempo_map.seconds(music.onset_tick)


def copy(music, **changes):
    return varied(music, ORIGINAL._replace(**changes), lambda: np.random.default_rng(1))


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_a_score_is_stretched_by_its_tempo_and_what_was_played_by_its_ticks(ratio):
    score = copy(STEPS, stretch=ratio)
    assert score.onset_tick.tolist() == STEPS.onset_tick.tolist()
    assert score.tempos.tolist() == [[0, round(500_000 * ratio)]]
    played = copy(PLAYED, stretch=ratio)
    assert len(played.tempos) == 0
    assert played.onset_tick.tolist() != PLAYED.onset_tick.tolist()
    for old, new in ((STEPS, score), (PLAYED, played)):
        assert seconds(new) == pytest.approx(seconds(old) * ratio, abs=0.001)


def test_tempo_changes_are_stretched_where_they_stand():
    music = replace(STEPS, tempos=np.array([[480, 400_000]], np.int32))
    assert copy(music, stretch=2.0).tempos.tolist() == [[0, 1_000_000], [480, 800_000]]


def test_coarse_ticks_are_made_finer_before_they_are_stretched():
    music = replace(PLAYED, ticks_per_quarter=100, onset_tick=PLAYED.onset_tick // 5)
    stretched = copy(music, stretch=1.1)
    assert stretched.ticks_per_quarter == 500
    assert seconds(stretched) == pytest.approx(seconds(music) * 1.1, abs=0.0006)


def test_presses_that_stretching_leaves_no_length_are_gone_and_those_that_then_touch_are_one():
    music = replace(PLAYED, press_tick=np.array([[100, 101], [400, 800], [801, 1200], [2000, 2400]], np.int32))
    pressed = copy(music, stretch=0.25).press_tick
    assert pressed.tolist() == [[100, 300], [500, 600]]
    assert pressed.dtype == np.int32


def test_whether_music_keeps_to_its_beat():
    grid = np.arange(0, 4800, 160)
    assert keeps_to_beat(grid, 480)
    assert keeps_to_beat(np.empty(0, int), 480)
    assert not keeps_to_beat(np.random.default_rng(0).integers(0, 48000, 300), 480)


def test_velocities_are_scaled_then_shifted_and_stay_within_their_range():
    music = replace(STEPS, velocity=np.array([2, 60, 100, 127], np.uint8))
    assert copy(music, velocity_scale=1.2, velocity_shift=-10).velocity.tolist() == [1, 62, 110, 127]


def test_jitter_moves_each_onset_by_itself_and_keeps_lengths():
    music = notes(*[(i / 2, 60 + i % 12, 0.25) for i in range(2000)])
    jittered = copy(music, jitter_ms=8.0)
    moved = seconds(jittered) - seconds(music)
    assert len(jittered) == len(music)
    assert moved.std() == pytest.approx(0.008, rel=0.1)
    assert abs(moved.mean()) < 0.001
    assert set(jittered.duration_tick) == set(music.duration_tick)
    assert (jittered.onset_tick >= 0).all()
    assert np.array_equal(copy(music, jitter_ms=8.0).onset_tick, jittered.onset_tick)


def test_a_note_that_the_pedal_holds_sounds_until_it_is_lifted_or_struck_again():
    music = replace(notes((0, 60, 1), (1, 64, 1), (2, 60, 1), (4, 60, 1)), press_tick=np.array([[240, 1440]], np.int32))
    without, sounded = copy(music, pedal="removed"), copy(music, pedal="sounded")
    assert len(without.press_tick) == len(sounded.press_tick) == 0
    assert without.duration_tick.tolist() == music.duration_tick.tolist()
    # 60 is struck again at 2, 64 lasts to the lift at 3, the second 60 as well, the last one is not held.
    assert sounded.duration_tick.tolist() == [960, 960, 480, 480]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(58, 62), st.integers(0, 9)), max_size=20),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 30)), max_size=4),
)
def test_sounding_never_shortens_a_note_nor_reaches_past_the_next_of_its_pitch(played, pressed):
    music = notes(*[(onset / 4, pitch, length / 4) for onset, pitch, length in played]).sorted()
    edges = np.unique(np.cumsum([gap for press in pressed for gap in press]))
    music = replace(music, press_tick=edges[: len(edges) // 2 * 2].reshape(-1, 2).astype(np.int32))
    sounded = copy(music, pedal="sounded").sorted()
    offset = music.onset_tick + music.duration_tick
    for k in range(len(music)):
        same = (sounded.pitch == music.pitch[k]) & (sounded.onset_tick == music.onset_tick[k])
        later = music.onset_tick[(music.pitch == music.pitch[k]) & (music.onset_tick > music.onset_tick[k])]
        limit = max(int(offset[k]), int(later.min(initial=2**31 - 1)))
        longest = (sounded.onset_tick + sounded.duration_tick)[same]
        assert longest.max() >= offset[k]
        assert longest.min() <= limit
