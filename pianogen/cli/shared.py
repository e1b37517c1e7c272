"""What the commands share: options, where text goes, and how rows and progress are shown."""

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pianogen.foreign_text import csv_cell, plain_value, steerless
from pianogen.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a heap of MIDI files to a piano model whose every number can be trusted, traced and queried.",
)
# A pipe has no width: lines are not folded there.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


Config = Annotated[Path | None, typer.Option(help="Settings file; the nearest pianogen.toml without it.")]
Experiment = Annotated[str, typer.Argument(help="Name of a file in experiments/, or its path.")]


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, which leaves standard output to the rows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_rows(rows: "pa.Table", form: Format) -> None:
    """Rows on standard output; text out of files cannot steer what shows it."""
    if form is Format.json:
        typer.echo(json.dumps([_plain(row) for row in rows.to_pylist()], indent=1, allow_nan=False, default=str))
    elif form is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.column_names)
        writer.writerows(map(csv_cell, row.values()) for row in rows.to_pylist())
    else:
        from rich.table import Table

        table = Table()
        for name in rows.column_names:
            table.add_column(Text(name), overflow="fold")
        for row in rows.to_pylist():
            table.add_row(*(Text(cell(value)) for value in row.values()))
        out.print(table)
        out.print(f"{rows.num_rows} row{'' if rows.num_rows == 1 else 's'}")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON holds: bytes as their length, numbers that are none as null."""
    return {name: plain_value(value) for name, value in row.items()}


def cell(value: Any) -> str:
    """A value as a terminal may show it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return steerless(str(plain_value(value)))


def experiment_path(settings: Settings, experiment: str) -> Path:
    """The file that is meant by a name or a path."""
    path = Path(experiment)
    return path if path.suffix in (".yaml", ".yml") else settings.experiments / f"{experiment}.yaml"


@contextlib.contextmanager
def bytes_progress_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of bytes with rate and time left, on standard error."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = [TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        before = 0

        def show(done: int, total: int | None) -> None:
            nonlocal before
            if done < before:  # the next archive, or unpacking: its rate is its own
                bar.reset(task, total=total)
            before = done
            bar.update(task, completed=done, total=total)

        yield show


def write_csv(rows: "pa.Table", path: Path) -> None:
    """Rows to a file that appears whole, escaped as on standard output."""
    aside = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows.column_names)
        writer.writerows(map(csv_cell, row.values()) for row in rows.to_pylist())
    aside.replace(path)


def publish(settings: Settings) -> None:
    """Bring the warehouse up to date, so that `pianogen sql` sees what a command did."""
    from pianogen.lake import Lake
    from pianogen.warehouse import publish_warehouse

    publish_warehouse(Lake(settings.lake), settings.runs, settings.sql, settings.warehouse)


def published(settings: Settings, query: str, name: str | None = None) -> "pa.Table":
    """Rows of the warehouse, brought up to date first."""
    from pianogen.warehouse import open_warehouse

    publish(settings)
    with open_warehouse(settings.warehouse) as connection:
        if name is not None:
            connection.execute("set variable name = ?", [name])
        return connection.sql(query).to_arrow_table()
