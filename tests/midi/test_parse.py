import numpy as np
import pytest
from builders import event, midi_bytes, press, tempo
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi, parse_midi_files
from pianogen.midi.parsed import ParsedFile
from pianogen.reading import REASONS

ONE_NOTE = midi_bytes(press(60))


def header(num_tracks: int) -> bytes:
    return midi_bytes()[:10] + num_tracks.to_bytes(2, "big") + midi_bytes()[12:]


def ends_in(track: bytes) -> bytes:
    """A track chunk without an end-of-track event."""
    return b"MTrk" + len(track).to_bytes(4, "big") + track


def rows(data: bytes) -> list[tuple[int, int, int, int]]:
    """Pitch, velocity, onset tick and duration of each note."""
    notes = parse_midi(data).notes.select(["pitch", "velocity", "onset_tick", "duration_tick"])
    return [tuple(row.values()) for row in notes.to_pylist()]


def parsed_or_reason(data: bytes) -> tuple[ParsedFile | None, str]:
    try:
        return parse_midi(data), ""
    except RejectedFileError as error:
        return None, error.reason


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "empty_file: 0 bytes"),
        (b"RIFF" + ONE_NOTE, "not_midi: the file begins with b'RIFF', a MIDI file with b'MThd'"),
        (ONE_NOTE[:4], "truncated: 4 bytes, a MIDI header has 14"),
        (ONE_NOTE[:13], "truncated: 13 bytes, a MIDI header has 14"),
        (ONE_NOTE[:-5], "truncated: a chunk of 13 bytes at byte 22 is cut off by the end of the file"),
        (ONE_NOTE[:18], "truncated: the file ends at byte 18 after 0 of the header's tracks"),
        (header(2) + ONE_NOTE[14:], "truncated: the file ends at byte 35 after 1 of the header's tracks"),
        (header(1) + ends_in(b"\x00\x90\x3c"), "truncated: the event at byte 22 is cut off by the end of its track"),
        (header(1) + ends_in(event(0, 0xFF, 3, 0x7F)), "truncated: the event at byte 22 is cut off"),
        (header(1) + ends_in(b"\x80"), "truncated: the event at byte 22 is cut off by the end of its track"),
        (midi_bytes(press(60), ticks_per_quarter=0), "zero_division: the header says 0 ticks per quarter"),
        (midi_bytes(press(60), ticks_per_quarter=0xE728), r"smpte_division: time in SMPTE frames \(division 0xe728\)"),
        (midi_bytes(event(0, 0x90, 60, 200)), "invalid_bytes: byte 25 is 0xc8, where data up to 0x7f should be"),
        (midi_bytes(event(0, 0xF4)), "invalid_bytes: byte 23 is 0xf4, a status that MIDI does not define"),
        (midi_bytes(b"\x00\x3c\x50"), "invalid_bytes: byte 23 is 0x3c, where an event's status should be"),
        (
            midi_bytes(b"\xff\xff\xff\xff\x00" + press(60)),
            "invalid_bytes: a number of more than 4 bytes in the event at",
        ),
        (header(1) + b"\0\0\0\0" + ONE_NOTE[18:], "invalid_bytes: no chunk begins at byte 14, where track 0 should"),
        (header(40_000) + 40_000 * ends_in(b""), "too_many_tracks: 40000 tracks, more than 32767"),
        (midi_bytes(), "no_notes: the file is well formed and holds no note"),
        (midi_bytes(b""), "no_notes: the file is well formed and holds no note"),
        (midi_bytes(event(0, 0x80, 60, 0)), "no_notes: the file is well formed and holds no note"),
        (midi_bytes(event(0, 0x90, 60, 80)), "no_notes: the file is well formed and holds no note that ends; 1 begin"),
        (midi_bytes(press(35, channel=9)), "no_notes: only drums: 1 notes on the drum channel"),
    ],
)
def test_what_is_no_performance_is_rejected_with_what_was_found(data, message):
    with pytest.raises(RejectedFileError, match=message) as caught:
        parse_midi(data)
    assert caught.value.reason in REASONS


def test_a_note_on_of_velocity_0_ends_the_note():
    assert rows(midi_bytes(event(0, 0x90, 60, 80) + event(240, 0x90, 60, 0))) == [(60, 80, 0, 240)]


def test_running_status_leaves_the_status_byte_out():
    track = event(0, 0x90, 60, 80) + event(100, 60, 0) + event(20, 64, 81) + event(100, 64, 0)
    assert rows(midi_bytes(track)) == [(60, 80, 0, 100), (64, 81, 120, 100)]


def test_a_note_may_end_where_it_begins():
    assert rows(midi_bytes(press(60, 0))) == [(60, 80, 0, 0)]


def test_of_two_notes_of_one_key_the_first_to_begin_is_the_first_to_end():
    track = event(0, 0x90, 60, 1) + event(10, 0x90, 60, 2) + event(10, 0x80, 60, 0) + event(10, 0x80, 60, 0)
    assert rows(midi_bytes(track)) == [(60, 1, 0, 20), (60, 2, 10, 20)]


def test_notes_off_the_piano_are_kept():
    assert [row[0] for row in rows(midi_bytes(press(0) + press(127)))] == [0, 127]


def test_without_a_tempo_and_at_a_tempo_of_0_a_quarter_lasts_half_a_second():
    for track in (press(60), tempo(0) + press(60)):
        assert parse_midi(midi_bytes(track)).duration_sec == 0.5


def test_tempos_of_every_track_hold_for_all():
    parsed = parse_midi(midi_bytes(press(60) + press(62), tempo(1_000_000, delta=480)))
    assert parsed.notes["offset_sec"].to_pylist() == [0.5, 1.5]


def test_bytes_of_text_that_are_not_utf_8_harm_nothing():
    assert rows(midi_bytes(event(0, 0xFF, 3, 3, 0xFF, 0xFE, 0x80) + press(60))) == [(60, 80, 0, 480)]


@pytest.mark.parametrize(
    "data, name",
    [
        (b"piano", "piano"),
        ("d’été".encode(), "d’été"),
        (b"\xe9t\xe9", "été"),
        (1024 * b"a", 1024 * "a"),
        (1025 * b"a", 1024 * "a"),
        (1023 * b"a" + "é".encode(), 1023 * "a"),
        (2000 * b"\xe9", 1024 * "é"),
    ],
)
def test_a_name_is_utf_8_or_latin_1_and_cut_where_it_is_long(data, name):
    length = bytes([0x80 | len(data) >> 7, len(data) & 0x7F])
    parsed = parse_midi(midi_bytes(event(0, 0xFF, 3) + length + data + press(60)))
    assert parsed.tables["parts"]["name"].to_pylist() == [name]


EVENTS = st.one_of(
    st.builds(press, st.integers(0, 127), st.sampled_from([0, 1, 480, 0x0FFFFFFF]), channel=st.integers(0, 15)),
    st.builds(tempo, st.integers(0, 2**24 - 1), delta=st.sampled_from([0, 7, 0x0FFFFFFF])),
    st.builds(
        event, st.sampled_from([0, 5, 0x0FFFFFFF]), st.integers(0xB0, 0xBF), st.integers(0, 127), st.integers(0, 127)
    ),
    st.builds(lambda *v: event(0, 0xFF, 0x58, 4, *v), *[st.integers(0, 255)] * 4),
    st.builds(lambda *v: event(0, 0xFF, 0x59, 2, *v), *[st.integers(0, 255)] * 2),
    st.binary(max_size=6),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(EVENTS, max_size=12).map(b"".join), max_size=3), st.integers(0, 0xFFFF), st.integers(0, 400))
def test_any_bytes_are_a_file_or_a_rejection(tracks, ticks_per_quarter, kept):
    data = midi_bytes(*tracks, ticks_per_quarter=ticks_per_quarter)
    for tried in (data, data[:kept]):
        parsed, reason = parsed_or_reason(tried)
        if parsed is None:
            assert reason in REASONS
        else:
            assert parsed.num_notes > 0
            assert np.isfinite(parsed.notes["held_sec"].to_numpy()).all()


def test_no_files_are_read_as_none():
    parsed = parse_midi_files([])
    assert parsed.outcomes == ()
    assert all(table.num_rows == 0 for table in parsed.tables.values())
