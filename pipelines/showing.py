"""What the assets show beside their rows: pictures, progress, versions."""

import base64
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import dagster as dg

from pianogen.lake import Manifest


def picture(png: bytes, text: str) -> dg.MarkdownMetadataValue:
    """A PNG as metadata that the UI draws in place."""
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})")


SHOWN = 20
"""Lines of a list on an asset's page."""


def bulleted(lines: Sequence[str]) -> str:
    """The first lines as a list in Markdown; empty without any."""
    more = [f"- and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return "\n".join([*(f"- {as_text(line)}" for line in lines[:SHOWN]), *more])


def md_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(as_text(cell) for cell in line) + " |" for line in lines)


def as_text(value: object) -> str:
    """A value that Markdown shows as it is: text out of files is data."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))
    return re.sub(r"([\\`*\[\]<>|&])", lambda found: f"&#{ord(found[0])};", shown)


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
