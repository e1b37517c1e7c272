"""Rows of the warehouse's tables that tests of the report start from; a test writes out what it changes."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import symusic

from pianogen.statistics.bins import bin_table
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views
from pianogen.warehouse import METRICS, REFERENCE_RESULTS, RUNS

OWN = {"runs": RUNS, "metrics": METRICS, "reference_results": REFERENCE_RESULTS}
VIEWS = Path(__file__).resolve().parents[2] / "warehouse" / "views"

Rows = list[dict[str, Any]]
Note = tuple[int, float, float, int]
"""Pitch, onset_sec, duration_sec, velocity."""


def midi_bytes(notes: list[Note]) -> bytes:
    """A MIDI file with one piano track, at 120 quarters a minute and 1 ms a tick."""
    score = symusic.Score(500)
    score.tempos.append(symusic.Tempo(time=0, qpm=120))
    track = symusic.Track(program=0)
    for pitch, onset, duration, velocity in notes:
        track.notes.append(symusic.Note(round(onset * 1000), round(duration * 1000), pitch, velocity))
    score.tracks.append(track)
    return score.dumps_midi()


def sample(**columns: Any) -> dict[str, Any]:
    """A row of `samples`: two notes of prompt, two generated, unless said otherwise."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "sample": "prompt_0",
        "title": "A continuation",
        "prompt_performance_id": None,
        "prompt_sec": 1.0,
        "seed": 7,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 0.95,
        "num_notes": 4,
        "duration_sec": 4.0,
        "midi": midi_bytes([(60, 0.0, 0.5, 80), (64, 0.5, 0.5, 80), (67, 1.0, 1.0, 100), (72, 2.0, 2.0, 110)]),
    }
    return row | columns


def run(**columns: Any) -> dict[str, Any]:
    """A row of `runs`."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "status": "finished",
        "model": "gpt2",
        "tokenizer": "remi",
        "datasets": ["bach"],
        "context_length": 256,
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 128,
        "num_parameters": 1234567,
        "steps": 400,
        "best_step": 300,
        "validation_nll": 1.2,
        "seed": 1,
        "device": "cpu",
        "train_sec": 80.0,
        "peak_memory_mb": 900.0,
        "tokens_per_sec": 9000.0,
        "dataset_versions": [("bach", "d0d0d0d0d0d0d0d0")],
        "licences": [("bach", "CC0")],
        "non_commercial_datasets": [],
        "split_version": "5417aaaa",
        "shards_version": "54a2d000",
        "certificate": "ce27f1ca",
        "code_version": "c0de0000",
        "checkpoint": "best",
    }
    return row | columns


def evaluation(**columns: Any) -> dict[str, Any]:
    """A row of `evaluations`: 100 notes in 50 s, at 7 bits a note."""
    row = {
        "experiment": "quick",
        "run_id": "aaaa0000",
        "performance_id": "f00d",
        "num_tokens": 400,
        "num_notes": 100,
        "duration_sec": 50.0,
        "nats": 700 * 0.6931471805599453,
    }
    return row | columns


def corpus(dataset: str = "bach") -> dict[str, Rows]:
    """One dataset of three files: two performances, in train and test, and a rejection; measured in part."""
    ids = [f"{dataset}-{i}" for i in range(2)]
    measured = [(ids[0], 2, 3.5), (ids[1], 1, 1800.0)]
    notes = [(ids[0], 60, 0.0, 1.0), (ids[0], 64, 1.0, 3.5), (ids[1], 60, 0.5, 1800.0)]
    return {
        "files": [{"dataset": dataset, "path": f"{i}.mid"} for i in range(3)],
        "rejections": [{"dataset": dataset, "path": "2.mid", "stage": "parse", "reason": "truncated"}],
        "performances": [
            {"performance_id": ids[0], "dataset": dataset, "title": "Opus 1", "num_notes": 2, "duration_sec": 3.5},
            {"performance_id": ids[1], "dataset": dataset, "title": "Opus 2", "num_notes": 1, "duration_sec": 1800.0},
        ],
        "notes": [
            {"performance_id": p, "is_drum": False, "pitch": pitch, "velocity": 64, "onset_sec": on, "offset_sec": off}
            for p, pitch, on, off in notes
        ],
        "performance_statistics": [
            {"performance_id": p, "dataset": dataset, "num_notes": num_notes, "duration_sec": duration_sec}
            for p, num_notes, duration_sec in measured
        ],
        "histograms": [
            {"performance_id": p, "measure": "pitch", "bin": pitch, "weight": 1.0} for p, pitch, _, _ in notes
        ],
        "splits": [
            {"performance_id": ids[0], "dataset": dataset, "cluster_id": "a", "split": "train", "reason": "cluster"},
            {"performance_id": ids[1], "dataset": dataset, "cluster_id": "b", "split": "test", "reason": "cluster"},
        ],
        "clusters": [{"performance_id": i, "cluster_id": i, "is_representative": True, "cluster_size": 1} for i in ids],
    }


def leaking(dataset: str = "jsb", num_pairs: int = 1, other: str = "asap") -> dict[str, Rows]:
    """A published split in which test music stands in train, mended here; another dataset holds a copy of each.

    Performance i of `dataset` is published in train and left out here, i + 1 in test; `other` has no published split,
    and its copy stands in test.
    """
    tables: dict[str, Rows] = {
        name: [] for name in ("files", "sources", "performances", "splits", "clusters", "duplicate_pairs")
    }

    def add(i: str, name: str, published: str | None, split: str, size: int, removed_by: str | None) -> None:
        path = f"{name}/{i}.mid"
        tables["files"].append({"dataset": name, "path": path, "performance_id": i})
        title = None if published is None else f"Chorale {i[1:]}"
        tables["sources"].append({"dataset": name, "path": path, "title": title, "published_split": published})
        tables["performances"].append({"performance_id": i, "dataset": name, "num_notes": 9, "duration_sec": 60.0})
        tables["splits"].append({"performance_id": i, "dataset": name, "cluster_id": f"c{i[1:]}", "split": split})
        cluster = {"cluster_id": f"c{i[1:]}", "cluster_size": size, "is_representative": removed_by is None}
        tables["clusters"].append({"performance_id": i, "absorbed_by": removed_by, **cluster})

    def join(a: str, b: str, relation: str, **change: Any) -> None:
        pair = {"performance_a": a, "performance_b": b, "relation": relation, "score": 0.5, "semitones": 0}
        figures = {"coverage_a": 1.0, "coverage_b": 1.0, "is_mirrored": False, "tempo_ratio": 1.0, "num_anchors": 9}
        tables["duplicate_pairs"].append(pair | figures | change)

    for i in range(num_pairs):
        add(f"a{i:03d}", dataset, "train", "none", 3, "edited_copy")
        add(f"b{i:03d}", dataset, "test", "test", 3, None)
        add(f"o{i:03d}", other, None, "test", 3, "same_bytes")
        join(f"a{i:03d}", f"b{i:03d}", "edited_copy", semitones=-3, tempo_ratio=1.25)
        join(f"b{i:03d}", f"o{i:03d}", "same_bytes")
    add("m1", dataset, "train", "train", 1, None)
    add("m2", dataset, "validation", "validation", 1, None)
    join("m1", "m2", "shared_melody")
    return tables


def write_warehouse(path: Path, **tables: Rows) -> Path:
    """A warehouse with the true schemas and views, filled with rows by table; a column left out is null."""
    tables = {"histogram_bins": bin_table().to_pylist(), **tables}
    with duckdb.connect(str(path)) as connection:
        for table, schema in {**SCHEMAS, **OWN}.items():
            columns = {c.name: [row.get(c.name) for row in tables.get(table, [])] for c in schema}
            nullable = pa.schema([column.with_nullable(True) for column in schema])
            connection.register("rows_to_copy", pa.table(columns, schema=nullable))
            connection.execute(f"create table {table} as select * from rows_to_copy")
            connection.unregister("rows_to_copy")
        apply_views(connection, VIEWS)
    return path
