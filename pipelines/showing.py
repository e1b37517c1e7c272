"""What the assets show beside their rows: pictures, progress, versions."""

import base64
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from pianogen.foreign_text import markdown_table, markdown_text
from pianogen.lake import Manifest
from pianogen.settings import Settings


def picture(png: bytes, text: str) -> dg.MarkdownMetadataValue:
    """A PNG as metadata."""
    return dg.MetadataValue.md(_image(png, text))


def _image(png: bytes, text: str) -> str:
    return f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})"


def pictures(figures: Mapping[str, Any]) -> dg.MarkdownMetadataValue:
    """Figures below each other: the UI opens them on a click, all at once.

    They lie in the event database, so they are small.
    """
    from pianogen.report.drawing import to_png

    return dg.MetadataValue.md("\n\n".join(_image(to_png(figure), name) for name, figure in figures.items()))


def full_page(settings: Settings, dataset: str = "index") -> dg.UrlMetadataValue:
    """The report's page of a dataset, or of all, which the asset `report` writes."""
    return dg.MetadataValue.url((settings.report / "data" / f"{dataset}.html").as_uri())


def full_page_of_tokenizers(settings: Settings) -> dg.UrlMetadataValue:
    """The report's page of the tokenizers, which the asset `report` writes."""
    return dg.MetadataValue.url((settings.report / "tokenizers.html").as_uri())


SHOWN = 20
"""Lines of a list on an asset's page."""


def table(
    header: Sequence[str], lines: Sequence[Sequence[object]], num_all: int | None = None, *, view: str = ""
) -> dg.MarkdownMetadataValue:
    """The first lines as a table, and how many more there are; "none" without any.

    Args:
        header: names of the columns.
        lines: the cells.
        num_all: how many lines there are, where these are a part.
        view: has all of them.
    """
    if not lines:
        return dg.MetadataValue.md("none")
    rest = (len(lines) if num_all is None else num_all) - len(lines[:SHOWN])
    told = f"\n\nAnd {rest:,} more{f', in the view `{view}`' if view else ''}." if rest else ""
    return dg.MetadataValue.md(markdown_table(header, [list(map(cell, line)) for line in lines[:SHOWN]]) + told)


def cell(value: object) -> object:
    """A value in a table: three digits after the point, or three that mean something."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}" if 0.0005 <= abs(value) < 1e6 or not value else f"{value:.3g}"
    return value


def bulleted(lines: Sequence[str]) -> str:
    """The first lines as a list in Markdown; empty without any."""
    more = [f"- and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return "\n".join([*(f"- {markdown_text(line)}" for line in lines[:SHOWN]), *more])


def result(manifest: Manifest, **metadata) -> dg.MaterializeResult:
    """A stage's manifest as a materialization: its version is the asset's data version."""
    return dg.MaterializeResult(data_version=dg.DataVersion(manifest.version), metadata=metadata)


def _brief_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("pianogen", logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(lambda record: getattr(record, "dagster_event", None) is None)
    handler.setFormatter(_SaidOnly())
    logger.addHandler(handler)
    return logger


brief_console = dg.LoggerDefinition(
    _brief_logger, description="What the assets say, one line each, without Dagster's own events."
)
"""A logger for a person who waits at a shell."""


class _SaidOnly(logging.Formatter):
    """The message as an asset wrote it; Dagster puts run and step before it."""

    def format(self, record: logging.LogRecord) -> str:
        said = getattr(record, "dagster_meta", {}).get("orig_message", record.getMessage())
        return f"    {said}"


def log_progress(context: dg.AssetExecutionContext, what: str, every_sec: float = 5) -> Callable[[int, int], None]:
    """A progress callback that writes to the run's log, at most every so many seconds."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_sec:
            last = time.monotonic()
            context.log.info(f"{done} of {total} {what}")

    return progress


def log_bytes(context: dg.AssetExecutionContext, what: str, every_sec: float = 5) -> Callable[[int, int | None], None]:
    """A progress callback for downloads: bytes and their rate, in the run's log."""
    last, before = time.monotonic(), 0

    def progress(done: int, total: int | None) -> None:
        nonlocal last, before
        passed = time.monotonic() - last
        if passed >= every_sec:
            rate = max(0, done - before) / passed
            whole = "" if total is None else f" of {total / 1e6:,.1f}"
            context.log.info(f"{what}: {done / 1e6:,.1f}{whole} MB, {rate / 1e6:,.1f} MB/s")
            last, before = time.monotonic(), done

    return progress
