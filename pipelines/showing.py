"""What the assets show beside their rows: pictures, progress, versions."""

import base64
import logging
import sys
import time
from collections.abc import Callable

import dagster as dg

from pianogen.lake import Manifest


def picture(png: bytes, text: str) -> dg.MarkdownMetadataValue:
    """A PNG as metadata that the UI draws in place."""
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})")


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
