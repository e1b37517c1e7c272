"""Notes as rows of four numbers: time shift, velocity, pitch, duration.

    time shift  milliseconds since the onset of the note before; of the first note, since the beginning
    velocity    0-1: MIDI's velocity by 127
    pitch       MIDI number
    duration    milliseconds from note-on to note-off

Notes stand by onset, then pitch, then duration. Time shifts are float32 and onsets are their sum, so each is taken from
where the shifts before it lead, not from the note before: what one is rounded by, the next one makes good. Notes that
begin together have the time shift 0.

docs/tokenizers/continuous.md has the whole definition and the form as JSON.

Source: V5 of the study that this project grows out of. How its times are rounded is not known; here it is as above.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pianogen.compiled import njit
from pianogen.errors import RejectedFileError, SettingsError
from pianogen.midi.blocks import MusicBlock, steady_music
from pianogen.ordering import order_of
from pianogen.tokenizers.base import BlockTokenizer, TokenBlock, check_pitches

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

FIELDS = ("time_shift", "velocity", "pitch", "duration")
"""Of a row, and of a note event of the JSON form."""
PITCH = FIELDS.index("pitch")

STEPS_PER_MS = 64
"""Onsets are rounded to multiples of 1/64 ms: shifts below 262 s are exact in float32."""
TICKS_PER_QUARTER = 500
"""Of what is decoded: at 120 quarters a minute a tick is a millisecond."""
LARGEST = float(str(np.finfo(np.float32).max))
"""Of float32, in the digits that are written of it."""
LAST_MS = 2**30
"""Where time stops in decoding, and the longest duration: 12 days, which leaves ticks room in int32."""


class Continuous(BlockTokenizer):
    """Rows of four float32 instead of ids.

    Args:
        lowest_pitch: notes below are left out.
        highest_pitch: notes above are left out.
    """

    name = "continuous"
    width = len(FIELDS)
    pitch_column = PITCH
    vocab = ()
    carries = frozenset({"pitch", "onset", "duration", "velocity"})
    clock = "seconds"

    def __init__(self, *, lowest_pitch: int = 21, highest_pitch: int = 108) -> None:
        self.options = {"lowest_pitch": lowest_pitch, "highest_pitch": highest_pitch}
        for option, value in self.options.items():
            if type(value) is not int:
                raise SettingsError(f"tokenizer continuous: {option} must be a whole number, found {value!r}")
        check_pitches(self.name, lowest_pitch, highest_pitch)
        self.pitch_range = (lowest_pitch, highest_pitch)

    @property
    def dtype(self) -> np.dtype:
        """Of the four numbers."""
        return np.dtype(np.float32)

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""
        columns = (music.pitch, music.velocity, music.onset_sec, music.offset_sec)
        return TokenBlock(*_rows(music.note_edges, *columns, *self.pitch_range))

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """Notes on a grid of a millisecond, whatever the numbers are.

        A row is passed over if one of its numbers is not finite, or if all are 0, as padding is. Else its time
        passes, none if the shift is negative. Then there is a note, unless the pitch, rounded, lies off `pitch_range`;
        velocity and duration are taken to the nearest that there is: 1-127, and 1 ms to `LAST_MS`.
        """
        rows = np.ascontiguousarray(tokens.values, np.float64).reshape(-1, self.width)
        edges, pitch, velocity, onset, duration = _notes(np.asarray(tokens.edges), rows, *self.pitch_range)
        which = np.repeat(np.arange(len(tokens)), np.diff(edges))
        order = order_of(which, onset, pitch, duration)
        if order is not None:
            pitch, velocity, onset, duration = pitch[order], velocity[order], onset[order], duration[order]
        return steady_music(
            TICKS_PER_QUARTER, edges, pitch=pitch, velocity=velocity, onset_tick=onset, duration_tick=duration
        )

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """See `Tokenizer`; rows of padding stay as they are."""
        moved = np.array(tokens, np.float32).reshape(-1, self.width)
        is_note = moved.any(axis=1)
        moved[is_note, PITCH] += semitones
        low, high = self.pitch_range
        # A pitch that is no number lies nowhere.
        if not ((moved[is_note, PITCH] >= low) & (moved[is_note, PITCH] <= high)).all():
            raise ValueError(f"{semitones} semitones move a pitch out of {self.pitch_range}")
        return moved


@njit
def _rows(
    edges: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_sec: np.ndarray,
    offset_sec: np.ndarray,
    low: int,
    high: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the notes from pitch low to high, and their edges."""
    num_kept = 0
    for k in range(len(pitch)):
        num_kept += low <= pitch[k] <= high
    rows, row_edges = np.empty((num_kept, 4), np.float32), np.zeros(len(edges), np.int64)
    n = 0
    for i in range(len(edges) - 1):
        # Where the time shifts lead, and the onset of the note before: both in milliseconds.
        at_ms, before_ms = 0.0, 0.0
        for k in range(edges[i], edges[i + 1]):
            if not low <= pitch[k] <= high:
                continue
            onset_ms = np.rint(onset_sec[k] * (1000 * STEPS_PER_MS)) / STEPS_PER_MS
            shift = np.float32(max(onset_ms - at_ms, 0.0)) if onset_ms != before_ms else np.float32(0)
            at_ms += np.float64(shift)
            before_ms = onset_ms
            rows[n, 0] = shift
            rows[n, 1] = velocity[k] / 127
            rows[n, 2] = pitch[k]
            rows[n, 3] = max(offset_sec[k] - onset_sec[k], 0.0) * 1000
            n += 1
        row_edges[i + 1] = n
    return rows, row_edges


@njit
def _notes(
    edges: np.ndarray, rows: np.ndarray, low: int, high: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges, pitch, velocity, onset and duration in milliseconds of what rows say, in their order."""
    pitch, velocity = np.empty(len(rows), np.uint8), np.empty(len(rows), np.uint8)
    onset, duration = np.empty(len(rows), np.int32), np.empty(len(rows), np.int32)
    note_edges = np.zeros(len(edges), np.int64)
    n = 0
    for i in range(len(edges) - 1):
        at_ms = 0.0
        for k in range(edges[i], edges[i + 1]):
            row = rows[k]
            is_finite, is_padding = True, True
            for f in range(4):
                is_finite &= np.isfinite(row[f])
                is_padding &= row[f] == 0
            if is_padding or not is_finite:
                continue
            at_ms = min(at_ms + max(row[0], 0.0), LAST_MS)
            nearest = np.rint(row[2])
            if not low <= nearest <= high:
                continue
            pitch[n] = np.uint8(nearest)
            velocity[n] = np.uint8(min(max(np.rint(row[1] * 127), 1), 127))
            onset[n] = np.int32(np.rint(at_ms))
            duration[n] = np.int32(min(max(np.rint(row[3]), 1), LAST_MS - 1))
            n += 1
        note_edges[i + 1] = n
    return note_edges, pitch[:n], velocity[:n], onset[:n], duration[:n]


def write_note_events(rows: np.ndarray, path: Path) -> None:
    """Write rows as a JSON list of note events, one a line.

    Raises:
        ValueError: a number is not finite, which JSON has no word for.
    """
    rows = np.asarray(rows, np.float32).reshape(-1, len(FIELDS))
    if not np.isfinite(rows).all():
        k = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise ValueError(f"numbers of note events must be finite, row {k} is {rows[k].tolist()}")
    # The shortest digits that give the same float32 again.
    digits = [[_number(text) for text in column.astype(str)] for column in rows.T]
    lines = [json.dumps(dict(zip(FIELDS, numbers, strict=True))) for numbers in zip(*digits, strict=True)]
    path.write_text("[" + ",".join("\n " + line for line in lines) + "\n]\n", encoding="utf-8")


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def read_note_events(path: Path) -> np.ndarray:
    """Rows of a JSON list of note events, float32, shape (num_notes, 4).

    Raises:
        RejectedFileError: it is no such list.
    """
    form = '[{"time_shift": 12.5, "velocity": 0.63, "pitch": 60, "duration": 250.0}, …]'
    try:
        events = json.loads(path.read_bytes())
    except OSError as error:
        raise RejectedFileError("unreadable", f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RejectedFileError("invalid_score", f"{path} is no JSON ({error}); note events are {form}") from None
    if not isinstance(events, list):
        found = _shown(events)
        raise RejectedFileError("invalid_score", f"{path} must hold a list of note events, found {found}; write {form}")
    for k, event in enumerate(events):
        if wrong := _wrong(event):
            raise RejectedFileError("invalid_score", f"{path}: note event {k} {wrong}; note events are {form}")
    rows = [[event[name] for name in FIELDS] for event in events]
    return np.array(rows, np.float32).reshape(-1, len(FIELDS))


def _wrong(event: Any) -> str:
    """What is wrong with a note event; nothing if it is none."""
    if not isinstance(event, dict):
        return f"must be an object with {', '.join(FIELDS)}, found {_shown(event)}"
    if missing := [name for name in FIELDS if name not in event]:
        return f"must have {', '.join(FIELDS)}; it has no {', '.join(missing)}"
    if strange := [name for name in event if name not in FIELDS]:
        return f"must have nothing but {', '.join(FIELDS)}, found {', '.join(map(_shown, strange))}"
    for name in FIELDS:
        value = event[name]
        if type(value) not in (int, float) or not abs(value) <= LARGEST:
            return f"must have a finite number as {name}, found {_shown(value)}"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
