"""Folders of music written out, and the stages from their files to splits; `python corpora.py LAKE` builds shards."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from builders import TPQ, settings_in

from pianogen.augment import AugmentConfig
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, Manifest
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.settings import Settings
from pianogen.shards import build_shards
from pianogen.splits import assign_splits

READY = "ready"
AUGMENT = AugmentConfig(semitones=(-1, 0, 1))


def improvise(seed: int, num_notes: int) -> NoteColumns:
    """Notes that wander over four octaves, two at a time now and then; another seed gives other music."""
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.integers(0, 4, num_notes)) * TPQ // 4
    pitch = 66 + np.abs(np.cumsum(rng.integers(-7, 8, num_notes)) % 64 - 32) - 16
    return NoteColumns(
        pitch=pitch.astype(np.uint8),
        velocity=rng.integers(40, 100, num_notes).astype(np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=(rng.integers(1, 5, num_notes) * TPQ // 4).astype(np.int32),
        ticks_per_quarter=TPQ,
    ).sorted()


def transposed(columns: NoteColumns, semitones: int) -> NoteColumns:
    return replace(columns, pitch=(columns.pitch.astype(int) + semitones).astype(np.uint8))


def write_midi(path: Path, columns: NoteColumns, tempo_qpm: float = 120.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(midi_bytes(columns, tempo_qpm))
    return path


def write_many(folder: Path, num_files: int = 400, num_notes: int = 30) -> Path:
    """A folder of short pieces, enough for several blocks."""
    for seed in range(num_files):
        write_midi(folder / f"{seed:03d}.mid", improvise(seed, num_notes))
    return folder


def here(folder: Path) -> Settings:
    """Places below a folder; the one worker is this process, not one that has to start first."""
    return replace(settings_in(folder), backend="threading")


def folder_dataset(folder: Path, name: str = "mine", split: str = "auto") -> Dataset:
    return Dataset(name=name, title=name, folder=folder, split=split)


def compare(lake: Lake, datasets: Sequence[Dataset], settings: Settings) -> Manifest:
    """Files to duplicate pairs."""
    for dataset in datasets:
        ingest_dataset(lake, dataset, settings)
        fingerprint_dataset(lake, dataset.name, settings)
    return find_duplicate_pairs(lake)


def curate(lake: Lake, datasets: Sequence[Dataset], settings: Settings) -> Manifest:
    """Files to splits."""
    compare(lake, datasets, settings)
    find_clusters(lake, [dataset.name for dataset in datasets], settings.splits)
    return assign_splits(lake, datasets, settings.splits)


def shard(lake: Lake, workers: int = 1) -> Manifest:
    """The shards `mine` of all music in a lake."""
    settings = replace(settings_in(lake.root.parent), workers=workers)
    return build_shards(lake, settings, name="mine", tokenizer={"name": "remi"}, augment=AUGMENT)


if __name__ == "__main__":
    print(READY, flush=True)
    shard(Lake(Path(sys.argv[1])))
