"""Models trained in a process of their own, watched from here."""

import json
import time

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import bulleted, picture

OBSERVE_EVERY_SEC = 5
"""The UI shows about the last hundred observations; the whole curve is in the warehouse."""


def build(experiments: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by experiment."""

    @dg.asset(deps=["shards"], partitions_def=experiments, group_name="training", kinds={"pytorch"}, pool="training")
    def runs(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """The trained model of an experiment: best and last checkpoint, loss curve, cost."""
        from pianogen.report import plots
        from pianogen.training.launch import run_training
        from pianogen.training.runs import METRICS_FILE, require_run

        last_shown = 0.0

        def show(metrics: dict) -> None:
            nonlocal last_shown
            is_due = time.monotonic() - last_shown >= OBSERVE_EVERY_SEC
            if not (is_due or metrics["split"] == "validation"):
                return
            last_shown = time.monotonic()
            name = "validation_nll" if metrics["split"] == "validation" else "train_nll"
            shown = {name: metrics["nll"], "step": metrics["step"]}
            for key in ("tokens_per_sec", "memory_mb"):
                if metrics.get(key) is not None:
                    shown[key] = float(metrics[key])
            context.log.info(f"step {metrics['step']}: {name} {metrics['nll']:.4f}")
            context.log_event(dg.AssetObservation(context.asset_key, partition=context.partition_key, metadata=shown))

        experiment = workspace.experiment_file(context.partition_key)
        folder = run_training(experiment, workspace.settings, on_metrics=show)
        run = require_run(folder)
        metrics = [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()]
        shown = (
            "model",
            "num_parameters",
            "steps",
            "best_step",
            "validation_nll",
            "train_sec",
            "peak_memory_mb",
            "device",
        )
        licences = [f"{name}: {licence}" for name, licence in (run.get("licences") or {}).items()]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(run["run_id"]),
            metadata={
                **{key: run[key] for key in shown},
                "licences": dg.MetadataValue.md(bulleted(licences) or "not recorded"),
                "non_commercial": bool(run.get("non_commercial_datasets")),
                "run_folder": dg.MetadataValue.path(str(folder)),
                "loss_curve": picture(plots.to_png(plots.loss_curve(metrics)), "loss curve"),
            },
        )

    return [runs]
