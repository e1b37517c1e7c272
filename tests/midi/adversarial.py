"""Files made to cost a reader much.

`python adversarial.py [NAME or FILE ...]` reads each in a process of its own and tells what it took.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders import event, midi_bytes, press, tempo

from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi_files

FAR = 0x0FFFFFFF
MIB = 2**20
ROOM = 64 * MIB - 100
"""As much as a file may have, less its header."""


def header(num_tracks: int, ticks_per_quarter: int = 480) -> bytes:
    return midi_bytes(ticks_per_quarter=ticks_per_quarter)[:10] + num_tracks.to_bytes(2, "big") + b"\x01\xe0"


def fill(piece: bytes, room: int = ROOM) -> bytes:
    return piece * (room // len(piece))


def many_tempos() -> bytes:
    """Two tracks of tempos, so that they must be sorted."""
    track = fill(tempo(500_000, delta=1), ROOM // 2)
    return midi_bytes(press(60) + track, track)


def held_notes() -> bytes:
    """Notes that sound through millions of presses of the pedal."""
    ons = event(0, 0x90, 60, 80) + fill(b"\x01\x3c\x50", ROOM // 3)
    pedal = event(0, 0xB0, 64, 127) + event(1, 64, 0) + fill(b"\x01\x40\x7f\x01\x40\x00", ROOM // 3)
    offs = event(0, 0x80, 60, 0) + fill(b"\x01\x3c\x00", ROOM // 3)
    return midi_bytes(ons + pedal + offs, ticks_per_quarter=2000)


def presses_of_every_program() -> bytes:
    pedal = b"".join(event(0, 0xC0, p) + event(1, 0xB0, 64, 127) + event(1, 0xB0, 64, 0) for p in range(128))
    notes = b"".join(event(0, 0xC0, p) + press(60, 1) for p in range(128))
    return midi_bytes(fill(pedal, ROOM // 2), fill(notes, ROOM // 2), ticks_per_quarter=2000)


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "note_ons_at_one_tick": (lambda: midi_bytes(event(0, 0x90, 60, 80) + fill(b"\x00\x3c\x50")), "no_notes"),
    "chord_of_a_million": (
        lambda: midi_bytes(10**6 * event(0, 0x90, 60, 80) + event(9, 0x80, 60, 0) + 10**6 * event(0, 0x80, 60, 0)),
        "implausible_density",
    ),
    "notes_all_the_way": (
        lambda: midi_bytes(event(0, 0x90, 60, 80) + fill(b"\x01\x3c\x00\x01\x3c\x50"), ticks_per_quarter=480),
        "accepted",
    ),
    "notes_in_32000_tracks": (
        lambda: midi_bytes(*32_000 * [fill(press(60, 1), 2000)], ticks_per_quarter=480),
        "implausible_density",
    ),
    "held_notes": (held_notes, "accepted"),
    "presses_of_every_program": (presses_of_every_program, "accepted"),
    "many_tempos": (many_tempos, "accepted"),
    "65535_tracks_declared": (lambda: header(65_535), "truncated"),
    "65535_tracks": (lambda: header(65_535) + 65_535 * b"MTrk\0\0\0\0", "too_many_tracks"),
    "30000_empty_tracks": (lambda: midi_bytes(press(60), *30_000 * [b""]), "accepted"),
    "unknown_chunks": (lambda: header(1) + fill(b"ABCD\0\0\0\0"), "truncated"),
    "riff_without_end": (lambda: b"RIFF\0\0\0\0RMID" + bytes(ROOM), "not_midi"),
    "ticks_without_end": (lambda: midi_bytes(press(60) + fill(event(FAR, 0xB0, 1, 1))), "implausible_time"),
    "slow_tempo": (lambda: midi_bytes(tempo(2**24 - 1) + press(60, FAR), ticks_per_quarter=1), "implausible_time"),
    "hours_of_silence": (lambda: midi_bytes(press(60) + press(60, delta=2 * 960 * 3600)), "implausible_silence"),
    "20000_notes_in_a_second": (
        lambda: midi_bytes(20_000 * press(60, 1), ticks_per_quarter=20_000),
        "implausible_density",
    ),
    "zero_division": (lambda: midi_bytes(press(60), ticks_per_quarter=0), "zero_division"),
    "smpte_division": (lambda: midi_bytes(press(60), ticks_per_quarter=0xE728), "smpte_division"),
    "meta_of_256_mib": (lambda: midi_bytes(event(0, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0x7F) + press(60)), "truncated"),
    "name_of_64_mib": (
        lambda: midi_bytes(event(0, 0xFF, 3, 0x9F, 0xFF, 0xFF, 0) + bytes(31 * 2**21 + 2**21 - 128) + press(60)),
        "accepted",
    ),
    "long_name_of_many_parts": (
        lambda: midi_bytes(
            event(0, 0xFF, 3, 0x9E, 0x80, 0x80, 0)
            + b"\xe9" * (60 * MIB)
            + b"".join(press(60, channel=c) for c in range(16))
        ),
        "accepted",
    ),
    "unclosed_notes": (lambda: midi_bytes(1000 * event(1, 0x90, 60, 80)), "no_notes"),
    "header_of_4_gib": (lambda: b"MThd\xff\xff\xff\xff" + midi_bytes(press(60))[8:], "truncated"),
}


def measured(name: str) -> dict:
    """Outcome, seconds and peak memory (MiB, with the interpreter's own) of one case, read in a child."""
    data = CASES[name][0]() if name in CASES else Path(name).read_bytes()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        began = time.perf_counter()
        (outcome,) = parse_midi_files([data]).outcomes
        told = {"outcome": outcome.reason if isinstance(outcome, RejectedFileError) else "accepted"}
        told["seconds"] = round(time.perf_counter() - began, 2)
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = json.loads(pipe.read() or b'{"outcome": "died"}')
    _, _, used = os.wait4(child, 0)
    return told | {"name": name, "mib": used.ru_maxrss // 1024, "size_bytes": len(data)}


if __name__ == "__main__":
    parse_midi_files([midi_bytes(press(60))])
    print(f"the interpreter: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB", file=sys.stderr)
    for name in sys.argv[1:] or CASES:
        print(json.dumps(measured(name)), flush=True)
