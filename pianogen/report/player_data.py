"""One performance as the player of our pages takes it: rows of notes, presses of the pedal, marked passages.

    notes         [pitch, onset, duration, velocity] each, by onset, without drums; a fifth number where the sustain
                  pedal holds the note after its note-off: for how long
    pedal         [press, lift] of the sustain pedal, ascending and disjoint
    marks         [start, end, label] each
    prompt_sec    where a prompt ends; 0 without
    duration_sec  end of what is seen

Times are seconds, rounded to a tenth of a millisecond.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pianogen.errors import RejectedFileError
from pianogen.midi.assemble import DRUM_CHANNEL
from pianogen.midi.columns import NoteColumns, united
from pianogen.midi.parsed import ParsedFile
from pianogen.reading import parse_bytes

DIGITS = 4
LONGEST_TAIL_SEC = 5.0
"""Seconds after the last note-off that are seen where the pedal holds on; the player's strings are still by then."""

Mark = tuple[float, float, str]
"""Start and end in seconds, and what it is called."""
Row = dict[str, Any]


def data_of_bytes(
    data: bytes, name: str = "performance.mid", *, prompt_sec: float = 0.0, marks: Sequence[Mark] = ()
) -> Row:
    """A MIDI or MusicXML file, from its bytes.

    Raises:
        RejectedFileError: it is no performance.
    """
    return data_of_parsed(parse_bytes(data, name), prompt_sec=prompt_sec, marks=marks)


def data_of_parsed(parsed: ParsedFile, *, prompt_sec: float = 0.0, marks: Sequence[Mark] = ()) -> Row:
    """A file that was read; each note is held by the pedal of its program, as the lake has it.

    Raises:
        RejectedFileError: it has drums alone.
    """
    notes = parsed.notes.filter(pc.invert(parsed.notes["is_drum"]))  # pyright: ignore[reportAttributeAccessIssue]
    presses = parsed.tables["pedal_presses"]
    is_sustain = pc.and_(  # pyright: ignore[reportAttributeAccessIssue]
        pc.equal(presses["pedal"], "sustain"),  # pyright: ignore[reportAttributeAccessIssue]
        pc.not_equal(presses["channel"], DRUM_CHANNEL),  # pyright: ignore[reportAttributeAccessIssue]
    )
    presses = presses.filter(is_sustain)
    return _data(
        *(notes[name].to_numpy() for name in ("pitch", "velocity", "onset_sec", "offset_sec", "held_sec")),
        press_sec=np.stack([presses[name].to_numpy() for name in ("press_sec", "lift_sec")], axis=1),
        prompt_sec=prompt_sec,
        marks=marks,
    )


def data_of_columns(notes: NoteColumns, *, prompt_sec: float = 0.0, marks: Sequence[Mark] = ()) -> Row:
    """Note columns, at their own tempi.

    Raises:
        RejectedFileError: there are no notes.
    """
    press = united(np.asarray(notes.press_tick, np.int64))
    offset = notes.onset_tick.astype(np.int64) + notes.duration_tick
    lift = np.concatenate(([-1], press[:, 1]))[np.searchsorted(press[:, 0], offset, side="right")]
    onset_sec, offset_sec, lift_sec = (
        notes.tempo_map.seconds(tick) for tick in (notes.onset_tick, offset, np.maximum(offset, lift))
    )
    press_sec = np.stack([notes.tempo_map.seconds(tick) for tick in press.T], axis=1)
    return _data(
        notes.pitch,
        notes.velocity,
        onset_sec,
        offset_sec,
        lift_sec - offset_sec,
        press_sec=press_sec,
        prompt_sec=prompt_sec,
        marks=marks,
    )


def _data(
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    held_sec: np.ndarray,
    *,
    press_sec: np.ndarray,
    prompt_sec: float,
    marks: Sequence[Mark],
) -> Row:
    if not len(pitch):
        raise RejectedFileError("no_notes", "there is nothing to play but drums")
    order = np.lexsort((pitch, onset_sec))
    columns = (pitch, _rounded(onset_sec), _rounded(offset_sec - onset_sec), velocity, _rounded(held_sec))
    rows = [list(row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]
    last_offset_sec = float(offset_sec.max())
    end_sec = min(float((offset_sec + held_sec).max()), last_offset_sec + LONGEST_TAIL_SEC)
    return {
        "notes": [row if row[-1] > 0 else row[:-1] for row in rows],
        "pedal": _rounded(united(press_sec)).tolist(),
        "marks": [[round(float(start), DIGITS), round(float(end), DIGITS), str(label)] for start, end, label in marks],
        "prompt_sec": float(prompt_sec),
        "duration_sec": round(max(end_sec, last_offset_sec), DIGITS),
    }


def _rounded(seconds: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(seconds, np.float64), DIGITS)
