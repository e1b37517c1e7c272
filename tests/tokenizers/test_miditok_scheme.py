"""MidiTok's schemes by name: every one of them takes any music and gives it back as far as it carries it."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import miditok
import numpy as np
import pytest
from builders import notes
from hypothesis import given, settings
from miditok_reference import reference_ids
from music import any_chords, any_music, in_parts, rows_of

from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.tokenizers.base import EOS_ID, make_tokenizer
from pianogen.tokenizers.miditok_scheme import SCHEMES, MidiTokScheme

CODERS = {scheme: MidiTokScheme(scheme=scheme) for scheme in SCHEMES}


def test_every_scheme_that_miditok_offers_is_known():
    offered = {
        name
        for name, kind in vars(miditok).items()
        if isinstance(kind, type) and issubclass(kind, miditok.MusicTokenizer) and kind is not miditok.MusicTokenizer
    }
    assert offered == set(SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=12, deadline=None)
@given(music=any_music(most=12))
def test_every_scheme_takes_any_music(scheme, music):
    coder = CODERS[scheme]
    tokens = coder.encode(music)
    assert tokens.dtype == coder.dtype
    assert tokens.shape[1:] == (() if coder.width == 1 else (coder.width,))
    back = coder.decode(tokens)
    assert set(back.pitch.tolist()) <= {p for p in music.pitch.tolist() if 21 <= p <= coder.pitch_range[1]}


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "PerTok"])
def test_a_melody_comes_back_as_it_was(scheme):
    melody = notes((0, 60, 1), (1, 62, 1), (2, 64, 0.5), (2.5, 65, 1.5), velocity=79)
    back = CODERS[scheme].decode(CODERS[scheme].encode(melody))
    quarter = back.ticks_per_quarter
    found = [(row[0] / quarter, row[1], row[2] / quarter) for row in rows_of(back)]
    assert found == [(0, 60, 1), (1, 62, 1), (2, 64, 0.5), (2.5, 65, 1.5)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ids_begin_after_the_special_ones_and_these_are_passed_over(scheme):
    coder = CODERS[scheme]
    tokens = coder.encode(notes((0, 60, 1), (1, 62, 1)))
    ids = tokens if coder.width == 1 else tokens[:, 0]
    assert ids.min() > EOS_ID
    special = np.broadcast_to(np.arange(3).reshape(-1, *[1] * (tokens.ndim - 1)), (3, *tokens.shape[1:]))
    wrapped = np.concatenate((special[1:2], tokens, special[2:], special[:1]))
    assert rows_of(coder.decode(wrapped)) == rows_of(coder.decode(tokens))


BEAT_NOTE = ["Pattern_27", "Velocity_67"]


@pytest.mark.parametrize(
    "scheme, tokens, of_miditok, here",
    [
        ("CPWord", [["Family_Metric", "Bar_None", *["Ignore_None"] * 4]], "invalid literal for int", []),
        (
            "Octuple",
            [["Pitch_60", "Position_0", "Bar_0", "Velocity_79", "Duration_1.0.8", "PAD_None"]],
            "invalid literal for int",
            [],
        ),
        (
            "MuMIDI",
            [["Pitch_60", "BarPosEnc_0", "PositionPosEnc_0", "Velocity_79", "Duration_1.0.8"]],
            "KeyError",
            [(0, 60, 8, 79)],
        ),
        (
            "MuMIDI",
            [["Program_0", "BarPosEnc_0", "PositionPosEnc_0"], ["Pitch_60", "BarPosEnc_0", "PositionPosEnc_0"]],
            "KeyError",
            [],
        ),
        ("BEAT", ["TimeSig_4/4", "Pitch_60", *BEAT_NOTE], [(-9, 60, 2, 67)], []),
        (
            "BEAT",
            ["Bar_None", "Beat_None", "Pitch_30", *BEAT_NOTE, "Pitch_21", *BEAT_NOTE],
            [(0, 30, 2, 67), (0, 9, 2, 67)],
            [(0, 30, 2, 67)],
        ),
    ],
)
def test_ids_on_which_miditok_fails_are_music_here(scheme, tokens, of_miditok, here):
    coder = CODERS[scheme]
    if coder.width == 1:
        ids = [coder.vocab.index(token) for token in tokens]
        padded = ids
    else:
        ids = [[vocab.index(part) for vocab, part in zip(coder.vocabs, row, strict=False)] for row in tokens]
        padded = [row + [0] * (coder.width - len(row)) for row in ids]
    assert rows_of(coder.decode(np.array(padded, coder.dtype))) == here
    argument = ids if coder.miditok.one_token_stream else [ids]
    if isinstance(of_miditok, str):
        with pytest.raises((ValueError, KeyError)) as caught:
            coder.miditok.decode(argument)
        assert of_miditok in repr(caught.value)
    else:
        notes = [
            (n.time, n.pitch, n.duration, n.velocity) for t in coder.miditok.decode(argument).tracks for n in t.notes
        ]
        assert sorted(notes) == sorted(of_miditok)


def test_what_comes_after_60_bars_is_lost_to_two_schemes():
    music = notes((0, 60, 1), (239, 62, 1), (241, 64, 1))
    for scheme, kept in (("Octuple", 2), ("MuMIDI", 2), ("REMI", 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(CODERS[scheme].decode(CODERS[scheme].encode(music))) == kept


def test_other_ids_on_which_miditok_fails_are_named(monkeypatch):
    coder = MidiTokScheme(scheme="TSD")
    monkeypatch.setattr(coder, "miditok", SimpleNamespace(one_token_stream=False))
    with pytest.raises(ValueError, match=r"TSD cannot decode \[5, 6\]: AttributeError"):
        coder.decode(np.array([5, 6]))


def test_real_music_has_the_ids_that_miditok_gives_it(real_music):
    coder = MidiTokScheme(scheme="REMI", config={"use_tempos": True, "beat_res": {"0-4": 12, "4-8": 6}})
    reference = miditok.REMI(
        miditok.TokenizerConfig(
            use_tempos=True,
            beat_res={(0, 4): 12, (4, 8): 6},
            special_tokens=["PAD", "BOS", "EOS"],
            use_pitchdrum_tokens=False,
        )
    )
    path, music = min(real_music.items(), key=lambda item: len(item[1]))
    assert coder.encode(music).tolist() == reference_ids(reference, music), path
    assert np.array_equal(coder.encode_block(music_block([music, music]))[1], coder.encode(music))


@settings(max_examples=12, deadline=None)
@given(music=in_parts(any_chords(most=4)))
def test_with_programs_parts_are_tracks_that_come_back(music):
    coder = MidiTokScheme(scheme="TSD", config={"use_programs": True})
    assert coder.reads_parts
    assert not CODERS["TSD"].reads_parts
    back = coder.decode(coder.encode(music))
    assert sorted(back.program.tolist()) == sorted(music.program.tolist())
    assert len(set(back.track.tolist())) == len(set(music.program.tolist()))
    assert CODERS["TSD"].encode(music).tolist() == CODERS["TSD"].encode(replace(music, track=music.track[:0])).tolist()


def test_options_are_kept_as_json_has_them_and_mean_what_miditok_says():
    config = {
        "beat_res": {(0, 4): 12, (4, 12): 6},
        "use_rests": True,
        "beat_res_rest": {(0, 1): 4},
        "use_time_signatures": True,
        "time_signature_range": {8: (3, 5), 4: [4]},
        "use_chords": True,
        "chord_maps": {"fifth": (0, 7)},
        "pitch_range": (30, 90),
    }
    coder = MidiTokScheme(config=config)
    assert coder.options["config"] == {
        "beat_res": {"0-4": 12, "4-12": 6},
        "use_rests": True,
        "beat_res_rest": {"0-1": 4},
        "use_time_signatures": True,
        "time_signature_range": {"8": [3, 4, 5], "4": [4]},
        "use_chords": True,
        "chord_maps": {"fifth": [0, 7]},
        "pitch_range": [30, 90],
    }
    again = MidiTokScheme(**coder.options)
    special = {"special_tokens": ["PAD", "BOS", "EOS"], "use_pitchdrum_tokens": False}
    reference = miditok.REMI(miditok.TokenizerConfig(**special, **config))
    assert again.vocab == coder.vocab == tuple(sorted(reference.vocab, key=reference.vocab.get))
    for ticks_per_quarter in (96, 480):
        music = replace(notes((0, 60, 1), (0, 67, 1), (2, 40, 1)), ticks_per_quarter=ticks_per_quarter)
        assert again.encode(music).tolist() == reference_ids(reference, music)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_that_make_a_sequence_of_each_part_are_refused_and_the_others_keep_all_parts(scheme):
    config = {"use_programs": True, "one_token_stream_for_programs": False}
    if scheme not in ("BEAT", "MMM", "MuMIDI"):
        with pytest.raises(SettingsError, match=f"{scheme} has to make one sequence of all parts"):
            MidiTokScheme(scheme=scheme, config=config)
        config["one_token_stream_for_programs"] = True
    music = replace(
        notes((0, 60, 1), (0, 40, 1)), track=np.array([1, 0], np.int16), program=np.array([32, 0], np.uint8)
    )
    coder = MidiTokScheme(scheme=scheme, config=config)
    assert sorted(coder.decode(coder.encode(music)).pitch.tolist()) == [40, 60]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"scheme": "Remi"}, "scheme must be one of BEAT, CPWord, .*, found 'Remi'"),
        ({"scheme": "REMI", "config": {"pitch_range": (0, 200)}}, "REMI refuses .*pitch_range"),
        ({"scheme": "REMI", "config": {"beat_res": 8}}, "beat_res must be like .*, found 8"),
        ({"config": {"beat_res_rest": {"0": 8}}}, "beat_res_rest must be like .*, found {'0': 8}"),
        ({"config": {"time_signature_range": {"x": [3]}}}, "time_signature_range must be like .*, found {'x'"),
        ({"config": {"chord_maps": {"min": 3}}}, "chord_maps must be like .*, found {'min': 3}"),
        ({"config": {"programs": {1, 2}}}, "config must be what JSON can hold: .*set"),
        ({"config": "x"}, "config must have options of TokenizerConfig by name, found 'x'"),
        ({"config": []}, r"config must have options of TokenizerConfig by name, found \[\]"),
        ({"config": {"use_rest": True}}, "REMI has no option 'use_rest' in its config; did you mean use_rests?"),
        ({"scheme": "TSD", "config": {"max_bar_embedding": 60}}, "TSD has no option 'max_bar_embedding'"),
        (
            {"config": {"special_tokens": ["PAD"]}},
            r"special_tokens must begin with PAD, BOS, EOS, found \['PAD_None'\]",
        ),
        (
            {"scheme": "TSD", "config": {"use_programs": True, "one_token_stream_for_programs": False}},
            "with use_programs TSD has to make one sequence of all parts: one_token_stream_for_programs must be true",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(SettingsError, match=says):
        make_tokenizer({"name": "miditok", **options})
