"""Inputs written out: notes, a lake with a little music in it, an experiment that trains in seconds."""

import random
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from pianogen.augment import AugmentConfig
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.midi.columns import NoteColumns
from pianogen.settings import Settings
from pianogen.shards import build_shards
from pianogen.tables import SCHEMAS, empty
from pianogen.training.experiment import ExperimentConfig, load_experiment

TPQ = 480


def notes(*rows: tuple[float, int, float], velocity: int = 80) -> NoteColumns:
    """Notes from (onset in quarters, pitch, duration in quarters)."""
    onset, pitch, duration = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return NoteColumns(
        pitch=np.array(pitch, np.uint8),
        velocity=np.full(len(rows), velocity, np.uint8),
        onset_tick=np.array([round(quarters * TPQ) for quarters in onset], np.int32),
        duration_tick=np.array([round(quarters * TPQ) for quarters in duration], np.int32),
        ticks_per_quarter=TPQ,
    ).sorted()


def scale(start: int, num_notes: int) -> NoteColumns:
    """A major scale up and down in eighths, as long as it takes: music that a tiny model can learn."""
    steps = [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2]
    return notes(*[(i / 2, start + steps[i % len(steps)], 0.5) for i in range(num_notes)])


def figure(seed: int, start: int, num_notes: int) -> NoteColumns:
    """A figure of 14 eighths over and over, another one for each seed: music that a tiny model can learn."""
    rng = random.Random(seed)
    steps = [rng.randrange(13) for _ in range(14)]
    return notes(*[(i / 2, start + steps[i % len(steps)], 0.5) for i in range(num_notes)])


def midi_bytes(*tracks: bytes, ticks_per_quarter: int = TPQ, format: int = 1) -> bytes:
    """A MIDI file byte by byte; each track as `event` and `press` give it, its end added."""
    header = struct.pack(">4sIHHH", b"MThd", 6, format, len(tracks), ticks_per_quarter)
    ended = [track + event(0, 0xFF, 0x2F, 0) for track in tracks]
    return header + b"".join(struct.pack(">4sI", b"MTrk", len(track)) + track for track in ended)


def event(delta: int, *data: int) -> bytes:
    """One event of a MIDI track, `delta` ticks after the one before."""
    digits = [delta & 0x7F]
    while delta := delta >> 7:
        digits.insert(0, delta & 0x7F | 0x80)
    return bytes([*digits, *data])


def press(pitch: int, ticks: int = TPQ, *, delta: int = 0, velocity: int = 80, channel: int = 0) -> bytes:
    """A note-on `delta` ticks after the event before, and its note-off `ticks` later."""
    return event(delta, 0x90 | channel, pitch, velocity) + event(ticks, 0x80 | channel, pitch, 0)


def tempo(microseconds_per_quarter: int, *, delta: int = 0) -> bytes:
    """A tempo event of a MIDI track."""
    return event(delta, 0xFF, 0x51, 3, *microseconds_per_quarter.to_bytes(3, "big"))


def settings_in(folder: Path) -> Settings:
    """Every place below one folder; one worker."""
    return Settings(
        root=folder,
        lake=folder / "lake",
        runs=folder / "runs",
        warehouse=folder / "warehouse.duckdb",
        report=folder / "report",
        sql=folder / "sql",
        experiments=folder,
        raw=folder / "raw",
        workers=1,
    )


def write_lake(root: Path, performances: dict[str, tuple[str, NoteColumns]], tempo_qpm: float = 120.0) -> Lake:
    """A lake of one dataset, `tiny`, as ingest and splits leave it, said to be without duplicates.

    Args:
        root: of the lake.
        performances: id -> split and notes.
        tempo_qpm: of all of them.
    """
    lake = Lake(root)
    ids = sorted(performances)
    columns = {name: performances[name][1] for name in ids}
    sec = 60 / tempo_qpm / TPQ
    tables = {
        "performances": [
            {
                "performance_id": name,
                "dataset": "tiny",
                "file_id": name,
                "format": "midi",
                "title": f"Piece {name}",
                "ticks_per_quarter": TPQ,
                "num_tracks": 1,
                "num_notes": len(columns[name]),
                "num_drum_notes": 0,
                "duration_sec": columns[name].end_tick * sec,
                "duration_quarters": columns[name].end_tick / TPQ,
                "warnings": [],
            }
            for name in ids
        ],
        "notes": [row for name in ids for row in _note_rows(name, columns[name], sec)],
        "tempos": [{"performance_id": name, "tick": 0, "time_sec": 0.0, "tempo_qpm": tempo_qpm} for name in ids],
        "splits": [
            {
                "performance_id": name,
                "dataset": "tiny",
                "cluster_id": name,
                "split": performances[name][0],
                "reason": "cluster",
            }
            for name in ids
        ],
    }
    tables |= {"time_signatures": [], "pedal_presses": []}
    arrow = {name: pa.Table.from_pylist(rows, SCHEMAS[name]) for name, rows in tables.items()}
    splits = arrow.pop("splits")
    ingested = _publish(lake, "ingest", arrow, partition="tiny", info={"dataset_version": digest(ids)})
    compared = _publish(lake, "fingerprints", {}, partition="tiny", info={"ingest_blocks": digest(ingested.blocks)})
    no_pairs = {"duplicate_pairs": empty("duplicate_pairs")}
    _publish(lake, "duplicate_pairs", no_pairs, info={"fingerprint_blocks": digest([("tiny", compared.blocks)])})
    split_manifest = _publish(lake, "splits", {"splits": splits})
    report = {"contamination": empty("contamination")}
    _publish(lake, "contamination", report, info={"splits_version": split_manifest.version})
    return lake


def write_tiny_lake(root: Path) -> Lake:
    """Figures: 8 performances to train on, 2 to validate, 3 to test."""
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 3
    return write_lake(
        root, {f"{i:032x}": (split, figure(i, 48 + i, 40 + 3 * i)) for i, split in enumerate(splits)}, tempo_qpm=100.0
    )


def write_tiny_experiment(folder: Path, name: str = "tiny", **training: object) -> Path:
    """An experiment file whose training takes a second or two; `training` overrides that section."""
    path = folder / f"{name}.yaml"
    sections = {
        "augmentation": {"semitones": [-1, 0, 1]},
        "model": {"name": "gpt2", "context_length": 32, "n_layer": 1, "n_head": 2, "n_embd": 16, "dropout": 0.1},
        "training": {
            "steps": 30,
            "batch_size": 4,
            "learning_rate": 0.01,
            "warmup_steps": 2,
            "validate_every": 10,
            "checkpoint_every": 5,
            "log_every": 4,
            "cpu_threads": 1,
            "device": "cpu",
            **training,
        },
        "generation": {"num_prompted": 2, "num_unprompted": 1, "prompt_sec": 3.0, "max_tokens": 60},
    }
    path.write_text(yaml.safe_dump(sections))
    return path


def build_tiny_shards(lake: Lake, settings: Settings, name: str = "tiny") -> Manifest:
    """The shards of `write_tiny_experiment`."""
    return build_shards(
        lake, settings, name=name, tokenizer={"name": "remi"}, augment=AugmentConfig(semitones=(-1, 0, 1))
    )


def train_tiny(folder: Path) -> tuple[Settings, ExperimentConfig]:
    """A lake, its shards and a finished training of them, in this process."""
    # Here, so that tests of the data side do without torch.
    from pianogen.train import StopSignal, train_experiment

    settings = settings_in(folder)
    build_tiny_shards(write_tiny_lake(settings.lake), settings)
    config = load_experiment(write_tiny_experiment(folder, steps=120, validate_every=40, checkpoint_every=40))
    assert train_experiment(config, settings, StopSignal()) == 0
    return settings, config


def _note_rows(performance_id: str, columns: NoteColumns, sec: float) -> list[dict]:
    return [
        {
            "performance_id": performance_id,
            "track": 0,
            "program": 0,
            "is_drum": False,
            "pitch": int(pitch),
            "velocity": int(velocity),
            "onset_tick": int(onset),
            "duration_tick": int(duration),
            "onset_sec": onset * sec,
            "offset_sec": (onset + duration) * sec,
            "held_sec": 0.0,
        }
        for pitch, velocity, onset, duration in zip(
            columns.pitch, columns.velocity, columns.onset_tick, columns.duration_tick, strict=True
        )
    ]


def _publish(
    lake: Lake, stage: str, tables: dict[str, pa.Table], *, partition: str = "all", info: dict | None = None
) -> Manifest:
    key = digest(stage, partition, [tables[name].to_pylist() for name in tables])
    if not lake.has_block(stage, key):
        lake.write_block(stage, key, tables)
    as_stage = Stage(name=stage, modules=("pianogen.tables",), tables=tuple(tables))
    return lake.publish(as_stage, [key], partition=partition, info=info)
