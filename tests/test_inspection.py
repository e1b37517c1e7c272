import hashlib
import json
import os
from pathlib import Path

import pytest
from builders import event, midi_bytes, press, tempo

from pianogen.inspection import inspect_file
from pianogen.reading import REASONS

KEYS = {
    "path", "status", "reason", "detail", "warnings", "format", "title", "composer", "num_notes", "num_drum_notes",
    "num_tracks", "duration_sec", "duration_quarters", "ticks_per_quarter", "pitch_range", "velocity_range",
    "programs", "tempo_qpm", "time_signatures", "key_signatures", "num_controls", "num_presses", "size_bytes",
    "file_id", "parts", "message_counts",
}  # fmt: skip


def test_a_performance_is_described_in_json_values(tmp_path):
    path = tmp_path / "a.mid"
    head = tempo(1_000_000) + event(0, 0xFF, 0x58, 4, 3, 2, 24, 8) + event(0, 0xFF, 0x59, 2, 2, 0)
    pedal = event(0, 0xB0, 64, 127) + press(60, velocity=30) + event(0, 0xB0, 64, 0) + tempo(500_000)
    left = event(0, 0xFF, 3, 4, *b"left") + press(72, 960, velocity=90)
    data = midi_bytes(head + pedal, left, press(35, channel=9))
    path.write_bytes(data)
    facts = inspect_file(path)
    assert json.loads(json.dumps(facts)) == facts
    assert facts == {
        "path": str(path),
        "status": "accepted",
        "reason": None,
        "detail": None,
        "warnings": ["drums: 1 notes on the drum channel, not tokenized"],
        "format": "midi",
        "title": None,
        "composer": None,
        "num_notes": 2,
        "num_drum_notes": 1,
        "num_tracks": 3,
        "duration_sec": 1.5,
        "duration_quarters": 2.0,
        "ticks_per_quarter": 480,
        "pitch_range": [60, 72],
        "velocity_range": [30, 90],
        "programs": [0],
        "tempo_qpm": {"num": 2, "min": 60.0, "max": 120.0},
        "time_signatures": ["3/4"],
        "key_signatures": ["+2 major"],
        "num_controls": 2,
        "num_presses": {"sustain": 1},
        "parts": [
            {"track": 0, "channel": 0, "name": None, "program": 0, "is_drum": False, "num_notes": 1},
            {"track": 1, "channel": 0, "name": "left", "program": 0, "is_drum": False, "num_notes": 1},
            {"track": 2, "channel": 9, "name": None, "program": 0, "is_drum": True, "num_notes": 1},
        ],
        "message_counts": {
            "note_on": 3,
            "note_off": 3,
            "control_change": 2,
            "track_name": 1,
            "end_of_track": 3,
            "tempo": 2,
            "time_signature": 1,
            "key_signature": 1,
        },
        "size_bytes": len(data),
        "file_id": hashlib.sha256(data).hexdigest(),
    }
    assert facts.keys() == KEYS


@pytest.mark.parametrize(
    "name, data, reason",
    [
        ("cut.mid", b"MThd", "truncated"),
        ("empty.mid", b"", "empty_file"),
        ("letter.txt", b"Dear", "not_music"),
        ("page.xml", b"<html/>", "invalid_score"),
        ("drums.mid", midi_bytes(press(35, channel=9)), "no_notes"),
    ],
)
def test_a_rejected_file_has_the_same_keys_with_a_reason_and_no_facts(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    facts = inspect_file(tmp_path / name)
    assert facts.keys() == KEYS
    assert (facts["status"], facts["reason"], facts["warnings"]) == ("rejected", reason, [])
    assert reason in REASONS
    assert facts["detail"]
    assert {key for key, value in facts.items() if value is not None} == {
        "path",
        "status",
        "reason",
        "detail",
        "warnings",
    }


@pytest.mark.parametrize("path, detail", [("missing.mid", "No such file or directory"), ("", "Is a directory")])
def test_what_cannot_be_read_is_unreadable(tmp_path, path, detail):
    facts = inspect_file(tmp_path / path)
    assert facts.keys() == KEYS
    assert (facts["status"], facts["reason"], facts["detail"]) == ("rejected", "unreadable", detail)


@pytest.mark.parametrize(
    "data, detail",
    [
        (
            midi_bytes(press(60))[:-5],
            "a chunk of 13 bytes at byte 22 is cut off by the end of the file "
            "(mido: the file ends in the middle of a track)",
        ),
        (
            midi_bytes(event(0, 0x90, 60, 200)),
            "byte 25 is 0xc8, where data up to 0x7f should be (mido: data byte must be in range 0..127)",
        ),
        (
            midi_bytes(b"\xff\xff\xff\xff" + press(60)),
            "a number of more than 4 bytes in the event at byte 22 (mido: reads it)",
        ),
    ],
)
def test_of_a_broken_file_mido_gives_a_second_opinion(tmp_path, data, detail):
    (tmp_path / "a.mid").write_bytes(data)
    assert inspect_file(tmp_path / "a.mid")["detail"] == detail


def test_no_more_is_read_than_a_file_may_have():
    facts = inspect_file(Path("/dev/zero"))
    assert (facts["reason"], facts["detail"]) == ("too_large", "more than 64 MiB")


def test_a_name_that_is_not_utf_8_is_told_escaped(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mid"))
    path.write_bytes(midi_bytes(press(60)))
    facts = inspect_file(path)
    assert facts["path"] == f"{tmp_path}/\\xff.mid"
    assert facts["status"] == "accepted"


def test_every_real_file_has_the_same_keys(real_data):
    files = [real_data / "corrupt" / name for name in ("midly/Clementi.mid", "midly/PiDamaged.mid", "symusic/1.midi")]
    assert {frozenset(inspect_file(path)) for path in files} == {frozenset(KEYS)}
