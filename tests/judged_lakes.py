"""A lake whose samples are written out: they loop, copy, are new, are silent, are none that an ingest takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from builders import build_tiny_shards, notes, settings_in, write_lake
from corpora import improvise, transposed

from pianogen.evaluation.judgements import judge_samples
from pianogen.lake import Lake, Stage, digest
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.settings import Settings
from pianogen.shards import ShardSet
from pianogen.tables import SCHEMAS

SAMPLES = Stage(name="samples", modules=("pianogen.tables",), tables=("samples",))
HOSTILE = 'Continuation of <script>"; drop table samples; --\x1b[2J'


def improvised_lake(root: Path) -> Lake:
    """Eight pieces of 200 notes to train on, two to validate, four to test; none like another."""
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 4
    pieces = {f"{k:032x}": (split, improvise(k, 200)) for k, split in enumerate(splits)}
    return write_lake(root, pieces)


def sample_row(name: str, columns: NoteColumns, **changes: object) -> dict:
    row = dict.fromkeys(SCHEMAS["samples"].names) | {
        "experiment": "tiny",
        "run_id": "r1",
        "sample": name,
        "title": HOSTILE,
        "prompt_sec": 0.0,
        "midi": midi_bytes(columns),
    }
    return row | changes


def publish_samples(lake: Lake, rows: list[dict]) -> None:
    key = digest(str(rows))
    if not lake.has_block("samples", key):
        lake.write_block("samples", key, {"samples": pa.Table.from_pylist(rows, SCHEMAS["samples"])})
    info = {"experiment": "tiny", "run_id": "r1", "shards_version": ShardSet(lake, "tiny").version}
    lake.publish(SAMPLES, [key], partition="tiny", info=info)


def judged_lake(folder: Path) -> tuple[Lake, Settings]:
    """The lake with its judgements; the prompt of one sample is from train."""
    settings = settings_in(folder)
    lake = improvised_lake(settings.lake)
    build_tiny_shards(lake, settings)
    train, new = improvise(3, 200), improvise(500, 200)
    end_tick = int(train.onset_tick[100])
    prompted = replace(
        train.take(slice(0, 100)),
        **{name: _joined(train, new, name, end_tick) for name in ("pitch", "velocity", "onset_tick", "duration_tick")},
    )
    rows = [
        sample_row("looping", notes(*[(k / 2, 60 + (0, 4, 7, 12)[k % 4], 0.5) for k in range(200)])),
        sample_row("copying", transposed(train, 3), prompt_performance_id=f"{3:032x}"),
        sample_row("new", new),
        sample_row("prompted", prompted.sorted(), prompt_sec=end_tick / 960),
        sample_row("silent", notes()),
        sample_row("crowded", notes(*[(0, k % 88 + 21, 0.1) for k in range(6000)])),
    ]
    publish_samples(lake, rows)
    judge_samples(lake, "tiny", settings)
    return lake, settings


def _joined(first: NoteColumns, second: NoteColumns, name: str, end_tick: int):
    values = getattr(second, name)
    later = values + end_tick if name == "onset_tick" else values
    return np.concatenate([getattr(first, name)[:100], later]).astype(values.dtype)
