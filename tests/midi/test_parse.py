import random
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from builders import event, midi_bytes, press, tempo
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import RejectedFileError
from pianogen.ingest import REASONS
from pianogen.midi.parse import parse_midi
from pianogen.midi.parsed import ParsedFile

ONE_NOTE = midi_bytes(press(60))


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
        (ONE_NOTE[:-5], "truncated: the file ends in the middle of a track"),
        (midi_bytes(press(60), ticks_per_quarter=0), "zero_division: the header says 0 ticks per quarter"),
        (midi_bytes(press(60), ticks_per_quarter=0xE728), r"smpte_division: time in SMPTE frames \(division 0xe728\)"),
        (midi_bytes(event(0, 0x90, 60, 200)), "invalid_bytes: "),
        (midi_bytes(event(0, 0xF4)), "invalid_bytes: undefined status byte 0xf4"),
        (midi_bytes(), "no_notes: the file is well formed and holds no note"),
        (midi_bytes(b""), "no_notes: the file is well formed and holds no note"),
        (midi_bytes(event(0, 0x80, 60, 0)), "no_notes: the file is well formed and holds no note"),
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


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(EVENTS, max_size=12).map(b"".join), max_size=3), st.integers(0, 0xFFFF), st.integers(0, 400))
def test_any_bytes_are_a_file_or_a_rejection(tracks, ticks_per_quarter, kept):
    data = midi_bytes(*tracks, ticks_per_quarter=ticks_per_quarter)
    for tried in (data, data[:kept]):
        parsed, reason = parsed_or_reason(tried)
        if parsed is None:
            assert reason in REASONS
        else:
            assert parsed.num_notes > 0
            assert np.isfinite(parsed.notes["sounding_offset_sec"].to_numpy()).all()


# Beside two other parsers, on real files


def real_files(folder: Path, number: int) -> list[Path]:
    """Small files of every dataset but the broken ones, drawn by a fixed seed."""
    found = sorted(p for p in folder.rglob("*.mid*") if "corrupt" not in p.parts and p.stat().st_size < 30_000)
    return random.Random(7).sample(found, number)


def first_in_first_out(midi: mido.MidiFile) -> Counter:
    """Pitch, velocity, onset and duration of each note, from the messages one by one."""
    notes = Counter()
    for track in midi.tracks:
        tick, sounding = 0, defaultdict(list)
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off") and sounding[message.channel, message.note]:
                onset, velocity = sounding[message.channel, message.note].pop(0)
                notes[message.note, velocity, onset, tick - onset] += 1
    return notes


def struck_while_sounding(notes: list[dict]) -> set[int]:
    """Pitches with a note that begins no later than another of that pitch ends, or that has no length.

    pretty_midi ends every open note of a key at one note-off, and drops notes of no length: there the
    two must differ.
    """
    last_end, found = {}, set()
    for note in sorted(notes, key=lambda note: note["onset_tick"]):
        end = note["onset_tick"] + note["duration_tick"]
        if note["duration_tick"] == 0 or note["onset_tick"] < last_end.get(note["pitch"], -1):
            found.add(note["pitch"])
        last_end[note["pitch"]] = max(end, last_end.get(note["pitch"], -1))
    return found


@pytest.mark.slow
def test_notes_are_those_of_mido_and_their_times_those_of_pretty_midi(real_data):
    num_compared = num_notes = 0
    for path in real_files(real_data, 40):
        midi = mido.MidiFile(path)
        parsed, reason = parsed_or_reason(path.read_bytes())
        if parsed is None:
            assert (reason, first_in_first_out(midi)) == ("no_notes", Counter()), path
            continue
        notes = parsed.notes.to_pylist()
        num_notes += len(notes)
        ours = Counter((n["pitch"], n["velocity"], n["onset_tick"], n["duration_tick"]) for n in notes)
        assert ours == first_in_first_out(midi), path

        if any(message.type == "set_tempo" for track in midi.tracks[1:] for message in track):
            continue  # pretty_midi reads the tempos of the first track alone
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Tempo, Key or Time signature change events found on non-zero tracks")
            other = pretty_midi.PrettyMIDI(mido_object=midi)
        left_out = struck_while_sounding(notes)
        expected = sorted(
            (note.pitch, note.start, note.end, note.velocity)
            for instrument in other.instruments
            for note in instrument.notes
            if note.pitch not in left_out
        )
        found = sorted(
            (n["pitch"], n["onset_sec"], n["offset_sec"], n["velocity"]) for n in notes if n["pitch"] not in left_out
        )
        np.testing.assert_allclose(found, np.reshape(expected, (-1, 4)), rtol=0, atol=1e-3, err_msg=str(path))
        num_compared += len(found)
    # What is left out is mostly pop music in many tracks, where several strike one key at once.
    assert num_compared > 0.5 * num_notes
