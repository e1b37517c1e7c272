"""The warehouse as one file that needs nothing beside it: every table a table, every view over them."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import duckdb

from pianogen.aside import new_file
from pianogen.errors import QueryError
from pianogen.views import quoted
from pianogen.warehouse.links import FOLDER_VARIABLE
from pianogen.warehouse.publish import previous_path


def export_warehouse(
    path: Path, out: Path, *, force: bool = False, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write everything in a published warehouse to one DuckDB file, which appears whole.

    Args:
        path: the warehouse; nothing else is read but the Parquet files beside it.
        out: the file to write.
        force: replace a file that is there.
        progress: told the rows written and all there are.

    Returns:
        Bytes of the file.

    Raises:
        QueryError: there is no warehouse or it cannot be read, or `out` is there and `force` is not given.
    """
    path, out = Path(path), Path(out)
    if not path.is_file():
        raise QueryError(f"{path}: no warehouse yet; `pianogen warehouse publish` builds it")
    if any(out.resolve() == kept.resolve() for kept in (path, previous_path(path))):
        raise QueryError(f"{out}: the warehouse itself; name another file")
    if out.exists() and not force:
        raise QueryError(f"{out}: there already; --force replaces it")
    try:
        with new_file(out) as aside:
            try:
                _copy(path, aside, progress or (lambda done, total: None))
            finally:
                aside.with_name(f"{aside.name}.wal").unlink(missing_ok=True)
    except (duckdb.Error, OSError) as error:
        raise QueryError(f"{path}: cannot be exported to {out}: {error}") from None
    return out.stat().st_size


def _copy(path: Path, out: Path, progress: Callable[[int, int], None]) -> None:
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("attach ? as warehouse (read_only)", [str(path)])
        connection.execute("attach ? as exported", [str(out)])
        connection.execute("set temp_directory = ?", [f"{out}.tmp"])
        connection.execute(f"set variable {FOLDER_VARIABLE} = ?", [str(path.resolve().parent)])
        tables = connection.execute(_TABLES).fetchall()
        connection.execute("use exported")
        done, total = 0, sum(num_rows for _, num_rows in tables)
        progress(done, total)
        for name, num_rows in tables:
            # The exported file has no files beside it.
            which = " limit 0" if name == "linked_files" else ""
            connection.execute(f'create table "{name}" as from warehouse."{name}"{which}')
            done += num_rows
            progress(done, total)
        _create_views(connection, {name for name, _ in tables})
        for name, kind, comment in connection.execute(_COMMENTS).fetchall():
            connection.execute(f"comment on {kind} {name} is {quoted(comment)}")
        connection.execute("checkpoint exported")
        connection.execute("use memory")
        connection.execute("detach exported")


def _create_views(connection: duckdb.DuckDBPyConnection, tables: set[str]) -> None:
    """Every view that is not there as a table; one that reads another comes after it."""
    views = [(name, sql) for name, sql in connection.execute(_VIEWS).fetchall() if name not in tables]
    while views:
        waiting = []
        for name, sql in views:
            try:
                connection.execute(sql)
            except duckdb.CatalogException:
                waiting.append((name, sql))
        if len(waiting) == len(views):
            connection.execute(waiting[0][1])  # once more, for its error
        views = waiting


_TABLES = """
    select table_name, estimated_size from duckdb_tables() where database_name = 'warehouse'
    union all
    select table_name, sum(num_rows)::bigint from warehouse.linked_files group by table_name
    order by 1
"""

_VIEWS = "select view_name, sql from duckdb_views() where database_name = 'warehouse' and not internal"

_COMMENTS = """
    with said as (
        select '"' || table_name || '"' as shown, 'table' as kind, comment
        from duckdb_tables() where database_name = 'warehouse'
        union all
        select
            '"' || views.view_name || '"',
            if(tables.table_name is null, 'view', 'table'),
            views.comment
        from duckdb_views() as views
        left join duckdb_tables() as tables
            on views.view_name = tables.table_name and tables.database_name = 'exported'
        where views.database_name = 'warehouse' and not views.internal
        union all
        select '"' || table_name || '"."' || column_name || '"', 'column', comment
        from duckdb_columns() where database_name = 'warehouse'
    )

    select shown, kind, comment from said where comment is not null order by all
"""
