"""Models trained in a process of their own, watched from here."""

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import bulleted
from pipelines.watching import Watcher, loss_curve


def build(experiments: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by experiment."""

    @dg.asset(deps=["shards"], partitions_def=experiments, group_name="training", kinds={"pytorch"}, pool="training")
    def runs(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """The trained model of an experiment: best and last checkpoint, loss curve, cost."""
        from pianogen.training.experiment import load_experiment
        from pianogen.training.launch import run_training
        from pianogen.training.metrics import read_metrics
        from pianogen.training.runs import METRICS_FILE, require_run, run_folder

        path = workspace.experiment_file(context.partition_key)
        experiment = load_experiment(path)
        folder = run_folder(workspace.lake, workspace.settings.runs, experiment)
        watcher = Watcher(context, folder, experiment.training.steps)
        run_training(path, workspace.settings, on_metrics=watcher)
        run = require_run(folder)
        metrics = read_metrics(folder / METRICS_FILE)
        shown = (
            "model",
            "num_parameters",
            "steps",
            "best_step",
            "validation_nll",
            "validation_bits_per_note",
            "train_sec",
            "tokens_per_sec",
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
                "loss_curve": loss_curve(metrics),
            },
        )

    return [runs]
