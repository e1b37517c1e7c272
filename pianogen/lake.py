"""Where tables live: Parquet files in blocks keyed by content, and manifests that name the current blocks.

    <root>/blocks/<stage>/<key>/<table>.parquet      written once, never changed
    <root>/manifests/<stage>/<partition>.json        which blocks are current

- A block's key is the hash of everything its bytes depend on: the ids of its inputs, the code of the
  stage, its settings, the schemas of its tables, the versions of the packages that compute it. A block
  whose key exists is not computed again.
- A block is written into `<root>/tmp/` and renamed as a whole, then the manifest is replaced. A process
  killed at any moment leaves at most files in `tmp/`, which the next writer removes.
- Nothing in the lake depends on the clock, the machine's paths or the number of workers, so an
  interrupted and repeated run ends with the same bytes as an undisturbed one.
"""

import ast
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pianogen.aside import is_abandoned, new_name
from pianogen.errors import LakeError
from pianogen.tables import BULK_TABLES, SCHEMAS, empty

ALL = "all"
"""Partition name of a stage that looks at every dataset at once."""


def digest(*parts: Any) -> str:
    """Hex SHA-256 over JSON of the parts, the first 32 digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def code_version(modules: tuple[str, ...], packages: tuple[str, ...] = ()) -> str:
    """Hash of what modules do: their source without comments and docstrings, and package versions."""
    sources = []
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise LakeError(f"module {module} has no source file to version")
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
                node.body = kept or [ast.Pass()]  # pyright: ignore[reportAttributeAccessIssue]
        sources.append(ast.unparse(tree))
    return digest(sources, [(p, importlib.metadata.version(p)) for p in packages])


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline: a name, and the code its blocks depend on."""

    name: str
    modules: tuple[str, ...]
    packages: tuple[str, ...] = ()
    tables: tuple[str, ...]
    """Tables that a block of this stage holds."""

    def key(self, inputs: Any, settings: Any = None) -> str:
        """Key of the block made from `inputs` (JSON values) under `settings` (JSON values)."""
        schemas = [str(SCHEMAS[table]) for table in self.tables if table in SCHEMAS]
        return digest(self.name, code_version(self.modules, self.packages), schemas, settings, inputs)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Which blocks of a stage are current in one partition."""

    stage: str
    partition: str
    blocks: tuple[str, ...]
    tables: tuple[str, ...]
    info: dict[str, Any] = field(default_factory=dict)
    """Counts and versions that a reader of the manifest wants, as JSON values."""

    @property
    def version(self) -> str:
        """Changes exactly when the content may have changed."""
        return digest(self.stage, self.partition, self.blocks, self.info)


class Lake:
    """Tables under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    # Blocks

    def block_path(self, stage: str, key: str) -> Path:
        """Folder of a block, whether it exists or not."""
        return self.root / "blocks" / stage / key

    def has_block(self, stage: str, key: str) -> bool:
        """Whether the block is there, whole."""
        return self.block_path(stage, key).is_dir()

    def has_table(self, stage: str, key: str, table: str) -> bool:
        """Whether a block that is there holds the table."""
        return (self.block_path(stage, key) / f"{table}.parquet").is_file()

    @contextlib.contextmanager
    def new_block(self, stage: str, key: str) -> Iterator[Path]:
        """A folder to fill, which becomes the block when the body ends without an error."""
        with self._aside() as folder:
            yield folder
            for path in folder.rglob("*"):
                if path.is_file():
                    _sync(path)
            self._show(folder, stage, key)

    def _show(self, folder: Path, stage: str, key: str) -> None:
        """Make a folder the block, when all of its files have reached the disk."""
        target = self.block_path(stage, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            # Another process finished the same block first; the same key means the same bytes.
            if not target.is_dir():
                raise

    def write_block(self, stage: str, key: str, tables: Mapping[str, pa.Table]) -> None:
        """Write tables as one block; all of them appear at once."""
        # The disk takes one file while the next is encoded.
        with self._aside() as folder, ThreadPoolExecutor(1) as thread:
            synced = []
            for name, table in tables.items():
                path = folder / f"{name}.parquet"
                write_table(table, path, SCHEMAS.get(name))
                synced.append(thread.submit(_sync, path))
            for sync in synced:
                sync.result()
            self._show(folder, stage, key)

    def read_block(self, stage: str, key: str, table: str, columns: list[str] | None = None) -> pa.Table:
        """One table of one block, or some of its columns."""
        path = self.block_path(stage, key) / f"{table}.parquet"
        try:
            return pq.ParquetFile(path).read(columns)
        except FileNotFoundError:
            raise LakeError(f"{path}: no such block; run the stage {stage!r} again") from None

    # Manifests

    def publish(
        self, stage: Stage, blocks: Sequence[str], *, partition: str = ALL, info: Mapping | None = None
    ) -> Manifest:
        """Make `blocks`, in this order, the current content of a partition."""
        for key in blocks:
            if not self.has_block(stage.name, key):
                raise LakeError(f"{self.block_path(stage.name, key)}: cannot publish a block that is not there")
        manifest = Manifest(
            stage=stage.name, partition=partition, blocks=tuple(blocks), tables=stage.tables, info=dict(info or {})
        )
        fields = {
            "stage": manifest.stage,
            "partition": manifest.partition,
            "version": manifest.version,
            "tables": list(manifest.tables),
            "blocks": list(manifest.blocks),
            "info": manifest.info,
        }
        self.write_file(self._manifest_path(stage.name, partition), json.dumps(fields, indent=1).encode() + b"\n")
        return manifest

    def manifest(self, stage: str, partition: str = ALL) -> Manifest | None:
        """The current manifest, or None when the stage has never run there."""
        path = self._manifest_path(stage, partition)
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise LakeError(f"{path}: not a manifest ({error}); delete it and run the stage again") from None
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != "version"}
        return Manifest(**fields)

    def require(self, stage: str, partition: str = ALL) -> Manifest:
        """The current manifest.

        Raises:
            LakeError: the stage has never run there.
        """
        manifest = self.manifest(stage, partition)
        if manifest is None:
            raise LakeError(f"{self.root}: nothing from the stage {stage!r} of {partition!r} yet; run it first")
        return manifest

    def manifests(self, stage: str | None = None) -> list[Manifest]:
        """Every current manifest, of one stage or of all, in the order of their names."""
        paths = sorted((self.root / "manifests").glob(f"{stage or '*'}/*.json"))
        found = (self.manifest(path.parent.name, path.stem) for path in paths)
        return [manifest for manifest in found if manifest is not None]

    def retire(self, stage: str, partition: str) -> bool:
        """Take a partition out of the current tables; its blocks stay. True when it was there."""
        path = self._manifest_path(stage, partition)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    # Tables

    def paths(self, table: str) -> list[Path]:
        """Parquet files of the current content of a table, in a fixed order."""
        return [
            self.block_path(manifest.stage, key) / f"{table}.parquet"
            for manifest in self.manifests()
            if table in manifest.tables
            for key in manifest.blocks
        ]

    def read(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """The current content of a table; no rows where no stage has written it."""
        schema = SCHEMAS[table]
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        try:
            parts = [pq.ParquetFile(path).read(schema.names).select(schema.names) for path in self.paths(table)]
            return pa.concat_tables([schema.empty_table(), *parts])
        except (OSError, KeyError, pa.ArrowException) as error:
            raise LakeError(f"table {table!r} in {self.root}: {error}; run the stage that writes it again") from None

    def connect(self, tables: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB with a view over the current content of each table."""
        connection = duckdb.connect()
        names = set(SCHEMAS) | {t for m in self.manifests() for t in m.tables if not t.startswith("_")}
        for name in sorted(names if tables is None else tables):
            paths = [str(path) for path in self.paths(name)]
            if paths:
                listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
                source = f"read_parquet([{listed}], hive_partitioning = false)"
                connection.execute(f"create view {name} as select * from {source}")
            else:
                connection.register("no_rows", empty(name))
                connection.execute(f"create table {name} as select * from no_rows")
                connection.unregister("no_rows")
        return connection

    # Files

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for what need not last; it goes with the body, or with the next writer after a kill."""
        with self._aside() as folder:
            yield folder

    def write_file(self, path: Path, data: bytes) -> None:
        """Write a file whole: aside first, then renamed over the old one."""
        with self._aside() as folder:
            aside = folder / path.name
            aside.write_bytes(data)
            _sync(aside)
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(path)

    def _manifest_path(self, stage: str, partition: str) -> Path:
        return self.root / "manifests" / stage / f"{partition}.json"

    @contextlib.contextmanager
    def _aside(self) -> Iterator[Path]:
        tmp = self.root / "tmp"
        tmp.mkdir(parents=True, exist_ok=True)
        for path in tmp.iterdir():
            if is_abandoned(path.name):
                shutil.rmtree(path, ignore_errors=True)
        # Not mkdtemp, which closes its folder to others: a block is as readable as any new folder.
        folder = tmp / new_name()
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write_table(table: pa.Table, path: Path, schema: pa.Schema | None = None) -> None:
    """Write one Parquet file, the same bytes for the same rows.

    Raises:
        LakeError: the table's columns are not those of `schema`, or hold what its types cannot.
    """
    if schema is not None:
        if table.column_names != schema.names:
            raise LakeError(f"{path.stem}: columns {table.column_names} found, {schema.names} expected")
        wanted = _keeping_dictionaries(schema, table.schema)
        try:
            table = table if table.schema.equals(wanted) else table.cast(wanted)
        except pa.ArrowException as error:
            raise LakeError(f"{path.stem}: {error}") from None
    is_bulk = path.stem in BULK_TABLES
    # Times differ from row to row: a dictionary of them takes twice the time to write and a third more room.
    encodings = _BULK_ENCODINGS if is_bulk else _ENCODINGS
    encoding = {field.name: encodings[field.type] for field in table.schema if field.type in encodings}
    # Opened here: handed a path, pyarrow looks for the file system that it belongs to, each time.
    with pa.OSFile(str(path), "wb") as file:
        pq.write_table(
            table,
            file,
            # For notes zstd takes 1.4 times as long and a quarter less room; lz4 1.06 times as long and a seventh less.
            compression="snappy",
            use_dictionary=[name for name in table.column_names if name not in encoding],  # pyright: ignore[reportArgumentType]
            column_encoding=encoding or None,
            # Of a table in one piece they tell a reader nothing that it does not see at once.
            write_statistics=not is_bulk,
            write_batch_size=2**16,
            store_schema=False,
        )


_ENCODINGS = {
    pa.float64(): "BYTE_STREAM_SPLIT",
    pa.float32(): "BYTE_STREAM_SPLIT",
    pa.int32(): "DELTA_BINARY_PACKED",
    pa.int64(): "DELTA_BINARY_PACKED",
    pa.uint64(): "DELTA_BINARY_PACKED",
}
"""Parquet encodings by type; the other types are encoded by dictionary."""

_BULK_ENCODINGS = dict.fromkeys((pa.float64(), pa.float32(), pa.int32(), pa.int16(), pa.uint8()), "BYTE_STREAM_SPLIT")
"""The same for the tables that hold nearly all rows: bytes of one rank side by side, which shrink in passing."""


def _keeping_dictionaries(schema: pa.Schema, found: pa.Schema) -> pa.Schema:
    """`schema`, where a column that comes as a dictionary of the right values stays one: the file is the same."""
    return pa.schema(
        [
            field.with_type(given) if pa.types.is_dictionary(given) and given.value_type == field.type else field
            for field, given in zip(schema, found.types, strict=True)
        ]
    )


def _sync(path: Path) -> None:
    """Bytes reach the disk before the rename that shows them."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def content_blocks(
    ids: Sequence[str],
    *,
    target: int = 64,
    size_of: Callable[[str], int] = lambda item: 1,
    max_size: int | None = None,
) -> list[list[str]]:
    """Cut sorted ids into blocks whose edges depend on the ids alone.

    One id more or less changes the block it falls in, sometimes that block's edge too; the others keep
    their keys.

    Args:
        ids: hexadecimal ids, in any order; a repeated id counts once.
        target: mean number of ids between edges; a block holds at most 4 times as many.
        size_of: what an id counts toward `max_size`.
        max_size: of a block, where it holds more than one id.

    Returns:
        Blocks in ascending order of id, each ascending; none is empty.

    Source: content-defined chunking, as in LBFS (Muthitacharoen 2001), over ids in place of bytes. A cut
    at a maximum length, as there, would move every later edge of its stretch; ours is by hash as well.
    """

    def is_too_large(block: list[str]) -> bool:
        if len(block) <= 1:
            return False
        return len(block) > 4 * target or (max_size is not None and sum(map(size_of, block)) > max_size)

    blocks: list[list[str]] = []
    block: list[str] = []
    for item in sorted(set(ids)):
        block.append(item)
        if int(_hash(item)[:8], 16) % target == 0:
            blocks += _cut_down(block, is_too_large)
            block = []
    return blocks + _cut_down(block, is_too_large)


def _cut_down(block: list[str], is_too_large: Callable[[list[str]], bool]) -> list[list[str]]:
    """A block too large is cut after the inner id whose hash is smallest, and so on: an order of the ids' own."""
    if not is_too_large(block):
        return [block] if block else []
    cut = 1 + min(range(len(block) - 1), key=lambda i: _hash(block[i]))
    return _cut_down(block[:cut], is_too_large) + _cut_down(block[cut:], is_too_large)


def _hash(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()
