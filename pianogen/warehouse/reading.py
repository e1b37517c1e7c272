"""Opening and asking the warehouse: read-only, and within a time."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from pianogen.errors import QueryError
from pianogen.lake import Lake
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views
from pianogen.warehouse.links import FOLDER_VARIABLE
from pianogen.warehouse.live import create_live_metrics, names_metrics
from pianogen.warehouse.shard_rows import SEQUENCES_COMMENT, create_sequences, names_sequences

T = TypeVar("T")

BATCH_ROWS = 2**16
"""Rows that are held at once when an answer is read as it comes."""

_KINDS = duckdb.StatementType


@contextlib.contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads the warehouse, and of other files only those that its bulk tables lie in.

    Raises:
        QueryError: there is no warehouse yet, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise QueryError(f"{path}: no warehouse yet; materialize the asset `warehouse` first, or run `make run`")
    folder = str(path.resolve().parent)
    # Attached to a database of its own: `duckdb.connect(path)` would return the file as this process first
    # opened it, even after another has been swapped in.
    with contextlib.closing(duckdb.connect()) as connection:
        try:
            connection.execute("attach ? as warehouse (read_only)", [str(path)])
            connection.execute("use warehouse")
            connection.execute(f"set variable {FOLDER_VARIABLE} = ?", [folder])
            connection.execute("set allowed_paths = ?", [[f"{folder}/{name}" for name in _linked_files(connection)]])
            # What does not fit memory goes beside the warehouse, as for a client that opens it by itself.
            connection.execute("set temp_directory = ?", [f"{path.resolve()}.tmp"])
            # Without this, a table name could mean a Python variable of the caller.
            connection.execute("set python_enable_replacements = false")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
        except duckdb.Error as error:
            raise QueryError(
                f"{path}: the warehouse cannot be read: {error}; `pianogen warehouse publish` builds it anew"
            ) from None
        yield connection


def _linked_files(connection: duckdb.DuckDBPyConnection) -> list[str]:
    try:
        return [name for (name,) in connection.execute("select distinct path from linked_files").fetchall()]
    except duckdb.CatalogException:
        return []  # somebody else's database


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


def run_check(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Rows that a check returns, each one a violation; no rows when the invariant holds.

    Args:
        connection: has the tables and views that the check reads: `Lake.connect`, or `open_warehouse`.
        sql: text of a file in `warehouse/checks`; one query.

    Raises:
        QueryError: the check is not one query, or cannot be run.
    """
    try:
        _one_query(connection, sql)
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise QueryError(str(error)) from None


# Queries of anyone


@dataclass(frozen=True)
class Rows:
    """An answer as it comes: its columns, and batches of its rows in the query's order."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def query_warehouse(
    path: Path, sql: str, parameters: Mapping[str, Any] | None = None, timeout: float | None = None
) -> pa.Table:
    """All rows of one query on the warehouse, in the query's order; arguments and errors as of `stream_query`."""
    with stream_query(path, sql, parameters, timeout) as rows:
        return pa.Table.from_batches(rows.batches, rows.schema)


@contextlib.contextmanager
def stream_query(
    path: Path, sql: str, parameters: Mapping[str, Any] | None = None, timeout: float | None = None
) -> Iterator[Rows]:
    """The answer to one query on the warehouse, computed as it is read.

    Args:
        path: of the warehouse.
        sql: one query; `$name` stands for a parameter.
        parameters: a value for each of them.
        timeout: seconds that DuckDB may take, whatever time the reader takes between batches; None: no limit.

    Raises:
        QueryError: there is no warehouse, `sql` is not one query, a parameter is missing or not known, DuckDB
            refuses it, or the time is over; the latter two also out of `batches`.
    """
    with open_warehouse(path) as connection:
        if names_sequences(sql):
            create_sequences(connection, Path(path).resolve().parent)
        if names_metrics(sql):
            create_live_metrics(connection, Path(path).resolve().parent)
        limited = _Limited(connection, timeout)
        reader = limited.run(lambda: _ask(connection, sql, parameters or {}))
        yield Rows(reader.schema, limited.batches(reader))


def _ask(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> pa.RecordBatchReader:
    statement = _one_query(connection, sql)
    known = statement.named_parameters
    if unknown := sorted(set(parameters) - known):
        raise QueryError(f"unknown parameter {unknown[0]!r}; {_taken(known)}")
    if missing := sorted(known - set(parameters)):
        raise QueryError(f"no value for the parameter {missing[0]!r}; {_taken(known)}")
    _refuse_writing(connection, statement.query, parameters)
    return connection.sql(statement.query, params=dict(parameters)).to_arrow_reader(BATCH_ROWS)


def _taken(names: Collection[str]) -> str:
    return f"this query takes {', '.join(sorted(names)) or 'none'}"


def _one_query(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"one query expected, found {len(statements)} statements")
    # MULTI is what DuckDB makes of PIVOT.
    if (kind := statements[0].type) not in (_KINDS.SELECT, _KINDS.EXPLAIN, _KINDS.MULTI):
        raise QueryError(f"a query expected, found {kind.name}; the warehouse is read-only")
    return statements[0]


_SPACE = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_EXPLAIN = re.compile(
    rf"{_SPACE}explain\b{_SPACE}(?:analyze\b)?{_SPACE}(?:\(\s*(?:analyze|format)\b[^()]*\))?", re.IGNORECASE | re.DOTALL
)
_WRITES = re.compile(r"COPY|INSERT|CREATE|MERGE_INTO|UPDATE|DELETE\b")
"""Operators of a plan that write. DELIM_JOIN and PIECEWISE_MERGE_JOIN do not."""


def _refuse_writing(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what is a query by its kind and writes all the same.

    `with x as (copy … to …) from x` and `copy (pivot …) to …` do, and where they wrote into a linked file, they
    would write into the lake. Only DuckDB's plan tells all of them.
    """
    if found := _EXPLAIN.match(sql):
        sql = sql[found.end() :]
        if _one_query(connection, sql).type is _KINDS.EXPLAIN:
            raise QueryError("one `explain` expected, found two")
    plan = connection.execute(f"explain (format json) {sql}", dict(parameters)).fetchall()
    for operator in _operators(json.loads(plan[0][1])):
        if _WRITES.search(operator):
            raise QueryError(f"a query expected, found one that writes ({operator}); the warehouse is read-only")


def _operators(plan: Any) -> Iterator[str]:
    for node in plan if isinstance(plan, list) else [plan]:
        yield node.get("name", "")
        yield from _operators(node.get("children", []))


class _Limited:
    """Calls into DuckDB that share one allowance of time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, timeout: float | None) -> None:
        self._connection = connection
        self._timeout = timeout
        self._spent = 0.0
        self._is_over = False

    def run(self, call: Callable[[], T]) -> T:
        """What `call` returns; DuckDB's errors become ours."""
        begin = time.monotonic()
        try:
            with self._watched():
                return call()
        # Arrow hands on what DuckDB raises while rows are read as errors of its own.
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self._is_over:
                raise QueryError(
                    f"stopped after {self._timeout:g} s, the time it was given; ask for less, or give it more time"
                ) from None
            raise QueryError(_told(error)) from None
        finally:
            self._spent += time.monotonic() - begin

    def batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """Batch by batch, as they are asked for."""
        while (batch := self.run(lambda: next(reader, None))) is not None:
            yield batch

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        if self._timeout is None:
            yield
            return
        done = threading.Event()
        watchman = threading.Thread(target=self._watch, args=(done, self._timeout - self._spent), daemon=True)
        watchman.start()
        try:
            yield
        finally:
            done.set()
            watchman.join()

    def _watch(self, done: threading.Event, seconds: float) -> None:
        while not done.wait(max(0, seconds)):
            self._is_over = True
            self._connection.interrupt()
            seconds = 0.05  # one that comes between two statements is forgotten


# A file that is not there DuckDB takes for a folder, which it may not look into.
_GONE = re.compile(r'Cannot access file "(.+\.parquet)/\*\*/\*\.parquet"')


def _told(error: Exception) -> str:
    if (found := _GONE.search(str(error))) and not Path(found[1]).exists():
        return f"{found[1]}: no such file; `pianogen warehouse publish` links it anew"
    return str(error)


# What there is


_TABLES = """
    select
        coalesce(kept.name, view_name)                                        as name,
        if(kept.name is null, 'view', 'table')                                as kind,
        kept.num_rows,
        coalesce(duckdb_tables.comment, duckdb_views.comment)                 as comment
    from (
        select table_name as name, estimated_size as num_rows from duckdb_tables() where database_name = 'warehouse'
        union all
        select table_name, sum(num_rows)::bigint from linked_files group by table_name
    ) as kept
    full join (from duckdb_views() where database_name = 'warehouse' and not internal) as duckdb_views
        on kept.name = duckdb_views.view_name
    left join duckdb_tables() as duckdb_tables
        on kept.name = duckdb_tables.table_name and duckdb_tables.database_name = 'warehouse'
    order by kind, name
"""


def list_tables(path: Path) -> pa.Table:
    """Name, kind, number of rows (null for a view) and comment of everything in the warehouse, by kind and name.

    Raises:
        QueryError: there is no warehouse, or it cannot be read.
    """
    found = query_warehouse(path, _TABLES)
    if "shards" not in found["name"].to_pylist():
        return found
    num = query_warehouse(path, "select sum(num_sequences)::bigint as num from shards having count(*) > 0")["num"]
    if not len(num):
        return found
    sequences = {"name": ["sequences"], "kind": ["view"], "num_rows": num, "comment": [SEQUENCES_COMMENT]}
    return pa.concat_tables([found, pa.table(sequences, schema=found.schema)]).sort_by(
        [("kind", "ascending"), ("name", "ascending")]
    )
