import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.augment import AugmentConfig, transpositions_within
from pianogen.errors import SettingsError

PIANO = (21, 108)

wishes = st.sets(st.integers(-12, 12)).map(lambda wish: AugmentConfig(semitones=tuple(wish | {0})))


@given(st.lists(st.integers(21, 108), min_size=1), wishes)
def test_a_transposition_is_taken_exactly_when_every_pitch_stays_on_the_piano(pitches, config):
    taken = transpositions_within(np.array(pitches, np.uint8), config, PIANO)
    assert taken == [s for s in sorted(config.semitones) if all(21 <= pitch + s <= 108 for pitch in pitches)]


def test_the_original_stays_even_where_it_is_off_the_range():
    assert transpositions_within(np.array([10, 120], np.uint8), AugmentConfig(), PIANO) == [0]


def test_music_without_notes_is_not_multiplied():
    assert transpositions_within(np.empty(0, np.uint8), AugmentConfig(), PIANO) == [0]


def test_the_ends_of_the_range_are_within_it():
    config = AugmentConfig(semitones=(-2, -1, 0, 1, 2))
    assert transpositions_within(np.array([22, 107], np.uint8), config, PIANO) == [-1, 0, 1]


@pytest.mark.parametrize("semitones", [(), (1, 2), (0, 0), (0, 3, 3)])
def test_transpositions_without_the_original_or_twice_the_same_are_refused(semitones):
    with pytest.raises(SettingsError, match="must be distinct and hold 0, found"):
        AugmentConfig(semitones=semitones)
