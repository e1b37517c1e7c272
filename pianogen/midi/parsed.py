"""Parsed files: the facts and the rows that they give to each table of the lake, before they have ids."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pianogen.errors import RejectedFileError
from pianogen.midi.assemble import HIGHEST_PIANO, LOWEST_PIANO, MAX_DURATION_SEC
from pianogen.midi.scan import MAX_TICK, MAX_TRACKS
from pianogen.midi.time import TempoMap
from pianogen.tables import SCHEMAS

EVENT_TABLES = (
    "notes",
    "controls",
    "pedal_presses",
    "tempos",
    "time_signatures",
    "key_signatures",
    "parts",
    "message_counts",
)
"""Tables that a parsed file gives rows to."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Facts:
    """The facts of a file's `performances` row."""

    format: str
    title: str | None = None
    composer: str | None = None
    ticks_per_quarter: int
    num_tracks: int
    num_notes: int
    num_drum_notes: int
    duration_sec: float
    duration_quarters: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class ParsedFile(Facts):
    """What a file holds: its facts, and tables without `performance_id`."""

    tables: dict[str, pa.Table]

    @property
    def notes(self) -> pa.Table:
        """Rows of the lake's `notes`, without `performance_id`."""
        return self.tables["notes"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ParsedFiles:
    """What several files hold."""

    outcomes: tuple[Facts | RejectedFileError, ...]
    """For each file, in the order given."""
    tables: dict[str, pa.Table]
    """Rows of the accepted files one after the other, without `performance_id`."""
    sizes: dict[str, np.ndarray]
    """Number of rows of each accepted file in each table."""


@dataclass(frozen=True, eq=False)
class Track:
    """Notes of one voice of a score in file time."""

    name: str | None
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray


@functools.cache
def columns_of(table: str) -> pa.Schema:
    """Schema of a table without `performance_id`."""
    return pa.schema([f for f in SCHEMAS[table] if f.name != "performance_id"])


def table_of(name: str, column: Mapping[str, np.ndarray | pa.Array]) -> pa.Table:
    """A table of the lake without `performance_id`; numbers must fit its types.

    Columns of the right type are not copied.
    """
    schema = columns_of(name)
    arrays = [_array(column[field.name], field.type) for field in schema]
    given = [f.with_type(a.type) if pa.types.is_dictionary(a.type) else f for f, a in zip(schema, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(given))


def _array(values: np.ndarray | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_boolean(kind):
        return pa.array(values, kind)
    # Around the buffer as it is: pa.array looks at every value, and this runs for every column.
    buffer = pa.py_buffer(np.ascontiguousarray(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def build_parsed(
    *,
    format: str,
    title: str | None,
    composer: str | None,
    tempo: TempoMap,
    tracks: Sequence[Track],
    time_signatures: np.ndarray,
    key_signatures: Sequence[tuple[int, int, str]],
    warnings: Sequence[str],
) -> ParsedFile:
    """Rows of every table from the voices of a score, which is played as piano and without pedal.

    Args:
        format: `musicxml` or `json`.
        title: as the file says, or None.
        composer: as the file says, or None.
        tempo: the file's tempo map.
        tracks: from the top.
        time_signatures: tick, numerator, denominator, shape (num_time_signatures, 3).
        key_signatures: tick, sharps, mode of each.
        warnings: what the parser noticed.

    Raises:
        RejectedFileError: no notes, or times that cannot be.
    """
    if len(tracks) > MAX_TRACKS:
        raise RejectedFileError("too_many_tracks", f"{len(tracks)} tracks, more than {MAX_TRACKS}")
    _check_ticks(tracks, tempo, [*time_signatures[:, 0], *(key[0] for key in key_signatures)])
    notes = _notes(tracks, tempo)
    if not notes.num_rows:
        raise RejectedFileError("no_notes", "the file is well formed and holds no note")
    end_tick = notes["onset_tick"].to_numpy().astype(np.int64) + notes["duration_tick"].to_numpy()
    duration_sec = float(notes["offset_sec"].to_numpy().max())
    if duration_sec > MAX_DURATION_SEC:
        raise RejectedFileError("implausible_time", f"the last note ends after {duration_sec / 3600:.1f} hours")
    key_tick = np.array([k[0] for k in key_signatures], np.int64)
    empty = {name: columns_of(name).empty_table() for name in EVENT_TABLES}
    tables = {
        **empty,
        "notes": notes,
        "tempos": table_of(
            "tempos", {"tick": tempo.tick, "time_sec": tempo.seconds(tempo.tick), "tempo_qpm": tempo.tempo_qpm}
        ),
        "time_signatures": table_of(
            "time_signatures",
            {
                "tick": time_signatures[:, 0],
                "time_sec": tempo.seconds(time_signatures[:, 0]),
                "numerator": time_signatures[:, 1],
                "denominator": time_signatures[:, 2],
            },
        ),
        "key_signatures": table_of(
            "key_signatures",
            {
                "tick": key_tick,
                "time_sec": tempo.seconds(key_tick),
                "sharps": np.array([k[1] for k in key_signatures], np.int64),
                "mode": pa.array([k[2] for k in key_signatures], pa.string()),
            },
        ),
        "parts": _parts(tracks),
    }
    return ParsedFile(
        format=format,
        title=title,
        composer=composer,
        ticks_per_quarter=tempo.ticks_per_quarter,
        tables=tables,
        num_tracks=len(tracks),
        num_notes=notes.num_rows,
        num_drum_notes=0,
        duration_sec=duration_sec,
        duration_quarters=float(end_tick.max() / tempo.ticks_per_quarter),
        warnings=(*warnings, *_note_warnings(notes)),
    )


def _check_ticks(tracks: Sequence[Track], tempo: TempoMap, signature_tick: Sequence[int]) -> None:
    none = np.empty(0, np.int64)
    onset_tick = np.concatenate([none, *(track.onset_tick for track in tracks)])
    duration_tick = np.concatenate([none, *(track.duration_tick for track in tracks)])
    others = np.concatenate([tempo.tick, np.array(signature_tick, np.int64)])
    tick = (onset_tick, duration_tick, onset_tick + duration_tick, others)
    first = min(int(part.min(initial=0)) for part in tick)
    last = max(int(part.max(initial=0)) for part in tick)
    if first < 0 or last > MAX_TICK:
        raise RejectedFileError("implausible_time", f"times from tick {first} to {last}; they must fit 0 to {MAX_TICK}")


def _note_warnings(notes: pa.Table) -> list[str]:
    pitch = notes["pitch"].to_numpy()
    found = []
    if off_piano := int(((pitch < LOWEST_PIANO) | (pitch > HIGHEST_PIANO)).sum()):
        found.append(f"notes_off_piano: {off_piano} notes outside pitches {LOWEST_PIANO}-{HIGHEST_PIANO}")
    if zero := int((notes["duration_tick"].to_numpy() == 0).sum()):
        found.append(f"zero_length_notes: {zero} notes end where they begin")
    return found


def _notes(tracks: Sequence[Track], tempo: TempoMap) -> pa.Table:
    sizes = [len(track.pitch) for track in tracks]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(track, name) for track in tracks]) if tracks else np.empty(0, np.int32)

    column = {name: joined(name) for name in ("pitch", "velocity", "onset_tick", "duration_tick")}
    column["track"] = np.repeat(np.arange(len(tracks)), sizes)
    order = np.lexsort((column["track"], column["pitch"], column["onset_tick"]))
    column = {name: values[order] for name, values in column.items()}
    onset_tick = column["onset_tick"].astype(np.int64)
    column["program"] = np.zeros(len(onset_tick), np.uint8)
    column["is_drum"] = np.zeros(len(onset_tick), np.bool_)
    column["onset_sec"] = tempo.seconds(onset_tick)
    column["offset_sec"] = tempo.seconds(onset_tick + column["duration_tick"])
    column["held_sec"] = np.zeros(len(onset_tick), np.float32)
    return table_of("notes", column)


def _parts(tracks: Sequence[Track]) -> pa.Table:
    zeros = np.zeros(len(tracks), np.uint8)
    return table_of(
        "parts",
        {
            "track": np.arange(len(tracks)),
            "channel": zeros,
            "name": pa.array([track.name for track in tracks], pa.string()),
            "program": zeros,
            "is_drum": zeros.astype(np.bool_),
            "num_notes": np.array([len(track.pitch) for track in tracks], np.int32),
        },
    )
