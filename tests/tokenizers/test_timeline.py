"""REMI, TSD and MIDI-like beside MidiTok: the same ids for the same music, and the same music for the same ids."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from builders import notes
from hypothesis import given, settings
from hypothesis import strategies as st
from miditok_reference import reference_ids, reference_music, reference_of
from music import any_chords, any_music, in_parts, rows_of

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns, united
from pianogen.shards.rows import augmented_rows
from pianogen.tokenizers.base import make_tokenizer
from pianogen.tokenizers.timeline_tokenizer import TimelineTokenizer

SCHEMES = ("remi", "tsd", "midi_like")
ALL: dict[str, Any] = {"metres": True, "tempos": True, "pedal": True, "rests": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "rests": {"rests": True},
    "tempos": {"tempos": True, "num_tempos": 16},
    "metres": {"metres": True},
    "halves": {"metres": True, "known_metres": ("2/2", "4/4", "3/4", "7/8", "6/8")},
    "halves of 6": {"metres": True, "known_metres": ("2/2", "4/4", "3/4", "6/8"), "positions_per_quarter": 6},
    "pedal": {"pedal": True},
    "no velocities": {"num_velocities": 0},
    "without repeats": {"without_repeats": True},
    "12 positions": {"positions_per_quarter": 12, "lowest_pitch": 40, "highest_pitch": 80, "num_velocities": 5},
    "everything": ALL | {"without_repeats": True},
    "programs": {"programs": True},
    "program changes": {"programs": True, "program_changes": True, "pedal": True, "num_velocities": 0},
    "chords": {"chords": True},
    "roots": {"chords": True, "chord_roots": True, "metres": True},
    "unknown chords": {"chords": True, "chord_roots": True, "unknown_chords": True, "positions_per_quarter": 12},
    "chords of parts": ALL | {"chords": True, "programs": True, "without_repeats": True},
    "changes and chords": ALL | {"chords": True, "programs": True, "program_changes": True},
}
MUSIC = st.one_of(any_music(shortest=1), any_chords(), in_parts(any_music(shortest=1)), in_parts(any_chords()))
CASES = [pytest.param(scheme, OPTIONS[name], id=f"{scheme}, {name}") for scheme in SCHEMES for name in OPTIONS]


@cache
def coder_of(scheme: str, *options: tuple[str, Any]) -> TimelineTokenizer:
    return make_tokenizer({"name": scheme, **dict(options)})  # pyright: ignore[reportReturnType]


@cache
def known(scheme: str, *options: tuple[str, Any]) -> Any:
    return reference_of(coder_of(scheme, *options))


@pytest.mark.parametrize("scheme, options", CASES)
def test_the_vocabulary_is_miditoks_own(scheme, options):
    vocab = known(scheme, *options.items()).vocab
    assert coder_of(scheme, *options.items()).vocab == tuple(sorted(vocab, key=vocab.get))


@pytest.mark.parametrize("scheme, options", CASES)
@settings(max_examples=15)
@given(music=MUSIC)
def test_ids_are_miditoks_own(scheme, options, music):
    key = (scheme, *options.items())
    assert coder_of(*key).encode(music).tolist() == reference_ids(known(*key), music)


@pytest.mark.parametrize("scheme, options", CASES)
@settings(max_examples=10)
@given(music=st.one_of(any_music(), in_parts(any_chords())), data=st.data())
def test_ids_mean_what_miditok_makes_of_them(scheme, options, music, data):
    key = (scheme, *options.items())
    coder = coder_of(*key)
    ids = coder.encode(music)
    # MIDI-like's reader takes whatever follows a note-on for its velocity, so ids in disorder mean other things to it.
    if scheme != "midi_like" and data.draw(st.booleans()):
        ids = np.array(data.draw(st.permutations(ids.tolist()[:60])), coder.dtype)
    expected = reference_music(known(*key), ids.tolist())
    back = coder.decode(ids)
    program = back.program.tolist() if len(back.program) else [0] * len(back)
    rows = [(*row, played) for row, played in zip(rows_of(back), program, strict=True)]
    assert sorted(rows, key=lambda row: (*row[:3], row[4])) == expected["notes"]
    assert [back.ticks_per_quarter] == expected["quarter"]
    if len(back):  # MidiTok leaves out the pedal of a part without notes
        presses = np.array(expected["presses"], np.int32).reshape(-1, 2)
        assert np.array_equal(back.press_tick, united(presses))  # ids in disorder tell some of no length, or that touch
    tempos = [(tick, round(usec, -1)) for tick, usec in back.tempos.tolist()]
    assert tempos in (expected["tempos"], expected["tempos"][1:])  # it says the tempo and metre that are assumed
    metres = list(map(tuple, back.metres.tolist()))
    assert metres in (expected["metres"], expected["metres"][1:])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("metre, quarters", [(None, 4), ((3, 4), 3), ((6, 8), 3)])
def test_bars_begin_where_their_first_notes_are_told(scheme, metre, quarters):
    coder = make_tokenizer({"name": scheme, "metres": metre is not None})
    music = notes(*[(i, 40 + i, 0.5) for i in range(13)])
    if metre:
        music = replace(music, metres=np.array([[0, *metre]], np.int32))
    ids = coder.encode(music)
    starts = [int(start) for start in coder.bar_starts(ids)]
    is_struck = np.array([token.startswith(("Pitch", "NoteOn")) for token in coder.vocab])
    first = [next(coder.vocab[i] for i in ids[start:] if is_struck[i]) for start in starts]
    pitches = [int(token.partition("_")[2]) for token in first]
    assert pitches[0 if metre or scheme == "remi" else slice(0, 0)] in (40, [])
    assert sorted(set(pitches) - {40}) == list(range(40 + quarters, 53, quarters))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("metre, part", [("3/2", 2), ("4/1", 4)])
def test_music_of_long_beats_alone_keeps_its_time_or_the_options_are_refused(scheme, metre, part):
    numerator, denominator = map(int, metre.split("/"))
    played = notes((0, 60, 4), (4, 62, 4), (8, 64, 4), (24, 65, 4))
    music = replace(played, metres=np.array([[0, numerator, denominator]], np.int32))
    for positions in range(2, 13):
        options = {"metres": True, "known_metres": ("4/4", metre), "positions_per_quarter": positions}
        if positions % part:
            says = f"{metre} of known_metres needs positions_per_quarter to be a multiple of {part}, found {positions}"
            with pytest.raises(SettingsError, match=says):
                make_tokenizer({"name": scheme, **options})
            continue
        coder = coder_of(scheme, *options.items())
        ids = coder.encode(music)
        assert ids.tolist() == reference_ids(known(scheme, *options.items()), music)
        back = coder.decode(ids)
        assert (back.onset_tick / back.ticks_per_quarter).tolist() == [0, 4, 8, 24]
        assert (back.duration_tick / back.ticks_per_quarter).tolist() == [4] * 4


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ids_of_any_number_of_bars_and_shifts_are_times_that_can_be(scheme):
    options = ALL | {"positions_per_quarter": 480, "known_metres": ("4/4", "255/4", "3/16")}
    coder = coder_of(scheme, *options.items())
    place = {token: i for i, token in enumerate(coder.vocab)}
    tempo = next(token for token in coder.vocab if token.startswith("Tempo"))
    if scheme == "midi_like":
        note = ["NoteOn_60", "Velocity_79", "NoteOff_60", "NoteOff_60", "NoteOn_60", "Velocity_79"]
    else:
        note = ["Pitch_60", "Velocity_79", "Duration_12.0.240"]
    told = [place[token] for token in ("TimeSig_4/4", "PedalOff_0", *note, tempo, "Pedal_0", "TimeSig_255/4")]
    for passing in ("Bar_None" if scheme == "remi" else "TimeShift_12.0.240", "Rest_12.0.120"):
        back = coder.decode(np.array([*told, *[place[passing]] * 50_000] * 3 + told, coder.dtype))
        assert len(back) > 3
        assert back.onset_tick.max() == 2**30
        assert (back.onset_tick.astype(np.int64) + back.duration_tick).max() < 2**31
        for times in (back.onset_tick, back.duration_tick, back.press_tick, back.tempos, back.metres):
            assert times.min() >= 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_begins_after_a_million_quarters_is_left_out_and_what_lasts_longer_ends_there(scheme):
    coder, late = coder_of(scheme, *ALL.items()), 4_000_000 * 480
    short, longer = notes((0, 60, 1), (1, 64, 1)), notes((0, 60, 1), (1, 64, 1), (4_000_000, 67, 1))
    tempos, metres, presses = [[0, 400_000]], [[0, 3, 4]], [[0, 480]]
    alone = replace(short, tempos=np.array(tempos), metres=np.array(metres), press_tick=np.array(presses))
    with_late = replace(
        longer,
        tempos=np.array([*tempos, [late, 600_000]]),
        metres=np.array([*metres, [late, 4, 4]]),
        press_tick=np.array([*presses, [late, late + 480]]),
    )
    assert coder.encode(with_late).tolist() == coder.encode(alone).tolist()
    endless = replace(notes((0, 60, 4_000_000), (1, 64, 1)), press_tick=np.array([[0, late]]))
    back = coder.decode(coder.encode(endless))
    assert back.press_tick.tolist() == [[0, 2**20 * back.ticks_per_quarter]]
    assert back.duration_tick[0] == (2**20 if scheme == "midi_like" else 12) * back.ticks_per_quarter


def test_presses_of_ids_in_disorder_ascend():
    coder = coder_of("remi", ("pedal", True))
    tokens = ["Bar_None"]
    for down, up in ((8, 12), (2, 6), (6, 7), (20, 20), (11, 16), (31, 30)):
        tokens += [f"Position_{down}", "Pedal_0", f"Position_{up}", "PedalOff_0"]
    back = coder.decode(np.array([coder.vocab.index(token) for token in tokens], coder.dtype))
    assert back.press_tick.tolist() == [[2, 7], [8, 16]]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("positions", [7, 8, 12])
def test_decoded_seconds_are_those_of_decoded_music(scheme, positions):
    coder = coder_of(scheme, ("positions_per_quarter", positions))
    music = notes(*[(k / positions, 40 + k % 40, 1 / positions) for k in range(60)])
    back = coder.decode_block(coder.encode_block(music_block([music, music])))
    again = music_block([back[0], back[1]])
    assert np.array_equal(back.onset_sec, again.onset_sec)
    assert np.array_equal(back.offset_sec, again.offset_sec)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_decoded_seconds_are_those_of_decoded_tempos(scheme):
    coder = make_tokenizer({"name": scheme, "tempos": True})
    played = notes((0, 60, 1), (4, 64, 1), (8, 67, 2))
    music = replace(played, tempos=np.array([[0, 1_000_000], [1920, 250_000]], np.int32))
    back = coder.decode_block(coder.encode_block(music_block([music, music])))
    again = music_block([back[0], back[1]])
    assert np.array_equal(back.onset_sec, again.onset_sec)
    assert np.array_equal(back.offset_sec, again.offset_sec)
    assert back.onset_sec[:3] == pytest.approx([0.0, 4.0, 5.0], rel=0.03)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ids_of_real_files_are_miditoks_own(scheme, real_music):
    for options in (ALL, OPTIONS["programs"], OPTIONS["changes and chords"]):
        coder, reference = coder_of(scheme, *options.items()), known(scheme, *options.items())
        for path, music in real_music.items():
            assert coder.encode(music).tolist() == reference_ids(reference, music), (path, options)


@pytest.mark.parametrize("scheme, options", CASES)
def test_a_block_is_encoded_and_decoded_as_its_performances_are(scheme, options, real_music):
    coder = coder_of(scheme, *options.items())
    music = [*list(real_music.values())[:3], empty(480), *list(real_music.values())[3:5]]
    tokens = coder.encode_block(music_block(music))
    back = coder.decode_block(tokens)
    assert len(tokens) == len(back) == len(music)
    for i, one in enumerate(music):
        assert np.array_equal(tokens[i], coder.encode(one))
        assert rows_of(back[i]) == rows_of(coder.decode(tokens[i]))
        assert np.array_equal(back[i].metres, coder.decode(tokens[i]).metres)


@pytest.mark.parametrize("scheme, options", CASES)
@settings(max_examples=10)
@given(music=st.one_of(any_music(45, 75), in_parts(any_chords(45, 75))), semitones=st.integers(-5, 5))
def test_transposing_ids_equals_encoding_transposed_notes(scheme, options, music, semitones):
    coder = coder_of(scheme, *options.items())
    if not coder.is_shifted:
        with pytest.raises(ValueError, match="notes have to be transposed before they are encoded"):
            coder.transpose(coder.encode(music), semitones)
        return
    moved = replace(music, pitch=(music.pitch.astype(int) + semitones).astype(np.uint8))
    assert coder.transpose(coder.encode(music), semitones).tolist() == coder.encode(moved).tolist()


@settings(max_examples=10)
@given(music=in_parts(any_chords(25, 104)))
def test_where_roots_are_told_each_transposition_is_encoded(music):
    coder, augment = coder_of("tsd", ("chords", True), ("chord_roots", True), ("programs", True)), AugmentConfig()
    (rows,) = augmented_rows(coder, music_block([music, music]), augment)
    for k, up in enumerate(rows.semitones):
        moved = replace(music, pitch=(music.pitch.astype(int) + up).astype(np.uint8))
        assert rows.tokens[k][1:-1].tolist() == coder.encode(moved).tolist()


@pytest.mark.parametrize("scheme, options", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_any_ids_are_music(scheme, options, data):
    coder = coder_of(scheme, *options.items())
    ids = data.draw(st.lists(st.integers(0, len(coder.vocab) - 1), max_size=80))
    back = coder.decode(np.array(ids, coder.dtype))
    assert rows_of(back) == sorted(rows_of(back), key=lambda row: row[:3])
    assert all(coder.pitch_range[0] <= row[1] <= coder.pitch_range[1] and row[0] >= 0 for row in rows_of(back))
    coder.encode(back)


def empty(quarter: int) -> NoteColumns:
    none = np.empty(0, np.int32)
    return NoteColumns(none.astype(np.uint8), none.astype(np.uint8), none, none, quarter)


def test_what_a_scheme_carries_follows_its_options():
    assert coder_of("remi").carries == {"pitch", "onset", "duration", "velocity"}
    everything = {"pitch", "onset", "duration", "velocity", "tempo", "metre", "pedal"}
    assert coder_of("tsd", *ALL.items()).carries == everything
    assert coder_of("tsd", ("programs", True)).carries == {"pitch", "onset", "duration", "velocity", "program"}
    assert coder_of("tsd", ("num_velocities", 0)).carries == {"pitch", "onset", "duration"}


def test_a_chord_of_every_key_and_notes_of_no_length_have_tokens():
    pitch = np.arange(21, 109, dtype=np.uint8)
    chord = NoteColumns(pitch, np.full(88, 80, np.uint8), np.zeros(88, np.int32), np.full(88, 480, np.int32), 480)
    for scheme in SCHEMES:
        coder = coder_of(scheme)
        assert rows_of(coder.decode(coder.encode(chord))) == [(0, p, 8, 79) for p in range(21, 109)]
        short = replace(chord, duration_tick=np.zeros(88, np.int32))
        assert rows_of(coder.decode(coder.encode(short))) == [(0, p, 1, 79) for p in range(21, 109)]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"rests": 1}, "tokenizer tsd: rests must be true or false, found 1"),
        ({"velocity": 3}, "tokenizer tsd: there is no option 'velocity'; options: lowest_pitch, .*, without_repeats"),
        (
            {"rests": True, "positions_per_quarter": 6},
            "rests need positions_per_quarter to be a multiple of 4, found 6",
        ),
        ({"metres": True, "known_metres": ("3/4",)}, "known_metres must hold 4/4"),
        ({"known_metres": ("3-4",)}, "a metre such as 3/4 expected in known_metres, found '3-4'"),
        ({"known_metres": ("3/5",)}, "3/5: 1 to 255 over a power of two up to 64 expected"),
        ({"known_metres": 4}, "known_metres must be a list of metres such as 3/4, found 4"),
        ({"known_metres": None}, "known_metres must be a list of metres such as 3/4, found None"),
        ({"known_metres": "4/4"}, "known_metres must be a list of metres such as 3/4, found '4/4'"),
        ({"known_metres": (4,)}, "a metre such as 3/4 expected in known_metres, found 4"),
        ({"known_metres": ("4/4", "3/4", "4/4")}, "tokenizer tsd: known_metres names 4/4 twice"),
        ({"num_tempos": 1}, "num_tempos must be 2 to 21001, found 1"),
        ({"num_tempos": 30_000}, "num_tempos must be 2 to 21001, found 30000"),
        ({"program_changes": True}, "program_changes needs programs"),
        ({"chord_roots": True}, "chord_roots needs chords"),
        (
            {"metres": True, "known_metres": ("4/4", "1/1"), "positions_per_quarter": 2},
            "1/1 of known_metres needs positions_per_quarter to be a multiple of 4, found 2",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(SettingsError, match=says):
        make_tokenizer({"name": "tsd", **options})


def test_as_many_tempi_as_can_be_have_a_token_each():
    vocab = coder_of("tsd", ("tempos", True), ("num_tempos", 21_001)).vocab
    assert len(vocab) == len(set(vocab))
