"""Fingerprints of performances: content hashes and shingles, a block for each block of the ingest."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.dedupe.content_hash import content_hashes
from pianogen.dedupe.shingle import CHROMA, COARSE, Shingles, shingles
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.settings import Settings
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="fingerprints",
    modules=("pianogen.dedupe.content_hash", "pianogen.dedupe.fingerprint", "pianogen.dedupe.shingle"),
    packages=("pyarrow",),
    tables=("content_hashes", "shingles", "fingerprints"),
)


def fingerprint_dataset(
    lake: Lake, dataset: str, settings: Settings, progress: parallel.Progress | None = None
) -> Manifest:
    """Content hashes and shingles of every performance of an ingested dataset, one block for each of its blocks."""
    ingested = lake.require("ingest", dataset)
    tasks = [_Task(lake.root, block, key_of(block)) for block in ingested.blocks]
    todo = [task for task in tasks if not lake.has_block(STAGE.name, task.key)]
    parallel.map_blocks(_fingerprint_block, todo, settings, progress)
    info = {"num_performances": ingested.info["num_performances"], "ingest_blocks": digest(ingested.blocks)}
    return lake.publish(STAGE, [task.key for task in tasks], partition=dataset, info=info)


def key_of(ingest_block: str) -> str:
    """Key of the block of fingerprints that belongs to a block of the ingest."""
    return STAGE.key(inputs=[ingest_block])


class PitchedNotes(NamedTuple):
    """Notes of one performance without drums, ordered by onset, then pitch."""

    performance_id: str
    pitch: np.ndarray
    velocity: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray


def pitched_notes(lake: Lake, ingest_block: str) -> Iterator[PitchedNotes]:
    """Notes of every performance of a block of the ingest, in its order."""
    names = PitchedNotes._fields[1:]
    notes = lake.read_block("ingest", ingest_block, "notes", ["performance_id", *names, "is_drum"])
    ids = notes["performance_id"].combine_chunks().dictionary_encode()
    codes, is_kept = ids.indices.to_numpy(), ~notes["is_drum"].to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    # Of a performance that has drums alone nothing is left, but it is there.
    kept_before = np.concatenate(([0], np.cumsum(is_kept)))
    edges = [*kept_before[starts].tolist(), int(kept_before[-1])]
    columns = [notes[name].to_numpy()[is_kept] for name in names]
    for start, (begin, end) in zip(starts, itertools.pairwise(edges), strict=True):
        yield PitchedNotes(ids.dictionary[codes[start]].as_py(), *(column[begin:end] for column in columns))


@dataclass(frozen=True)
class _Task:
    lake: Path
    ingest_block: str
    key: str


def _fingerprint_block(task: _Task) -> None:
    lake = Lake(task.lake)
    ids, hashes, found, digests = [], [], [], []
    for notes in pitched_notes(lake, task.ingest_block):
        ids.append(notes.performance_id)
        hashes.append(vars(content_hashes(notes.pitch, notes.velocity, notes.onset_sec, notes.offset_sec)))
        found.append(shingles(notes.pitch, notes.onset_sec, notes.offset_sec))
        digests.append(_digest_of(notes))
    rows = [{"performance_id": i, **row} for i, row in zip(ids, hashes, strict=True)]
    tables = {
        "content_hashes": pa.Table.from_pylist(rows, schema=SCHEMAS["content_hashes"]),
        "shingles": _shingle_table(ids, found),
        "fingerprints": pa.Table.from_pylist(
            [
                {"performance_id": i, "notes_digest": notes_digest, **_counts(one)}
                for i, notes_digest, one in zip(ids, digests, found, strict=True)
            ],
            schema=SCHEMAS["fingerprints"],
        ),
    }
    lake.write_block(STAGE.name, task.key, tables)


def _shingle_table(ids: list[str], found: list[Shingles]) -> pa.Table:
    schema = SCHEMAS["shingles"]
    which = np.repeat(np.arange(len(ids), dtype=np.int32), [len(one.shingle) for one in found])
    names = pa.DictionaryArray.from_arrays(pa.array(which), pa.array(ids, pa.string()))
    columns = [
        np.concatenate([np.empty(0, field.type.to_pandas_dtype()), *(getattr(one, field.name) for one in found)])
        for field in list(schema)[1:]
    ]
    fields = [schema.field(0).with_type(names.type), *list(schema)[1:]]
    return pa.Table.from_arrays([names, *columns], schema=pa.schema(fields))


def _digest_of(notes: PitchedNotes) -> int:
    state = hashlib.sha256()
    for column in (notes.pitch, notes.onset_sec, notes.offset_sec):
        state.update(column.tobytes())
    return int.from_bytes(state.digest()[:8], "little")


def _counts(one: Shingles) -> dict[str, int]:
    is_first = np.concatenate(([True], np.diff(one.shingle) != 0))[: len(one.shingle)]
    is_coarse = one.shingle % np.uint64(COARSE) == 0
    is_chroma = one.kind == CHROMA
    return {
        "sampling": one.sampling,
        "num_places": len(one.shingle),
        "num_shingles": int(is_first.sum()),
        "num_shingles_coarse": int((is_first & is_coarse).sum()),
        "num_chroma": int((is_first & is_chroma).sum()),
        "num_chroma_coarse": int((is_first & is_chroma & is_coarse).sum()),
    }
