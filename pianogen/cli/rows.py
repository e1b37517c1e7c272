"""How rows are shown and written: a table for the eye, CSV, JSON, Markdown, Parquet.

Whatever stands in a cell or in a column's name came out of a file perhaps: it cannot steer what shows it.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.text import Text

from pianogen.cli.shared import cell, err, out
from pianogen.errors import QueryError
from pianogen.foreign_text import csv_cell, markdown_text, plain_value

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    parquet = "parquet"


SUFFIXES = {".csv": Format.csv, ".json": Format.json, ".md": Format.markdown, ".parquet": Format.parquet}
"""The formats of files."""


def print_rows(rows: "pa.Table", form: Format) -> None:
    """Rows on standard output."""
    print_batches(rows.schema, rows.to_batches(), form)


def print_batches(
    schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], form: Format, most: int | None = None
) -> None:
    """Rows on standard output as they come.

    Args:
        schema: their columns.
        batches: the rows.
        form: how.
        most: rows that a table shows; the others are counted. Other formats are whole.
    """
    if form is Format.table:
        _print_table(schema, batches, most)
    elif form is Format.parquet:
        if sys.stdout.isatty():
            raise QueryError("Parquet is no text: name a file with --out, or send it on with > or |")
        _write_parquet(schema, batches, sys.stdout.buffer)
    else:
        _WRITERS[form](schema, batches, sys.stdout)


def write_rows(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], form: Format, path: Path) -> None:
    """Rows to a file that appears whole."""
    from pianogen.aside import new_file

    try:
        with new_file(path) as aside:
            if form is Format.parquet:
                with aside.open("wb") as file:
                    _write_parquet(schema, batches, file)
            else:
                with aside.open("w", newline="", encoding="utf-8") as file:
                    _WRITERS[form](schema, batches, file)
    except OSError as error:
        raise QueryError(f"{path}: cannot be written: {error.strerror}; name another file") from None


def format_of(path: Path | None, form: Format | None) -> Format:
    """The format that is meant by a file's name where none is named."""
    if path is None or (form is not None and form is not Format.table):
        return form or Format.table
    if form is Format.table:
        raise QueryError(f"{path}: a table is for the eye; write {', '.join(SUFFIXES.values())}")
    if (suffix := path.suffix.lower()) not in SUFFIXES:
        raise QueryError(f"{path}: a name that ends in {', '.join(SUFFIXES)} expected, or --format")
    return SUFFIXES[suffix]


def _print_table(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], most: int | None) -> None:
    from rich.table import Table

    table, num_rows = Table(), 0
    for name in schema.names:
        table.add_column(Text(cell(name)), overflow="fold")
    for batch in batches:
        shown = batch if most is None else batch.slice(0, max(0, most - num_rows))
        for row in _tuples(shown):
            table.add_row(*(Text(cell(value)) for value in row))
        num_rows += batch.num_rows
    out.print(table)
    out.print(f"{num_rows} row{'' if num_rows == 1 else 's'}")
    if most is not None and num_rows > most:
        err.print(f"The first {most} are shown; --format csv or --out FILE gives all of them.")


def _write_csv(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_cell, schema.names))
    for batch in batches:
        writer.writerows(map(csv_cell, row) for row in _tuples(batch))


def _write_json(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], file: IO[str]) -> None:
    _require_distinct(schema)
    before = "[\n"
    for batch in batches:
        for row in _tuples(batch):
            named = dict(zip(schema.names, map(plain_value, row), strict=True))
            file.write(before + json.dumps(named, allow_nan=False, default=_json_value))
            before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")


def _json_value(value: Any) -> Any:
    """What JSON has no kind for, as a number or as text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _write_markdown(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], file: IO[str]) -> None:
    import pyarrow.types as kinds

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |\n"

    is_number = [kinds.is_integer(t) or kinds.is_floating(t) or kinds.is_decimal(t) for t in schema.types]
    file.write(line(map(markdown_text, schema.names)))
    file.write(line("---:" if right else "---" for right in is_number))
    for batch in batches:
        file.writelines(line(markdown_text(cell(value)) for value in row) for row in _tuples(batch))


def _write_parquet(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _require_distinct(schema)
    try:
        with pq.ParquetWriter(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except pa.ArrowNotImplementedError as error:
        raise QueryError(f"Parquet does not hold a column of this kind: {error}; cast it") from None


_WRITERS = {Format.csv: _write_csv, Format.json: _write_json, Format.markdown: _write_markdown}


def _tuples(batch: "pa.RecordBatch") -> Iterator[tuple[Any, ...]]:
    """Rows by the places of their columns: two columns may have one name."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _require_distinct(schema: "pa.Schema") -> None:
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise QueryError(f"two columns are named {twice[0]!r}; name one of them otherwise with `as`")
