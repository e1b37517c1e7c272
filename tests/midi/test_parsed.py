import pytest
from builders import event, midi_bytes, press, tempo

from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi
from pianogen.midi.parsed import columns_of

SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67
FAR = 0x0FFFFFFF
"""The largest time between two events."""


def control(number: int, value: int, delta: int = 0, channel: int = 0) -> bytes:
    return event(delta, 0xB0 | channel, number, value)


def column(parsed, table: str, name: str) -> list:
    return parsed.tables[table][name].to_pylist()


def test_notes_stand_by_onset_then_pitch_then_track_with_ticks_and_seconds():
    high = press(72, 480, delta=480)
    low = event(0, 0x91, 40, 70) + event(0, 0x91, 36, 70) + event(960, 0x81, 40, 0) + event(0, 0x81, 36, 0)
    parsed = parse_midi(midi_bytes(tempo(1_000_000) + high, low + press(72, 480, delta=0, channel=1)))
    assert parsed.notes.schema == columns_of("notes")
    assert column(parsed, "notes", "pitch") == [36, 40, 72, 72]
    assert column(parsed, "notes", "track") == [1, 1, 0, 1]
    assert column(parsed, "notes", "velocity") == [70, 70, 80, 80]
    assert column(parsed, "notes", "onset_tick") == [0, 0, 480, 960]
    assert column(parsed, "notes", "duration_tick") == [960, 960, 480, 480]
    assert column(parsed, "notes", "onset_sec") == [0, 0, 1, 2]
    assert column(parsed, "notes", "offset_sec") == [2, 2, 2, 3]
    assert (parsed.num_tracks, parsed.num_notes, parsed.duration_sec, parsed.duration_quarters) == (2, 4, 3, 3)


def test_the_sustain_pedal_in_one_track_holds_the_notes_of_both_hands():
    right = control(SUSTAIN, 127) + press(72, 480) + control(SUSTAIN, 0, delta=480)
    parsed = parse_midi(midi_bytes(right, press(40, 240)))
    assert column(parsed, "notes", "offset_sec") == [0.25, 0.5]
    assert column(parsed, "notes", "held_sec") == [0.75, 0.5]
    assert column(parsed, "pedal_presses", "pedal") == ["sustain"]


def test_a_pedal_holds_no_other_instrument_and_no_drum():
    piano = control(SUSTAIN, 127) + press(72, 480) + control(SUSTAIN, 0, delta=480)
    bass = event(0, 0xC1, 33) + press(40, 240, channel=1)
    parsed = parse_midi(midi_bytes(piano, bass, press(35, 120, channel=9)))
    held = dict(zip(column(parsed, "notes", "pitch"), column(parsed, "notes", "held_sec"), strict=True))
    assert held == {72: 0.5, 40: 0, 35: 0}
    assert (parsed.num_notes, parsed.num_drum_notes) == (2, 1)


def test_every_pedal_has_its_presses_and_only_sustain_holds():
    track = control(SOSTENUTO, 127) + control(SOFT, 127) + press(60) + control(SOSTENUTO, 0, delta=480)
    parsed = parse_midi(midi_bytes(track))
    assert sorted(
        zip(column(parsed, "pedal_presses", "pedal"), column(parsed, "pedal_presses", "lift_sec"), strict=True)
    ) == [
        ("soft", 0.5),
        ("sostenuto", 1.0),
    ]
    assert column(parsed, "notes", "held_sec") == [0]


def test_every_control_change_is_kept_with_its_time():
    parsed = parse_midi(midi_bytes(control(7, 100) + press(60) + control(SUSTAIN, 63, delta=480) + control(1, 5)))
    rows = parsed.tables["controls"].select(["tick", "time_sec", "number", "value"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(0, 0, 7, 100), (960, 1, SUSTAIN, 63), (960, 1, 1, 5)]


def test_tempo_time_and_key_signatures_are_kept():
    head = event(0, 0xFF, 0x58, 4, 6, 3, 24, 8) + event(0, 0xFF, 0x59, 2, 0xFD, 1)
    parsed = parse_midi(midi_bytes(head + press(60) + event(0, 0xFF, 0x58, 4, 3, 2, 24, 8) + tempo(250_000)))
    assert [tuple(row.values()) for row in parsed.tables["tempos"].to_pylist()] == [(0, 0, 120), (480, 0.5, 240)]
    assert [tuple(row.values()) for row in parsed.tables["time_signatures"].to_pylist()] == [
        (0, 0, 6, 8),
        (480, 0.5, 3, 4),
    ]
    assert [tuple(row.values()) for row in parsed.tables["key_signatures"].to_pylist()] == [(0, 0, -3, "minor")]


def test_what_is_odd_is_told_with_its_count():
    track = tempo(0) + event(0, 0xFF, 0x58, 4, 4, 31, 24, 8) + event(0, 0xFF, 0x59, 2, 0x80, 0)
    notes = press(20) + press(109) + press(60, 0) + event(0, 0xC1, 40) + press(60, channel=1) + press(35, channel=9)
    assert parse_midi(midi_bytes(track + notes)).warnings == (
        "zero_tempo: 1 tempo changes of no duration passed over",
        "invalid_signatures: 2 impossible time or key signatures left out",
        "zero_length_notes: 1 notes end where they begin",
        "notes_off_piano: 2 notes outside pitches 21-108",
        "drums: 1 notes on the drum channel, not tokenized",
        "other_instruments: programs 40 are taken as piano",
    )
    assert parse_midi(midi_bytes(tempo(500_000) + press(60))).warnings == ()


@pytest.mark.parametrize(
    "late",
    [
        control(SUSTAIN, 127, delta=FAR),
        tempo(500_000, delta=FAR),
        event(FAR, 0xFF, 0x58, 4, 4, 2, 24, 8),
        event(FAR, 0xFF, 0x59, 2, 1, 0),
        press(60, 1, delta=FAR),
    ],
)
def test_ticks_that_do_not_fit_31_bits_are_implausible(late):
    with pytest.raises(
        RejectedFileError, match=r"implausible_time: an event at tick 2\d{9}; ticks go up to 2147483647"
    ):
        parse_midi(midi_bytes(press(60) + 9 * late))


def test_the_last_tick_that_fits_is_kept():
    lead = 8 * event(FAR, 0xB0, 1, 1) + event(6, 0xB0, 1, 1)
    data = midi_bytes(tempo(1) + lead + press(60, 1), ticks_per_quarter=32767)
    assert column(parse_midi(data), "notes", "onset_tick") == [2**31 - 2]
    with pytest.raises(RejectedFileError, match="implausible_time: an event at tick 2147483648"):
        parse_midi(midi_bytes(tempo(1) + lead + press(60, 2), ticks_per_quarter=32767))


def test_hours_of_one_note_are_implausible():
    with pytest.raises(RejectedFileError, match=r"implausible_time: the last note ends after 12\.2 hours"):
        parse_midi(midi_bytes(press(60, 88_000), ticks_per_quarter=1))
    assert parse_midi(midi_bytes(press(60, 86_000), ticks_per_quarter=1)).duration_sec == 43_000
