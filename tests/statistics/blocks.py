"""Tables of a block of the ingest, written out in the test that measures them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen.lake import Lake
from pianogen.midi.parse import parse_midi
from pianogen.midi.time import tempo_map
from pianogen.statistics.measures import READS, measure
from pianogen.tables import SCHEMAS

Row = dict[str, Any]


@dataclass(frozen=True)
class Note:
    """In ticks."""

    onset: int
    pitch: int
    duration: int
    velocity: int = 80
    track: int = 0
    program: int = 0
    is_drum: bool = False
    held_sec: float = 0.0
    """How long the pedal holds it after its note-off."""


@dataclass(frozen=True)
class Music:
    """One performance; times in ticks, of pedals in seconds."""

    notes: tuple[Note, ...]
    ticks_per_quarter: int = 480
    tempos: tuple[tuple[int, int], ...] = ((0, 500_000),)
    """Tick, microseconds per quarter."""
    presses: tuple[tuple[str, float, float], ...] = ()
    """Pedal, down, up."""
    controls: tuple[int, ...] = ()
    metres: tuple[tuple[int, int, int], ...] = ()
    keys: tuple[tuple[int, int, str], ...] = ()

    def transposed(self, semitones: int) -> "Music":
        moved = (n if n.is_drum else replace(n, pitch=n.pitch + semitones) for n in self.notes)
        return replace(self, notes=tuple(moved))

    def finer(self, times: int) -> "Music":
        """The same at a higher resolution."""
        return replace(
            self,
            notes=tuple(replace(n, onset=n.onset * times, duration=n.duration * times) for n in self.notes),
            ticks_per_quarter=self.ticks_per_quarter * times,
            tempos=tuple((tick * times, usec) for tick, usec in self.tempos),
            controls=tuple(tick * times for tick in self.controls),
            metres=tuple((tick * times, *metre) for tick, *metre in self.metres),
            keys=tuple((tick * times, *key) for tick, *key in self.keys),
        )


def quarters(*rows: tuple[float, int, float], **music: Any) -> Music:
    """Music from notes of (onset in quarters, pitch, duration in quarters), 120 of them in a minute."""
    return Music(tuple(Note(round(on * 480), pitch, round(length * 480)) for on, pitch, length in rows), **music)


def line(*pitches: int, each: float = 1.0, **music: Any) -> Music:
    """One note after the other, each as many quarters long."""
    return quarters(*[(i * each, pitch, each) for i, pitch in enumerate(pitches)], **music)


def block(*pieces: Music) -> dict[str, pa.Table]:
    """The tables of these performances, which are named by their number."""
    rows: dict[str, list[Row]] = {name: [] for name in READS}
    for number, piece in enumerate(pieces):
        for name, of_piece in _rows(piece).items():
            rows[name] += [{"performance_id": f"{number:024x}", **row} for row in of_piece]
    return {
        name: pa.Table.from_pylist(rows[name], schema=pa.schema([SCHEMAS[name].field(column) for column in columns]))
        for name, columns in READS.items()
    }


def _rows(piece: Music) -> dict[str, list[Row]]:
    clock = tempo_map(
        np.array([tick for tick, _ in piece.tempos], np.int64),
        np.array([usec for _, usec in piece.tempos], np.int64),
        piece.ticks_per_quarter,
    )

    def seconds(tick: int) -> float:
        return float(clock.seconds(np.array([tick]))[0])

    notes = sorted(piece.notes, key=lambda note: (note.onset, note.pitch, note.track))
    end = max((note.onset + note.duration for note in notes), default=0)
    num_drums = sum(note.is_drum for note in notes)
    facts = {
        "dataset": "written",
        "ticks_per_quarter": piece.ticks_per_quarter,
        "num_notes": len(notes) - num_drums,
        "num_drum_notes": num_drums,
        "duration_sec": seconds(end),
        "duration_quarters": end / piece.ticks_per_quarter,
    }
    return {
        "performances": [facts],
        "notes": [
            {
                "track": note.track,
                "program": note.program,
                "is_drum": note.is_drum,
                "pitch": note.pitch,
                "velocity": note.velocity,
                "onset_tick": note.onset,
                "duration_tick": note.duration,
                "onset_sec": seconds(note.onset),
                "offset_sec": seconds(note.onset + note.duration),
                "held_sec": note.held_sec,
            }
            for note in notes
        ],
        "controls": [{"tick": tick} for tick in piece.controls],
        "pedal_presses": [{"pedal": pedal, "press_sec": down, "lift_sec": up} for pedal, down, up in piece.presses],
        "tempos": [
            {"time_sec": seconds(int(tick)), "tempo_qpm": float(qpm)}
            for tick, qpm in zip(clock.tick, clock.tempo_qpm, strict=True)
        ],
        "time_signatures": [{"tick": tick, "numerator": n, "denominator": d} for tick, n, d in piece.metres],
        "key_signatures": [{"tick": tick, "sharps": sharps, "mode": mode} for tick, sharps, mode in piece.keys],
    }


def parsed_block(*files: bytes) -> dict[str, pa.Table]:
    """The same of MIDI files."""
    parsed = [parse_midi(data) for data in files]
    tables = {}
    for name, columns in READS.items():
        if name == "performances":
            tables[name] = pa.table(
                {
                    "performance_id": [f"{number:024x}" for number in range(len(parsed))],
                    "dataset": ["written"] * len(parsed),
                    **{column: [getattr(one, column) for one in parsed] for column in columns[2:]},
                },
                schema=pa.schema([SCHEMAS[name].field(column) for column in columns]),
            )
            continue
        parts = []
        for number, one in enumerate(parsed):
            part = one.tables[name].select(columns[1:])
            ids = pa.array([f"{number:024x}"] * part.num_rows, pa.string())
            part = part.add_column(0, SCHEMAS[name].field("performance_id"), ids)
            parts.append(part.cast(pa.schema([SCHEMAS[name].field(column) for column in columns])))
        tables[name] = pa.concat_tables(parts)
    return tables


def lake_block(lake: Lake, key: str) -> dict[str, pa.Table]:
    """The tables of one of the lake's blocks."""
    return {name: lake.read_block("ingest", key, name, columns) for name, columns in READS.items()}


def row_of(piece: Music) -> Row:
    """What is measured of one performance."""
    (row,) = measure(block(piece))["performance_statistics"].to_pylist()
    return row


def histogram_of(piece: Music, name: str) -> dict[int, float]:
    """Weights by bin."""
    cells = measure(block(piece))["histograms"].to_pylist()
    return {cell["bin"]: cell["weight"] for cell in cells if cell["measure"] == name}
