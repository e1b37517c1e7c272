"""A folder of SQL files, one view each, and how they become views of a DuckDB connection."""

from collections.abc import Collection
from pathlib import Path

import duckdb

from pianogen.errors import QueryError


def view_files(folder: Path) -> dict[str, str]:
    """Text of each `<view>.sql` in a folder, by the view's name, in the order of the names.

    Raises:
        QueryError: there is no such folder.
    """
    if not folder.is_dir():
        raise QueryError(
            f"{folder}: no such folder, so no view is defined; work in the project's folder, or name its pianogen.toml "
            f"with --config"
        )
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}


def apply_views(connection: duckdb.DuckDBPyConnection, folder: Path, names: Collection[str] | None = None) -> list[str]:
    """Create the view of each file in `folder`, whatever order they need, each with its header as comment.

    Args:
        connection: holds the tables that the views read.
        folder: `<view>.sql` files, each one `create or replace view <view>`.
        names: the views to create, with those they read among them; all when None.

    Returns:
        The names, in the order they were created.

    Raises:
        QueryError: the folder or a file is missing, a file is not valid SQL, creates no view of its name, or reads
            a table or view that neither the connection nor the folder has.
    """
    files = view_files(folder)
    if missing := sorted(set(names or ()) - set(files)):
        raise QueryError(f"{folder / missing[0]}.sql: no such view file")
    waiting = {name: text for name, text in files.items() if names is None or name in names}
    done: list[str] = []
    while waiting:
        # A view can be created once everything it reads is there: go round until a round creates none.
        errors = {}
        for name, text in waiting.items():
            try:
                connection.execute(text)
            except duckdb.CatalogException as error:
                errors[name] = f"{folder / name}.sql: {error}"
            except duckdb.Error as error:
                raise QueryError(f"{folder / name}.sql: {error}") from None
            else:
                _comment(connection, name, text, folder)
                done.append(name)
        if len(errors) == len(waiting):
            raise QueryError("\n".join(errors.values()))
        waiting = {name: waiting[name] for name in errors}
    return done


def _comment(connection: duckdb.DuckDBPyConnection, name: str, text: str, folder: Path) -> None:
    try:
        connection.execute(f'comment on view "{name}" is {quoted(header(text))}')
    except duckdb.CatalogException:
        raise QueryError(f"{folder / name}.sql: must create a view named {name}, after its file") from None


def header(sql: str) -> str:
    """What a SQL file says of itself: its leading comment, up to the line on what it reads, as one line."""
    lines = []
    for line in sql.splitlines():
        comment = line.removeprefix("--").strip()
        if not line.startswith("--") or not comment or comment.startswith("Reads:"):
            break
        lines.append(" ".join(comment.split()))
    return " ".join(lines)


def quoted(text: str) -> str:
    """The text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
