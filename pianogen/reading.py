"""Files to tables: what a file is taken for, why it is rejected, and one block of files to one block of the lake.

MIDI files of a block are read together, in one compiled pass that cannot die of them (`midi.read`). Scores are
read one by one under limits of time and memory. A worker that dies all the same is told apart by the file
it named last; a block whose worker died over the MIDI files is done again file by file, which names the guilty one.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pianogen.chorales import parse_chorale
from pianogen.errors import LakeError, RejectedFileError
from pianogen.folders import stamp_of
from pianogen.lake import Lake, Stage, digest
from pianogen.midi.parse import parse_midi, parse_midi_files
from pianogen.midi.parsed import EVENT_TABLES, Facts, ParsedFile, columns_of
from pianogen.musicxml import load_parser, parse_musicxml
from pianogen.tables import SCHEMAS
from pianogen.workers import Died, limited, tell

REASONS = {
    "unreadable": "the file could not be read from disk",
    "not_music": "neither MIDI nor MusicXML, by its first bytes and its name",
    "empty_file": "0 bytes",
    "too_large": "more bytes than any piece of music has",
    "not_midi": "named as MIDI, but does not begin with MThd",
    "truncated": "ends in the middle of a chunk or an event",
    "invalid_bytes": "holds bytes that MIDI does not allow",
    "zero_division": "0 ticks per quarter: notes have no time",
    "smpte_division": "time in SMPTE frames, not in quarters",
    "too_many_tracks": "more tracks than the lake can number",
    "invalid_score": "not a score that its reader understands",
    "no_notes": "well formed, but without a pitched note",
    "no_piano": "no note of a piano, where only those are asked for",
    "implausible_time": "notes before the beginning, or hours away",
    "implausible_silence": "an hour or more in which nothing sounds",
    "implausible_density": "thousands of notes within a second",
    "took_too_long": "the parser needed more time than it is given",
    "too_much_memory": "the parser needed more memory than it is given",
    "parser_died": "the parser ended its process on this file, twice",
}
"""Why a file is not a performance. docs/ingest.md has the rules."""

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
SCORE_SUFFIXES = (".mxl", ".musicxml", ".xml")

MAX_FILE_BYTES = 64 * 2**20
"""The largest file of the datasets known here has 0.6 MB."""

SECONDS_PER_FILE = 60
MEMORY_PER_FILE = 2**30

STAGE = Stage(
    name="ingest",
    modules=(
        "pianogen.reading",
        "pianogen.chorales",
        "pianogen.midi.assemble",
        "pianogen.midi.codes",
        "pianogen.midi.parse",
        "pianogen.midi.parsed",
        "pianogen.midi.read",
        "pianogen.midi.scan",
        "pianogen.midi.time",
        "pianogen.musicxml",
    ),
    packages=("music21", "pyarrow"),
    tables=("performances", *EVENT_TABLES),
)
REJECTED = "_rejected"
"""Table of a block: which of its files are no performances, and why. Left out where all of them are."""

_REJECTED_SCHEMA = pa.schema([("file_id", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a dataset's settings ask of its reader."""

    parts: str = "all"
    """`all`, or `piano`: of MIDI files only programs 0-7 without drums."""
    sixteenth_sec: float | None = None
    """How long a 16th of a JSON chorale lasts, seconds."""


class BlockFile(NamedTuple):
    """One file of a block, by its bytes."""

    file_id: str
    copies: int
    """Number of files with these bytes."""
    path: str
    """Of one of them."""
    data: bytes | None
    """Bytes of a member of a file; None: those at `path`."""
    stamp: tuple[int, int, int] | None
    """While the file has it, its bytes are those of `file_id` (see `catalogue.SourceFile`)."""

    @property
    def kind(self) -> str:
        """What the name says that it is; it belongs to the block's key, since the bytes do not always tell."""
        return "chorale" if self.data is not None else os.path.splitext(self.path)[1].lower()  # noqa: PTH122  # runs for every file


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block to be made of files."""

    lake: Path
    dataset: str
    key: str
    options: ReadOptions
    files: tuple[BlockFile, ...]
    num_bytes: int
    """Of its files together."""
    deaths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Causes of the deaths of workers over each file, by its id."""
    one_by_one: bool = False
    """Whether MIDI files are read one by one too."""


class Outcome(NamedTuple):
    """What became of a block's files, by their ids."""

    accepted: tuple[str, ...]
    """One for each performance."""
    rejected: tuple[tuple[str, str, str], ...]
    """File, reason and detail."""


class FileChangedError(Exception):
    """A file's bytes are not those that were listed."""


def parse_file(path: Path) -> ParsedFile:
    """One MIDI or MusicXML file.

    Raises:
        RejectedFileError: with one of `REASONS`.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RejectedFileError("unreadable", error.strerror or str(error)) from None
    return parse_bytes(data, Path(path).name)


def parse_bytes(data: bytes, name: str, options: ReadOptions = ReadOptions()) -> ParsedFile:  # frozen
    """One MIDI or MusicXML file from its bytes; the name's ending helps where they do not tell.

    Raises:
        RejectedFileError: with one of `REASONS`.
    """
    _check_size(len(data))
    suffix = Path(name).suffix.lower()
    if _is_midi(data, suffix):
        return parse_midi(data, only_piano=options.parts == "piano")
    if suffix not in SCORE_SUFFIXES:
        raise RejectedFileError("not_music", f"begins with {data[:4]!r} and is not named as MIDI or MusicXML")
    if not data:
        raise RejectedFileError("empty_file", "0 bytes")
    load_parser()
    try:
        with limited(SECONDS_PER_FILE, MEMORY_PER_FILE):
            return parse_musicxml(data)
    except MemoryError:
        raise RejectedFileError("too_much_memory", f"more than {MEMORY_PER_FILE // 2**20} MiB") from None


def _is_midi(data: bytes, suffix: str) -> bool:
    return data[:4] == b"MThd" or suffix in MIDI_SUFFIXES


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_FILE_BYTES:
        raise RejectedFileError("too_large", f"more than {MAX_FILE_BYTES // 2**20} MiB")


def parse_block(block: Block) -> Outcome:
    """Read the files of a block and write its tables.

    Raises:
        FileChangedError: a file's bytes are not those that were listed.
    """
    rejected: dict[str, RejectedFileError] = {}
    rows = _Rows(block.dataset)
    midi: list[tuple[BlockFile, bytes]] = []
    others: list[tuple[BlockFile, bytes]] = []
    for file in block.files:
        try:
            if (deaths := block.deaths.get(file.file_id, ())) and len(deaths) > 1:
                raise RejectedFileError(*reason_of(deaths[-1]))
            data = _listed_bytes(file)
        except RejectedFileError as error:
            rejected[file.file_id] = error
            continue
        is_batched = file.data is None and _is_midi(data, file.kind) and not block.one_by_one
        (midi if is_batched else others).append((file, data))
    if midi:
        copies = [(file, data) for file, data in midi for _ in range(file.copies)]
        parsed = parse_midi_files([data for _, data in copies], only_piano=block.options.parts == "piano", reuse=True)
        rows.add([file.file_id for file, _ in copies], parsed.outcomes, parsed.tables, parsed.sizes, rejected)
    for file, data in others:
        tell(file.file_id)
        try:
            one = _parse_one(file, data, block.options)
        except RejectedFileError as error:
            rejected[file.file_id] = error
            continue
        sizes = {name: np.array([table.num_rows]) for name, table in one.tables.items()}
        for _ in range(file.copies):
            rows.add([file.file_id], [one], one.tables, sizes, rejected)
    tables = rows.tables()
    if rejected:
        tables[REJECTED] = _rejected_table(rejected)
    Lake(block.lake).write_block(STAGE.name, block.key, tables)
    return Outcome(tuple(rows.file_ids), tuple((i, e.reason, e.detail) for i, e in sorted(rejected.items())))


def read_outcome(lake: Lake, key: str) -> Outcome:
    """What `parse_block` gave for a block that the lake has."""
    accepted = lake.read_block(STAGE.name, key, "performances")["file_id"].to_pylist()
    rejected = []
    if lake.has_table(STAGE.name, key, REJECTED):
        rejected = lake.read_block(STAGE.name, key, REJECTED).to_pylist()
    return Outcome(tuple(accepted), tuple((row["file_id"], row["reason"], row["detail"]) for row in rejected))


def _parse_one(file: BlockFile, data: bytes, options: ReadOptions) -> ParsedFile:
    if file.data is None:
        return parse_bytes(data, file.path, options)
    if options.sixteenth_sec is None:
        raise LakeError(f"{file.path}: a member of a file, and its dataset does not say how long a 16th lasts")
    return parse_chorale(data, options.sixteenth_sec)


def _listed_bytes(file: BlockFile) -> bytes:
    if file.data is not None:
        return file.data
    try:
        # Neither pathlib nor a buffer: this runs for every file.
        with open(file.path, "rb", buffering=0) as opened:  # noqa: PTH123
            stamp = stamp_of(opened.fileno())
            _check_size(stamp[0])
            data = opened.read()
            if stamp == file.stamp and len(data) == stamp[0] and stamp_of(opened.fileno()) == stamp:
                return data
    except OSError as error:
        raise FileChangedError(file.path) from error
    if hashlib.sha256(data).hexdigest() != file.file_id:
        raise FileChangedError(file.path)
    return data


def after_death(block: Block, end: Died) -> Block:
    """The block as it is to be tried again after its worker died.

    A file is given up when a worker has died over it twice, so that a death from outside costs no file.

    Raises:
        LakeError: workers die over the block, though over none of its files.
    """
    if any(file.file_id == end.note for file in block.files):
        cause = cause_of(end)
        so_far = block.deaths.get(end.note, ())
        return replace(block, deaths={**block.deaths, end.note: (*so_far, cause)})
    if block.one_by_one:
        raise LakeError(f"{end} over a block of {len(block.files)} files, but in none of them; is memory short?")
    return replace(block, one_by_one=True)


def cause_of(end: Died) -> str:
    """What a worker died of."""
    return _OUT_OF_TIME if end.out_of_time else str(end)


def reason_of(cause: str) -> tuple[str, str]:
    """Reason and detail of the rejection of a file over which a worker died of this."""
    if cause == _OUT_OF_TIME:
        return "took_too_long", f"more than {SECONDS_PER_FILE} s of processor time"
    return "parser_died", f"{cause} while it was parsed"


_OUT_OF_TIME = "out of time"


def performance_id_of(dataset: str, file_id: str, copy: int) -> str:
    """Id of a performance: the same wherever its file lies and whatever else is ingested.

    The bytes decide, not the notes, so that a block can name its performances without a look at other
    blocks; the notes' own identity is `content_hash`. `copy` numbers files of the same bytes.
    """
    return digest("performance", dataset, file_id, copy)[:24]


class _Rows:
    """Rows of a block's performances, as they come."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.ids: list[str] = []
        self.file_ids: list[str] = []
        self.facts: list[Facts] = []
        self.parts: dict[str, list[pa.Table]] = {name: [] for name in EVENT_TABLES}
        self.sizes: dict[str, list[np.ndarray]] = {name: [] for name in EVENT_TABLES}
        self._copies: dict[str, int] = {}

    def add(
        self,
        file_ids: Iterable[str],
        outcomes: Iterable[Facts | RejectedFileError],
        tables: Mapping[str, pa.Table],
        sizes: Mapping[str, np.ndarray],
        rejected: dict[str, RejectedFileError],
    ) -> None:
        """Files with the rows of those that are performances; the others go to `rejected`."""
        for file_id, outcome in zip(file_ids, outcomes, strict=True):
            if isinstance(outcome, RejectedFileError):
                rejected[file_id] = outcome
                continue
            copy = self._copies.get(file_id, 0)
            self._copies[file_id] = copy + 1
            self.ids.append(performance_id_of(self.dataset, file_id, copy))
            self.file_ids.append(file_id)
            self.facts.append(outcome)
        for name in EVENT_TABLES:
            self.parts[name].append(tables[name])
            self.sizes[name].append(sizes[name])

    def tables(self) -> dict[str, pa.Table]:
        """The block's tables."""
        performances = {
            "performance_id": self.ids,
            "dataset": [self.dataset] * len(self.ids),
            "file_id": self.file_ids,
            **{name: [getattr(facts, name) for facts in self.facts] for name in Facts.__dataclass_fields__},
        }
        return {
            "performances": pa.table(performances, schema=SCHEMAS["performances"]),
            **{name: self._with_ids(name) for name in EVENT_TABLES},
        }

    def _with_ids(self, name: str) -> pa.Table:
        # The same bytes, whether the files were read together or one by one: names as text, all in one piece.
        parts = [part.cast(columns_of(name)) for part in self.parts[name]] or [columns_of(name).empty_table()]
        table = parts[0] if len(parts) == 1 else pa.concat_tables(parts).combine_chunks()
        sizes = np.concatenate([*self.sizes[name], np.empty(0, np.int64)]).astype(np.int64)
        which = np.repeat(np.arange(len(self.ids), dtype=np.int32), sizes)
        # As a dictionary: the id of every note as text would be most of a block's memory.
        ids = pa.DictionaryArray.from_arrays(pa.array(which), pa.array(self.ids, pa.string()))
        field_of_ids = SCHEMAS[name].field("performance_id").with_type(ids.type)
        return table.add_column(0, field_of_ids, ids)


def _rejected_table(rejected: Mapping[str, RejectedFileError]) -> pa.Table:
    columns = zip(*((i, error.reason, error.detail) for i, error in sorted(rejected.items())), strict=True)
    return pa.Table.from_arrays([pa.array(c, pa.string()) for c in columns], schema=_REJECTED_SCHEMA)
