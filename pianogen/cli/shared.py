"""What the commands share: options, where text goes, and how values and progress are shown."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pianogen.foreign_text import plain_value, steerless
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

Config = Annotated[Path | None, typer.Option(help="Settings file; the nearest pianogen.toml without it.")]
Experiment = Annotated[str, typer.Argument(help="Name of a file in experiments/ or its folders, or its path.")]


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, which leaves standard output to the rows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def cell(value: Any) -> str:
    """A value as a terminal may show it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return steerless(str(plain_value(value)))


def experiment_path(settings: Settings, experiment: str) -> Path:
    """The file that is meant by a name or a path."""
    from pianogen.training.experiment import experiment_file

    path = Path(experiment)
    return path if path.suffix in (".yaml", ".yml") else experiment_file(settings.experiments, experiment)


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


def publish(settings: Settings) -> dict[str, Any]:
    """Bring the warehouse up to date, so that `pianogen sql` sees what a command did; what `publish_warehouse` says."""
    from pianogen.lake import Lake
    from pianogen.statistics.build import update_statistics
    from pianogen.warehouse import publish_warehouse

    with progress_bar("blocks measured") as progress:
        update_statistics(Lake(settings.lake), settings, progress)
    return publish_warehouse(Lake(settings.lake), settings.runs, settings.sql, settings.warehouse)


def published(settings: Settings, query: str, name: str | None = None) -> "pa.Table":
    """Rows of the warehouse, brought up to date first."""
    from pianogen.warehouse import open_warehouse

    publish(settings)
    with open_warehouse(settings.warehouse) as connection:
        if name is not None:
            connection.execute("set variable name = ?", [name])
        return connection.sql(query).to_arrow_table()
