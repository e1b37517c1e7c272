from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from builders import notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st
from music import any_music, in_parts, rows_of

from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns, from_table
from pianogen.reading import parse_file
from pianogen.tokenizers.base import KNOWN, load_tokenizer, save_tokenizer, token_block
from pianogen.tokenizers.note_chord import (
    LOWEST_PITCH,
    SAME_INSTRUMENT,
    UNKNOWN_ID,
    NoteChord,
    normal_order,
)

CODER = NoteChord()
FIRST = NoteChord(parts="first")


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compiling takes longer than hypothesis gives an example."""
    CODER.decode(CODER.encode(notes((0, 60, 1))))


@st.composite
def crowded(draw, lowest: int = 0, highest: int = 127) -> NoteColumns:
    """Notes that begin and end near each other, so that chords are in doubt."""
    quarter = draw(st.sampled_from([1, 4, 10, 96]))
    near = st.integers(0, 2 * quarter)
    rows = draw(st.lists(st.tuples(near, st.integers(lowest, highest), near), max_size=14))
    onset, pitch, duration = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.empty(0)] * 3
    return NoteColumns(
        pitch=pitch.astype(np.uint8),
        velocity=np.full(len(rows), 64, np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=duration.astype(np.int32),
        ticks_per_quarter=quarter,
    ).sorted()


def said(coder: NoteChord, columns: NoteColumns) -> list[str]:
    return [coder.vocab[i] for i in coder.encode(columns)]


def name_of(pitch: int) -> str:
    return ["C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B"][pitch % 12] + str(pitch // 12 - 1)


def chord_of(pitches: list[int]) -> str:
    """Every order round the octave, compared as whole lists of intervals, the span first."""
    classes = sorted({pitch % 12 for pitch in pitches})
    orders = [classes[k:] + classes[:k] for k in range(len(classes))]

    def breadth(order: list[int]) -> list[int]:
        above = [(pitch_class - order[0]) % 12 for pitch_class in order]
        return [above[-1], *above, order[0]]

    return ".".join(map(str, min(orders, key=breadth)))


def defined(columns: NoteColumns, divisor: int = 4, low: int = LOWEST_PITCH, high: int = 127) -> list[str]:
    """Tokens of one track by the definition, with times in quarters."""
    quarter = columns.ticks_per_quarter
    found = [(on, pitch, on + held) for on, pitch, held, _ in rows_of(columns) if low <= pitch <= high]
    tokens, taken = [], set()
    for k, (onset, pitch, offset) in enumerate(found):
        if k in taken:
            continue
        chord = [pitch]
        for n in range(k + 1, len(found)):
            begins, other, ends = found[n]
            if (begins - onset) * divisor < quarter and abs(ends - offset) * divisor <= quarter:
                taken.add(n)
                chord.append(other)
        tokens.append(name_of(pitch) if len(chord) == 1 else chord_of(chord))
    return tokens


def without_parts(columns: NoteColumns) -> NoteColumns:
    return replace(columns, track=columns.track[:0], program=columns.program[:0])


def pitches_of(coder: NoteChord, columns: NoteColumns) -> list[int]:
    """Of the notes that are encoded, each of which is a note by name here."""
    return coder.decode(coder.encode(columns)).pitch.tolist()


def table_of(*rows: tuple[int, int, bool, int, float]) -> pa.Table:
    """Rows of the lake's `notes` from (track, program, is_drum, pitch, onset in quarters), each a quarter long."""
    track, program, is_drum, pitch, onset = zip(*rows, strict=True) if rows else [()] * 5
    return pa.table(
        {
            "track": pa.array(track, pa.int16()),
            "program": pa.array(program, pa.uint8()),
            "is_drum": pa.array(is_drum, pa.bool_()),
            "pitch": pa.array(pitch, pa.uint8()),
            "velocity": pa.array([64] * len(rows), pa.uint8()),
            "onset_tick": pa.array([round(480 * quarters) for quarters in onset], pa.int32()),
            "duration_tick": pa.array([480] * len(rows), pa.int32()),
        }
    )


@given(st.one_of(any_music(), crowded()), st.sampled_from([1, 4, 16]))
def test_tokens_are_those_of_the_definition(columns, divisor):
    coder = NoteChord(divisor=divisor)
    assert coder.encode(columns).dtype == np.uint16
    assert said(coder, columns) == defined(columns, divisor)


def test_tokens_of_real_files_are_those_of_the_definition(real_music):
    for path, columns in real_music.items():
        columns = without_parts(columns)
        assert said(CODER, columns) == defined(columns), path


def test_notes_have_names_and_chords_pitch_classes():
    columns = notes((0, 69, 1), (1, 59, 1), (1, 64, 1), (1, 67, 1), (2, 58, 1), (3, 48, 1), (3, 60, 1))
    assert said(CODER, columns) == ["A4", "4.7.11", "B-3", "0"]


def test_a_chord_begins_and_ends_within_a_16th():
    assert said(CODER, notes((0, 60, 1), (0.24, 64, 1))) == ["0.4"]
    assert said(CODER, notes((0, 60, 1), (0.25, 64, 1))) == ["C4", "E4"]
    assert said(CODER, notes((0, 60, 1), (0, 64, 1.25))) == ["0.4"]
    assert said(CODER, notes((0, 60, 1), (0, 64, 1.26))) == ["C4", "E4"]
    assert said(NoteChord(divisor=16), notes((0, 60, 1), (0.24, 64, 1))) == ["C4", "E4"]


def test_a_note_may_stand_in_two_chords():
    assert said(CODER, notes((0, 60, 1), (0, 64, 1.5), (0, 67, 1.25))) == ["7.0", "4.7"]


def test_normal_orders_are_the_most_compact():
    for mask in range(1, 2**12):
        assert ".".join(map(str, normal_order(mask))) == chord_of([p for p in range(12) if mask >> p & 1])


def test_names_and_normal_orders_are_music21s():
    from music21 import chord, instrument, pitch

    assert [str(pitch.Pitch(midi=p)) for p in range(LOWEST_PITCH, 128)] == list(CODER.vocab[4 : 4 + 116])
    for mask in [*range(1, 2**12, 31), *(0b11 << k for k in range(11)), 0b100010001, 0b1000001, 0xFFF]:
        pitches = [48 + p + 12 * (p % 3) for p in range(12) if mask >> p & 1]
        assert normal_order(mask) == tuple(chord.Chord(pitches).normalOrder)
    names = [instrument.instrumentFromMidiProgram(program).instrumentName for program in range(128)]
    found = [tuple(p for p in range(128) if names[p] == name) for name in dict.fromkeys(names)]
    assert {programs for programs in found if len(programs) > 1} == set(SAME_INSTRUMENT)


def of_music21(path: Path) -> tuple[list[str], list[str], Counter[int]]:
    """Tokens as music21 has them, each note once: of all parts, and of the first that has notes with its pitches."""
    from music21 import chord, converter, instrument, note

    def once(stream):
        found = [e for e in stream if isinstance(e, (note.Note, chord.Chord))]
        return [e for e in found if e.tie is None or e.tie.type == "start"]

    def token(element) -> str:
        if isinstance(element, note.Note):
            return str(element.pitch)
        return ".".join(map(str, element.normalOrder))

    score = converter.parse(path, forceSource=True, storePickle=False)
    everything = [token(element) for element in once(score.flatten().notes)]
    parts = [once(part.recurse()) for part in instrument.partitionByInstrument(score).parts]
    first = next(part for part in parts if part)
    pitches = Counter(pitch.midi for element in first for pitch in element.pitches)
    return everything, [token(element) for element in first], pitches


COURSE = "piano-course/midi_songs"


@pytest.mark.parametrize("name", ["Oppressed", "FF6epitaph_piano", "waltz_de_choco", "Still_Alive-1"])
def test_ids_of_files_are_music21s(real_data, name):
    path = real_data / COURSE / f"{name}.mid"
    everything, first, pitches = of_music21(path)
    parsed = parse_file(path)
    columns = from_table(parsed.tables["notes"], parsed.ticks_per_quarter)
    assert said(CODER, columns) == everything
    assert said(FIRST, columns) == first
    assert set(columns.pitch.tolist()) >= set(pitches)
    block = music_block([notes((0, 60, 1)), columns, columns])
    assert np.array_equal(FIRST.encode_block(block.take(np.array([2])))[0], FIRST.encode(columns))


def test_the_first_of_several_parts_is_music21s(tmp_path):
    from builders import event, midi_bytes, press

    def track(channel: int, program: int, *pitches: int) -> bytes:
        return event(0, 0xC0 | channel, program) + b"".join(press(pitch, channel=channel) for pitch in pitches)

    drums = b"".join(press(pitch, channel=9) for pitch in (36, 38))
    path = tmp_path / "parts.mid"
    path.write_bytes(midi_bytes(drums, track(0, 0, 60, 62), track(1, 40, 70), track(2, 1, 64), track(3, 4, 80)))
    columns = from_table(parse_file(path).tables["notes"], 480)
    assert Counter(pitches_of(FIRST, columns)) == {60: 1, 62: 1, 64: 1}
    pitched = tmp_path / "pitched.mid"
    pitched.write_bytes(midi_bytes(track(0, 0, 60, 62), track(1, 40, 70), track(2, 1, 64), track(3, 4, 80)))
    assert of_music21(pitched)[2] == {60: 1, 62: 1, 64: 1}


def test_the_first_part_is_that_of_the_first_track_with_pitches():
    table = table_of((0, 0, True, 36, 0), (1, 40, False, 60, 2), (2, 0, False, 62, 0), (3, 110, False, 64, 1))
    assert pitches_of(FIRST, from_table(table, 480)) == [64, 60]
    assert len(FIRST.encode(from_table(table_of((0, 0, True, 36, 0)), 480))) == 0
    assert len(FIRST.encode(from_table(table_of(), 480))) == 0


def test_tracks_apart_make_chords_of_their_own():
    table = table_of((1, 0, False, 60, 0), (1, 0, False, 64, 0), (0, 0, False, 67, 0), (2, 0, True, 36, 0))
    columns = from_table(table, 480)
    assert said(CODER, columns) == ["G4", "0.4"]
    assert said(CODER, without_parts(columns)) == ["0.4.7"]
    assert len(CODER.encode(from_table(table_of(), 480))) == 0


@given(st.lists(st.integers(LOWEST_PITCH, 127), max_size=20))
def test_names_of_notes_come_back(pitches):
    columns = notes(*[(k, pitch, 1) for k, pitch in enumerate(pitches)])
    back = CODER.decode(CODER.encode(columns))
    assert back.pitch.tolist() == pitches
    assert back.onset_tick.tolist() == [240 * k for k in range(len(pitches))]


@given(any_music())
def test_tokens_of_two_pitch_classes_or_more_come_back(columns):
    ids = CODER.encode(columns)
    # An octave or a unison is decoded as one note, which has a name.
    expected = [f"{name_of(60 + int(token))}" if token.isdigit() else token for token in said(CODER, columns)]
    assert said(CODER, CODER.decode(ids)) == expected


def test_decoding_has_a_step_a_length_and_a_velocity():
    coder = NoteChord(step=0.25, duration=1, velocity=100)
    back = coder.decode(coder.encode(notes((0, 69, 1), (7, 59, 1), (7, 64, 1), (7, 67, 1))))
    assert back.ticks_per_quarter == 480
    assert rows_of(back) == [(0, 69, 480, 100), (120, 64, 480, 100), (120, 67, 480, 100), (120, 71, 480, 100)]


LEARNED = NoteChord.learn([music_block([improvise(seed, 200) for seed in range(5)])])


def test_unknown_tokens_are_unk_and_a_silent_step():
    coder = NoteChord(vocab=["A4", "4.7.11"])
    ids = coder.encode(notes((0, 69, 1), (1, 70, 1), (2, 69, 1)))
    assert [coder.vocab[i] for i in ids] == ["A4", "UNK_None", "A4"]
    assert ids.tolist().count(UNKNOWN_ID) == 1
    assert coder.decode(ids).onset_tick.tolist() == [0, 480]


def test_learning_sees_only_what_it_is_given():
    train = music_block([notes((0, 60, 1), (1, 64, 1), (1, 67, 1)), notes((0, 58, 1))])
    learned = NoteChord.learn([train])
    assert learned.vocab[4:] == ("4.7", "B-3", "C4")
    for test in (notes((0, 61, 1)), notes((0, 60, 1)), notes()):
        ids = NoteChord.learn([train]).encode(test)
        again = NoteChord.learn([train])
        assert (again.vocab, again.version) == (learned.vocab, learned.version)
        assert again.encode(test).tolist() == ids.tolist()
    assert learned.encode(notes((0, 61, 1))).tolist() == [UNKNOWN_ID]
    assert NoteChord.learn([train, music_block([notes((0, 61, 1))])]).vocab[4:] == ("4.7", "B-3", "C#4", "C4")
    assert NoteChord.learn([]).vocab == ("PAD_None", "BOS_None", "EOS_None", "UNK_None")


def test_what_was_learned_is_saved_with_the_options(tmp_path, monkeypatch):
    monkeypatch.setitem(KNOWN, "note_chord", "pianogen.tokenizers.note_chord:NoteChord")
    save_tokenizer(LEARNED, tmp_path / "tokenizer.json")
    back = load_tokenizer(tmp_path / "tokenizer.json")
    assert (back.vocab, back.version, back.options) == (LEARNED.vocab, LEARNED.version, LEARNED.options)


@given(st.lists(any_music(most=10), max_size=4), st.integers(0, 10))
def test_learning_knows_all_that_it_was_given_however_it_is_cut(pieces, cut):
    whole = NoteChord.learn([music_block(pieces)])
    assert whole.vocab == NoteChord.learn([music_block(pieces[:cut]), music_block(pieces[cut:])]).vocab
    ids = whole.encode_block(music_block(pieces)).values
    assert UNKNOWN_ID not in ids
    assert set(ids.tolist()) == set(range(4, len(whole.vocab)))
    assert list(whole.vocab[4:]) == sorted({token for piece in pieces for token in defined(piece)})


@given(st.one_of(any_music(30, 100), crowded(30, 100), in_parts(crowded(30, 100))), st.integers(-14, 14))
def test_transposing_ids_equals_encoding_transposed_notes(columns, semitones):
    ids = CODER.encode(columns)
    before = ids.copy()
    moved = CODER.transpose(ids, semitones)
    assert moved.dtype == np.uint16
    assert moved.tolist() == CODER.encode(transposed(columns, semitones)).tolist()
    assert np.array_equal(ids, before)


@given(st.integers(0, 4), st.integers(-12, 12))
def test_transposing_into_what_was_not_learned_is_unknown(seed, semitones):
    columns = improvise(seed, 200)
    moved = LEARNED.transpose(LEARNED.encode(columns), semitones)
    assert moved.tolist() == LEARNED.encode(transposed(columns, semitones)).tolist()


@pytest.mark.parametrize(("pitch", "semitones"), [(12, -1), (127, 1), (60, 600), (60, -60), (60, -6000)])
def test_transposing_off_the_range_is_refused(pitch, semitones):
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(12, 127\)"):
        CODER.transpose(CODER.encode(notes((0, pitch, 1))), semitones)


def test_of_tokens_alone_notes_bound_transpositions_and_chords_do_not():
    columns = [
        notes((0, 96, 1), (0, 100, 1), (0, 103, 1), (1, 36, 1), (1, 40, 1), (2, 60, 1), (3, 100, 1)),
        notes((0, 96, 1), (0, 100, 1), (0, 103, 1)),
        notes(),
    ]
    coder = NoteChord(lowest_pitch=21, highest_pitch=108)
    music = music_block(columns)
    tokens = coder.encode_block(music)
    assert coder.semitone_bounds(music, tokens).tolist() == [[-15, 5], [-75, 5], [0, 0]]
    assert coder.semitone_bounds(None, tokens).tolist() == [[-39, 8], [-87, 87], [0, 0]]
    for i, (low, high) in enumerate(coder.semitone_bounds(None, tokens).tolist()):
        coder.transpose(tokens[i], low)
        coder.transpose(tokens[i], high)


def test_tokens_of_which_one_is_unknown_stay_where_they_are():
    coder = NoteChord(vocab=["A4", "4.7.11"])
    tokens = coder.encode_block(music_block([notes((0, 69, 1), (1, 70, 1)), notes((0, 69, 1))]))
    assert coder.semitone_bounds(None, tokens).tolist() == [[0, 0], [-57, 58]]


def test_transposing_what_is_unknown_is_refused():
    with pytest.raises(ValueError, match="1 unknown tokens cannot be transposed"):
        LEARNED.transpose(np.array([0, 1, 2, UNKNOWN_ID, 5]), 1)
    assert CODER.transpose(np.array([0, 1, 2, 4]), 1).tolist() == [0, 1, 2, 5]


@given(st.lists(st.one_of(any_music(most=8), crowded(), in_parts(crowded())), max_size=5))
def test_a_block_is_its_pieces(pieces):
    tokens = CODER.encode_block(music_block(pieces))
    expected = token_block([CODER.encode(piece) for piece in pieces], CODER)
    assert np.array_equal(tokens.edges, expected.edges)
    assert np.array_equal(tokens.values, expected.values)
    assert_same_block(CODER.decode_block(tokens), [CODER.decode(tokens[i]) for i in range(len(tokens))])


def assert_same_block(block: MusicBlock, pieces: list[NoteColumns]) -> None:
    for name, column in vars(music_block(pieces)).items():
        found = getattr(block, name)
        assert found.dtype == column.dtype, name
        assert np.array_equal(found, column), name


@settings(max_examples=100)
@given(st.lists(st.integers(-5, len(LEARNED.vocab) + 5), max_size=60))
def test_any_numbers_decode_to_notes(numbers):
    columns = LEARNED.decode(np.array(numbers, np.int64))
    assert rows_of(columns) == rows_of(columns.sorted())
    onset, expected = 0, []
    for number in numbers:
        if not UNKNOWN_ID <= number < len(LEARNED.vocab):
            continue
        token = LEARNED.vocab[number]
        if token[0].isdigit():
            expected += [(onset, pitch, 240, 90) for pitch in sorted(60 + int(part) for part in token.split("."))]
        elif number > UNKNOWN_ID:
            expected.append((onset, [name_of(pitch) for pitch in range(128)].index(token), 240, 90))
        onset += 240
    assert rows_of(columns) == expected


def test_special_ids_take_no_time():
    ids = CODER.encode(improvise(1, 20))
    wrapped = np.concatenate(([0, 1], ids[:5], [0], ids[5:], [2, 0])).astype(np.uint16)
    assert rows_of(CODER.decode(wrapped)) == rows_of(CODER.decode(ids))


def test_no_notes_are_no_ids_and_no_ids_no_notes():
    empty = CODER.encode(notes())
    assert empty.dtype == np.uint16
    assert len(empty) == len(CODER.decode(empty)) == len(CODER.transpose(empty, 5)) == 0
    assert len(CODER.decode_block(CODER.encode_block(music_block([])))) == 0


def test_88_keys_at_once_are_one_chord():
    assert said(CODER, notes(*[(1, pitch, 1) for pitch in range(21, 109)])) == ["0.1.2.3.4.5.6.7.8.9.10.11"]


def test_notes_of_no_length_and_off_the_range():
    coder = NoteChord(lowest_pitch=21, highest_pitch=108)
    columns = notes((0, 5, 1), (0, 60, 0), (0, 109, 0), (1, 20, 1), (1, 62, 1))
    assert said(coder, columns) == ["C4", "D4"]
    assert said(coder, columns) == defined(columns, low=21, high=108)
    assert said(CODER, notes((0, 4, 1), (1, 27, 1))) == ["E-1"]


def test_tempo_and_metre_change_nothing():
    columns = improvise(3, 50)
    other = replace(columns, tempos=np.array([[100, 900_000]], np.int32), metres=np.array([[0, 7, 8]], np.int32))
    assert CODER.encode(other).tolist() == CODER.encode(columns).tolist()


def test_it_describes_itself():
    assert CODER.name == "note_chord"
    assert CODER.vocab[:4] == ("PAD_None", "BOS_None", "EOS_None", "UNK_None")
    assert len(CODER.vocab) == len(set(CODER.vocab)) == 4 + 116 + 4095
    assert CODER.carries == {"pitch"}
    assert CODER.pitch_range == (12, 127)
    assert len({coder.version for coder in (CODER, LEARNED, NoteChord(divisor=16), NoteChord(step=1))}) == 4
    assert NoteChord(**LEARNED.options).version == LEARNED.version


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab": ["A4", "H4"]}, r"names as A4, E-3, F#5 or chords in normal order as 4\.7\.11, found 'H4'"),
        ({"vocab": ["7.4"]}, r"normal order as 4\.7\.11, found '7\.4'"),
        ({"vocab": ["UNK_None"]}, r"found 'UNK_None'"),
        ({"vocab": ["A4", "C4", "A4"]}, r"must not have a token twice, found 'A4'"),
        ({"vocab": "A4"}, r'vocab must be a list of tokens, or "all", found .A4.'),
        ({"vocab": [4]}, r'vocab must be a list of tokens, or "all", found \[4\]'),
        ({"vocab": 4}, r'vocab must be a list of tokens, or "all", found 4'),
        ({"parts": "second"}, r"parts must be all or first, found 'second'"),
        ({"divisor": 0}, r"divisor must lie in 1-1000, found 0"),
        ({"divisor": 4.0}, r"divisor must be a whole number, found 4\.0"),
        ({"lowest_pitch": 11}, r"12-127 and ascend, found 11 to 127; names below 12 have two meanings"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, r"found 70 to 60"),
        ({"step": 0}, r"step must be 1/480 to 1000 quarters, found 0"),
        ({"duration": float("nan")}, r"duration must be 1/480 to 1000 quarters, found nan"),
        ({"step": "0.5"}, r"step must be 1/480 to 1000 quarters, found '0\.5'"),
        ({"velocity": 128}, r"velocity must lie in 1-127, found 128"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        NoteChord(**options)


def test_a_vocabulary_that_is_learned_cannot_be_given():
    with pytest.raises(SettingsError, match="vocab is what is learned"):
        NoteChord.learn([], vocab=["A4"])
