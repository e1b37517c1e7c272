"""Bulk tables: views over Parquet files beside the database, which are the lake's own blocks under a second name.

    <stem>.duckdb                                   views over the files below
    <stem>.parquet/<table>/<block key>.parquet      a hard link to the block, or a copy on another file system

- A link costs no room and no time, and the block that it names is never changed.
- A view finds its files wherever the folder has been moved: DuckDB computes the arguments of `read_parquet` when it
  binds the view, and `temp_directory` is the path of the database that the client opened and `.tmp`, unless it was set.
  For one that is attached the client says the folder, by `set variable pianogen_warehouse = …`; where it says nothing,
  the view looks where the database was published.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pianogen.errors import LakeError
from pianogen.lake import Lake
from pianogen.views import quoted

LINKED = (
    "notes",
    "controls",
    "pedal_presses",
    "tempos",
    "shingles",
    "first_looks",
    "second_looks",
    "histograms",
)
"""The tables that hold nearly all rows. The others are copied into the database."""

LINKED_FILES = pa.schema(
    [
        ("table_name", pa.string()),
        ("path", pa.string()),
        ("num_rows", pa.int64()),
        ("size_bytes", pa.int64()),
    ]
)

FOLDER_VARIABLE = "pianogen_warehouse"
"""A DuckDB variable that says in which folder the database lies, where DuckDB cannot tell."""


def parquet_folder(database: Path) -> Path:
    """Where the Parquet files of a database lie."""
    return database.with_name(f"{database.stem}.parquet")


def linked_paths(lake: Lake, database: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Of each bulk table that has blocks, every file in the lake and its second name, in the order of the blocks."""
    folder = parquet_folder(database)
    files = {}
    for table in LINKED:
        if blocks := lake.paths(table):
            files[table] = [(block, folder / table / f"{block.parent.name}.parquet") for block in blocks]
    return files


def link_blocks(files: Iterable[tuple[Path, Path]]) -> None:
    """Give every file of the lake its second name; those that have it are left alone.

    Raises:
        LakeError: a block is gone, and was not linked before.
    """
    for block, name in files:
        if not block.exists():
            if name.exists():
                continue
            raise LakeError(f"cannot be published; run the stage of this file again: {block}: no such file")
        if not name.exists() or not name.samefile(block):
            name.parent.mkdir(parents=True, exist_ok=True)
            _link(block, name)


def _link(block: Path, name: Path) -> None:
    aside = name.with_name(f".{name.name}.new")
    aside.unlink(missing_ok=True)
    try:
        os.link(block, aside)
    except OSError:
        # Another file system, or one without links. The same key means the same bytes.
        if name.exists() and name.stat().st_size == block.stat().st_size:
            return
        shutil.copyfile(block, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
    aside.replace(name)


def describe_blocks(files: dict[str, list[tuple[Path, Path]]], database: Path) -> pa.Table:
    """Rows of the table `linked_files`, each file's end read: it is whole, and has the columns of its table.

    Raises:
        LakeError: a file is missing, cut short, or has other columns than the table's first.
    """
    rows: list[dict[str, Any]] = []
    for table, paths in files.items():
        columns = None
        for block, name in paths:
            try:
                with pa.OSFile(str(block)) as file:
                    metadata = pq.ParquetFile(file).metadata
                found = [(field.name, field.type) for field in metadata.schema.to_arrow_schema()]
            except (OSError, pa.ArrowException) as error:
                raise LakeError(f"cannot be published; run the stage of this file again: {block}: {error}") from None
            columns = columns or found
            if found != columns:
                raise LakeError(
                    f"cannot be published; run the stage of this file again: {block}: its columns {found} are not "
                    f"those of the other blocks, {columns}"
                )
            rows.append(
                {
                    "table_name": table,
                    "path": name.relative_to(database.parent).as_posix(),
                    "num_rows": metadata.num_rows,
                    "size_bytes": block.stat().st_size,
                }
            )
    return pa.Table.from_pylist(rows, LINKED_FILES)


def create_macros(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Create the macros that tell a view where its files lie.

    Args:
        connection: uses the database that is being built.
        database: its path once it is published.
    """
    # The name must be like ours: the temporary folder is that of the client's own database where ours is attached.
    connection.execute(f"""
        create or replace macro pianogen_folder() as coalesce(
            getvariable('{FOLDER_VARIABLE}')::varchar,
            case
                when
                    ends_with(current_setting('temp_directory'), {quoted(f"{database.suffix}.tmp")})
                    and contains(
                        parse_filename(current_setting('temp_directory')[:-5]), {quoted(database.stem)}
                    )
                then coalesce(nullif(parse_dirpath(current_setting('temp_directory')), ''), '.')
            end,
            {quoted(str(database.parent.absolute()))}
        )
    """)
    connection.execute(f"""
        create or replace macro pianogen_files(table_name, keys) as list_transform(
            string_split(keys, ' '),
            lambda key: concat_ws(
                '/', pianogen_folder(), {quoted(parquet_folder(database).name)}, table_name, key || '.parquet'
            )
        )
    """)
    for macro, text in _MACRO_COMMENTS.items():
        connection.execute(f"comment on macro {macro} is {quoted(text)}")


_MACRO_COMMENTS = {
    "pianogen_folder": "The folder that this database lies in, as far as DuckDB knows.",
    "pianogen_files": "Parquet files of a table, by the keys of its blocks.",
}


def create_view(connection: duckdb.DuckDBPyConnection, table: str, paths: Collection[tuple[Path, Path]]) -> None:
    """Create the view of a bulk table over its files."""
    keys = " ".join(name.stem for _, name in paths)
    connection.execute(
        f'create view "{table}" as select * '
        f"from read_parquet(pianogen_files({quoted(table)}, {quoted(keys)}), hive_partitioning = false)"
    )


def remove_unused(database: Path, named: Collection[str]) -> None:
    """Remove the files that the lake holds no more, except those that a database names.

    Those that the lake holds cost no room, and a shell that opened an older database finds its rows.

    Args:
        database: its folder is looked through.
        named: values of `linked_files.path` of every database to be kept.
    """
    for path in parquet_folder(database).glob("*/*"):
        with contextlib.suppress(OSError):  # in use, where files in use cannot be removed
            is_left_over = path.name.startswith(".")
            is_named = path.relative_to(database.parent).as_posix() in named
            if is_left_over or (not is_named and path.stat().st_nlink == 1):
                path.unlink()
