"""Catalogued files to the tables of the lake: every file ends as a performance or as a rejection with a reason.

A block holds the files of one dataset whose ids lie together (see `lake.content_blocks`); it is read by one
task (`reading.parse_block`) and keyed by its files' ids, so a new file costs one block. Paths, and what the
dataset's own metadata say, stand in the listing alone: moving a file parses nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
from filelock import FileLock

from pianogen import parallel
from pianogen.catalogue import Dataset, SourceFile, list_files
from pianogen.errors import LakeError
from pianogen.lake import Lake, Manifest, Stage, content_blocks, digest
from pianogen.metadata import read_metadata
from pianogen.reading import (
    SCORE_SUFFIXES,
    STAGE,
    Block,
    BlockFile,
    FileChangedError,
    Outcome,
    ReadOptions,
    after_death,
    parse_block,
    performance_id_of,
    read_outcome,
)
from pianogen.settings import Settings
from pianogen.tables import SCHEMAS
from pianogen.workers import Died

LISTING = Stage(
    name="listing",
    modules=("pianogen.ingest",),
    packages=("pyarrow",),
    tables=("files", "rejections", "sources", "links"),
)
REMOVED = Stage(name="removed", modules=("pianogen.ingest",), packages=("pyarrow",), tables=("removed_files",))
"""What earlier ingests saw; apart, since nothing that is made of the music may depend on the past."""
FILES_PER_BLOCK = 256
"""On average, where they are small. Fewer: a new file costs less, and a block's own costs weigh more."""
SCORES_PER_BLOCK = 32
"""The same for scores, of which each takes as long as a hundred MIDI files."""
MAX_BLOCK_BYTES = 12 * 2**20
"""A worker holds a block whole, as bytes and as tables, and blocks of like size keep all workers busy to the end."""


def ingest_dataset(
    lake: Lake, dataset: Dataset, settings: Settings, progress: parallel.Progress | None = None
) -> Manifest:
    """Bring the tables of one dataset up to date with its files.

    A second ingest of the same dataset waits for the first one's end.

    Args:
        lake: where the tables go.
        dataset: which files.
        settings: number of workers and backend.
        progress: told the number of files parsed and of those to parse.

    Returns:
        The manifest of stage `ingest`; its info counts files, performances and rejections.

    Raises:
        LakeError: files kept changing while they were read, or a worker kept dying.
    """
    with _alone(lake, dataset.name):
        for _ in range(3):
            files = list_files(dataset, settings)
            blocks = _blocks(lake, dataset, files)
            todo = [block for block in blocks if not lake.has_block(STAGE.name, block.key)]
            # The long ones first: no worker is left alone with one in the end.
            todo.sort(key=lambda block: -block.num_bytes)
            try:
                outcomes = _parse_blocks(todo, settings, progress)
            except FileChangedError:
                continue  # list again: the id that was promised no longer exists
            return _publish(lake, dataset, files, blocks, outcomes)
    raise LakeError(f"{dataset.folder}: files kept changing while they were read; try again when they rest")


@contextmanager
def _alone(lake: Lake, dataset: str) -> Iterator[None]:
    """Hold the dataset's lock, which ends with the process that holds it."""
    path = lake.root / "locks" / f"ingest-{dataset}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def files_to_parse(lake: Lake, dataset: Dataset) -> tuple[int, int]:
    """What `ingest_dataset` would do: the number of files listed, and of those in blocks not yet parsed."""
    files = list_files(dataset)
    blocks = _blocks(lake, dataset, files)
    return len(files), sum(len(block.files) for block in blocks if not lake.has_block(STAGE.name, block.key))


def _blocks(lake: Lake, dataset: Dataset, files: Sequence[SourceFile]) -> list[Block]:
    copies = Counter(file.file_id for file in files if file.file_id)
    first = {file.file_id: file for file in reversed(files) if file.file_id}
    options = ReadOptions(parts=dataset.parts, sixteenth_sec=dataset.sixteenth_sec)
    members_of = {i: BlockFile(i, copies[i], (f := first[i]).path, f.data, f.stamp) for i in copies}
    scores = [i for i, member in members_of.items() if member.kind in SCORE_SUFFIXES]
    size_of = {i: first[i].size_bytes * copies[i] for i in copies}
    by_bytes = {"size_of": size_of.__getitem__, "max_size": MAX_BLOCK_BYTES}
    blocks = []
    for ids in (
        *content_blocks(list(copies.keys() - set(scores)), target=FILES_PER_BLOCK, **by_bytes),
        *content_blocks(scores, target=SCORES_PER_BLOCK, **by_bytes),
    ):
        members = tuple(members_of[i] for i in ids)
        inputs = [dataset.name, [(file.file_id, file.copies, file.kind) for file in members]]
        key = STAGE.key(inputs=inputs, settings=vars(options))
        num_bytes = sum(size_of[i] for i in ids)
        blocks.append(
            Block(
                lake=lake.root,
                dataset=dataset.name,
                key=key,
                options=options,
                files=members,
                num_bytes=num_bytes,
            )
        )
    return blocks


def _parse_blocks(blocks: list[Block], settings: Settings, progress: parallel.Progress | None) -> dict[str, Outcome]:
    """Outcomes by the blocks' keys."""
    outcomes: dict[str, Outcome] = {}
    sizes = [len(block.files) for block in blocks]

    def in_files(done: int, num_blocks: int) -> None:
        if progress:
            progress(round(sum(sizes) * done / num_blocks), sum(sizes))

    ends = parallel.guarded_map(parse_block, blocks, settings, in_files)
    while True:
        again = []
        for block, end in zip(blocks, ends, strict=True):
            if isinstance(end, Died):
                again.append(after_death(block, end))
            else:
                outcomes[block.key] = end
        if not again:
            return outcomes
        blocks, ends = again, parallel.guarded_map(parse_block, again, settings)


def _publish(
    lake: Lake, dataset: Dataset, files: list[SourceFile], blocks: list[Block], outcomes: Mapping[str, Outcome]
) -> Manifest:
    accepted, rejected = set(), {}
    for block in blocks:
        outcome = outcomes.get(block.key) or read_outcome(lake, block.key)
        accepted.update(outcome.accepted)
        rejected.update((file_id, (reason, detail)) for file_id, reason, detail in outcome.rejected)
    listed, rejections, seen = [], [], Counter()
    for file in files:
        row = {"dataset": dataset.name, "path": file.name, "file_id": file.file_id}
        performance_id = None
        if file.file_id is None:
            rejections.append({**row, "stage": "read", "reason": "unreadable", "detail": file.problem})
        elif file.file_id in accepted:
            performance_id = performance_id_of(dataset.name, file.file_id, seen[file.file_id])
            seen[file.file_id] += 1
        else:
            reason, detail = rejected[file.file_id]
            rejections.append({**row, "stage": "parse", "reason": reason, "detail": detail})
        listed.append({**row, "size_bytes": file.size_bytes, "performance_id": performance_id})
    metadata = read_metadata(dataset, files)
    tables = {
        "files": pa.Table.from_pylist(listed, schema=SCHEMAS["files"]),
        "rejections": pa.Table.from_pylist(rejections, schema=SCHEMAS["rejections"]),
        "sources": metadata.sources,
        "links": metadata.links,
    }
    # Before the listing of the last time is replaced.
    removed = {"removed_files": _removed(lake, dataset.name, listed)}
    _publish_tables(lake, REMOVED, dataset.name, removed, {"num_removed": removed["removed_files"].num_rows})
    _publish_tables(lake, LISTING, dataset.name, tables, {"metadata_notes": list(metadata.notes)})
    info = {
        "dataset_version": digest(sorted(file.file_id for file in files if file.file_id)),
        "num_files": len(files),
        "num_performances": len(listed) - len(rejections),
        "num_rejections": len(rejections),
        "licence": dataset.licence,
        "non_commercial": dataset.non_commercial,
    }
    return lake.publish(STAGE, [block.key for block in blocks], partition=dataset.name, info=info)


def _publish_tables(lake: Lake, stage: Stage, dataset: str, tables: Mapping[str, pa.Table], info: Mapping) -> None:
    key = stage.key(inputs={name: _digest_of(table) for name, table in tables.items()})
    if not lake.has_block(stage.name, key):
        lake.write_block(stage.name, key, tables)
    lake.publish(stage, [key], partition=dataset, info=info)


def _digest_of(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _removed(lake: Lake, dataset: str, listed: Sequence[dict]) -> pa.Table:
    """Files that an earlier ingest saw and this one does not, with the performances that went with them."""
    now = {(row["path"], row["file_id"]) for row in listed}
    paths = {row["path"] for row in listed}
    gone: dict[tuple[str, str], dict] = {}
    for stage, table in ((REMOVED, "removed_files"), (LISTING, "files")):
        earlier = lake.manifest(stage.name, dataset)
        for row in (row for key in (earlier.blocks if earlier else ()) for row in _rows(lake, stage, key, table)):
            if row["file_id"] is not None and (row["path"], row["file_id"]) not in now:
                gone[row["path"], row["file_id"]] = {
                    **{name: row[name] for name in ("dataset", "path", "file_id", "performance_id")},
                    "cause": "changed" if row["path"] in paths else "removed",
                }
    return pa.Table.from_pylist([gone[name] for name in sorted(gone)], schema=SCHEMAS["removed_files"])


def _rows(lake: Lake, stage: Stage, key: str, table: str) -> list[dict]:
    return lake.read_block(stage.name, key, table).to_pylist()


def retire_datasets(lake: Lake, names: Sequence[str]) -> list[str]:
    """Take datasets that are no longer at hand out of the current tables.

    Args:
        lake: whose tables.
        names: the datasets at hand.

    Returns:
        Names of those taken out. Their blocks stay in the lake.
    """
    gone = sorted({m.partition for stage in (STAGE, LISTING, REMOVED) for m in lake.manifests(stage.name)} - set(names))
    for name in gone:
        for stage in (STAGE.name, LISTING.name, REMOVED.name, "fingerprints", "statistics", "statistics_history"):
            lake.retire(stage, name)
    return gone
