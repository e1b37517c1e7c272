"""Damaged MIDI files; `python mutants.py FOLDER SEED NUMBER` reads so many, made from the files of a folder."""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders import event, midi_bytes, press, tempo
from hypothesis import settings
from hypothesis import strategies as st

from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi_files
from pianogen.midi.parsed import EVENT_TABLES, ParsedFiles
from pianogen.reading import REASONS

_PEDAL = event(0, 0xB0, 64, 127) + press(60) + event(1, 64, 0)
BUILT = [
    midi_bytes(tempo(600_000) + press(60) + press(64, delta=5), event(0, 0xFF, 3, 4, *b"left") + _PEDAL),
    midi_bytes(*(event(0, 0xC0 | c, 8 * c) + press(40 + c, channel=c) for c in range(16))),
    midi_bytes(event(0, 0xFF, 0x58, 4, 3, 2, 24, 8) + event(0, 0xFF, 0x59, 2, 2, 1) + 40 * press(70, 3), format=0),
    midi_bytes(event(0, 0xF0, 3, 1, 2, 0xF7) + event(9, 0x90, 60, 80) + event(7, 60, 0) + event(7, 62, 80), b""),
    # As many events as bytes can hold, of each kind.
    midi_bytes(press(60), event(0, 0x90, 60, 80) + 200 * b"\x00\x3c\x50" + 200 * b"\x01\x3c\x00"),
    midi_bytes(press(60), event(0, 0xB0, 64, 127) + 100 * b"\x00\x40\x00\x00\x40\x7f"),
    midi_bytes(press(60), 90 * tempo(400_000, delta=1)),
    midi_bytes(press(60), 90 * event(1, 0xFF, 0x58, 2, 4, 2), 90 * event(1, 0xFF, 0x59, 2, 0, 1)),
    midi_bytes(*(event(0, 0xFF, 3, 1, 65 + i) + press(60) for i in range(26))),
]
TELLING = [0x00, 0x7F, 0x80, 0x90, 0xB0, 0xC0, 0xF0, 0xF7, 0xFF, 0x2F, 0x51, 0x58, 0x40]
"""Bytes that mean something to a reader."""

NUM_WAYS = 8
DAMAGE = st.lists(
    st.tuples(
        st.integers(0, NUM_WAYS - 1),
        st.integers(0, 2**20),
        st.integers(0, 2**20),
        st.sampled_from(TELLING) | st.integers(0, 255),
    ),
    max_size=6,
)


def examples(number: int) -> int:
    """So many, or a hundred times so many under the profile `fuzz`."""
    return 100 * number if settings.get_current_profile_name() == "fuzz" else number


def damaged(data: bytes, damage: list[tuple[int, int, int, int]], other: bytes) -> bytes:
    """A file after bytes were flipped, cut, spliced, doubled, and its header's fields changed."""
    for way, first, second, byte in damage:
        if not data:
            return data
        at, size = first % len(data), 1 + second % min(len(data), 64)
        if way == 0:
            data = data[:at] + bytes([byte]) + data[at + 1 :]
        elif way in (1, 7):
            # One bit; the highest, which turns data into a status, or one of the others.
            data = data[:at] + bytes([data[at] ^ 1 << (byte % 8 if way == 1 else byte % 7)]) + data[at + 1 :]
        elif way == 2:
            data = data[:at]
        elif way == 3:
            data = data[:at] + data[at + size :]
        elif way == 4:
            data = data[: at + size] + data[at : at + size] * (1 + byte % 4) + data[at + size :]
        elif way == 5:
            begin = second % (len(other) + 1)
            data = data[:at] + other[begin : begin + 256] + data[at:]
        else:
            # Format, number of tracks, division, or the length of the first track.
            field = (8, 9, 10, 11, 12, 13, 18, 19, 20, 21)[first % 10]
            data = data[:field] + bytes([byte]) + data[field + 1 :]
    return data


def mended(data: bytes) -> bytes:
    """The same with lengths of tracks that fit, so that a reader comes to what lies behind the damage."""
    head, *tracks = data.split(b"MTrk")
    head = head[:10] + len(tracks).to_bytes(2, "big") + head[12:14]
    return head + b"".join(b"MTrk" + len(track[4:]).to_bytes(4, "big") + track[4:] for track in tracks)


def random_mutants(bases: list[bytes], seed: int, number: int) -> list[bytes]:
    """Damaged files, the same for the same seed."""
    rng = random.Random(seed)
    found = []
    for _ in range(number):
        damage = [
            (
                rng.randrange(NUM_WAYS),
                rng.randrange(2**20),
                rng.randrange(2**20),
                rng.choice([*TELLING, rng.randrange(256)]),
            )
            for _ in range(rng.randint(1, 4))
        ]
        mutant = damaged(rng.choice(bases), damage, rng.choice(bases))
        found.append(mended(mutant) if rng.random() < 0.7 else mutant)
    return found


def check_read(files: list[bytes], **options: bool) -> ParsedFiles:
    """Read files together; each is facts or a rejection with a known reason, and rows are as many as they should be."""
    parsed = parse_midi_files(files, **options)
    assert len(parsed.outcomes) == len(files)
    accepted = [outcome for outcome in parsed.outcomes if not isinstance(outcome, RejectedFileError)]
    for outcome in parsed.outcomes:
        if isinstance(outcome, RejectedFileError):
            assert outcome.reason in REASONS
            assert outcome.detail
    for name in EVENT_TABLES:
        assert len(parsed.sizes[name]) == len(accepted), name
        assert parsed.tables[name].num_rows == parsed.sizes[name].sum(), name
        parsed.tables[name].validate(full=True)
    assert parsed.sizes["notes"].tolist() == [facts.num_notes + facts.num_drum_notes for facts in accepted]
    assert all(facts.num_notes for facts in accepted)
    assert (parsed.sizes["tempos"] >= 1).all()
    notes = parsed.tables["notes"]
    onset, offset, held = (notes[name].to_numpy() for name in ("onset_sec", "offset_sec", "held_sec"))
    assert ((onset >= 0) & (onset <= offset) & (offset < 1e12) & (held >= 0) & (held < 1e12)).all()
    return parsed


if __name__ == "__main__":
    bases = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    mutants = random_mutants(bases, int(sys.argv[2]), int(sys.argv[3]))
    accepted = 0
    for first in range(0, len(mutants), 50):
        accepted += len(check_read(mutants[first : first + 50]).sizes["notes"])
    print(f"{len(mutants)} read, {accepted} accepted")
