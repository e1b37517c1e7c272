"""Catalogued files to tables: every file ends as a performance or as a rejection with a reason.

A block holds the files of one dataset whose ids lie together (see `lake.content_blocks`); it is parsed
by one task and keyed by its files' ids, so a new file costs one block. Paths stand in the listing
alone (tables `files` and `rejections`): moving a file parses nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.catalogue import Dataset, SourceFile, list_files
from pianogen.errors import LakeError, RejectedFileError
from pianogen.lake import Lake, Manifest, Stage, content_blocks, digest
from pianogen.midi.parse import parse_midi
from pianogen.midi.parsed import ParsedFile, columns_of
from pianogen.musicxml import parse_musicxml
from pianogen.settings import Settings
from pianogen.tables import SCHEMAS
from pianogen.workers import Died, tell

REASONS = {
    "unreadable": "the file could not be read from disk",
    "not_music": "neither MIDI nor MusicXML, by its first bytes and its name",
    "empty_file": "0 bytes",
    "not_midi": "named as MIDI, but does not begin with MThd",
    "truncated": "ends in the middle of a chunk",
    "invalid_bytes": "holds bytes that MIDI does not allow",
    "zero_division": "0 ticks per quarter: notes have no time",
    "smpte_division": "time in SMPTE frames, not in quarters",
    "invalid_score": "not a MusicXML score that music21 reads",
    "no_notes": "well formed, but without a pitched note",
    "implausible_time": "notes before the beginning, or hours away",
    "parser_died": "the parser ended its process on this file",
}
"""Why a file is not a performance."""

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
SCORE_SUFFIXES = (".mxl", ".musicxml", ".xml")

_MODULES = (
    "pianogen.ingest",
    "pianogen.midi.parse",
    "pianogen.midi.parsed",
    "pianogen.midi.pedal",
    "pianogen.midi.time",
    "pianogen.musicxml",
)
EVENT_TABLES = ("notes", "controls", "pedal_presses", "tempos", "time_signatures", "key_signatures")
STAGE = Stage(
    name="ingest",
    modules=_MODULES,
    packages=("symusic", "mido", "music21", "pyarrow"),
    tables=("performances", *EVENT_TABLES),
)
LISTING = Stage(name="listing", modules=("pianogen.ingest",), packages=("pyarrow",), tables=("files", "rejections"))

_REJECTED = "_rejected"
_REJECTED_SCHEMA = pa.schema([("file_id", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


@dataclass(frozen=True, kw_only=True)
class _Task:
    lake: Path
    dataset: str
    key: str
    files: tuple[tuple[str, int, str], ...]
    """file_id, number of files with these bytes, path of one of them."""
    died: Mapping[str, str] = field(default_factory=dict)
    """Ids of files that are known to end the parser's process, and how it ended."""


class _FileChangedError(Exception):
    """A file's bytes are not those that were listed."""


def parse_file(path: Path) -> ParsedFile:
    """One MIDI or MusicXML file.

    Raises:
        RejectedFileError: with one of `REASONS`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise RejectedFileError("unreadable", error.strerror or str(error)) from None
    return parse_bytes(data, Path(path).name)


def parse_bytes(data: bytes, name: str) -> ParsedFile:
    """One MIDI or MusicXML file from its bytes; the name's ending helps where they do not tell.

    Raises:
        RejectedFileError: with one of `REASONS`.
    """
    name = name.lower()
    if data[:4] == b"MThd" or name.endswith(MIDI_SUFFIXES):
        return parse_midi(data)
    if name.endswith(SCORE_SUFFIXES):
        if not data:
            raise RejectedFileError("empty_file", "0 bytes")
        return parse_musicxml(data)
    raise RejectedFileError("not_music", f"begins with {data[:4]!r} and is not named as MIDI or MusicXML")


def ingest_dataset(
    lake: Lake, dataset: Dataset, settings: Settings, progress: parallel.Progress | None = None
) -> Manifest:
    """Bring the tables of one dataset up to date with its files.

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
    for _ in range(3):
        files = list_files(dataset)
        tasks = _tasks(lake, dataset.name, files)
        todo = [task for task in tasks if not lake.has_block(STAGE.name, task.key)]
        try:
            _parse_blocks(todo, settings, progress)
        except _FileChangedError:
            continue  # list again: the id that was promised no longer exists
        return _publish(lake, dataset, files, tasks)
    raise LakeError(f"{dataset.folder}: files kept changing while they were read; try again when they rest")


def files_to_parse(lake: Lake, dataset: Dataset) -> tuple[int, int]:
    """What `ingest_dataset` would do: the number of files listed, and of those in blocks not yet parsed."""
    files = list_files(dataset)
    tasks = _tasks(lake, dataset.name, files)
    return len(files), sum(len(task.files) for task in tasks if not lake.has_block(STAGE.name, task.key))


def _tasks(lake: Lake, dataset: str, files: Sequence[SourceFile]) -> list[_Task]:
    copies = Counter(file.file_id for file in files if file.file_id)
    path_of = {file.file_id: str(file.path) for file in reversed(files) if file.file_id}
    # The name's ending decides what a file is taken for, so it belongs to the key.
    kind_of = {file_id: Path(path).suffix.lower() for file_id, path in path_of.items()}
    tasks = []
    for ids in content_blocks(list(copies)):
        key = STAGE.key(inputs=[dataset, [(i, copies[i], kind_of[i]) for i in ids]])
        members = tuple((i, copies[i], path_of[i]) for i in ids)
        tasks.append(_Task(lake=lake.root, dataset=dataset, key=key, files=members))
    return tasks


def _parse_blocks(tasks: list[_Task], settings: Settings, progress: parallel.Progress | None) -> None:
    sizes = [len(task.files) for task in tasks]

    def in_files(done: int, num_blocks: int) -> None:
        if progress:
            progress(round(sum(sizes) * done / num_blocks), sum(sizes))

    finished = parallel.guarded_map(_parse_block, tasks, settings, in_files)
    while dead := [(task, end) for task, end in zip(tasks, finished, strict=True) if isinstance(end, Died)]:
        tasks = [_without_guilty(task, end) for task, end in dead]
        finished = parallel.guarded_map(_parse_block, tasks, settings)


def _without_guilty(task: _Task, end: Died) -> _Task:
    """The task less the file that the worker had in hand when it died."""
    guilty = [file_id for file_id, _, _ in task.files if file_id == end.note and file_id not in task.died]
    if not guilty:
        raise LakeError(f"{end} over a block of {len(task.files)} files, but in none of them; is memory short?")
    return replace(task, died={**task.died, guilty[0]: str(end)})


def _parse_block(task: _Task) -> bool:
    """Parse the files of one block and write its tables. True, to tell a finished task from a dead one."""
    facts: list[dict] = []
    rejected: list[tuple[str, str, str]] = []
    parts: dict[str, list[pa.Table]] = {name: [columns_of(name).empty_table()] for name in EVENT_TABLES}
    for file_id, copies, path in task.files:
        try:
            tell(file_id)
            if file_id in task.died:
                raise RejectedFileError("parser_died", f"{task.died[file_id]} while it was parsed")
            parsed = parse_bytes(_read_listed(Path(path), file_id), Path(path).name)
        except RejectedFileError as error:
            rejected.append((file_id, error.reason, error.detail))
            continue
        for copy in range(copies):
            performance_id = performance_id_of(task.dataset, file_id, copy)
            facts.append(_performance_row(performance_id, task.dataset, file_id, parsed))
            for name in EVENT_TABLES:
                parts[name].append(parsed.tables[name])
    tables = {
        "performances": pa.Table.from_pylist(facts, schema=SCHEMAS["performances"]),
        **{name: _with_ids(parts[name], [row["performance_id"] for row in facts]) for name in EVENT_TABLES},
        _REJECTED: pa.Table.from_pylist(
            [dict(zip(_REJECTED_SCHEMA.names, row, strict=True)) for row in rejected], schema=_REJECTED_SCHEMA
        ),
    }
    Lake(task.lake).write_block(STAGE.name, task.key, tables)
    return True


def _read_listed(path: Path, file_id: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _FileChangedError(path) from error
    if hashlib.sha256(data).hexdigest() != file_id:
        raise _FileChangedError(path)
    return data


def performance_id_of(dataset: str, file_id: str, copy: int) -> str:
    """Id of a performance: the same wherever its file lies and whatever else is ingested.

    The bytes decide, not the notes, so that a block can name its performances without a look at other
    blocks; the notes' own identity is `content_hash`. `copy` numbers files of the same bytes.
    """
    return digest("performance", dataset, file_id, copy)[:24]


def _performance_row(performance_id: str, dataset: str, file_id: str, parsed: ParsedFile) -> dict:
    return {
        "performance_id": performance_id,
        "dataset": dataset,
        "file_id": file_id,
        "format": parsed.format,
        "title": parsed.title,
        "composer": parsed.composer,
        "ticks_per_quarter": parsed.ticks_per_quarter,
        "num_tracks": parsed.num_tracks,
        "num_notes": parsed.num_notes,
        "num_drum_notes": parsed.num_drum_notes,
        "duration_sec": parsed.duration_sec,
        "duration_quarters": parsed.duration_quarters,
        "warnings": list(parsed.warnings),
    }


def _with_ids(parts: Sequence[pa.Table], performance_ids: Sequence[str]) -> pa.Table:
    """One table of an empty one and a part for each performance, told apart by their ids."""
    which = np.repeat(np.arange(len(performance_ids), dtype=np.int32), [part.num_rows for part in parts[1:]])
    # As a dictionary: the id of every note as text would be most of a block's memory.
    ids = pa.DictionaryArray.from_arrays(pa.array(which), pa.array(performance_ids, pa.string()))
    return pa.concat_tables(parts).combine_chunks().add_column(0, "performance_id", ids)


def _publish(lake: Lake, dataset: Dataset, files: list[SourceFile], tasks: list[_Task]) -> Manifest:
    accepted, rejected = set(), {}
    for task in tasks:
        accepted.update(lake.read_block(STAGE.name, task.key, "performances")["file_id"].to_pylist())
        for row in lake.read_block(STAGE.name, task.key, _REJECTED).to_pylist():
            rejected[row["file_id"]] = row
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
            why = rejected[file.file_id]
            rejections.append({**row, "stage": "parse", "reason": why["reason"], "detail": why["detail"]})
        listed.append({**row, "size_bytes": file.size_bytes, "performance_id": performance_id})
    listing_key = LISTING.key(inputs=[listed, rejections])
    if not lake.has_block(LISTING.name, listing_key):
        tables = {
            "files": pa.Table.from_pylist(listed, schema=SCHEMAS["files"]),
            "rejections": pa.Table.from_pylist(rejections, schema=SCHEMAS["rejections"]),
        }
        lake.write_block(LISTING.name, listing_key, tables)
    lake.publish(LISTING, [listing_key], partition=dataset.name)
    info = {
        "dataset_version": digest(sorted(file.file_id for file in files if file.file_id)),
        "num_files": len(files),
        "num_performances": len(listed) - len(rejections),
        "num_rejections": len(rejections),
        "licence": dataset.licence,
    }
    return lake.publish(STAGE, [task.key for task in tasks], partition=dataset.name, info=info)


def retire_datasets(lake: Lake, names: Sequence[str]) -> list[str]:
    """Take datasets that are no longer at hand out of the current tables.

    Args:
        lake: whose tables.
        names: the datasets at hand.

    Returns:
        Names of those taken out. Their blocks stay in the lake.
    """
    gone = sorted({m.partition for stage in (STAGE, LISTING) for m in lake.manifests(stage.name)} - set(names))
    for name in gone:
        for stage in (STAGE.name, LISTING.name, "fingerprints"):
            lake.retire(stage, name)
    return gone
