"""The warehouse is built from the lake and swapped in whole.

    lake tables            copied as tables; the bulk ones are linked (see links.py)
    runs, metrics          read from the folders of the runs (see runs.py); what a run has written that is not finished
                           is in the file, but no reason to build it anew: queries read that live (see live.py)
    shards                 read from their manifests (see shard_rows.py)
    reference_results      what others report (see references.py)
    manifests              which version of each stage the file was built from
    <sql>/views/*.sql      views over all of these, one a file, each file named after it

- The file is built beside its place and swapped in by one rename. A reader that has the old file open keeps it, a
  reader that opens it later sees the new one, and a build never waits for a reader.
- The file that was replaced stays as `<stem>.previous.duckdb`.
- Builders wait for each other at a lock file, so the last one to swap is never the one with older data.
- Statistics that the lake already holds for its current notes are copied, and stand as tables in place of
  the views of their names. Where they are missing or older than the notes, the views stand, which compute
  them at each query: a number never disagrees with the notes beside it.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from filelock import FileLock

from pianogen.errors import LakeError, QueryError
from pianogen.lake import Lake, code_version, digest
from pianogen.statistics.comparison import STAGE as COMPARISON
from pianogen.statistics.comparison import comparison_is_current
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views, header, quoted, view_files
from pianogen.warehouse import links
from pianogen.warehouse.comments import COLUMN_COMMENTS, COMMENTS
from pianogen.warehouse.reading import open_warehouse
from pianogen.warehouse.references import read_reference_results
from pianogen.warehouse.runs import owners, read_runs, read_unfinished
from pianogen.warehouse.shard_rows import read_shards

_MODULES = (
    *(f"pianogen.warehouse.{name}" for name in ("comments", "links", "publish", "references", "runs", "shard_rows")),
    "pianogen.judged",
    "pianogen.measured",
    "pianogen.training.metrics",
    "pianogen.views",
    "pianogen.statistics.comparison",
)

MANIFESTS = pa.schema(
    [
        ("stage", pa.string()),
        ("partition", pa.string()),
        ("version", pa.string()),
        ("num_blocks", pa.int64()),
    ]
)


def publish_warehouse(lake: Lake, runs: Path, sql: Path, out: Path) -> dict[str, Any]:
    """Build the warehouse at `out` from the lake, the runs and the views, unless it is already that.

    Args:
        lake: its current tables are copied or linked.
        runs: folder of `<experiment>/<run_id>/run.json`; it need not exist.
        sql: folder with `views/`.
        out: the DuckDB file; replaced whole.

    Returns:
        `built` (False when nothing had changed), `version`, `num_tables`, `num_views`, `size_bytes` (of the file),
        `linked_bytes` (of the Parquet files beside it) and `num_rows` (a dict by table).

    Raises:
        LakeError: a block is missing or unreadable, or a run's files do not hold what a run writes.
        QueryError: there are no views or one cannot be created, or DuckDB cannot keep a file at `out`.
    """
    out = Path(out).absolute()
    if "?" in str(out) or (os.sep == "/" and "\\" in str(out)):
        raise QueryError(f"{out}: DuckDB keeps no database under a path with ? or \\ in it; name another place")
    views = view_files(sql / "views")
    out.parent.mkdir(parents=True, exist_ok=True)
    # The lock is the operating system's: it ends with the process that holds it, however that ends.
    with FileLock(out.with_name(f"{out.name}.lock")):
        aside = out.with_name(f"{out.name}.new")
        _remove(aside)  # what a killed build left: nobody else builds now
        found_runs, metrics = read_runs(runs)
        references = read_reference_results()
        manifests = [(m.stage, m.partition, m.version, len(m.blocks)) for m in lake.manifests()]
        version = digest(
            code_version(_MODULES, ("duckdb",)),
            manifests,
            _content(found_runs, metrics, references),
            views,
        )
        files = links.linked_paths(lake, out)
        before = _look(out)
        built = before.version != version or before.folder != str(out.parent)
        linked_files = links.describe_blocks(files, out) if built else None
        # First of all, so that no database ever names a file that is not there.
        links.link_blocks(pair for pairs in files.values() for pair in pairs)
        if linked_files is not None:
            rows = [dict(zip(MANIFESTS.names, row, strict=True)) for row in manifests]
            own = {
                "runs": found_runs,
                "metrics": pa.concat_tables([metrics, read_unfinished(runs, owners(found_runs))]),
                "shards": read_shards(lake, out.parent),
                "reference_results": references,
                "manifests": pa.Table.from_pylist(rows, schema=MANIFESTS),
                "linked_files": linked_files,
                "meta": pa.table({"version": [version], "folder": [str(out.parent)], "runs": [_relative(runs, out)]}),
            }
            try:
                _build(lake, own, sql, aside, out, files)
                _sync(aside)
                if before.is_database:
                    _keep_as_previous(out)
                # Of a client that wrote to the old file and was killed; beside the new one it would shut that.
                _remove_wal(out)
                aside.replace(out)
            finally:
                _remove(aside)
        links.remove_unused(out, {path for kept in (out, previous_path(out)) for path in _look(kept).linked_paths})
        return {"built": built, "version": version, "size_bytes": out.stat().st_size, **_summary(out)}


def previous_path(out: Path) -> Path:
    """Where the warehouse that stood at `out` before the last build is kept."""
    return out.with_name(f"{out.stem}.previous{out.suffix}")


# Building


def _build(
    lake: Lake,
    own: Mapping[str, pa.Table],
    sql: Path,
    path: Path,
    out: Path,
    files: Mapping[str, Sequence[tuple[Path, Path]]],
) -> None:
    views = view_files(sql / "views")
    computed = set(COMPARISON.tables) if comparison_is_current(lake, sql) else set()
    in_lake = set(SCHEMAS) | {table for manifest in lake.manifests() for table in manifest.tables}
    tables = sorted(name for name in in_lake - (set(views) - computed) if not name.startswith("_"))
    linked = [name for name in tables if name in files]
    copied = [name for name in tables if name not in files]
    with contextlib.closing(_connect(lake, copied)) as connection:
        connection.execute("attach ? as built", [str(path)])
        for name in copied:
            try:
                connection.execute(f'create table built."{name}" as select * from memory."{name}"')
            except duckdb.Error as error:
                raise _cannot_copy(lake, error) from None
        connection.execute("use built")
        for name, table in own.items():
            connection.register("rows_to_copy", table)
            connection.execute(f'create table "{name}" as select * from rows_to_copy')
            connection.unregister("rows_to_copy")
        links.create_macros(connection, out)
        for name in linked:
            links.create_view(connection, name, files[name])
        apply_views(connection, sql / "views", set(views) - set(tables))
        headers = {name: header(text) for name, text in views.items()}
        _comment(connection, "table", [*copied, *own], headers | COMMENTS)
        _comment(connection, "view", linked, headers | COMMENTS)
        _comment_columns(connection)
        connection.execute("checkpoint built")
        connection.execute("use memory")
        connection.execute("detach built")


def _comment(
    connection: duckdb.DuckDBPyConnection, kind: str, names: Iterable[str], comments: Mapping[str, str]
) -> None:
    for name in names:
        if name in comments:
            connection.execute(f'comment on {kind} "{name}" is {quoted(comments[name])}')


def _comment_columns(connection: duckdb.DuckDBPyConnection) -> None:
    there = connection.execute("select table_name, column_name from duckdb_columns() where database_name = 'built'")
    for table, column in there.fetchall():
        if text := COLUMN_COMMENTS.get(table, {}).get(column):
            connection.execute(f'comment on column "{table}"."{column}" is {quoted(text)}')


def _connect(lake: Lake, tables: Sequence[str]) -> duckdb.DuckDBPyConnection:
    try:
        return lake.connect(tables)
    except duckdb.Error as error:
        raise _cannot_copy(lake, error) from None


def _cannot_copy(lake: Lake, error: duckdb.Error) -> LakeError:
    return LakeError(f"{lake.root}: cannot be copied into the warehouse; run the stage of this file again: {error}")


def _relative(path: Path, out: Path) -> str:
    return os.path.relpath(Path(path).absolute(), out.parent)


def _content(*tables: pa.Table) -> str:
    """Hash of the rows of small tables."""
    rows = json.dumps([table.to_pylist() for table in tables], sort_keys=True)
    return hashlib.sha256(rows.encode()).hexdigest()


# The file that stands there


@dataclass(frozen=True)
class _Found:
    """What stands at a path: is it a database, and which one of ours."""

    is_database: bool = False
    version: str | None = None
    folder: str | None = None
    linked_paths: tuple[str, ...] = ()


def _look(path: Path) -> _Found:
    try:
        with open_warehouse(path) as connection:
            try:
                ((version, folder),) = connection.execute("select version, folder from meta").fetchall()
                paths = connection.execute("select distinct path from linked_files").fetchall()
            except (duckdb.Error, ValueError):
                return _Found(is_database=True)  # an earlier layout, or somebody else's
            return _Found(True, version, folder, tuple(path for (path,) in paths))
    except QueryError as error:
        # A client that has it open for writing shuts us out, but it is whole.
        return _Found(is_database="Could not set lock on file" in str(error))


def _keep_as_previous(out: Path) -> None:
    """Give the file at `out` its second name, in place of what had that name."""
    previous = previous_path(out)
    aside = previous.with_name(f"{previous.name}.new")
    _remove(aside)
    try:
        os.link(out, aside)
    except OSError:  # a file system without links
        shutil.copyfile(out, aside)
        _sync(aside)
    _remove_wal(previous)
    aside.replace(previous)
    _remove(aside)  # a rename over another name of the same file does nothing


def _summary(path: Path) -> dict[str, Any]:
    with open_warehouse(path) as connection:
        tables = [name for (name,) in connection.sql("select table_name from duckdb_tables() order by 1").fetchall()]
        counts = {t: connection.sql(f'select count(*) from "{t}"').fetchall()[0][0] for t in tables}
        linked = connection.sql(
            "select table_name, sum(num_rows)::bigint, sum(size_bytes)::bigint from linked_files group by all"
        ).fetchall()
        (num_views,) = connection.sql("select count(*) from duckdb_views() where not internal").fetchall()[0]
    counts |= {name: num_rows for name, num_rows, _ in linked}
    return {
        "num_tables": len(counts),
        "num_views": num_views - len(linked),
        "linked_bytes": sum(size for *_, size in linked),
        "num_rows": counts,
    }


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _remove_wal(database)


def _remove_wal(database: Path) -> None:
    database.with_name(f"{database.name}.wal").unlink(missing_ok=True)
