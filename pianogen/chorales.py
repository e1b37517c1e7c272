"""The JSB chorales as JSON: one file of many chorales, each a list of steps of four pitches.

The file maps the names of splits to chorales. A step lasts a 16th and holds the MIDI pitches of soprano,
alto, tenor and bass, -1 where a voice is silent. The JSON does not tell a held note from one struck again:
equal pitches on neighbouring steps of a voice are taken as one held note.

Source: Boulanger-Lewandowski 2012 (split); czhuang/JSB-Chorales-dataset (file).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pianogen.errors import RejectedFileError
from pianogen.midi.parsed import ParsedFile, Track, build_parsed
from pianogen.midi.time import tempo_map

VOICES = ("soprano", "alto", "tenor", "bass")
SILENCE = -1
TICKS_PER_QUARTER = 480
TICKS_PER_STEP = TICKS_PER_QUARTER // 4
VELOCITY = 64
"""MIDI 1.0: the value of a keyboard without velocity; the JSON has none."""

MAX_JSON_BYTES = 64 * 2**20


class Member(NamedTuple):
    """One chorale of the file."""

    name: str
    """Split and number: `train/000`."""
    data: bytes
    """The chorale alone as JSON without spaces; its hash names the chorale wherever it stands."""


def member_name(split: str, number: int) -> str:
    """Name of the chorale of that number (from 0) in a split of the file."""
    return f"{split}/{number:03d}"


def list_members(path: Path) -> list[Member]:
    """The chorales of the file, in its order.

    Raises:
        RejectedFileError: `unreadable`, or `invalid_score` where it is not JSON of that shape.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise RejectedFileError("unreadable", error.strerror or str(error)) from None
    if len(data) > MAX_JSON_BYTES:
        raise RejectedFileError("invalid_score", f"more than {MAX_JSON_BYTES // 2**20} MiB of JSON")
    splits = _loaded(data)
    if not isinstance(splits, dict) or not all(isinstance(chorales, list) for chorales in splits.values()):
        raise RejectedFileError("invalid_score", "not JSON that maps names of splits to lists of chorales")
    return [
        Member(member_name(split, number), json.dumps(chorale, separators=(",", ":")).encode())
        for split, chorales in splits.items()
        for number, chorale in enumerate(chorales)
    ]


def parse_chorale(data: bytes, sixteenth_sec: float) -> ParsedFile:
    """Everything that the lake keeps of one chorale: four tracks, soprano first.

    Args:
        data: one chorale as JSON, as `Member.data`.
        sixteenth_sec: how long a step lasts, seconds.

    Raises:
        RejectedFileError: `invalid_score` names the first step that does not hold; `no_notes`: all silence.
    """
    pitch = _pitches(_loaded(data))
    microseconds_per_quarter = np.array([round(4e6 * sixteenth_sec)])
    return build_parsed(
        format="json",
        title=None,
        composer="Johann Sebastian Bach",
        tempo=tempo_map(np.array([0]), microseconds_per_quarter, TICKS_PER_QUARTER),
        tracks=[_track(name, voice) for name, voice in zip(VOICES, pitch.T, strict=True)],
        time_signatures=np.empty((0, 3), np.int64),
        key_signatures=(),
        warnings=(),
    )


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RejectedFileError("invalid_score", f"not JSON: {error}") from None


def _pitches(chorale: Any) -> np.ndarray:
    """Pitches, shape (num_steps, 4)."""
    if not isinstance(chorale, list):
        raise RejectedFileError("invalid_score", f"a list of steps expected, found {type(chorale).__name__}")
    for number, step in enumerate(chorale):
        fits = isinstance(step, list) and len(step) == len(VOICES)
        if not fits or not all(type(p) is int and SILENCE <= p <= 127 for p in step):
            # Cut short: the step may be anything, as long as the file.
            raise RejectedFileError(
                "invalid_score", f"step {number}: {len(VOICES)} pitches from -1 to 127 expected, found {step!r:.60}"
            )
    return np.array(chorale, np.int16).reshape(-1, len(VOICES))


def _track(name: str, pitch: np.ndarray) -> Track:
    """Notes of one voice from its pitch on each step."""
    changes = np.flatnonzero(np.diff(pitch)) + 1
    starts = np.concatenate(([0], changes)) if len(pitch) else changes
    ends = np.append(starts[1:], len(pitch)) if len(pitch) else changes
    sounds = pitch[starts] != SILENCE
    starts, ends = starts[sounds], ends[sounds]
    return Track(
        name=name,
        pitch=pitch[starts].astype(np.uint8),
        velocity=np.full(len(starts), VELOCITY, np.uint8),
        onset_tick=(starts * TICKS_PER_STEP).astype(np.int32),
        duration_tick=((ends - starts) * TICKS_PER_STEP).astype(np.int32),
    )
