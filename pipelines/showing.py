"""What the assets show beside their rows: pictures, progress, versions."""

import base64
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


def log_progress(context: dg.AssetExecutionContext, what: str, every_sec: float = 5) -> Callable[[int, int], None]:
    """A progress callback that writes to the run's log, at most every so many seconds."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_sec:
            last = time.monotonic()
            context.log.info(f"{done} of {total} {what}")

    return progress
