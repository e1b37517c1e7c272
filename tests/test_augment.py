"""Which copies of a performance are made."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.augment import ORIGINAL, PEDALS, AugmentConfig, Variation, copies_of, pitch_bounds
from pianogen.errors import SettingsError

PIANO = (21, 108)

wishes = st.sets(st.integers(-12, 12)).map(lambda wish: AugmentConfig(semitones=tuple(wish | {0})))


def taken(pitches: list[int], config: AugmentConfig) -> list[int]:
    bounds = pitch_bounds(np.array(pitches, np.uint8), np.array([0, len(pitches)]), PIANO)
    return [config.variations[v].semitones for v in copies_of(config, bounds, ["id"]).variation]


@given(st.lists(st.integers(21, 108), min_size=1), wishes)
def test_a_transposition_is_taken_exactly_when_every_pitch_stays_on_the_piano(pitches, config):
    expected = [s for s in sorted(config.semitones) if all(21 <= pitch + s <= 108 for pitch in pitches)]
    assert taken(pitches, config) == expected


def test_notes_that_are_off_the_piano_are_no_reason_against_a_transposition():
    assert taken([10, 60, 120], AugmentConfig()) == list(range(-5, 7))
    assert taken([10, 120], AugmentConfig()) == [0]


def test_music_without_notes_is_not_multiplied():
    assert taken([], AugmentConfig()) == [0]


def test_the_ends_of_the_range_are_within_it():
    assert taken([22, 107], AugmentConfig(semitones=(-2, -1, 0, 1, 2))) == [-1, 0, 1]


def test_octaves_are_added_to_semitones():
    assert taken([60], AugmentConfig(semitones=(0, 1), octaves=(-1, 0))) == [-12, -11, 0, 1]


def test_every_value_goes_with_every_other_and_the_original_comes_first():
    config = AugmentConfig(
        semitones=(0, 1), stretches=(0.9, 1.0), velocity_shifts=(0, 5), jitters_ms=(0.0, 10.0), pedals=PEDALS
    )
    found = config.variations
    assert found[0] == ORIGINAL
    expected = {
        Variation(semitones=s, stretch=r, velocity_shift=v, jitter_ms=j, pedal=p)
        for s, r, v, j, p in itertools.product((0, 1), (0.9, 1.0), (0, 5), (0.0, 10.0), PEDALS)
    }
    assert set(found) == expected
    assert len(found) == len(expected)


@given(st.integers(1, 30), st.integers(0, 3))
def test_copies_that_are_drawn_are_distinct_hold_the_original_and_depend_on_their_performance_alone(copies, seed):
    config = AugmentConfig(stretches=(0.9, 1.0, 1.1), copies=copies, seed=seed)
    bounds = np.array([[-50, 40]] * 3)
    drawn = copies_of(config, bounds, ["a", "b", "c"])
    own = [drawn.variation[drawn.performance == i].tolist() for i in range(3)]
    assert all(len(set(one)) == len(one) == copies for one in own)
    assert all(ORIGINAL in [config.variations[v] for v in one] for one in own)
    alone = copies_of(config, bounds[:1], ["b"])
    assert alone.variation.tolist() == own[1]
    if 1 < copies < 30:
        assert own[0] != own[1] or own[1] != own[2]


@pytest.mark.parametrize("semitones", [(), (1, 2), (0, 0), (0, 3, 3)])
def test_transpositions_without_the_original_or_twice_the_same_are_refused(semitones):
    with pytest.raises(SettingsError, match="must be distinct and hold 0, found"):
        AugmentConfig(semitones=semitones)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stretches": (0.9,)}, r"augmentation.stretches must be distinct and hold 1.0, found \[0.9\]"),
        ({"stretches": (1.0, 9.0)}, "augmentation.stretches must lie in 0.25 to 4.0, found 9.0"),
        ({"velocity_scales": (1.0, 0.0)}, "augmentation.velocity_scales must lie in 0.1 to 10.0, found 0.0"),
        ({"jitters_ms": (0.0, -1.0)}, "augmentation.jitters_ms must lie in 0.0 to 1000.0, found -1.0"),
        ({"pedals": ("kept", "off")}, "augmentation.pedals are kept, removed, sounded, found 'off'"),
        ({"copies": -1}, r"augmentation.copies must be a whole number, 0 \(all\) or more, found -1"),
        ({"copies": 1.5}, r"augmentation.copies must be a whole number, 0 \(all\) or more, found 1.5"),
        ({"copies": True}, r"augmentation.copies must be a whole number, 0 \(all\) or more, found True"),
        ({"semitones": 5}, "augmentation.semitones must be a list, found 5"),
        ({"semitones": (0, 0.5)}, "augmentation.semitones must be whole numbers, found 0.5"),
        ({"semitones": (0, True)}, "augmentation.semitones must be whole numbers, found True"),
        ({"octaves": (0, "1")}, "augmentation.octaves must be whole numbers, found '1'"),
        ({"velocity_shifts": (0, 0.5)}, "augmentation.velocity_shifts must be whole numbers, found 0.5"),
        ({"stretches": (1.0, True)}, "augmentation.stretches must be numbers, found True"),
        ({"pedals": "kept"}, "augmentation.pedals must be a list, found 'kept'"),
        ({"pedals": ("kept", [])}, r"augmentation.pedals must be words, found \[\]"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        AugmentConfig(**settings)
