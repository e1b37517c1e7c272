import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from builders import notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st
from music import any_music, rows_of

from pianogen.chorales import VOICES, list_members, parse_chorale
from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns, music_of_tables
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID, SPECIAL_TOKENS
from pianogen.tokenizers.jsb import MAX_STEPS, REST_ID, SILENCE, Jsb

CODER, STRUCK, BY_TRACKS = Jsb(), Jsb(onsets=True), Jsb(voices="tracks")


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """So that no example takes as long as a compiler."""
    for coder in (CODER, STRUCK):
        coder.decode(coder.encode(notes((0, 60, 1))))


@st.composite
def in_four_voices(draw) -> NoteColumns:
    """Four lines on the grid, that cross and meet, some with rests; their notes by onset, pitch and duration."""
    rows = []
    for _ in range(4):
        step = 0
        for _ in range(draw(st.integers(0, 8))):
            step += draw(st.sampled_from([0, 0, 0, 1, 5]))
            duration = draw(st.integers(1, 6))
            rows.append((step / 4, draw(st.integers(55, 66)), duration / 4))
            step += duration
    return notes(*rows, velocity=64)


@dataclass
class Sung:
    pitch: int
    until: int
    """The step on which it is silent."""
    offset_tick: float
    voice: int | None = None
    is_struck: bool = True
    since: int = -1
    """The step on which it was struck."""


def defined(columns: NoteColumns, steps: int = 4, lowest: int = 21, highest: int = 108) -> list[list[Sung | None]]:
    """What each voice sings on each step, as docs/tokenizers/jsb.md defines it."""

    def step_of(tick: int) -> int:
        return math.floor(Fraction(tick * steps, columns.ticks_per_quarter) + Fraction(1, 2))

    struck: dict[int, list[Sung]] = {}
    onsets: dict[int, list[int]] = {}
    for onset, pitch, duration, _ in rows_of(columns):
        step = step_of(onset)
        if lowest <= pitch <= highest and step < MAX_STEPS:
            until = min(max(step_of(onset + duration), step + 1), MAX_STEPS)
            note = Sung(pitch, until, onset + duration, since=step)
            struck.setdefault(step, []).append(note)
            onsets.setdefault(step, []).append(onset)
    table: list[list[Sung | None]] = []
    voices: list[Sung | None] = [None] * 4
    last = max((note.until for together in struck.values() for note in together), default=0)
    for step in range(last):
        before = [note and replace(note, is_struck=False) for note in voices]
        voices = [note if note and note.until > step else None for note in before]
        if step in struck:
            trade_places(before, voices, struck[step])
            held = [replace(note, voice=v, offset_tick=math.inf) for v, note in enumerate(voices) if note]
            new: list[Sung] = []
            for note, onset in zip(struck[step], onsets[step], strict=True):
                before = [one for one in new if one.pitch == note.pitch and one.offset_tick <= onset]
                if before:
                    join(before[-1], note)
                else:
                    new.append(note)
            voices = assigned(four_of(held + new))
        table.append(voices)
    while table and table[-1] == [None] * 4:
        table.pop()
    return table


def trade_places(before: list[Sung | None], voices: list[Sung | None], new: list[Sung]) -> None:
    """Of what was struck together on one pitch, and does not end together, anyone may be the one that goes on."""
    ended = [w for w in range(4) if before[w] and not voices[w]]
    for v in range(4):
        note = voices[v]
        if note:
            num_higher = sum(one.pitch > note.pitch for one in [*filter(None, voices), *new])
            for w in ended:
                other = before[w]
                same = other and (other.pitch, other.since) == (note.pitch, note.since)
                if same and abs(num_higher - w) < abs(num_higher - v):
                    voices[w], voices[v] = note, None
                    ended.remove(w)
                    break


def join(one: Sung, other: Sung) -> None:
    one.until, one.offset_tick = max(one.until, other.until), max(one.offset_tick, other.offset_tick)
    if other.is_struck:
        one.is_struck, one.since = True, other.since


def four_of(sung: list[Sung]) -> list[Sung]:
    """At most four, from high to low; of one pitch held ones first."""
    if len(sung) > 4:
        by_pitch: dict[int, Sung] = {}
        for note in sung:
            join(by_pitch.setdefault(note.pitch, note), note)
        sung = list(by_pitch.values())
    sung = sorted(sung, key=lambda note: -note.pitch)
    return sung if len(sung) <= 4 else sung[:2] + sung[-2:]


def assigned(sung: list[Sung]) -> list[Sung | None]:
    voices: list[Sung | None] = [None] * 4
    for note in sung:
        if note.voice is not None:
            voices[note.voice] = note
    free = [v for v in range(4) if voices[v] is None]
    new = [note for note in sung if note.voice is None]
    for i, note in enumerate(new):
        above = [one.voice for one in sung[: sung.index(note)] if one.voice is not None and one not in new]
        # Voices that leave one for each note below.
        left = free[: len(free) - (len(new) - 1 - i)]
        below = [v for v in left if v > max(above, default=-1)]
        voice = below[0] if below else left[-1]
        if note is sung[-1] and len(sung) > 1 and 3 in free:
            voice = 3
        voices[voice] = note
        free = [v for v in free if v > voice]
    return voices


def tokens_of(table: list[list[Sung | None]], coder: Jsb) -> list[int]:
    """Tokens of a table, through their names."""
    names = [
        "Rest"
        if note is None
        else f"{'Pitch' if note.is_struck or not coder.options['onsets'] else 'Hold'}_{note.pitch}"
        for voices in table
        for note in (voices["SATB".index(letter)] for letter in coder.options["order"])
    ]
    return [coder.vocab.index(name) for name in names]


OPTIONS = [
    {},
    {"onsets": True},
    {"steps_per_quarter": 3, "order": "BTAS", "onsets": True},
    {"steps_per_quarter": 1, "order": "ASBT", "lowest_pitch": 40, "highest_pitch": 80},
]


@settings(max_examples=100)
@given(st.one_of(any_music(), any_music(58, 66), in_four_voices()), st.sampled_from(OPTIONS))
def test_tokens_are_those_of_the_definition(columns, options):
    coder = Jsb(**options)
    table = defined(columns, coder.options["steps_per_quarter"], *coder.pitch_range)
    tokens = coder.encode(columns)
    assert tokens.tolist() == tokens_of(table, coder)
    pitches = [[note.pitch if note else SILENCE for note in voices] for voices in table]
    assert coder.voices_of(tokens).tolist() == pitches


def test_real_files_are_encoded_as_defined(real_music):
    for path, columns in real_music.items():
        assert STRUCK.encode(columns).tolist() == tokens_of(defined(columns), STRUCK), path


@given(in_four_voices())
def test_decoding_gives_back_four_voices_on_the_grid(columns):
    back = STRUCK.decode(STRUCK.encode(columns))
    assert back.ticks_per_quarter == 4
    assert rows_of(back) == [(t // 120, pitch, d // 120, v) for t, pitch, d, v in rows_of(columns)]


@given(any_music(), st.sampled_from(OPTIONS))
def test_what_is_decoded_sounds_as_the_tokens_say(columns, options):
    coder = Jsb(**options)
    tokens = coder.encode(columns)
    once = coder.decode(tokens)
    assert np.array_equal(np.sort(coder.voices_of(coder.encode(once))), np.sort(coder.voices_of(tokens)))
    if coder.options["onsets"]:
        assert rows_of(coder.decode(coder.encode(once))) == rows_of(once)


def test_a_pitch_struck_again_is_told_from_a_held_one_by_onsets_alone():
    columns = notes((0, 60, 0.5), (0.5, 60, 0.5))
    assert [row[0] for row in rows_of(CODER.decode(CODER.encode(columns)))] == [0]
    assert [row[0] for row in rows_of(STRUCK.decode(STRUCK.encode(columns)))] == [0, 2]


def names(coder: Jsb, columns: NoteColumns) -> list[str]:
    return [coder.vocab[token] for token in coder.encode(columns)]


def test_the_example_of_the_document():
    columns = notes((0, 72, 0.5), (0, 67, 0.25), (0, 64, 0.25), (0, 48, 0.5), (0.25, 65, 0.25))
    first, then = ["Pitch_72", "Pitch_67", "Pitch_64", "Pitch_48"], ["Pitch_72", "Pitch_65", "Rest", "Pitch_48"]
    assert names(CODER, columns) == first + then
    assert names(STRUCK, columns) == [*first, "Hold_72", "Pitch_65", "Rest", "Hold_48"]


@pytest.mark.parametrize(
    ("pitches", "voices"),
    [
        ([60], [60, -1, -1, -1]),
        ([60, 48], [60, -1, -1, 48]),
        ([60, 55, 48], [60, 55, -1, 48]),
        ([60, 55, 52, 48], [60, 55, 52, 48]),
        ([60, 60], [60, -1, -1, 60]),
        ([72, 67, 64, 60, 55, 48], [72, 67, 55, 48]),
        ([72, 72, 64, 60, 48], [72, 64, 60, 48]),
        ([72, 72, 60, 60, 48], [72, 60, -1, 48]),
    ],
)
def test_notes_struck_together_take_voices_from_high_to_low(pitches, voices):
    tokens = CODER.encode(notes(*((0, pitch, 0.25) for pitch in pitches)))
    assert CODER.voices_of(tokens).tolist() == [voices]


def test_a_held_note_keeps_its_voice_when_another_crosses_it():
    # Alto rises above the soprano, who holds.
    columns = notes((0, 67, 0.5), (0, 64, 0.25), (0.25, 69, 0.25), (0, 55, 0.5), (0, 48, 0.5))
    assert CODER.voices_of(CODER.encode(columns)).tolist() == [[67, 64, 55, 48], [67, 69, 55, 48]]


def test_what_finds_no_voice_ends_there():
    columns = notes(*((0, pitch, 1) for pitch in (72, 64, 55, 48)), (0.5, 76, 0.25), (0.5, 79, 0.25))
    back = CODER.decode(CODER.encode(columns))
    # 72 and 64 give way to 79 and 76 and do not come again.
    assert [row[:3] for row in rows_of(back)] == [
        (0, 48, 4),
        (0, 55, 4),
        (0, 64, 2),
        (0, 72, 2),
        (2, 76, 1),
        (2, 79, 1),
    ]


def test_a_pitch_struck_twice_on_a_step_is_one_note():
    columns = notes((0, 60, 0.05), (0.1, 60, 0.5))
    assert CODER.voices_of(CODER.encode(columns)).tolist() == [[60, -1, -1, -1]] * 2


@pytest.fixture(scope="module")
def chorales(real_data) -> dict[str, list[tuple[np.ndarray, NoteColumns]]]:
    """Voices and notes of the chorales of each split."""
    import json

    found = {}
    for member in list_members(real_data / "jsb" / "Jsb16thSeparated.json"):
        parsed = parse_chorale(member.data, 0.125)
        columns = music_of_tables(parsed.tables, parsed.ticks_per_quarter)
        found.setdefault(member.name.split("/")[0], []).append((np.array(json.loads(member.data)), columns))
    return found


@pytest.mark.parametrize(
    ("split", "num_tokens", "num_exact"), [("train", 220_912, 109), ("valid", 73_632, 27), ("test", 75_600, 36)]
)
def test_chorales_have_as_many_tokens_as_published(chorales, split, num_tokens, num_exact):
    block = CODER.encode_block(music_block([columns for _, columns in chorales[split]]))
    assert len(block.values) == num_tokens
    voices = [CODER.voices_of(block[i]) for i in range(len(block))]
    expected = [voices for voices, _ in chorales[split]]
    # On each step the four pitches are right; where voices cross, who sings which may not be.
    assert all(np.array_equal(np.sort(a), np.sort(b)) for a, b in zip(voices, expected, strict=True))
    assert sum(np.array_equal(a, b) for a, b in zip(voices, expected, strict=True)) == num_exact
    assert np.mean(np.concatenate(voices) == np.concatenate(expected)) > 0.984


def test_by_tracks_every_voice_of_every_chorale_is_that_of_the_file(chorales):
    pieces = [piece for split in ("train", "valid", "test") for piece in chorales[split]]
    block = BY_TRACKS.encode_block(music_block([columns for _, columns in pieces]))
    assert all(np.array_equal(BY_TRACKS.voices_of(block[i]), voices) for i, (voices, _) in enumerate(pieces))


@given(in_four_voices(), st.sampled_from([{}, {"onsets": True}, {"order": "SBAT", "lowest_pitch": 60}]))
def test_tracks_that_do_not_sing_four_voices_change_nothing(columns, options):
    by_pitches, by_tracks = Jsb(**options), Jsb(voices="tracks", **options)
    assert by_tracks.reads_parts
    assert not by_pitches.reads_parts
    for num_tracks in (1, 3, 5):
        tracks = (np.arange(len(columns)) % num_tracks).astype(np.int16)
        told = replace(columns, track=tracks, program=np.zeros(len(columns), np.uint8))
        if len(set(tracks.tolist())) != 4:
            assert np.array_equal(by_tracks.encode(told), by_pitches.encode(columns))


@given(st.permutations(range(4)), st.booleans())
def test_voices_that_cross_stay_with_their_tracks(pitches, onsets):
    # In each quarter the four sing four neighbouring pitches, and change places in the next one.
    sung = [[60 + (pitch + quarter) % 4 for pitch in pitches] for quarter in range(3)]
    columns = notes(*((quarter, pitch, 1) for quarter in range(3) for pitch in range(60, 64)))
    tracks = [7 + sung[quarter].index(pitch) for quarter in range(3) for pitch in range(60, 64)]
    told = replace(columns, track=np.array(tracks, np.int16), program=np.zeros(len(tracks), np.uint8))
    coder = Jsb(voices="tracks", onsets=onsets, steps_per_quarter=1)
    assert coder.voices_of(coder.encode(told)).tolist() == sung
    # Who sings two notes at a time is no voice.
    longer = replace(told, duration_tick=np.where(told.track == 7, 2 * told.duration_tick, told.duration_tick))
    assert np.array_equal(coder.encode(longer), Jsb(onsets=onsets, steps_per_quarter=1).encode(longer))


def test_chorales_come_back_note_by_note(chorales):
    music = [columns for pieces in chorales.values() for _, columns in pieces]
    back = STRUCK.decode_block(STRUCK.encode_block(music_block(music)))
    for i, columns in enumerate(music):
        assert rows_of(back[i]) == [(t // 120, pitch, d // 120, v) for t, pitch, d, v in rows_of(columns)]


@pytest.mark.parametrize("coder", [CODER, STRUCK])
@given(pieces=st.lists(any_music(), max_size=6))
def test_a_block_is_its_pieces(coder, pieces):
    block = coder.encode_block(music_block(pieces))
    assert len(block) == len(pieces)
    assert [block[i].tolist() for i in range(len(block))] == [coder.encode(piece).tolist() for piece in pieces]
    back = coder.decode_block(block)
    expected = music_block([coder.decode(block[i]) for i in range(len(block))])
    for name in vars(expected):
        assert np.array_equal(getattr(back, name), getattr(expected, name)), name
        assert getattr(back, name).dtype == getattr(expected, name).dtype, name


@pytest.mark.parametrize("coder", [CODER, STRUCK])
@given(columns=any_music(33, 96), semitones=st.integers(-12, 12))
def test_transposing_tokens_equals_encoding_transposed_notes(coder, columns, semitones):
    tokens = coder.encode(columns)
    before = tokens.copy()
    moved = coder.transpose(tokens, semitones)
    assert moved.dtype == tokens.dtype
    assert moved.tolist() == coder.encode(transposed(columns, semitones)).tolist()
    assert tokens.tolist() == before.tolist()


@pytest.mark.parametrize("coder", [CODER, STRUCK])
@pytest.mark.parametrize(("pitch", "semitones"), [(21, -1), (108, 1), (60, 60), (60, -60)])
def test_transposing_off_the_range_is_refused(coder, pitch, semitones):
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(21, 108\)"):
        coder.transpose(coder.encode(notes((0, pitch, 1))), semitones)


@settings(max_examples=100)
@given(st.lists(st.one_of(st.integers(3, 8), st.integers(92, 97), st.integers(-2, 2**17)), max_size=80))
def test_any_tokens_decode_to_what_their_voices_sing(ids):
    for coder in (CODER, STRUCK):
        columns = coder.decode(np.array(ids, np.int64))
        assert rows_of(columns) == rows_of(columns.sorted())
        known = [coder.vocab[i] for i in ids if REST_ID <= i < len(coder.vocab)]
        expected = []
        for v in range(4):
            for step, token in enumerate(known[v::4]):
                kind, _, pitch = token.partition("_")
                goes_on = kind == "Hold" or not coder.options["onsets"]
                if kind == "Rest":
                    continue
                if goes_on and step and known[v::4][step - 1].partition("_")[2] == pitch:
                    expected[-1][2] += 1
                else:
                    expected.append([step, int(pitch), 1, 64])
        assert rows_of(columns) == sorted(map(tuple, expected))


def test_the_order_of_voices_moves_tokens_within_their_step():
    columns = improvise(3, 60)
    other = Jsb(order="BSTA")
    tokens = CODER.encode(columns).reshape(-1, 4)
    assert other.encode(columns).reshape(-1, 4).tolist() == tokens[:, [3, 0, 2, 1]].tolist()
    assert rows_of(other.decode(other.encode(columns))) == rows_of(CODER.decode(CODER.encode(columns)))


def test_special_tokens_are_passed_over():
    tokens = CODER.encode(improvise(1, 20))
    wrapped = np.concatenate(([PAD_ID, BOS_ID], tokens[:30], [PAD_ID], tokens[30:], [EOS_ID, PAD_ID]))
    assert rows_of(CODER.decode(wrapped.astype(np.uint16))) == rows_of(CODER.decode(tokens))
    assert CODER.voices_of(wrapped).tolist() == CODER.voices_of(tokens).tolist()


def test_every_accepted_music_survives():
    assert CODER.encode(notes()).tolist() == [] == CODER.encode(notes((0, 20, 1), (0, 109, 1))).tolist()
    assert len(CODER.decode(np.empty(0, np.uint16))) == len(CODER.transpose(np.empty(0, np.uint16), 5)) == 0
    assert CODER.voices_of(np.empty(0, np.uint16)).shape == (0, 4)
    assert CODER.encode_block(music_block([])).edges.tolist() == [0]
    # A note of no length holds for a step.
    assert CODER.voices_of(CODER.encode(notes((0.25, 60, 0)))).tolist() == [[-1] * 4, [60, -1, -1, -1]]
    keys = notes(*((0, pitch, 0.5) for pitch in range(21, 109)), *((0, 60, n) for n in range(2000)))
    assert CODER.voices_of(CODER.encode(keys)).tolist() == [[108, 107, 22, 21]] * 2


def test_what_begins_after_a_million_quarters_is_left_out():
    columns = NoteColumns(
        pitch=np.array([60, 62, 64], np.uint8),
        velocity=np.array([80, 80, 80], np.uint8),
        onset_tick=np.array([0, 2**20 - 1, 2**31 - 2], np.int32),
        duration_tick=np.array([1, 2**30, 1], np.int32),
        ticks_per_quarter=1,
    )
    tokens = CODER.encode(columns)
    assert len(tokens) == 4 * MAX_STEPS
    assert [row[:3] for row in rows_of(CODER.decode(tokens))] == [(0, 60, 4), (MAX_STEPS - 4, 62, 4)]


def test_the_vocabulary():
    assert CODER.vocab[:5] == (*SPECIAL_TOKENS, "Rest", "Pitch_21")
    assert len(CODER.vocab) == 4 + 88
    assert len(STRUCK.vocab) == 4 + 2 * 88
    assert STRUCK.vocab[: len(CODER.vocab)] == CODER.vocab
    assert [voice[0].upper() for voice in VOICES] == list(CODER.options["order"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_quarter": 0}, r"steps_per_quarter must lie in 1-96, found 0"),
        ({"steps_per_quarter": 4.0}, r"steps_per_quarter must be a whole number, found 4.0"),
        ({"order": "SAT"}, r"each letter of SATB once, found 'SAT'"),
        ({"order": "SATS"}, r"found 'SATS'"),
        ({"order": 4}, r"found 4"),
        ({"voices": "hands"}, r"voices must be pitches or tracks, found 'hands'"),
        ({"onsets": 1}, r"onsets must be true or false, found 1"),
        ({"velocity": 0}, r"velocity must lie in 1-127, found 0"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, "must lie in 0-127 and ascend, found 70 to 60"),
        ({"highest_pitch": 128}, "found 21 to 128"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        Jsb(**options)


@pytest.mark.parametrize(
    "option",
    [
        {"voices": "tracks"},
        {"steps_per_quarter": 8},
        {"order": "BTAS"},
        {"onsets": True},
        {"lowest_pitch": 22},
        {"highest_pitch": 107},
        {"velocity": 90},
    ],
)
def test_the_version_changes_with_every_option(option):
    other = Jsb(**option)
    assert other.version != CODER.version
    assert Jsb(**other.options).version == other.version
