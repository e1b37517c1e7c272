"""The warehouse: one DuckDB file published from the lake, to be read with SQL by people and reports.

    lake tables            copied as tables
    runs, metrics          read from the folders of finished runs
    manifests              which version of each stage the file was built from
    <sql>/views/*.sql      views over all of these, one a file, each file named after its view

- The file is built beside its place and swapped in whole. A reader that has the old file open keeps it,
  a reader that opens it later sees the new one, and a build never waits for a reader.
- Builders wait for each other at a lock file, so the last one to swap is never the one with older data.
- Statistics that the lake already holds for its current notes are copied, and stand as tables in place of
  the views of their names. Where they are missing or older than the notes, the views stand, which compute
  them at each query: a number never disagrees with the notes beside it.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from filelock import FileLock

from pianogen.errors import LakeError, QueryError
from pianogen.lake import Lake, code_version, digest
from pianogen.statistics import STAGE as STATISTICS
from pianogen.statistics import current_statistics
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views, header, quoted, view_files

RUNS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("model", pa.string()),
        ("tokenizer", pa.string()),
        ("datasets", pa.list_(pa.string())),
        ("context_length", pa.int64()),
        ("n_layer", pa.int64()),
        ("n_head", pa.int64()),
        ("n_embd", pa.int64()),
        ("num_parameters", pa.int64()),
        ("steps", pa.int64()),
        ("best_step", pa.int64()),
        ("validation_nll", pa.float64()),
        ("seed", pa.int64()),
        ("device", pa.string()),
        ("train_sec", pa.float64()),
        ("peak_memory_mb", pa.float64()),
        ("tokens_per_sec", pa.float64()),
        ("dataset_versions", pa.map_(pa.string(), pa.string())),
        ("licences", pa.map_(pa.string(), pa.string())),
        ("non_commercial_datasets", pa.list_(pa.string())),
        ("split_version", pa.string()),
        ("shards_version", pa.string()),
        ("certificate", pa.string()),
        ("code_version", pa.string()),
        ("checkpoint", pa.string()),
    ]
)
"""One row per finished run, from its `run.json`."""

METRICS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("nll", pa.float64()),
        ("learning_rate", pa.float64()),
        ("tokens_per_sec", pa.float64()),
        ("elapsed_sec", pa.float64()),
        ("memory_mb", pa.float64()),
    ]
)
"""One row per line of a finished run's `metrics.jsonl`, in the order of the lines."""

MANIFESTS = pa.schema(
    [
        ("stage", pa.string()),
        ("partition", pa.string()),
        ("version", pa.string()),
        ("num_blocks", pa.int64()),
    ]
)

COMMENTS = {
    "files": "One row per file seen.",
    "rejections": "One row per file that is not a performance, with the stage and the reason.",
    "removed_files": "One row per file, by its bytes, that an earlier ingest saw and the current one does not.",
    "sources": "One row per file seen: title, composer, published split, licence, as its dataset says.",
    "links": "One row per link between files that their datasets name. Units: seconds.",
    "performances": "One row per accepted file. Units: ticks, seconds, quarters.",
    "notes": "One row per key press, sorted by onset, pitch and track. Units: ticks, seconds, MIDI numbers.",
    "controls": "One row per control change. Units: ticks, seconds, MIDI numbers.",
    "pedal_presses": "One row per press of a pedal. Units: seconds.",
    "tempos": "One row per tempo change. Units: ticks, seconds, quarters per minute.",
    "time_signatures": "One row per time signature. Units: ticks, seconds.",
    "key_signatures": "One row per key signature; sharps are negative for flats. Units: ticks, seconds.",
    "parts": "One row per performance, track and channel that has notes. Units: notes.",
    "message_counts": "One row per performance of a MIDI file and kind of message in it. Units: messages.",
    "content_hashes": "One row per performance: its exact identities.",
    "shingles": "One row per performance and shingle kept. Units: seconds, MIDI numbers.",
    "fingerprints": "One row per performance: how its shingles were sampled.",
    "duplicate_pairs": "One row per pair of performances that hold the same music. Units: share 0-1, semitones.",
    "clusters": "One row per performance: the cluster of the same music that it belongs to.",
    "splits": "One row per performance: train, validation, test or none (left out), and what decided it.",
    "split_moves": "One row per performance that stands elsewhere than it would by itself, and per move since earlier.",
    "contamination": "One row per pair across splits that the policy wants in one; empty when the split is clean.",
    "evaluations": "One row per evaluated run and test performance. Units: nats, seconds.",
    "samples": "One row per generated performance, with its MIDI file. Units: seconds.",
    "runs": "One row per finished training run. Units: nats per token, seconds, megabytes.",
    "metrics": "One row per logged step and split of a finished run. Units: nats per token, seconds, megabytes.",
    "manifests": "One row per stage and partition of the lake that this file was built from.",
    "meta": "One row: the version of everything this file was built from.",
}
"""Grain and units of each table, shown by `select comment from duckdb_tables()`."""


# Publishing


def publish_warehouse(lake: Lake, runs: Path, sql: Path, out: Path) -> dict[str, Any]:
    """Build the warehouse at `out` from the lake, the runs and the views, unless it is already that.

    Args:
        lake: its current tables are copied.
        runs: folder of `<experiment>/<run_id>/run.json`; it need not exist.
        sql: folder with `views/`.
        out: the DuckDB file; replaced whole.

    Returns:
        `built` (False when nothing had changed), `version`, `num_tables`, `num_views`, `size_bytes` and
        `num_rows` (a dict by table).

    Raises:
        LakeError: a block is missing or unreadable, or a run's files do not hold what a run writes.
        QueryError: a view cannot be created.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    # The lock is the operating system's: it ends with the process that holds it, however that ends.
    with FileLock(out.with_name(f"{out.name}.lock")):
        aside = out.with_name(f"{out.name}.new")
        _remove(aside)  # what a killed build left: nobody else builds now
        found_runs, metrics = read_runs(runs)
        manifests = [(m.stage, m.partition, m.version, len(m.blocks)) for m in lake.manifests()]
        version = digest(
            code_version(("pianogen.warehouse", "pianogen.statistics", "pianogen.views"), ("duckdb",)),
            manifests,
            _content(found_runs, metrics),
            view_files(sql / "views"),
        )
        built = _published_version(out) != version
        if built:
            rows = [dict(zip(MANIFESTS.names, row, strict=True)) for row in manifests]
            own = {
                "runs": found_runs,
                "metrics": metrics,
                "manifests": pa.Table.from_pylist(rows, schema=MANIFESTS),
                "meta": pa.table({"version": [version]}),
            }
            try:
                _build(lake, own, sql, aside)
                with aside.open("rb") as file:
                    os.fsync(file.fileno())
                aside.replace(out)
            finally:
                _remove(aside)
        return {"built": built, "version": version, "size_bytes": out.stat().st_size, **_summary(out)}


def _build(lake: Lake, own: dict[str, pa.Table], sql: Path, path: Path) -> None:
    views = view_files(sql / "views")
    computed = set(STATISTICS.tables) if current_statistics(lake, sql) else set()
    in_lake = set(SCHEMAS) | {table for manifest in lake.manifests() for table in manifest.tables}
    copied = sorted(name for name in in_lake - (set(views) - computed) if not name.startswith("_"))
    comments = {name: header(text) for name, text in views.items()} | COMMENTS
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
        for name in [*copied, *own]:
            if name in comments:
                connection.execute(f'comment on table "{name}" is {quoted(comments[name])}')
        apply_views(connection, sql / "views", set(views) - set(copied))
        connection.execute("checkpoint built")
        connection.execute("use memory")
        connection.execute("detach built")


def _connect(lake: Lake, tables: Sequence[str]) -> duckdb.DuckDBPyConnection:
    try:
        return lake.connect(tables)
    except duckdb.Error as error:
        raise _cannot_copy(lake, error) from None


def _cannot_copy(lake: Lake, error: duckdb.Error) -> LakeError:
    return LakeError(f"{lake.root}: cannot be copied into the warehouse; run the stage of this file again: {error}")


def _published_version(path: Path) -> str | None:
    """Version of the warehouse that stands at `path`; None when it is missing, broken or not one of ours."""
    try:
        return query_warehouse(path, "select version from meta")["version"][0].as_py()
    except (QueryError, IndexError):
        return None


def _summary(path: Path) -> dict[str, Any]:
    with open_warehouse(path) as connection:
        tables = [name for (name,) in connection.sql("select table_name from duckdb_tables() order by 1").fetchall()]
        counts = {t: connection.sql(f'select count(*) from "{t}"').fetchall()[0][0] for t in tables}
        (num_views,) = connection.sql("select count(*) from duckdb_views() where not internal").fetchall()[0]
    return {"num_tables": len(tables), "num_views": num_views, "num_rows": counts}


def _remove(database: Path) -> None:
    for path in (database, database.with_name(f"{database.name}.wal")):
        path.unlink(missing_ok=True)


def _content(*tables: pa.Table) -> str:
    """Hash of the rows of small tables."""
    rows = json.dumps([table.to_pylist() for table in tables], sort_keys=True)
    return hashlib.sha256(rows.encode()).hexdigest()


# Runs


def read_runs(runs: Path) -> tuple[pa.Table, pa.Table]:
    """Finished runs and their metrics, with the schemas RUNS and METRICS, in the order of the folders' names.

    A run is a folder `<experiment>/<run_id>` with a `run.json` whose status is "finished"; others are still
    training. A key that `run.json` lacks is null; one that the schema does not name is left out.

    Raises:
        LakeError: a file is not JSON, or a value is not of its column's type.
    """
    found, metrics = [RUNS.empty_table()], [METRICS.empty_table()]
    for path in sorted(Path(runs).glob("*/*/run.json")):
        fields = _json_object(path.read_text(encoding="utf-8"), str(path))
        if fields.get("status") != "finished":
            continue
        row = {name: fields.get(name) for name in RUNS.names}
        for name in ("dataset_versions", "licences"):
            if isinstance(named := row[name], dict):
                row[name] = sorted(named.items())
        found.append(_typed([row], RUNS, str(path)))
        log = path.with_name("metrics.jsonl")
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        owner = {"experiment": row["experiment"], "run_id": row["run_id"]}
        logged = [_json_object(line, f"{log}:{i}") | owner for i, line in enumerate(lines, start=1) if line.strip()]
        metrics.append(_typed(logged, METRICS, str(log)))
    return pa.concat_tables(found), pa.concat_tables(metrics)


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LakeError(f"{where}: JSON expected ({error}); mend it, or remove the run's folder") from None
    if not isinstance(value, dict):
        raise LakeError(f"{where}: a JSON object expected, found {value!r}; mend it, or remove the run's folder")
    return value


def _typed(rows: list[dict[str, Any]], schema: pa.Schema, where: str) -> pa.Table:
    columns = {}
    for column in schema:
        try:
            columns[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise LakeError(f"{where}: {column.name} must be {column.type}: {error}") from None
    return pa.table(columns, schema=schema)


# Checks


def run_check(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Rows that a check returns, each one a violation; no rows when the invariant holds.

    Args:
        connection: has the tables and views that the check reads: `Lake.connect`, or `open_warehouse`.
        sql: text of a file in `warehouse/checks`; one query.

    Raises:
        QueryError: the check is not one query, or cannot be run.
    """
    return _rows(connection, sql)


# Reading


@contextlib.contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads the warehouse and nothing else: it can neither write nor open other files.

    Raises:
        QueryError: there is no warehouse yet, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise QueryError(f"{path}: no warehouse yet; materialize the asset `warehouse` first, or run `make run`")
    # Attached to a database of its own: `duckdb.connect(path)` would return the file as this process first
    # opened it, even after another has been swapped in.
    with contextlib.closing(duckdb.connect()) as connection:
        try:
            connection.execute("attach ? as warehouse (read_only)", [str(path)])
            connection.execute("use warehouse")
            # Without this, a table name could mean a Python variable of the caller.
            connection.execute("set python_enable_replacements = false")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
        except duckdb.Error as error:
            raise QueryError(f"{path}: the warehouse cannot be read: {error}") from None
        yield connection


@contextlib.contextmanager
def open_lake(lake: Lake, sql: Path, views: Collection[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the lake's tables and some views over them, for what is asked before they are published.

    Args:
        lake: its current tables are read where they lie.
        sql: folder with `views/`.
        views: with those that they read.

    Raises:
        QueryError: a view cannot be created.
    """
    with contextlib.closing(lake.connect(SCHEMAS)) as connection:
        apply_views(connection, sql / "views", views)
        yield connection


def query_warehouse(path: Path, sql: str) -> pa.Table:
    """Rows of one query on the warehouse, in the query's order.

    Raises:
        QueryError: there is no warehouse, `sql` is not one query, or DuckDB refuses it.
    """
    with open_warehouse(path) as connection:
        return _rows(connection, sql)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    kinds = duckdb.StatementType
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"one query expected, found {len(statements)} statements")
        # MULTI is what DuckDB makes of PIVOT.
        if (kind := statements[0].type) not in (kinds.SELECT, kinds.EXPLAIN, kinds.MULTI):
            raise QueryError(f"a query expected, found {kind.name}; the warehouse is read-only")
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise QueryError(str(error)) from None
