import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from builders import TPQ, figure, notes
from hypothesis import given
from hypothesis import strategies as st

from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.round_trips.residual import _errors, _gamma, _note_bits, residual_bits
from pianogen.tokenizers.base import make_tokenizer

SCHEMES = ("performance", "continuous", "remi", "tsd", "midi_like", "jsb", "craykh")


def residual(scheme: str, *music: NoteColumns, **options) -> np.ndarray:
    tokenizer = make_tokenizer({"name": scheme, **options})
    source = music_block(music)
    return residual_bits(tokenizer, source, tokenizer.decode_block(tokenizer.encode_block(source)))


def played(num_notes: int, seed: int = 0) -> NoteColumns:
    """A figure as someone plays it: early and late, loud and soft, with the pedal."""
    rng = np.random.default_rng(seed)
    score = figure(1, 60, num_notes)
    onset = np.sort(score.onset_tick + rng.integers(0, 60, num_notes))
    press = np.arange(0, int(onset[-1]), TPQ)[:, None] + [20, 300]
    return replace(
        score,
        onset_tick=onset.astype(np.int32),
        duration_tick=rng.integers(60, 400, num_notes).astype(np.int32),
        velocity=rng.integers(30, 100, num_notes).astype(np.uint8),
        press_tick=press.astype(np.int32),
    )


def test_what_comes_back_whole_takes_a_few_bits():
    # Milliseconds and velocities are told as they are; what is left to say is that nothing is.
    assert residual("continuous", figure(1, 60, 40), figure(2, 60, 200)).max() <= 6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_lost_is_paid_for(scheme):
    exact, loose = residual(scheme, figure(1, 60, 200), played(200))
    assert loose > exact + 200


def test_finer_tokens_leave_less():
    coarse, fine = (residual("remi", played(200), positions_per_quarter=n)[0] for n in (4, 24))
    assert fine < coarse - 200
    few, many = (residual("remi", played(200), num_velocities=n)[0] for n in (4, 127))
    assert many < few - 200
    deaf, listening = (residual("performance", played(200), pedal=p)[0] for p in (False, True))
    assert listening < deaf - 100


def test_notes_that_do_not_come_back_take_all_that_they_are():
    low = notes(*[(i, 20 + i % 3, 0.5) for i in range(30)])
    bits = residual("remi", low, lowest_pitch=60, highest_pitch=70)[0]
    # 30 of them, somewhere in 15 seconds of 128 pitches.
    assert bits > 30 * math.log2(128 * 1500) - math.lgamma(31) / math.log(2)


def test_music_of_no_notes_takes_next_to_nothing():
    assert 0 < residual("remi", notes())[0] < 5


def test_tempi_are_given():
    slow = replace(figure(1, 60, 40), tempos=np.array([[0, 1_500_000], [960, 300_000]], np.int32))
    assert residual("remi", slow)[0] == pytest.approx(residual("remi", figure(1, 60, 40))[0], abs=3)


def test_a_performance_takes_the_same_whatever_stands_beside_it():
    together = residual("remi", played(50), figure(1, 60, 40), played(80, seed=3))
    alone = [residual("remi", one)[0] for one in (played(50), figure(1, 60, 40), played(80, seed=3))]
    np.testing.assert_allclose(together, alone)


# A code can be read back where the sum over all that it writes is no more than one (Kraft).


def test_the_gamma_code_can_be_read():
    assert sum(2.0 ** -_gamma(n) for n in range(5000)) <= 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_errors_can_be_read(length):
    reach = range(-9, 10)
    found = [_errors(np.array(errors)) for errors in itertools.product(reach, repeat=length)]
    assert 0.5 < sum(2.0**-bits for bits in found) <= 1


def test_notes_can_be_read():
    """All music of up to two notes in a small world, made of one decoded note."""
    decoded = np.array([[1], [2], [64]])
    total = 0.0
    events = list(itertools.product(range(128), range(3), range(1, 3), (63, 64)))
    for number in range(3):
        for chosen in itertools.combinations(events[::19], number):
            pitch = np.array([note[0] for note in chosen], np.int64)
            ours = np.array([note[1:] for note in chosen], np.int64).reshape(-1, 3).T
            pairs = [k for k in range(number) if pitch[k] == 60]
            total += 2.0 ** -_note_bits(ours, pitch, decoded, np.array([pairs[0] if pairs else -1]))
    assert 0.01 < total <= 1


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
def test_errors_of_any_size_have_a_length(errors):
    assert 1 <= _errors(np.array(errors)) < 40 * len(errors) + 60
