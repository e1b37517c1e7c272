import numpy as np
import pytest
from corpora import improvise
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pianogen.dedupe.fingerprint import COARSE, LONG_FROM, WINDOW, shingles

SEC = 0.125

pitches = st.lists(st.integers(20, 90), min_size=1, max_size=60)
steps = st.lists(st.integers(0, 3), min_size=60, max_size=60)


def onsets(steps: list[int], num_notes: int) -> np.ndarray:
    return np.cumsum(steps[:num_notes]) * SEC


def played(seed: int, num_notes: int) -> tuple[np.ndarray, np.ndarray]:
    columns = improvise(seed, num_notes)
    return columns.pitch, columns.onset_tick / columns.ticks_per_quarter / 2


def window_of(shingle: int) -> list[int]:
    """The differences that a shingle was made from: SplitMix64's finalizer undone, 7 bits each."""

    def unshift(value: int, by: int) -> int:
        found = value
        for _ in range(64 // by):
            found = value ^ (found >> by)
        return found

    value = unshift(shingle, 31)
    value = value * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    value = unshift(value, 27)
    value = value * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    value = unshift(value, 30)
    value = (value - 0x9E3779B97F4A7C15) % 2**64
    return [value >> (7 * i) & 0x7F for i in range(WINDOW - 1)]


@given(pitches, steps, st.integers(-20, 37))
def test_transposition_keeps_every_shingle_and_moves_its_lowest_pitch(pitches, steps, semitones):
    pitch, onset_sec = np.array(pitches), onsets(steps, len(pitches))
    before, after = shingles(pitch, onset_sec), shingles(pitch + semitones, onset_sec)
    assert np.array_equal(before.shingle, after.shingle)
    assert np.array_equal(before.lowest_pitch.astype(int) + semitones, after.lowest_pitch)
    assert np.array_equal(before.onset_sec, after.onset_sec)
    assert np.array_equal(before.is_unique, after.is_unique)


@given(pitches, steps, st.floats(0.2, 5))
def test_another_tempo_keeps_every_shingle_and_scales_its_onset(pitches, steps, ratio):
    pitch, onset_sec = np.array(pitches), onsets(steps, len(pitches))
    before, after = shingles(pitch, onset_sec), shingles(pitch, onset_sec * ratio)
    assert np.array_equal(before.shingle, after.shingle)
    assert np.array_equal(before.lowest_pitch, after.lowest_pitch)
    assert np.allclose(before.onset_sec * ratio, after.onset_sec, rtol=1e-5)


@given(pitches, steps, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(pitches, steps, random):
    pitch, onset_sec = np.array(pitches), onsets(steps, len(pitches))
    order = random.sample(range(len(pitch)), len(pitch))
    before, after = shingles(pitch, onset_sec), shingles(pitch[order], onset_sec[order])
    for name in ("shingle", "lowest_pitch", "onset_sec", "is_unique"):
        assert np.array_equal(getattr(before, name), getattr(after, name))


@pytest.mark.parametrize("num_notes", [100, 1500])
def test_a_chord_spread_upwards_and_uneven_playing_keep_every_shingle(num_notes):
    pitch, onset_sec = played(1, num_notes)
    # From the lowest note up, within 60 ms, each beat early or late by as much.
    rng = np.random.default_rng(0)
    beat = np.unique(onset_sec, return_inverse=True)[1]
    uneven = onset_sec + rng.uniform(-0.02, 0.02, beat.max() + 1)[beat] + (pitch - pitch.min()) * 0.0005
    assert np.array_equal(shingles(pitch, onset_sec).shingle, shingles(pitch, uneven).shingle)


@given(st.lists(st.integers(20, 100), max_size=WINDOW - 1), steps)
def test_fewer_than_ten_notes_give_none(pitches, steps):
    found = shingles(np.array(pitches, np.uint8), onsets(steps, len(pitches)))
    assert len(found.shingle) == len(found.lowest_pitch) == len(found.onset_sec) == len(found.is_unique) == 0


@pytest.mark.parametrize("pattern", [[60], [60, 62], [60, 64, 67], [60, 60, 72]])
def test_trills_and_repeated_chords_give_none(pattern):
    pitch = np.array(pattern * 40)
    as_trill, as_chord = np.arange(len(pitch)) * SEC, np.arange(len(pitch)) // len(pattern) * SEC
    assert len(shingles(pitch, as_trill).shingle) == len(shingles(pitch, as_chord).shingle) == 0


@given(pitches, steps)
def test_a_unison_counts_once(pitches, steps):
    pitch, onset_sec = np.array(pitches), onsets(steps, len(pitches))
    once, twice = shingles(pitch, onset_sec), shingles(np.tile(pitch, 2), np.tile(onset_sec, 2))
    assert np.array_equal(once.shingle, twice.shingle)
    assert np.array_equal(once.is_unique, twice.is_unique)


@given(arrays.arrays(np.uint8, WINDOW, elements=st.integers(0, 127)).filter(lambda p: len(set(p)) >= 4))
def test_a_shingle_holds_its_whole_window_so_no_two_windows_share_one(pitch):
    (shingle,) = shingles(pitch, np.arange(WINDOW) * SEC).shingle
    in_order = np.sort(pitch).astype(int)
    assert window_of(int(shingle)) == list(in_order[1:] - in_order[0])


def test_a_long_performance_keeps_the_multiples_of_eight_of_all_its_shingles():
    pitch, onset_sec = played(2, 3000)
    found = shingles(pitch, onset_sec)
    distinct = len(np.unique(np.stack([pitch, onset_sec]), axis=1).T)
    assert distinct > LONG_FROM
    assert found.sampling == COARSE
    # Pieces of it that are short enough to keep all, each nine notes into the next.
    order = np.lexsort((pitch, onset_sec))
    pitch, onset_sec = pitch[order], onset_sec[order]
    window = LONG_FROM - 1
    parts = [shingles(pitch[i : i + window], onset_sec[i : i + window]) for i in range(0, len(pitch), window - 100)]
    every = np.unique(np.concatenate([part.shingle for part in parts]))
    assert {part.sampling for part in parts} == {1}
    multiples = every[every % np.uint64(COARSE) == 0]
    assert set(found.shingle) <= set(multiples)
    # Where a piece begins amid a chord with a unison it may have a window that the whole has not.
    assert len(multiples) - len(found.shingle) <= len(parts)
    assert 0.09 < len(found.shingle) / len(every) < 0.16


def test_a_phrase_that_comes_back_is_placed_where_it_first_stands_and_not_unique():
    phrase = [60, 64, 67, 72, 71, 69, 65, 62, 59, 55, 57, 61]
    pitch = np.array([*phrase, *played(3, 20)[0], *(p + 5 for p in phrase)])
    found = shingles(pitch, np.arange(len(pitch)) * SEC)
    again = ~found.is_unique
    assert sorted(found.onset_sec[again] / SEC) == [0, 1, 2]
    assert set(found.lowest_pitch[again]) == {55}
