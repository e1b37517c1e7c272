"""Fingerprints of every current performance as arrays in files, which the workers of a comparison share.

Performances are numbered in the order of their ids, so that no number depends on blocks or datasets. What belongs to
one lies together, ascending by shingle.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen.dedupe.alignment import Columns
from pianogen.dedupe.fingerprint import STAGE, key_of
from pianogen.lake import Lake
from pianogen.tables import SCHEMAS

_COLUMNS = {
    "shingle": np.uint64,
    "kind": np.uint8,
    "onset_sec": np.float32,
    "pitch": np.uint8,
    "is_mirrored": np.bool_,
}
_FIRST = "first.npy"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Fingerprints side by side."""

    folder: Path
    """Where the arrays lie."""
    ids: tuple[str, ...]
    """Of the performances, ascending."""
    first: np.ndarray
    """Number of each performance's first row, and of all."""
    facts: dict[str, np.ndarray]
    """Columns of the table `fingerprints`."""
    block_of: np.ndarray
    """Number of the block of each performance."""
    ingest_blocks: tuple[str, ...]
    """Blocks of the ingest, by their numbers."""
    dataset_of: np.ndarray
    """Number of the dataset of each performance."""


def load_corpus(lake: Lake, folder: Path) -> Corpus:
    """Read the current fingerprints and write their arrays into `folder`."""
    manifests = lake.manifests(STAGE.name)
    blocks = [key for manifest in manifests for key in manifest.blocks]
    dataset_of_block = np.repeat(np.arange(len(manifests)), [len(manifest.blocks) for manifest in manifests])
    ingested = {key_of(key): key for manifest in lake.manifests("ingest") for key in manifest.blocks}
    tables = [lake.read_block(STAGE.name, key, "fingerprints") for key in blocks]
    facts = pa.concat_tables([SCHEMAS["fingerprints"].empty_table(), *tables])
    order = np.argsort(np.array(facts["performance_id"].to_pylist(), dtype=str))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    block_of = np.repeat(np.arange(len(blocks)), [table.num_rows for table in tables])
    facts = facts.take(order)
    first = np.concatenate(([0], np.cumsum(facts["num_places"].to_numpy(), dtype=np.int64)))
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (max(int(first[-1]), 1),))
        for name, kind in _COLUMNS.items()
    }
    for block, key in enumerate(blocks):
        table = lake.read_block(STAGE.name, key, "shingles")
        numbers = number[block_of == block]
        ends = first[numbers + 1]
        edges = np.concatenate(([0], np.cumsum(ends - first[numbers])))
        for name, column in files.items():
            values = table[name].to_numpy()
            for n, i, j in zip(numbers, edges[:-1], edges[1:], strict=True):
                column[first[n] : first[n + 1]] = values[i:j]
    for column in files.values():
        column.flush()
    np.save(folder / _FIRST, first)
    names = ("notes_digest", "sampling", "num_shingles", "num_shingles_coarse", "num_chroma", "num_chroma_coarse")
    return Corpus(
        folder=folder,
        ids=tuple(facts["performance_id"].to_pylist()),
        first=first,
        facts={name: facts[name].to_numpy() for name in names},
        block_of=block_of[order],
        ingest_blocks=tuple(ingested[key] for key in blocks),
        dataset_of=dataset_of_block[block_of[order]],
    )


def columns_of(folder: Path) -> Columns:
    """Columns shingle, kind, onset_sec, pitch, is_mirrored of a corpus, mapped from its folder."""
    shingle, kind, onset_sec, pitch, is_mirrored = (load_array(folder / f"{name}.npy") for name in _COLUMNS)
    return shingle, kind, onset_sec, pitch, is_mirrored


def first_of(folder: Path) -> np.ndarray:
    """Number of each performance's first row, and of all, mapped from a corpus's folder."""
    return load_array(folder / _FIRST)


def load_array(path: Path) -> np.ndarray:
    """An array mapped from a file: workers share its memory."""
    # Writable, though nothing is written: compiled code knows two kinds of array, and one is enough.
    return np.load(path, mmap_mode="c").view(np.ndarray)
