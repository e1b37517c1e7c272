"""What the UI shows of a training while it runs: lines in the log, and observations whose numbers it plots."""

import time
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.showing import picture

OBSERVE_EVERY_SEC = 5.0
"""For train lines; the UI plots about the last hundred observations, the whole curve is in the warehouse."""
DRAW_EVERY_SEC = 60.0
"""Pictures lie in the event database."""

Line = dict[str, Any]

_PLOTTED = {
    "train": {
        "nll": "train_nll",
        "learning_rate": "learning_rate",
        "gradient_norm": "gradient_norm",
        "tokens_per_sec": "tokens_per_sec",
        "loader_share": "loader_share",
    },
    "validation": {"nll": "validation_nll", "bits_per_note": "validation_bits_per_note"},
    "sample": {"num_notes": "sample_notes", "duration_sec": "sample_sec"},
}
_OF_EVERY_LINE = ("remaining_sec", "memory_mb", "gpu_memory_mb")


class Watcher:
    """Given every line of metrics of a training, tells the UI of some.

    Each validation and sample is told; of train lines one every few seconds. The loss so far is drawn at validations,
    once a minute at most, and at the first.

    Args:
        context: of the asset.
        folder: of the run.
        steps: of the whole training.
    """

    def __init__(self, context: dg.AssetExecutionContext, folder: Path, steps: int) -> None:
        self.context, self.folder, self.steps = context, folder, steps
        self._told_sec = self._drawn_sec = float("-inf")

    def __call__(self, line: Line) -> None:
        """Take a line."""
        from pianogen.training.metrics import read_metrics
        from pianogen.training.runs import METRICS_FILE
        from pianogen.training.showing import described

        now = time.monotonic()
        if line["split"] == "train" and now - self._told_sec < OBSERVE_EVERY_SEC:
            return
        self._told_sec = now
        self.context.log.info(described(line, self.steps))
        shown = self._numbers(line)
        if line.get("file"):
            shown["newest_sample"] = dg.MetadataValue.url((self.folder / line["file"]).as_uri())
        if line["split"] == "validation" and now - self._drawn_sec >= DRAW_EVERY_SEC:
            self._drawn_sec = now
            shown["loss_curve"] = loss_curve(read_metrics(self.folder / METRICS_FILE, grows=True))
        self.context.log_event(
            dg.AssetObservation(self.context.asset_key, partition=self.context.partition_key, metadata=shown)
        )

    def _numbers(self, line: Line) -> dict[str, Any]:
        names = {**_PLOTTED[line["split"]], **{name: name for name in _OF_EVERY_LINE}}
        # The UI plots floats and whole numbers apart: a loss of exactly 2 must not leave its curve.
        found = {shown: float(line[name]) for name, shown in names.items() if line.get(name) is not None}
        return {**found, "step": line["step"]}


def loss_curve(lines: list[Line]) -> dg.MarkdownMetadataValue:
    """Train and validation nll by step, as a picture."""
    from pianogen.report import plots

    losses = [line for line in lines if line.get("nll") is not None]
    return picture(plots.to_png(plots.loss_curve(losses)), "loss curve")
