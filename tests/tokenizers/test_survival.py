"""Every scheme takes every music that is accepted, and gives back music."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import notes
from corpora import improvise
from hypothesis import given, settings
from hypothesis import strategies as st
from real_files import block_of

from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns
from pianogen.reading import MIDI_SUFFIXES
from pianogen.tokenizers.base import EOS_ID, KNOWN, LearnedTokenizer, TokenBlock, Tokenizer, make_tokenizer
from pianogen.tokenizers.miditok_scheme import SCHEMES as OF_MIDITOK

ALL = {"metres": True, "tempos": True, "pedal": True, "rests": True}
SCHEMES: dict[str, dict[str, Any]] = {
    "remi": {"name": "remi"},
    "tsd": {"name": "tsd"},
    "midi_like": {"name": "midi_like"},
    "craykh": {"name": "craykh"},
    "jsb": {"name": "jsb", "onsets": True},
    "performance": {"name": "performance"},
    "continuous": {"name": "continuous"},
    "note_chord": {"name": "note_chord", "vocab": "all"},
    "remi, bpe": {"name": "subwords", "base": {"name": "remi"}, "vocab_size": 500},
    "tsd, unigram": {"name": "subwords", "base": {"name": "tsd"}, "model": "unigram", "vocab_size": 500},
    "remi, all options": {"name": "remi", **ALL},
    "tsd, all options": {"name": "tsd", **ALL},
    "midi_like, all options": {"name": "midi_like", **ALL},
    "jsb without onsets": {"name": "jsb"},
    "note_chord, learned": {"name": "note_chord"},
    "remi, unigram": {"name": "subwords", "base": {"name": "remi"}, "model": "unigram", "vocab_size": 500},
    "tsd, bpe": {"name": "subwords", "base": {"name": "tsd"}, "vocab_size": 500},
    **{f"miditok {scheme}": {"name": "miditok", "scheme": scheme} for scheme in OF_MIDITOK},
}
FAST = list(SCHEMES)[:10]
"""One of each kind: these take every file."""
SLOW = [name for name in SCHEMES if name.startswith("miditok")]
NOT_AGAIN = {
    "jsb without onsets": "what is held in one voice and struck in another may change places",
    "note_chord, learned": "what the vocabulary lacks is silence",
    "miditok BEAT": "each note has the mean velocity of its beat",
    "miditok PerTok": "a metre that begins within a bar moves on to the next one",
}
"""Schemes by which music that was decoded may change once more, and why."""

PIANO = range(21, 109)
CASES: dict[str, NoteColumns] = {
    "no notes": notes(),
    "one note": notes((0, 60, 1)),
    "88 notes at once": notes(*[(1, pitch, 2) for pitch in PIANO]),
    "88 notes at once, struck again": notes(*[(k / 4, pitch, 0.25) for k in range(3) for pitch in PIANO]),
    "notes of zero length": notes((0, 60, 0), (0, 64, 0), (1, 60, 0), (1, 60, 1), (2, 62, 0)),
    "pitches off the piano": notes((0, 0, 1), (0, 20, 1), (1, 60, 1), (1, 109, 1), (2, 127, 1)),
    "nothing on the piano": notes((0, 0, 1), (1, 127, 1)),
    "tempo changes in mid-note": replace(
        notes((0, 60, 4), (1, 64, 1), (3, 67, 3)),
        tempos=np.array([[700, 250_000], [701, 3_000_000], [1000, 16_777_215], [1200, 200_000]], np.int32),
    ),
    "7/8 and 5/4": replace(
        notes(*[(k / 2, 60 + k % 12, 0.5) for k in range(34)]),
        metres=np.array([[0, 7, 8], [2 * 1680, 5, 4], [2 * 1680 + 2400, 7, 8]], np.int32),
    ),
    "a metre that changes within its bar": replace(
        notes(*[(k / 2, 60, 0.5) for k in range(12)]), metres=np.array([[0, 4, 4], [500, 3, 4]], np.int32)
    ),
    "one pitch over itself": notes((0, 60, 4), (1, 60, 1), (1, 60, 1), (1, 60, 2), (3, 60, 3)),
    "an hour of silence": notes((0, 60, 1), (7200, 60, 1)),
    "a note of an hour": notes((0, 60, 7200), (1, 62, 1)),
    "one tick in a quarter": replace(notes((0, 60, 1)), ticks_per_quarter=1),
    "half an hour of 2,000 million quarters": replace(
        notes((0, 60, 1), (1, 64, 1)),
        ticks_per_quarter=1,
        onset_tick=np.array([0, 2**31 - 3], np.int32),
        duration_tick=np.ones(2, np.int32),
        tempos=np.array([[0, 1]], np.int32),
        metres=np.array([[0, 3, 4], [2**31 - 9, 4, 4]], np.int32),
        press_tick=np.array([[0, 2], [2**31 - 3, 2**31 - 2]], np.int32),
    ),
    "presses of the pedal that touch": replace(
        notes((0, 60, 1), (1, 64, 1)), press_tick=np.array([[0, 300], [301, 480], [481, 5000]], np.int32)
    ),
}


@pytest.fixture(scope="session")
def coders() -> dict[str, Tokenizer]:
    """Every scheme; what has to be learned is learned from a little music."""
    train = music_block([*(improvise(seed, 400) for seed in range(6)), *CASES.values()])
    made = {name: make_tokenizer(options) for name, options in SCHEMES.items()}
    return {
        name: coder.learned_from([train]) if isinstance(coder, LearnedTokenizer) and not coder.is_learned else coder
        for name, coder in made.items()
    }


def check_tokens(tokens: TokenBlock, coder: Tokenizer) -> None:
    assert tokens.values.dtype == coder.dtype
    assert tokens.values.shape[1:] == (() if coder.width == 1 else (coder.width,))
    assert tokens.edges[0] == 0
    assert tokens.edges[-1] == len(tokens.values)
    assert (np.diff(tokens.edges) >= 0).all()
    if coder.vocab:
        assert EOS_ID < tokens.values.min(initial=EOS_ID + 1) <= tokens.values.max(initial=0) < len(coder.vocab)


def check_music(music: MusicBlock, coder: Tokenizer) -> None:
    low, high = coder.pitch_range
    assert ((music.pitch >= low) & (music.pitch <= high)).all()
    assert ((music.velocity >= 1) & (music.velocity <= 127)).all()
    assert (music.onset_tick >= 0).all()
    assert (music.duration_tick >= 0).all()
    assert (music.onset_tick.astype(np.int64) + music.duration_tick < 2**31).all()
    # Onset, pitch and duration as one number, which ascends within a performance.
    key = (music.onset_tick.astype(np.uint64) << np.uint64(7) | music.pitch) << np.uint64(26)
    step_back = np.diff(key + np.minimum(music.duration_tick, 2**26 - 1).astype(np.uint64)).view(np.int64) < 0
    assert set(np.flatnonzero(step_back) + 1) <= set(music.note_edges.tolist())
    assert (music.press_tick[:, 0] < music.press_tick[:, 1]).all()
    for i in np.flatnonzero(np.diff(music.press_edges)):
        assert (np.diff(music[i].press_tick.ravel()) >= 0).all()
    if not len(music.tempos):
        music = music.take(np.arange(0, len(music), 1 + len(music) // 200))
        told = music_block([music[i] for i in range(len(music))])
        assert np.array_equal(told.onset_sec, music.onset_sec)
        assert np.array_equal(told.offset_sec, music.offset_sec)


def said(music: NoteColumns) -> list[Any]:
    """All that tokens may carry."""
    names = ("onset_tick", "pitch", "duration_tick", "velocity", "press_tick", "tempos", "metres")
    return [getattr(music, name).tolist() for name in names]


@pytest.mark.filterwarnings("ignore:miditok")
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_takes_music_of_every_kind(name, coders):
    coder = coders[name]
    cases = {
        case: music
        for case, music in CASES.items()
        # MidiTok, which makes a token of every bar or an event of every second, takes seconds for hours.
        if name not in SLOW or "hour" not in case
    }
    block = music_block(list(cases.values()))
    tokens = coder.encode_block(block)
    check_tokens(tokens, coder)
    decoded = coder.decode_block(tokens)
    check_music(decoded, coder)
    again = coder.decode_block(coder.encode_block(decoded))
    for i, (case, music) in enumerate(cases.items()):
        assert np.array_equal(coder.encode(music), tokens[i]), case
        assert said(coder.decode(tokens[i])) == said(decoded[i]), case
        assert len(decoded[i]) or case in ("no notes", "nothing on the piano", "pitches off the piano"), case
        if name not in NOT_AGAIN and "changes within" not in case:
            assert said(again[i]) == said(decoded[i]), case


def test_every_known_scheme_is_tried():
    assert {options["name"] for options in SCHEMES.values()} == set(KNOWN)


@pytest.mark.filterwarnings("ignore:miditok")
@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "continuous"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_ids_are_music(name, coders, data):
    coder = coders[name]
    vocabs = [len(coder.vocab)] if coder.width == 1 else [len(vocab) for vocab in coder.vocabs]
    token = st.tuples(*(st.integers(0, num - 1) for num in vocabs))
    rows = data.draw(st.lists(token, max_size=40))
    tokens = np.array(rows, coder.dtype).reshape(-1, *([coder.width] if coder.width > 1 else []))
    music = coder.decode(tokens)
    check_music(music_block([music]), coder)
    again = coder.encode(music)
    assert again.dtype == coder.dtype


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(width=32)] * 4), max_size=20))
def test_any_numbers_are_music(coders, rows):
    coder = coders["continuous"]
    music = coder.decode_block(TokenBlock(np.array(rows, np.float32).reshape(-1, 4), np.array([0, len(rows)])))
    check_music(music, coder)
    assert np.isfinite(coder.encode_block(music).values).all()


@pytest.fixture(scope="session")
def real_block(real_data) -> MusicBlock:
    """Every accepted file, as a block of the lake."""
    paths = sorted(path for path in real_data.rglob("*") if path.suffix.lower() in MIDI_SUFFIXES)
    music, files = block_of(paths)
    assert 1400 < len(files) == len(music) < len(paths)
    return music


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_every_accepted_file_becomes_tokens_and_music(name, coders, real_block):
    coder = coders[name]
    tokens = coder.encode_block(real_block)
    assert len(tokens) == len(real_block)
    check_tokens(tokens, coder)
    decoded = coder.decode_block(tokens)
    check_music(decoded, coder)
    low, high = coder.pitch_range
    kept = [((one.pitch >= low) & (one.pitch <= high)).any() for one in (real_block[i] for i in range(len(real_block)))]
    assert np.array_equal(np.diff(decoded.note_edges) > 0, kept)
    some = decoded.take(np.arange(0, len(decoded), 10))
    again = coder.decode_block(coder.encode_block(some))
    assert all(said(again[i]) == said(some[i]) for i in range(len(some)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:miditok")
@pytest.mark.parametrize("name", SLOW)
def test_miditok_takes_accepted_files(name, coders, real_block):
    coder = coders[name]
    short = np.flatnonzero(np.diff(real_block.note_edges) < 300)[::12]
    assert len(short) > 3
    music = real_block.take(short)
    tokens = coder.encode_block(music)
    check_tokens(tokens, coder)
    decoded = coder.decode_block(tokens)
    check_music(decoded, coder)
    # The same again, from nothing.
    twin = make_tokenizer(SCHEMES[name])
    assert twin.version == coder.version
    assert np.array_equal(twin.encode_block(music).values, tokens.values)
    assert all(a <= b for a, b in pairwise(decoded.note_edges))
