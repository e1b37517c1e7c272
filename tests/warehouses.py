"""A lake with a little music, finished runs, and what a warehouse is published from."""

import json
from pathlib import Path

import pyarrow as pa

from pianogen.lake import Lake, Stage
from pianogen.tables import SCHEMAS

SQL = Path(__file__).resolve().parents[1] / "warehouse"
INGEST = Stage(name="ingest", modules=("pianogen.tables",), tables=("performances", "notes"))
RUN = {
    "experiment": "quick",
    "run_id": "0123abcd",
    "status": "finished",
    "model": "gpt2",
    "tokenizer": "remi",
    "datasets": ["a"],
    "context_length": 512,
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 256,
    "num_parameters": 3_000_000,
    "steps": 200,
    "best_step": 150,
    "validation_nll": 2,
    "seed": 1,
    "device": "cpu",
    "train_sec": 90.5,
    "peak_memory_mb": 900.0,
    "tokens_per_sec": 5000.0,
    "dataset_versions": {"b": "2222", "a": "1111"},
    "licences": {"b": "CC BY-NC 4.0", "a": "CC0"},
    "non_commercial_datasets": ["b"],
    "split_version": "s",
    "shards_version": "t",
    "certificate": "c",
    "code_version": "v",
    "parents": None,
    "parents_check": None,
    "leak": 0.0,
    "checkpoint": "checkpoints/best",
}
METRIC = {"step": 10, "split": "validation", "nll": 3.5, "tokens_per_sec": 1, "elapsed_sec": 2.0, "memory_mb": 3.0}


def add_performance(lake: Lake, name: str, *notes: tuple[int, float, float], dataset: str = "a") -> None:
    """One block with one performance of (pitch, onset_sec, offset_sec) notes, after those already there."""
    performance = {
        "performance_id": name,
        "dataset": dataset,
        "num_notes": len(notes),
        "num_drum_notes": 0,
        "duration_sec": max(offset for *_, offset in notes),
    }
    rows = [
        {
            "performance_id": name,
            **dict.fromkeys(("track", "program", "onset_tick", "duration_tick"), 0),
            "is_drum": False,
            "pitch": p,
            "velocity": 64,
            "onset_sec": on,
            "offset_sec": off,
            "held_sec": 0.0,
        }
        for p, on, off in notes
    ]
    key = f"block-{name}"
    lake.write_block(
        "ingest",
        key,
        {
            "performances": pa.Table.from_pylist([performance], schema=SCHEMAS["performances"]),
            "notes": pa.Table.from_pylist(rows, schema=SCHEMAS["notes"]),
        },
    )
    before = lake.manifest("ingest")
    lake.publish(INGEST, [*(before.blocks if before else ()), key])


def write_run(runs: Path, **changes) -> Path:
    fields = RUN | changes
    folder = runs / fields["experiment"] / fields["run_id"]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(fields))
    lines = [METRIC | {"step": 5, "split": "train", "learning_rate": 0.001}, METRIC]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
