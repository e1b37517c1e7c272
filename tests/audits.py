"""Splits to audit: pairs written into a lake, and folders of music that leak."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from corpora import improvise, transposed, write_midi

from pianogen.audit.sources import Source, from_folders
from pianogen.catalogue import Dataset
from pianogen.lake import Lake, Stage, digest
from pianogen.midi.columns import NoteColumns
from pianogen.tables import SCHEMAS

PIECES = [improvise(seed, 150) for seed in range(6)]

PAIR = {
    "relation": "same_work",
    "score": 0.5,
    "coverage": 0.8,
    "coverage_a": 0.7,
    "coverage_b": 0.8,
    "residual_sec": 0.4,
    "num_shared": 40,
    "num_anchors": 30,
    "semitones": 0,
    "is_mirrored": False,
    "tempo_ratio": 1.0,
}


def write_pairs(lake: Lake, files: Mapping[str, str | None], pairs: list[dict]) -> Source:
    """A lake of files, `split/name` -> performance (None: rejected), and their pairs."""
    splits = {name: name.partition("/")[0] for name in files}
    tables = {
        "files": [
            {"dataset": "listed", "path": name, "file_id": name, "size_bytes": 1, "performance_id": performance}
            for name, performance in files.items()
        ],
        "rejections": [
            {"dataset": "listed", "path": name, "file_id": name, "stage": "parse", "reason": "no_notes", "detail": "-"}
            for name, performance in files.items()
            if performance is None
        ],
        "performances": [
            {"performance_id": performance, "dataset": "listed", "title": f"Title {performance}"}
            for performance in files.values()
            if performance is not None
        ],
        "duplicate_pairs": [{**PAIR, **pair} for pair in pairs],
    }
    for name, rows in tables.items():
        key = digest(name, rows)
        lake.write_block(name, key, {name: pa.Table.from_pylist(rows, schema=SCHEMAS[name])})
        lake.publish(Stage(name=name, modules=(), tables=(name,)), [key])
    dataset = Dataset(name="listed", title="listed", folder=lake.root)
    return Source(title="listed", datasets=(dataset,), split_of={"listed": splits})


def write_split(folder: Path, **splits: dict[str, NoteColumns]) -> None:
    """Files into a folder for each split."""
    for split, files in splits.items():
        for name, columns in files.items():
            write_midi(folder / split / name, columns)


def leaking_folders(folder: Path) -> Source:
    """Test has one of its two pieces from train, three semitones higher."""
    write_split(
        folder,
        train={"a.mid": PIECES[0], "b.mid": PIECES[1]},
        test={"renamed.mid": transposed(PIECES[0], 3), "new.mid": PIECES[2]},
    )
    return from_folders({"train": folder / "train", "test": folder / "test"})
