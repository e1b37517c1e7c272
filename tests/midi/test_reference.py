"""Our reader beside the reference in `reference.py`, which says the same rules in another way."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import event, midi_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ours_or_reason, read_reference

from pianogen.midi.parse import parse_midi

CHANNEL = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 9, 15])
PITCH = st.sampled_from([60, 60, 60, 61, 20, 127])
BYTE = st.integers(0, 127)
NOTES = st.one_of(
    st.tuples(CHANNEL.map(lambda c: 0x90 | c), PITCH, st.integers(0, 127)),
    st.tuples(CHANNEL.map(lambda c: 0x80 | c), PITCH, BYTE),
    st.tuples(CHANNEL.map(lambda c: 0x90 | c), PITCH, st.just(0)),
)
CONTROLS = st.tuples(
    CHANNEL.map(lambda c: 0xB0 | c), st.sampled_from([64, 64, 64, 64, 66, 67, 7]), st.sampled_from([0, 127, 63, 64])
)
OTHER_CHANNEL = st.one_of(
    st.tuples(CHANNEL.map(lambda c: 0xC0 | c), st.sampled_from([0, 7, 8, 33])),
    st.tuples(CHANNEL.map(lambda c: 0xD0 | c), BYTE),
    st.tuples(CHANNEL.map(lambda c: 0xE0 | c), BYTE, BYTE),
    st.tuples(CHANNEL.map(lambda c: 0xA0 | c), PITCH, BYTE),
)


def meta(kind: int, data: bytes) -> tuple[int, ...]:
    return (0xFF, kind, len(data), *data)


METAS = st.one_of(
    st.integers(0, 2**24 - 1).map(lambda usec: meta(0x51, usec.to_bytes(3, "big"))),
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda m: meta(0x58, bytes([*m, 24, 8]))),
    st.tuples(st.integers(-7, 7), st.integers(0, 1)).map(lambda k: meta(0x59, bytes([k[0] % 256, k[1]]))),
    st.builds(meta, st.integers(1, 15), st.binary(max_size=5)),
    st.builds(meta, st.just(3), st.binary(max_size=3)),
    st.builds(meta, st.just(0), st.binary(min_size=2, max_size=2)),
    st.builds(meta, st.sampled_from([0x20, 0x21]), st.binary(min_size=1, max_size=1)),
    st.builds(meta, st.just(0x54), st.just(bytes([0x60, 1, 2, 3, 4]))),
    st.builds(meta, st.sampled_from([0x7F, 0x60, 0x10]), st.binary(max_size=4)),
)
SYSTEM = st.one_of(
    st.lists(BYTE, max_size=4).map(lambda data: (0xF0, len(data) + 1, *data, 0xF7)),
    st.sampled_from([(0xF8,), (0xFE,), (0xF6,), (0xF1, 5), (0xF2, 1, 2), (0xF3, 9)]),
)
FORGETFUL = {8, *range(10, 17), 0x60}
"""Kinds of meta event that mido does not know; it forgets the time before one."""

DELTA = st.sampled_from([0, 0, 1, 1, 2, 3, 480, 20_000])
MESSAGES = st.lists(
    st.tuples(DELTA, st.one_of(NOTES, NOTES, NOTES, CONTROLS, CONTROLS, OTHER_CHANNEL, METAS, SYSTEM)),
    max_size=40,
)


def track_of(messages: list[tuple[int, tuple[int, ...]]]) -> bytes:
    """Bytes of a track, in running status wherever every reader takes it for that."""
    written, running = b"", None
    for delta, message in messages:
        status = message[0]
        if status == 0xFF and message[1] in FORGETFUL:
            delta = 0
        written += event(delta, *(message[1:] if status == running else message))
        if status < 0xF0:
            running = status
        elif status < 0xFF:
            running = None
    return written


@settings(max_examples=600, deadline=None)
@given(st.lists(MESSAGES.map(track_of), min_size=1, max_size=4), st.sampled_from([1, 96, 480, 32767]), st.booleans())
def test_every_table_is_the_references(tracks, ticks_per_quarter, only_piano):
    data = midi_bytes(*tracks, ticks_per_quarter=ticks_per_quarter)
    assert ours_or_reason(parse_midi, data, only_piano=only_piano) == read_reference(data, only_piano=only_piano)


def crowded_track(rng: random.Random) -> bytes:
    """Hundreds of messages about few keys and pedals, close to each other."""
    channel = rng.choice([0, 0, 1, 9])
    kinds: list[Callable[[], tuple[int, ...]]] = [
        lambda: (0x90 | channel, rng.randrange(60, 64), rng.randrange(128)),
        lambda: (0x80 | channel, rng.randrange(60, 64), 0),
        lambda: (0xB0 | channel, rng.choice([64, 64, 64, 66, 67]), rng.choice([0, 63, 64, 127])),
        lambda: (0xC0 | channel, rng.choice([0, 0, 0, 5])),
        lambda: meta(0x51, rng.randrange(2**20).to_bytes(3, "big")),
    ]
    return track_of([(rng.choice([0, 1, 1, 2, 5]), rng.choices(kinds, (8, 6, 4, 1, 1))[0]()) for _ in range(300)])


def test_every_table_of_crowded_files_is_the_references():
    rng = random.Random(2)
    for _ in range(200):
        tracks = [crowded_track(rng) for _ in range(rng.randint(1, 3))]
        data = midi_bytes(*tracks, ticks_per_quarter=rng.choice([24, 480, 1000]))
        assert ours_or_reason(parse_midi, data) == read_reference(data)


@pytest.mark.parametrize("num_presses", [1, 7, 8, 9, 10, 11, 16, 17, 100])
@pytest.mark.parametrize("last", [(), (0xB0, 64, 127)])
def test_a_note_that_outlasts_many_presses_sounds_until_the_lift_after_its_end(num_presses, last):
    pedal = [(5, (0xB0, 64, 127)), (5, (0xB0, 64, 0))] * num_presses
    short = [(1, (0x90, 50 + i, 80)) for i in range(num_presses)] + [(1, (0x80, 50 + i, 0)) for i in range(num_presses)]
    ends = [*([(3, last)] if last else []), (2, (0x80, 20, 0)), (4, (0xB0, 64, 0)), (9, (0xB0, 64, 127))]
    data = midi_bytes(track_of([(0, (0x90, 20, 80)), *pedal, *ends]), track_of(short[:20]))
    assert ours_or_reason(parse_midi, data) == read_reference(data)


def real_midi_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi", ".kar"))


def differences(paths: list[Path]) -> tuple[int, dict[str, str]]:
    """Number of files that mido reads too, and where the two tell another story."""
    num_compared, found = 0, {}
    for path in paths:
        data = path.read_bytes()
        try:
            expected = read_reference(data)
        except Exception:
            continue  # mido raises OSError, ValueError, IndexError, KeyError and EOFError for what it cannot read
        num_compared += 1
        ours = ours_or_reason(parse_midi, data)
        if isinstance(ours, str) or isinstance(expected, str):
            if ours != expected:
                found[str(path)] = f"{ours if isinstance(ours, str) else 'accepted'}, not {expected!s:.40}"
        elif wrong := [name for name in expected if ours[name] != expected[name]]:
            found[str(path)] = f"other {', '.join(wrong)}"
    return num_compared, found


@pytest.mark.slow
def test_real_files_are_the_references(real_data):
    num_compared, found = differences(real_midi_files(real_data)[::29])
    assert found == {}
    assert num_compared > 45
