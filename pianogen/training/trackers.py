"""TensorBoard, W&B and MLflow as loggers; each imports its package when it is made. See loggers.py."""

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pianogen.training.loggers import About, Line, scalars

QUIET = {
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""Nothing is sent anywhere, and nothing is printed between our lines, unless the user has set it so."""


def _be_quiet() -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


class TensorBoard:
    """Event files, written anew from the first line when a training goes on."""

    def __init__(self, about: About, began: float) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        folder = about.folder / "tensorboard"
        # A TensorBoard that runs has the last of them open, and ends with it.
        for old in sorted(folder.glob("events.out.tfevents.*"))[:-1]:
            old.unlink()
        self._began = began
        # The new file begins by saying that all is void that was read before it.
        self._writer = SummaryWriter(folder, purge_step=0)

    def log(self, lines: Sequence[Line]) -> None:
        """Write the numbers of the lines."""
        for line in lines:
            for name, value in scalars(line).items():
                self._writer.add_scalar(name, value, line["step"], walltime=self._began + line["elapsed_sec"])
        self._writer.flush()

    def close(self, finished: bool) -> None:
        """Close the file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of W&B: offline, and written anew when a training goes on; or, where WANDB_MODE says so, online."""

    def __init__(self, about: About, began: float) -> None:
        _be_quiet()
        import wandb  # pyright: ignore[reportMissingImports]

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        if mode == "offline":
            for old in (about.folder / "wandb").glob(f"offline-run-*-{about.run_id}"):
                shutil.rmtree(old)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "pianogen"),
            group=about.experiment,
            name=f"{about.experiment} {about.run_id[:8]}",
            id=about.run_id,
            dir=about.folder,
            config=dict(about.lineage),
            mode=mode,
            resume=None if mode == "offline" else "allow",
            settings=wandb.Settings(console="off", silent=True, disable_code=True, disable_git=True),
        )
        # Online it knows the steps that it was told before.
        self._first = self._run.step

    def log(self, lines: Sequence[Line]) -> None:
        """Tell the lines, those of a step together."""
        for line in lines:
            if line["step"] >= self._first:
                self._run.log(scalars(line), step=line["step"])

    def close(self, finished: bool) -> None:
        """End the run, or say that it was cut short."""
        self._run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run of MLflow, found again by its tag when a training goes on."""

    TAG = "pianogen.run_id"

    def __init__(self, about: About, began: float) -> None:
        _be_quiet()
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

        runs = about.folder.parent.parent
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        self._client = MlflowClient(tracking_uri=uri or f"sqlite:///{runs.absolute()}/mlflow.db")
        self._began = began
        place = None if uri else (runs.absolute() / "mlflow-artifacts").as_uri()
        known = self._client.get_experiment_by_name(about.experiment)
        experiment = known.experiment_id if known else self._client.create_experiment(about.experiment, place)
        found = self._client.search_runs([experiment], f"tags.`{self.TAG}` = '{about.run_id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            tags = {self.TAG: about.run_id}
            run = self._client.create_run(experiment, round(began * 1000), tags, run_name=about.run_id[:8])
            self._id = run.info.run_id
            for name, value in _flat(about.lineage):
                self._client.log_param(self._id, name, str(value)[:MOST_OF_A_PARAMETER])
        self._told: dict[str, int] = {}

    def log(self, lines: Sequence[Line]) -> None:
        """Store the numbers of the lines that are not there yet, each line whole."""
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        for line in lines:
            values = scalars(line)
            time_ms = round((self._began + line["elapsed_sec"]) * 1000)
            # Every line has its time: by it one tells which are there.
            (key,) = (name for name in values if name.endswith("/elapsed_sec"))
            if line["step"] > self._last(key):
                metrics = [Metric(name, value, time_ms, line["step"]) for name, value in values.items()]
                self._client.log_batch(self._id, metrics=metrics)
                self._told[key] = line["step"]

    def close(self, finished: bool) -> None:
        """Say whether the training is at its end."""
        self._client.set_terminated(self._id, status="FINISHED" if finished else "KILLED")

    def _last(self, key: str) -> int:
        """The last step that a number is stored of."""
        if key not in self._told:
            history = self._client.get_metric_history(self._id, key)
            self._told[key] = max((metric.step for metric in history), default=-1)
        return self._told[key]


MOST_OF_A_PARAMETER = 500
"""Characters that any server takes."""


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its path, such as training.seed."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and not dataclasses.is_dataclass(value):
            yield f"{prefix}{name}", value
