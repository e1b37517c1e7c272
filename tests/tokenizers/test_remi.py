from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import symusic
from builders import notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st
from miditok import REMI, TokenizerConfig
from music import any_music, rows_of
from real_files import columns_of

from pianogen.errors import SettingsError
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, make_tokenizer
from pianogen.tokenizers.remi import Remi

CODER = Remi()
STEPS = 8
"""Positions in a quarter, which are the ticks of what is decoded."""
VELOCITIES = np.linspace(0, 127, 33, dtype=int)[1:]
"""The 32 that have a token."""


@st.composite
def on_grid(draw, lowest: int = 21, highest: int = 108) -> NoteColumns:
    """Notes that REMI loses nothing of: on its grid, of its velocities, no pitch struck while it sounds."""
    rows, free_at = [], {}
    for _ in range(draw(st.integers(0, 30))):
        pitch = draw(st.integers(lowest, highest))
        onset = free_at.get(pitch, 0) + draw(st.integers(0, 70))
        duration = draw(
            st.one_of(st.integers(1, 4 * STEPS), st.integers(2 * STEPS + 1, 6 * STEPS).map(lambda d: 2 * d))
        )
        free_at[pitch] = onset + duration
        rows.append((pitch, int(draw(st.sampled_from(list(VELOCITIES)))), onset, duration))
    pitch, velocity, onset, duration = zip(*rows, strict=True) if rows else ((), (), (), ())
    return NoteColumns(
        pitch=np.array(pitch, np.uint8),
        velocity=np.array(velocity, np.uint8),
        onset_tick=np.array(onset, np.int32),
        duration_tick=np.array(duration, np.int32),
        ticks_per_quarter=STEPS,
    ).sorted()


@pytest.fixture(scope="module")
def real_files(real_data) -> list[Path]:
    """Some of every kind: performed, notated, pop, with tempo changes and several tracks."""
    return [
        path
        for dataset, every in (("asap", 40), ("maestro", 100), ("pop909", 60))
        for path in islice(sorted((real_data / dataset).rglob("*.mid*")), 3, None, every)
    ]


def merged(path: Path) -> symusic.Score:
    """All pitched notes of a file in one piano track, by symusic alone."""
    score = symusic.Score(path)
    one = symusic.Score(score.ticks_per_quarter)
    one.tracks.append(symusic.Track(program=0, is_drum=False))
    every = [note for track in score.tracks if not track.is_drum for note in track.notes]
    one.tracks[0].notes.extend(note for note in every if 21 <= note.pitch <= 108)
    # MidiTok leaves sorting to its caller, and symusic's own order looks at durations before pitches.
    one.tracks[0].notes.sort(key=lambda note: (note.time, note.pitch, note.duration))
    return one


def test_ids_of_real_files_are_miditoks_own(real_files):
    reference = REMI(
        TokenizerConfig(
            pitch_range=(21, 108),
            num_velocities=32,
            beat_res={(0, 4): 8, (4, 12): 4},
            special_tokens=["PAD", "BOS", "EOS"],
            use_time_signatures=False,
            use_pitchdrum_tokens=False,
        )
    )
    assert CODER.vocab == tuple(sorted(reference.vocab, key=reference.vocab.get))
    for path in real_files:
        (expected,) = reference.encode(merged(path))
        assert CODER.encode(columns_of(path)).tolist() == expected.ids, path


@given(on_grid())
def test_decoding_gives_back_what_lies_on_the_grid(columns):
    back = CODER.decode(CODER.encode(columns))
    assert back.ticks_per_quarter == STEPS
    assert rows_of(back) == rows_of(columns)


@given(any_music())
def test_decoding_and_encoding_again_changes_nothing_more(columns):
    once = CODER.decode(CODER.encode(columns))
    assert rows_of(CODER.decode(CODER.encode(once))) == rows_of(once)


def test_decoding_a_real_file_keeps_its_notes_within_a_step(real_files):
    for path in real_files[:3]:
        columns = columns_of(path)
        kept = columns.take((columns.pitch >= 21) & (columns.pitch <= 108))
        back = CODER.decode(CODER.encode(columns))
        # Two strikes of one pitch on one step become one note.
        steps = {
            (round(t / columns.ticks_per_quarter * STEPS), p) for t, p in zip(kept.onset_tick, kept.pitch, strict=True)
        }
        found = {(t, p) for t, p in zip(back.onset_tick.tolist(), back.pitch.tolist(), strict=True)}
        near = {(t + d, p) for t, p in steps for d in (-1, 0, 1)}
        assert found <= near
        assert len(found) > 0.98 * len(steps)


@given(st.one_of(on_grid(33, 96), any_music(33, 96)), st.integers(-12, 12))
def test_transposing_ids_equals_encoding_transposed_notes(columns, semitones):
    ids = CODER.encode(columns)
    assert CODER.transpose(ids, semitones).tolist() == CODER.encode(transposed(columns, semitones)).tolist()


def test_transposing_ids_equals_encoding_transposed_notes_of_real_files(real_files):
    for path in real_files:
        columns = columns_of(path)
        ids = CODER.encode(columns)
        low, high = int(columns.pitch.min()), int(columns.pitch.max())
        for semitones in {max(-6, 21 - low), min(6, 108 - high)}:
            moved = CODER.transpose(ids, semitones)
            assert np.array_equal(moved, CODER.encode(transposed(columns, semitones))), path


@given(on_grid(33, 96), st.integers(-12, 12))
def test_transposing_back_gives_the_same_ids_and_leaves_its_argument(columns, semitones):
    ids = CODER.encode(columns)
    before = ids.copy()
    moved = CODER.transpose(ids, semitones)
    assert np.array_equal(CODER.transpose(moved, -semitones), ids)
    assert np.array_equal(ids, before)
    assert moved.dtype == np.uint16


@pytest.mark.parametrize(("pitch", "semitones"), [(21, -1), (108, 1), (60, 60), (60, -60)])
def test_transposing_off_the_piano_is_refused(pitch, semitones):
    ids = CODER.encode(notes((0, pitch, 1)))
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(21, 108\)"):
        CODER.transpose(ids, semitones)


@settings(max_examples=100)
@given(st.lists(st.integers(0, len(CODER.vocab) - 1), max_size=80))
def test_any_ids_decode_to_notes_that_can_be_encoded(ids):
    columns = CODER.decode(np.array(ids, np.uint16))
    assert rows_of(columns) == rows_of(columns.sorted())
    if len(columns):
        assert 21 <= columns.pitch.min() <= columns.pitch.max() <= 108
        assert 1 <= columns.velocity.min() <= columns.velocity.max() <= 127
        assert columns.onset_tick.min() >= 0
        assert columns.duration_tick.min() > 0
    assert CODER.encode(columns).dtype == np.uint16


def test_special_ids_are_passed_over():
    ids = CODER.encode(improvise(1, 20))
    wrapped = np.concatenate(([PAD_ID, BOS_ID], ids[:30], [PAD_ID], ids[30:], [EOS_ID, PAD_ID])).astype(np.uint16)
    assert rows_of(CODER.decode(wrapped)) == rows_of(CODER.decode(ids))


def test_notes_off_the_range_are_left_out():
    on = notes((0, 60, 1), (1, 64, 1))
    off = notes((0, 60, 1), (0, 20, 1), (0, 109, 1), (1, 64, 1))
    assert CODER.encode(off).tolist() == CODER.encode(on).tolist()
    assert CODER.encode(notes((0, 20, 1))).tolist() == []


def test_no_notes_are_no_ids_and_no_ids_no_notes():
    empty = CODER.encode(notes())
    assert empty.dtype == np.uint16
    assert len(empty) == len(CODER.decode(empty)) == len(CODER.transpose(empty, 5)) == 0


def test_silence_before_the_music_is_kept():
    back = CODER.decode(CODER.encode(notes((100, 60, 1))))
    assert back.onset_tick.tolist() == [100 * STEPS]


def test_the_vocabulary_begins_with_pad_bos_and_eos():
    assert CODER.vocab[:3] == ("PAD_None", "BOS_None", "EOS_None")
    assert (PAD_ID, BOS_ID, EOS_ID) == (0, 1, 2)
    assert len(set(CODER.vocab)) == len(CODER.vocab)


@pytest.mark.parametrize(
    "option", [{"lowest_pitch": 20}, {"highest_pitch": 109}, {"num_velocities": 16}, {"positions_per_quarter": 4}]
)
def test_the_version_changes_with_every_option(option):
    other = make_tokenizer({"name": "remi", **option})
    assert other.version != CODER.version
    assert make_tokenizer({"name": "remi", **option}).version == other.version
    assert make_tokenizer({"name": "remi"}).version == CODER.version


def test_options_change_what_is_encoded():
    coarse = make_tokenizer({"name": "remi", "positions_per_quarter": 4, "lowest_pitch": 60, "highest_pitch": 72})
    back = coarse.decode(coarse.encode(notes((0, 59, 1), (0.25, 60, 0.5), (1, 72, 1))))
    assert coarse.pitch_range == (60, 72)
    assert back.ticks_per_quarter == 4
    assert [row[:3] for row in rows_of(back)] == [(1, 60, 2), (4, 72, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "abc"}, r"tokenizer 'abc' is not known; known: remi"),
        ({}, r"tokenizer None is not known"),
        ({"name": "remi", "beat": 4}, r"tokenizer remi: there is no option 'beat'; options: lowest_pitch, "),
        ({"name": "remi", "lowest_pitch": "C4"}, r"lowest_pitch must be a whole number, found 'C4'"),
        ({"name": "remi", "num_velocities": True}, r"num_velocities must be a whole number, found True"),
        ({"name": "remi", "lowest_pitch": 70, "highest_pitch": 60}, r"0-127, found \(70, 60\)"),
        ({"name": "remi", "highest_pitch": 128}, r"0-127, found \(21, 128\)"),
        ({"name": "remi", "num_velocities": -1}, r"num_velocities must be 0 to 127, found -1"),
        ({"name": "remi", "positions_per_quarter": 1}, r"positions_per_quarter must be 2 to 480, found 1"),
    ],
)
def test_unknown_tokenizers_and_options_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        make_tokenizer(options)


def test_ticks_of_another_size_give_the_same_ids():
    columns = improvise(2, 100)
    finer = replace(
        columns, onset_tick=columns.onset_tick * 2, duration_tick=columns.duration_tick * 2, ticks_per_quarter=960
    )
    assert CODER.encode(finer).tolist() == CODER.encode(columns).tolist()
