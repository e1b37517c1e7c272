import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from builders import TPQ, notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st
from music import any_music, rows_of

from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, SPECIAL_TOKENS, TokenBlock
from pianogen.tokenizers.craykh import Craykh

CODER = Craykh()


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """So that no example takes as long as a compiler."""
    CODER.decode(CODER.encode(notes((0, 60, 1))))


@st.composite
def in_frames(draw) -> NoteColumns:
    """Notes that craykh loses nothing of: of two frames or more, none struck before it is let go."""
    rows, free_at = [], {}
    for _ in range(draw(st.integers(0, 30))):
        pitch = draw(st.integers(*CODER.pitch_range))
        onset = free_at.get(pitch, 0) + draw(st.integers(0, 50))
        free_at[pitch] = onset + draw(st.integers(2, 60))
        rows.append((onset / 10, pitch, (free_at[pitch] - onset) / 10))
    # At 120 quarters a minute 50 ms are a tenth of a quarter.
    return notes(*rows, velocity=64)


def defined(columns: NoteColumns, frame_ms: int = 50, lowest: int = 22, highest: int = 108) -> str:
    """The text as docs/tokenizers/craykh.md defines it, frame by frame."""

    def frame(sec: float) -> int:
        return math.floor((Fraction(sec) + Fraction(1, 2**20)) / Fraction(frame_ms, 1000))

    seconds = columns.tempo_map.seconds
    offset_tick = columns.onset_tick.astype(np.int64) + columns.duration_tick
    filled: dict[int, set[int]] = {}
    rows = zip(columns.pitch.tolist(), seconds(columns.onset_tick), seconds(offset_tick), strict=True)
    for pitch, onset_sec, offset_sec in rows:
        if lowest <= pitch <= highest:
            first, last = frame(onset_sec), frame(offset_sec) - 1
            for f in range(first, last) if last > first else [first]:
                filled.setdefault(f, set()).add(pitch)
    frames = [sorted(filled.get(f, ())) for f in range(max(filled, default=-1) + 1)]
    return "".join("".join(chr(33 + pitch - 22) for pitch in pitches) + " " for pitches in frames)


@settings(max_examples=100)
@given(any_music(), st.sampled_from([(50, 22, 108), (7, 22, 115), (130, 40, 70)]))
def test_tokens_are_those_of_the_definition(columns, options):
    frame_ms, lowest, highest = options
    coder = Craykh(frame_ms=frame_ms, lowest_pitch=lowest, highest_pitch=highest)
    tokens = coder.encode(columns)
    text = defined(columns, *options)
    assert coder.text_of(tokens) == text
    assert tokens.tolist() == [coder.vocab.index(character) for character in text]


def test_real_files_are_encoded_as_defined(real_music):
    for path, columns in real_music.items():
        assert CODER.text_of(CODER.encode(columns)) == defined(columns), path


@given(in_frames())
def test_decoding_gives_back_what_fills_frames(columns):
    back = CODER.decode(CODER.encode(columns))
    assert back.ticks_per_quarter == 500
    # 480 ticks of 500.
    expected = [(round(t * 500 / 480), pitch, round(d * 500 / 480), v) for t, pitch, d, v in rows_of(columns)]
    assert rows_of(back) == expected


@given(any_music())
def test_encoding_what_was_decoded_gives_the_same_tokens(columns):
    tokens = CODER.encode(columns)
    assert CODER.encode(CODER.decode(tokens)).tolist() == tokens.tolist()


def test_encoding_decoded_real_files_gives_the_same_tokens(real_music):
    block = CODER.encode_block(music_block(list(real_music.values())))
    again = CODER.encode_block(CODER.decode_block(block))
    assert np.array_equal(block.values, again.values)
    assert np.array_equal(block.edges, again.edges)


def test_seconds_count_where_the_tempo_changes_within_a_note():
    # One quarter at 120, another at 60 quarters a minute: 0.5 s and 1 s, and a note over both.
    columns = NoteColumns(
        pitch=np.array([60], np.uint8),
        velocity=np.array([80], np.uint8),
        onset_tick=np.array([0], np.int32),
        duration_tick=np.array([960], np.int32),
        ticks_per_quarter=480,
        tempos=np.array([[0, 500_000], [480, 1_000_000]], np.int32),
    )
    assert CODER.text_of(CODER.encode(columns)) == "G " * 29
    assert rows_of(CODER.decode(CODER.encode(columns))) == [(0, 60, 1500, 64)]


def test_the_example_of_the_document():
    # Quarters at 120: C4 for 0.2 s, again for 0.1 s with E4, a rest of 0.1 s, G4 for 0.05 s.
    columns = notes((0, 60, 0.4), (0.4, 60, 0.2), (0.4, 64, 0.2), (0.8, 67, 0.1))
    assert CODER.text_of(CODER.encode(columns)) == "G G G  GK    N "
    assert rows_of(CODER.decode(CODER.tokens_of("G G G  GK    N "))) == [
        (0, 60, 200, 64),
        (200, 60, 100, 64),
        (200, 64, 100, 64),
        (400, 67, 100, 64),
    ]


@given(st.lists(any_music(), max_size=6))
def test_a_block_is_its_pieces(pieces):
    block = CODER.encode_block(music_block(pieces))
    assert len(block) == len(pieces)
    assert [block[i].tolist() for i in range(len(block))] == [CODER.encode(piece).tolist() for piece in pieces]
    back = CODER.decode_block(block)
    expected = music_block([CODER.decode(block[i]) for i in range(len(block))])
    for name in vars(expected):
        assert np.array_equal(getattr(back, name), getattr(expected, name)), name
        assert getattr(back, name).dtype == getattr(expected, name).dtype, name


@given(any_music(34, 96), st.integers(-12, 12))
def test_transposing_tokens_equals_encoding_transposed_notes(columns, semitones):
    tokens = CODER.encode(columns)
    before = tokens.copy()
    moved = CODER.transpose(tokens, semitones)
    assert moved.dtype == tokens.dtype
    assert moved.tolist() == CODER.encode(transposed(columns, semitones)).tolist()
    assert tokens.tolist() == before.tolist()


@pytest.mark.parametrize(("pitch", "semitones"), [(22, -1), (108, 1), (60, 60), (60, -60)])
def test_transposing_off_the_range_is_refused(pitch, semitones):
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(22, 108\)"):
        CODER.transpose(CODER.encode(notes((0, pitch, 1))), semitones)


@settings(max_examples=100)
@given(st.lists(st.one_of(st.integers(3, 8), st.integers(-2, 2**17)), max_size=80))
def test_any_tokens_decode_to_notes_in_their_order(ids):
    columns = CODER.decode(np.array(ids, np.int64))
    assert rows_of(columns) == rows_of(columns.sorted())
    assert (columns.duration_tick >= 100).all()
    assert ((columns.pitch >= 22) & (columns.pitch <= 108)).all()
    # Written once more, each frame ascends, and nothing else changed.
    known = [i for i in ids if 3 <= i < len(CODER.vocab)]
    frames = "".join(map(CODER.vocab.__getitem__, known)).split(" ")
    while frames and not frames[-1]:
        frames.pop()
    canonical = "".join("".join(sorted(set(frame))) + " " for frame in frames)
    assert CODER.text_of(CODER.encode(columns)) == canonical


def test_special_tokens_are_passed_over():
    tokens = CODER.encode(improvise(1, 20))
    wrapped = np.concatenate(([PAD_ID, BOS_ID], tokens[:30], [PAD_ID], tokens[30:], [EOS_ID, PAD_ID]))
    assert rows_of(CODER.decode(wrapped.astype(np.uint16))) == rows_of(CODER.decode(tokens))
    assert CODER.text_of(wrapped) == CODER.text_of(tokens)


def test_every_accepted_music_survives():
    assert CODER.encode(notes()).tolist() == [] == CODER.encode(notes((0, 21, 1), (0, 109, 1))).tolist()
    assert len(CODER.decode(np.empty(0, np.uint16))) == len(CODER.transpose(np.empty(0, np.uint16), 5)) == 0
    assert CODER.encode_block(music_block([])).edges.tolist() == [0]
    # A note of no length fills a frame.
    assert CODER.text_of(CODER.encode(notes((0.1, 60, 0)))) == " G "
    keys = "".join(CODER.vocab[4:])
    assert CODER.text_of(CODER.encode(notes(*((0, pitch, 0.3) for pitch in range(21, 109))))) == 2 * f"{keys} "


def test_hours_of_silence_are_frames_and_no_more():
    tokens = CODER.encode(notes((0, 60, 1), (10 * 3600 * 2, 62, 1)))
    assert len(tokens) == 10 * 3600 * 20 + 9 + 2 * 9
    assert CODER.decode(tokens).onset_tick.tolist() == [0, 36_000_000]


def test_any_number_of_frames_is_a_time_that_can_be():
    coder = Craykh(frame_ms=1000)
    hours = " " * (2**31 // 1000 + 10)
    back = coder.decode(coder.tokens_of(f"G {hours}GK KG G  N "))
    last = 2**30 // 1000 * 1000
    assert rows_of(back) == [(0, 60, 2000, 64), (last, 60, 2000, 64), (last, 64, 2000, 64), (last, 67, 2000, 64)]


@given(any_music())
def test_text_and_tokens_tell_the_same(columns):
    tokens = CODER.encode(columns)
    text = CODER.text_of(tokens)
    back = CODER.tokens_of(text)
    assert back.dtype == tokens.dtype
    assert back.tolist() == tokens.tolist()
    lines = "\r\n".join(text[i : i + 7] for i in range(0, len(text), 7)) + "\n"
    assert CODER.tokens_of(lines).tolist() == tokens.tolist()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("GK é", r"line 1, character 4: 'é'"),
        ("GK \n G\tx", r"line 2, character 3: '\\t'"),
        ("~", r"line 1, character 1: '~' .* of \(22, 108\), which are '!' to 'w'"),
        ("\ud800", r"line 1, character 1"),
        ("\n\n🎹", r"line 3, character 1: '🎹'"),
    ],
)
def test_a_character_that_is_no_pitch_is_named_with_its_place(text, where):
    with pytest.raises(ValueError, match=where):
        CODER.tokens_of(text)


def test_characters_are_those_of_the_published_format():
    assert CODER.vocab[:4] == (*SPECIAL_TOKENS, " ")
    assert CODER.vocab[4:] == tuple(chr(33 + pitch - 22) for pitch in range(22, 109))
    assert CODER.dtype == np.uint16
    # 33 + 60 - 22 is G.
    assert CODER.decode(CODER.tokens_of("G ")).pitch.tolist() == [60]
    assert Craykh(highest_pitch=115).vocab[-1] == "~"


def test_the_beginning_of_a_published_text_is_written_alike():
    # t806.txt of carykh/caryCompressionMIDICSV, 384 ticks a quarter at 120; text0_0.txt lacks the first two frames.
    rows = [(115, 45, 570), (345, 49, 459), (460, 52, 574), (575, 57, 689)]
    columns = notes(*((on / TPQ, pitch, (off - on) / TPQ) for on, pitch, off in rows))
    text = CODER.text_of(CODER.encode(replace(columns, ticks_per_quarter=384)))
    assert text == "  8 8 8 8 8 8 8< 8< 8 8? 8?  D D "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_ms": 0}, r"frame_ms must lie in 1-1000, found 0"),
        ({"frame_ms": 50.0}, r"frame_ms must be a whole number, found 50.0"),
        ({"velocity": True}, r"velocity must be a whole number, found True"),
        ({"velocity": 128}, r"velocity must lie in 1-127, found 128"),
        ({"lowest_pitch": 21}, r"within 22-115, which have characters, found \(21, 108\)"),
        ({"highest_pitch": 116}, r"found \(22, 116\)"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, r"found \(70, 60\)"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        Craykh(**options)


@pytest.mark.parametrize("option", [{"frame_ms": 40}, {"lowest_pitch": 23}, {"highest_pitch": 107}, {"velocity": 90}])
def test_the_version_changes_with_every_option(option):
    other = Craykh(**option)
    assert other.version != CODER.version
    assert Craykh(**other.options).version == other.version


def test_the_velocity_of_decoded_notes_is_an_option():
    assert Craykh(velocity=90).decode(CODER.tokens_of("GK ")).velocity.tolist() == [90, 90]


def test_a_token_block_may_hold_pieces_without_tokens():
    block = TokenBlock(CODER.tokens_of("G "), np.array([0, 0, 2, 2]))
    assert [len(piece) for piece in map(CODER.decode_block(block).__getitem__, range(3))] == [0, 1, 0]
