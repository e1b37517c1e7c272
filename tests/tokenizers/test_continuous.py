import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import notes
from corpora import improvise, transposed
from hypothesis import given, settings
from hypothesis import strategies as st
from music import rows_of

from pianogen.errors import RejectedFileError, SettingsError
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import TokenBlock, token_block
from pianogen.tokenizers.continuous import LAST_MS, Continuous, read_note_events, write_note_events

CODER = Continuous()
WHOLE = Continuous(lowest_pitch=0, highest_pitch=127)


@st.composite
def music(draw, lowest: int = 0, highest: int = 127, max_size: int = 30) -> NoteColumns:
    """Any notes: together, overlapping, of no length, off the piano, minutes apart, under changing tempi."""
    quarter = draw(st.sampled_from([1, 96, 480, 32767]))
    onset = st.one_of(st.integers(0, 50), st.integers(0, 6000 * quarter))
    duration = st.one_of(st.just(0), st.integers(0, 2000), st.integers(0, 1_000_000))
    row = st.tuples(onset, st.integers(lowest, highest), duration, st.integers(1, 127))
    tempo = st.tuples(st.integers(0, 100_000), st.integers(1, 2_000_000))
    columns = [np.array(column) for column in zip(*draw(st.lists(row, max_size=max_size)), strict=True)]
    onset, pitch, duration, velocity = columns or [np.empty(0, np.int64)] * 4
    return NoteColumns(
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=duration.astype(np.int32),
        ticks_per_quarter=quarter,
        tempos=np.array(sorted(draw(st.lists(tempo, max_size=4))), np.int32).reshape(-1, 2),
    ).sorted()


@st.composite
def on_milliseconds(draw) -> NoteColumns:
    """Notes that decoding gives back as they are."""
    columns = draw(music(21, 108))
    return replace(
        columns,
        onset_tick=np.minimum(columns.onset_tick, 4 * 3_600_000),
        duration_tick=np.maximum(columns.duration_tick, 1),
        ticks_per_quarter=500,
        tempos=np.empty((0, 2), np.int32),
    ).sorted()


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compiling takes longer than hypothesis gives an example."""
    CODER.decode(CODER.encode(notes((0, 60, 1))))


def defined(columns: NoteColumns, low: int, high: int) -> list[list[float]]:
    """Rows by the definition, one note after the other."""
    block, rows, at, before = music_block([columns]), [], 0.0, 0.0
    for k in range(len(columns)):
        if not low <= columns.pitch[k] <= high:
            continue
        onset = round(float(block.onset_sec[k]) * 64_000) / 64
        shift = float(np.float32(max(onset - at, 0.0))) if onset != before else 0.0
        at, before = at + shift, onset
        held = 1000 * (float(block.offset_sec[k]) - float(block.onset_sec[k]))
        rows.append([shift, float(columns.velocity[k]) / 127, float(columns.pitch[k]), held])
    return np.array(rows, np.float32).reshape(-1, 4).tolist()


def decoded_by_definition(rows: list[list[float]], low: int, high: int) -> list[tuple[int, ...]]:
    """Onset, pitch, duration, velocity of what rows say, one after the other."""
    at, found = 0.0, []
    for shift, velocity, pitch, duration in rows:
        if not all(map(math.isfinite, (shift, velocity, pitch, duration))) or not any(
            (shift, velocity, pitch, duration)
        ):
            continue
        at = min(at + max(shift, 0.0), LAST_MS)
        if low <= round(pitch) <= high:
            held, struck = min(max(round(duration), 1), LAST_MS - 1), min(max(round(velocity * 127), 1), 127)
            found.append((round(at), round(pitch), held, struck))
    return sorted(found, key=lambda note: note[:3])


def assert_same_block(block: MusicBlock, pieces: list[NoteColumns]) -> None:
    expected = music_block(pieces)
    for name, column in vars(expected).items():
        found = getattr(block, name)
        assert found.dtype == column.dtype, name
        assert np.array_equal(found, column), name


@given(music())
def test_rows_are_those_of_the_definition(columns):
    for coder in (CODER, WHOLE):
        rows = coder.encode(columns)
        assert rows.dtype == coder.dtype == np.float32
        assert rows.shape[1] == coder.width == 4
        assert rows.tolist() == defined(columns, *coder.pitch_range)


def test_rows_of_real_files_are_those_of_the_definition(real_music):
    for columns in real_music.values():
        assert CODER.encode(columns).tolist() == defined(columns, *CODER.pitch_range)


def test_a_row_says_time_shift_velocity_pitch_and_duration():
    rows = CODER.encode(notes((0.5, 60, 1), (0.5, 64, 0.5), (1.125, 67, 0), velocity=127))
    assert rows.tolist() == [[250, 1, 60, 500], [0, 1, 64, 250], [312.5, 1, 67, 0]]


@given(on_milliseconds())
def test_decoding_gives_back_notes_on_whole_milliseconds(columns):
    back = CODER.decode(CODER.encode(columns))
    assert back.ticks_per_quarter == 500
    assert rows_of(back) == rows_of(columns)


@given(music())
def test_decoding_and_encoding_again_changes_nothing_more(columns):
    once = WHOLE.decode(WHOLE.encode(columns))
    assert rows_of(WHOLE.decode(WHOLE.encode(once))) == rows_of(once)


def test_every_note_of_real_files_is_kept_within_a_millisecond(real_music):
    for columns in real_music.values():
        kept = columns.take((columns.pitch >= 21) & (columns.pitch <= 108))
        rows = CODER.encode(columns)
        block = music_block([kept])
        assert np.abs(np.cumsum(rows[:, 0], dtype=np.float64) / 1000 - block.onset_sec).max() < 0.00001
        back = CODER.decode(rows)
        assert np.sort(back.onset_tick / 1000) == pytest.approx(block.onset_sec, abs=0.00051)
        for name in ("pitch", "velocity"):
            assert np.array_equal(np.sort(getattr(back, name)), np.sort(getattr(kept, name)))


@pytest.mark.parametrize("gap", [0, 300, 3600], ids=["no pause", "five minutes", "an hour"])
def test_ten_hours_of_music_drift_by_less_than_a_millisecond(gap):
    rng = np.random.default_rng(5)
    shift = rng.exponential(0.1, 360_000)
    shift[:: len(shift) // 8] += gap
    shift *= 36_000 / shift.sum()
    tick = np.cumsum(np.rint(shift * 19_200)).astype(np.int32)  # 9600 a quarter, at 120 quarters a minute
    columns = NoteColumns(
        pitch=np.full(len(tick), 60, np.uint8),
        velocity=np.full(len(tick), 64, np.uint8),
        onset_tick=tick,
        duration_tick=np.full(len(tick), 1000, np.int32),
        ticks_per_quarter=9600,
    )
    assert 35_900 < tick[-1] / 19_200 < 36_100
    rows = CODER.encode(columns)
    onset_ms = tick / 19.2
    assert np.abs(np.cumsum(rows[:, 0], dtype=np.float64) - onset_ms).max() < (0.02 if gap < 3600 else 0.2)
    assert np.abs(CODER.decode(rows).onset_tick - onset_ms).max() < (0.52 if gap < 3600 else 0.7)


@given(music(33, 96), st.integers(-12, 12))
def test_transposing_rows_equals_encoding_transposed_notes(columns, semitones):
    rows = CODER.encode(columns)
    before = rows.copy()
    moved = CODER.transpose(rows, semitones)
    assert moved.dtype == np.float32
    assert moved.tolist() == CODER.encode(transposed(columns, semitones)).tolist()
    assert np.array_equal(rows, before)


@pytest.mark.parametrize(("pitch", "semitones"), [(21, -1), (108, 1), (60, 600), (60, -60)])
def test_transposing_off_the_range_is_refused(pitch, semitones):
    with pytest.raises(ValueError, match=rf"{semitones} semitones move a pitch out of \(21, 108\)"):
        CODER.transpose(CODER.encode(notes((0, pitch, 1))), semitones)


def test_rows_of_padding_are_no_notes():
    rows = CODER.encode(improvise(1, 20))
    padded = np.concatenate([rows, np.zeros((3, 4), np.float32)])
    assert rows_of(WHOLE.decode(padded)) == rows_of(CODER.decode(rows))
    assert CODER.transpose(padded, 3)[-3:].tolist() == np.zeros((3, 4)).tolist()


@given(st.lists(music(max_size=8), max_size=5))
def test_a_block_is_its_pieces(pieces):
    tokens = CODER.encode_block(music_block(pieces))
    expected = token_block([CODER.encode(piece) for piece in pieces], CODER)
    assert np.array_equal(tokens.edges, expected.edges)
    assert np.array_equal(tokens.values, expected.values)
    assert tokens.values.dtype == expected.values.dtype
    assert_same_block(CODER.decode_block(tokens), [CODER.decode(tokens[i]) for i in range(len(tokens))])


strange = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, -1.0, 0.5, 7.0, 20.5, 60.5, 108.5, 200.0, 1e30, math.nan, math.inf, -math.inf]),
)


@settings(max_examples=100)
@given(st.lists(st.lists(st.lists(strange, min_size=4, max_size=4), max_size=20), max_size=3))
def test_any_numbers_decode_by_the_rule(pieces):
    arrays = [np.array(piece, np.float32).reshape(-1, 4) for piece in pieces]
    block = CODER.decode_block(token_block(arrays, CODER))
    for i, rows in enumerate(arrays):
        # Equal notes may stand in either order of their velocities.
        assert sorted(rows_of(block[i])) == sorted(decoded_by_definition(rows.tolist(), 21, 108))
        assert [row[:3] for row in rows_of(block[i])] == sorted(row[:3] for row in rows_of(block[i]))
    assert np.isfinite(CODER.encode_block(block).values).all()


def test_what_a_model_may_say_is_taken_to_the_nearest_note():
    rows = [
        [100, 7, 60, 250],  # too loud
        [-40, -1, 61.4, -3],  # back in time, inaudible, no length
        [50, 0.5, 200, 100],  # no such pitch: its time passes
        [math.nan, 0.5, 62, 100],  # nothing: no time passes
        [10, 0.5, 62, 1e30],
    ]
    assert rows_of(CODER.decode(np.array(rows))) == [
        (100, 60, 250, 127),
        (100, 61, 1, 1),
        (160, 62, LAST_MS - 1, 64),
    ]


def test_no_notes_are_no_rows_and_no_rows_no_notes():
    empty = CODER.encode(notes())
    assert empty.shape == (0, 4)
    assert len(CODER.decode(empty)) == len(CODER.transpose(empty, 5)) == 0
    assert len(CODER.decode(np.empty(0, np.float32))) == 0
    assert len(CODER.decode_block(TokenBlock(empty, np.zeros(1, np.int64)))) == 0
    assert len(CODER.encode_block(music_block([]))) == 0


def test_88_keys_at_once_are_88_rows():
    columns = notes(*[(1, pitch, 1) for pitch in range(21, 109)])
    rows = CODER.encode(columns)
    assert rows[:, 0].tolist() == [500] + [0] * 87
    assert [row[1] for row in rows_of(CODER.decode(rows))] == list(range(21, 109))


def test_a_note_lasts_through_a_tempo_change():
    columns = replace(notes((0, 60, 2), (1, 64, 1)), tempos=np.array([[480, 1_000_000]], np.int32))
    assert CODER.encode(columns)[:, [0, 3]] == pytest.approx(np.array([[0, 1500], [500, 1000]]))


def test_notes_off_the_range_are_left_out():
    coder = Continuous(lowest_pitch=60, highest_pitch=64)
    rows = coder.encode(notes((0, 59, 1), (1, 60, 1), (2, 65, 1), (3, 64, 1)))
    assert rows[:, [0, 2]].tolist() == [[500, 60], [1000, 64]]


def test_it_describes_itself():
    assert (CODER.name, CODER.vocab, CODER.width) == ("continuous", (), 4)
    assert CODER.options == {"lowest_pitch": 21, "highest_pitch": 108}
    assert CODER.carries == {"pitch", "onset", "duration", "velocity"}
    assert CODER.version == Continuous().version != WHOLE.version


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest_pitch": "A0"}, r"lowest_pitch must be a whole number, found 'A0'"),
        ({"highest_pitch": True}, r"highest_pitch must be a whole number, found True"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, r"0-127 and ascend, found 70 to 60"),
        ({"highest_pitch": 128}, r"0-127 and ascend, found 21 to 128"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(SettingsError, match=message):
        Continuous(**options)


@given(st.lists(st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 4), max_size=10))
def test_note_events_of_json_are_the_same_rows_again(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("events") / "notes.json"
    write_note_events(np.array(rows, np.float32), path)
    back = read_note_events(path)
    assert back.dtype == np.float32
    assert back.shape == (len(rows), 4)
    assert back.tolist() == np.array(rows, np.float32).reshape(-1, 4).tolist()


def test_note_events_are_plain_json(tmp_path):
    path = tmp_path / "notes.json"
    write_note_events(np.array([[12.5, 0.63, 60, 250], [0, 0.1, 64, 1 / 3]]), path)
    assert path.read_text().splitlines() == [
        "[",
        ' {"time_shift": 12.5, "velocity": 0.63, "pitch": 60, "duration": 250},',
        ' {"time_shift": 0, "velocity": 0.1, "pitch": 64, "duration": 0.33333334}',
        "]",
    ]
    write_note_events(CODER.encode(notes()), path)
    assert json.loads(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"notes\.json is no JSON \(Expecting value.*note events are \[\{\"time_shift\": 12\.5"),
        ('[{"time_shift": 1', r"notes\.json is no JSON"),
        (b"\xff\xfe\xff", r"notes\.json is no JSON"),
        ("[" * 100_000, r"notes\.json is no JSON"),
        ('{"notes": []}', r'must hold a list of note events, found \{"notes": \[\]\}; write \['),
        ("[[0, 0.5, 60, 100]]", r"note event 0 must be an object with time_shift, .*found \[0, 0\.5, 60, 100\]"),
        ('[{"time_shift": 0, "pitch": 60}]', r"note event 0 must have .*; it has no velocity, duration"),
        ('[{"time_shift":0,"velocity":1,"pitch":60,"duration":1,"pedal":1}]', r'nothing but .*found "pedal"'),
        ('[{"time_shift":0,"velocity":1,"pitch":"C4","duration":1}]', r'a finite number as pitch, found "C4"'),
        ('[{"time_shift":0,"velocity":true,"pitch":60,"duration":1}]', r"finite number as velocity, found true"),
        ('[{"time_shift":0,"velocity":1,"pitch":60,"duration":NaN}]', r"finite number as duration, found NaN"),
        ('[{"time_shift":1e39,"velocity":1,"pitch":60,"duration":1}]', r"finite number as time_shift, found 1e\+39"),
        ('[{"time_shift":1' + "0" * 400 + ',"velocity":1,"pitch":60,"duration":1}]', r"as time_shift, found 10+…"),
    ],
)
def test_what_are_no_note_events_is_told(tmp_path, text, message):
    path = tmp_path / "notes.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RejectedFileError, match=message) as caught:
        read_note_events(path)
    assert caught.value.reason == "invalid_score"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RejectedFileError, match=r"unreadable: .*gone\.json: No such file"):
        read_note_events(Path(tmp_path / "gone.json"))


def test_numbers_that_json_cannot_hold_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"must be finite, row 1 is \[0\.0, 1\.0, nan, 1\.0\]"):
        write_note_events(np.array([[0, 1, 60, 1], [0, 1, math.nan, 1]]), tmp_path / "notes.json")
