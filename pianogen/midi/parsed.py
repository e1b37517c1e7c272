"""One parsed file: the rows it gives to each table of the lake, before it has an id."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pianogen.errors import RejectedFileError
from pianogen.midi.pedal import PEDALS, SUSTAIN, merge_presses, presses, sounding_offsets
from pianogen.midi.time import TempoMap
from pianogen.tables import SCHEMAS

MAX_DURATION_SEC = 12 * 3600
"""Nothing that is played lasts longer; longer files have broken time stamps."""

MAX_TRACKS = 2**15 - 1
"""Numbers of tracks are 16 bits in the lake."""

PIANO = (21, 108)


@dataclass(frozen=True, eq=False)
class Track:
    """Events of one track (a voice of a score) in file time."""

    program: int
    is_drum: bool
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    control_tick: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    control_number: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    control_value: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True, eq=False, kw_only=True)
class ParsedFile:
    """What a file holds: tables without `performance_id`, and the facts of its `performances` row."""

    format: str
    title: str | None
    composer: str | None
    ticks_per_quarter: int
    tables: dict[str, pa.Table]
    num_tracks: int
    num_notes: int
    num_drum_notes: int
    duration_sec: float
    duration_quarters: float
    warnings: tuple[str, ...]

    @property
    def notes(self) -> pa.Table:
        """Rows of the lake's `notes`, without `performance_id`."""
        return self.tables["notes"]


@functools.cache
def columns_of(table: str) -> pa.Schema:
    """Schema of a table without `performance_id`."""
    return pa.schema([f for f in SCHEMAS[table] if f.name != "performance_id"])


def _table(name: str, column: Mapping[str, np.ndarray | pa.Array]) -> pa.Table:
    """A table of the lake without `performance_id`; numbers must fit its types."""
    schema = columns_of(name)
    return pa.Table.from_arrays([_array(column[field.name], field.type) for field in schema], schema=schema)


def _array(values: np.ndarray | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_boolean(kind):
        return pa.array(values, kind)
    # Around the buffer as it is: pa.array looks at every value, and this runs for every column of every file.
    buffer = pa.py_buffer(np.ascontiguousarray(values, _DTYPES[kind]))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


_DTYPES = {
    pa.int8(): np.int8,
    pa.uint8(): np.uint8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.float64(): np.float64,
}


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
    """Rows of every table from tracks in file time.

    Args:
        format: `midi` or `musicxml`.
        title: as the file says, or None.
        composer: as the file says, or None.
        tempo: the file's tempo map.
        tracks: in the order of the file.
        time_signatures: tick, numerator, denominator, shape (num_time_signatures, 3).
        key_signatures: tick, sharps, mode of each.
        warnings: what the parser noticed.

    Raises:
        RejectedFileError: no notes, or times that cannot be.
    """
    if len(tracks) > MAX_TRACKS:
        raise RejectedFileError("invalid_bytes", f"{len(tracks)} tracks, more than {MAX_TRACKS}")
    _check_ticks(tracks, tempo, [*time_signatures[:, 0], *(key[0] for key in key_signatures)])
    notes = _notes(tracks, tempo)
    if not notes.num_rows:
        raise RejectedFileError("no_notes", "the file is well formed and holds no note")
    end_tick = notes["onset_tick"].to_numpy().astype(np.int64) + notes["duration_tick"].to_numpy()
    duration_sec = float(notes["offset_sec"].to_numpy().max())
    if duration_sec > MAX_DURATION_SEC:
        raise RejectedFileError("implausible_time", f"the last note ends after {duration_sec / 3600:.1f} hours")
    is_drum = notes["is_drum"].to_numpy(zero_copy_only=False)
    if is_drum.all():
        raise RejectedFileError("no_notes", f"only drums: {len(is_drum)} notes on the drum channel")
    tables = {
        "notes": notes,
        "controls": _controls(tracks, tempo),
        "pedal_presses": _pedal_presses(tracks, tempo, int(end_tick.max())),
        "tempos": _table("tempos", {"tick": tempo.tick, "time_sec": tempo.start_sec, "tempo_qpm": tempo.tempo_qpm}),
        "time_signatures": _table(
            "time_signatures",
            {
                "tick": time_signatures[:, 0],
                "time_sec": tempo.seconds(time_signatures[:, 0]),
                "numerator": time_signatures[:, 1],
                "denominator": time_signatures[:, 2],
            },
        ),
        "key_signatures": _table(
            "key_signatures",
            {
                "tick": np.array([k[0] for k in key_signatures], np.int64),
                "time_sec": tempo.seconds(np.array([k[0] for k in key_signatures], np.int64)),
                "sharps": np.array([k[1] for k in key_signatures], np.int64),
                "mode": pa.array([k[2] for k in key_signatures], pa.string()),
            },
        ),
    }
    return ParsedFile(
        format=format,
        title=title,
        composer=composer,
        ticks_per_quarter=tempo.ticks_per_quarter,
        tables=tables,
        num_tracks=len(tracks),
        num_notes=int((~is_drum).sum()),
        num_drum_notes=int(is_drum.sum()),
        duration_sec=duration_sec,
        duration_quarters=float(end_tick.max() / tempo.ticks_per_quarter),
        warnings=(*warnings, *_note_warnings(notes, is_drum)),
    )


def _check_ticks(tracks: Sequence[Track], tempo: TempoMap, signature_tick: Sequence[int]) -> None:
    """Refuse times that a parser's 32 bits could not hold: they come out negative."""
    none = np.empty(0, np.int64)
    onset_tick = np.concatenate([none, *(track.onset_tick for track in tracks)])
    duration_tick = np.concatenate([none, *(track.duration_tick for track in tracks)])
    others = np.concatenate([tempo.tick, np.array(signature_tick, np.int64), *(t.control_tick for t in tracks)])
    tick = (onset_tick, duration_tick, onset_tick + duration_tick, others)
    first = min(int(part.min(initial=0)) for part in tick)
    last = max(int(part.max(initial=0)) for part in tick)
    if first < 0 or last >= 2**31:
        raise RejectedFileError("implausible_time", f"times from tick {first} to {last}; they must fit 0 to 2^31 - 1")


def _note_warnings(notes: pa.Table, is_drum: np.ndarray) -> list[str]:
    pitch = notes["pitch"].to_numpy()[~is_drum]
    found = []
    if off_piano := int(((pitch < PIANO[0]) | (pitch > PIANO[1])).sum()):
        found.append(f"notes_off_piano: {off_piano} notes outside pitches {PIANO[0]}-{PIANO[1]}")
    if zero := int((notes["duration_tick"].to_numpy() == 0).sum()):
        found.append(f"zero_length_notes: {zero} notes end where they begin")
    if is_drum.any():
        found.append(f"drums: {int(is_drum.sum())} notes on the drum channel, not tokenized")
    programs = np.unique(notes["program"].to_numpy()[~is_drum])
    if len(other := programs[programs > 7]):
        found.append(f"other_instruments: programs {', '.join(map(str, other))} are taken as piano")
    return found


def _notes(tracks: Sequence[Track], tempo: TempoMap) -> pa.Table:
    sizes = [len(track.pitch) for track in tracks]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(track, name) for track in tracks]) if tracks else np.empty(0, np.int32)

    column = {name: joined(name) for name in ("pitch", "velocity", "onset_tick", "duration_tick")}
    column["track"] = np.repeat(np.arange(len(tracks)), sizes)
    column["program"] = np.repeat(np.array([track.program for track in tracks], np.uint8), sizes)
    column["is_drum"] = np.repeat(np.array([track.is_drum for track in tracks], bool), sizes)
    order = np.lexsort((column["track"], column["pitch"], column["onset_tick"]))
    column = {name: values[order] for name, values in column.items()}
    onset_tick = column["onset_tick"].astype(np.int64)
    column["onset_sec"] = tempo.seconds(onset_tick)
    column["offset_sec"] = tempo.seconds(onset_tick + column["duration_tick"])
    column["sounding_offset_sec"] = _sounding(column, tracks, tempo)
    return _table("notes", column)


def _sounding(column: dict[str, np.ndarray], tracks: Sequence[Track], tempo: TempoMap) -> np.ndarray:
    """Offsets under the sustain pedal.

    The two hands of one instrument often lie in two tracks with the pedal in one of them, so a press
    holds the notes of every track of the same program.
    """
    sounding = column["offset_sec"].copy()
    end_tick = int((column["onset_tick"].astype(np.int64) + column["duration_tick"]).max(initial=0))
    held: dict[int, list[np.ndarray]] = {}
    for track in tracks:
        if not track.is_drum and (is_sustain := track.control_number == SUSTAIN).any():
            found = presses(track.control_tick[is_sustain], track.control_value[is_sustain], end_tick)
            held.setdefault(track.program, []).append(found)
    for program, found in held.items():
        rows = (column["program"] == program) & ~column["is_drum"]
        press_sec = tempo.seconds(merge_presses(np.concatenate(found)))
        sounding[rows] = sounding_offsets(sounding[rows], press_sec)
    return sounding


def _controls(tracks: Sequence[Track], tempo: TempoMap) -> pa.Table:
    sizes = [len(track.control_tick) for track in tracks]
    tick = np.concatenate([np.empty(0, np.int32), *(track.control_tick for track in tracks)])
    column = {
        "track": np.repeat(np.arange(len(tracks)), sizes),
        "tick": tick,
        "time_sec": tempo.seconds(tick.astype(np.int64)),
        "number": np.concatenate([np.empty(0, np.uint8), *(track.control_number for track in tracks)]),
        "value": np.concatenate([np.empty(0, np.uint8), *(track.control_value for track in tracks)]),
    }
    return _table("controls", column)


def _pedal_presses(tracks: Sequence[Track], tempo: TempoMap, end_tick: int) -> pa.Table:
    rows: list[tuple[int, str, np.ndarray]] = []
    for number, track in enumerate(tracks):
        for controller in PEDALS.keys() & np.flatnonzero(np.bincount(track.control_number, minlength=1)).tolist():
            chosen = track.control_number == controller
            held = presses(track.control_tick[chosen], track.control_value[chosen], end_tick)
            rows.append((number, PEDALS[controller], held))
    rows.sort(key=lambda row: row[:2])
    sizes = [len(row[2]) for row in rows]
    intervals = tempo.seconds(np.concatenate([np.empty((0, 2), np.int64), *(row[2] for row in rows)]))
    return _table(
        "pedal_presses",
        {
            "track": np.repeat(np.array([row[0] for row in rows], np.int16), sizes),
            "pedal": pa.array(np.repeat(np.array([row[1] for row in rows], object), sizes), pa.string()),
            "press_sec": intervals[:, 0],
            "lift_sec": intervals[:, 1],
        },
    )
