"""Jobs, the weekly schedule, the sensor on the user's folders, and when an asset follows its inputs."""

import json
import time
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.resources import Workspace

REST_SEC = 5
"""A file that was written to within this time may still be growing."""


def when_inputs_change() -> dg.AutomationCondition:
    """Follow an input whose data changed, not one that was merely made again; never past a failed gate."""
    changed = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    )
    wanted: Any = changed | dg.AutomationCondition.code_version_changed() | dg.AutomationCondition.newly_missing()
    return (
        wanted.since_last_handled()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label("when inputs change")


CORPUS_BY_DATASET = ("performances", "fingerprints")
CORPUS = ("duplicate_pairs", "clusters", "splits", "statistics")
EXPERIMENT = ("shards", "runs", "evaluations", "samples")
PUBLISHED = ("leaderboard", "report")

reingest = dg.define_asset_job(
    "reingest", dg.AssetSelection.assets(*CORPUS_BY_DATASET), description="Read one dataset's files again."
)
curate = dg.define_asset_job(
    "curate", dg.AssetSelection.assets(*CORPUS), description="Find the same music, split, count: over all datasets."
)
experiment = dg.define_asset_job(
    "experiment",
    dg.AssetSelection.assets(*EXPERIMENT),
    description="Tokenize, train, evaluate and generate, for one file of experiments/.",
    # Beyond this the run is ended, whatever became of its process.
    tags={"dagster/max_runtime": str(7 * 24 * 3600)},
)
publish = dg.define_asset_job(
    "publish", dg.AssetSelection.assets(*PUBLISHED), description="Leaderboard, warehouse and report."
)
ASSET_JOBS = [reingest, curate, experiment, publish]


@dg.op
def run_the_whole_graph(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Run the four asset jobs one after the other, each partition as a run of its own."""
    from pipelines.run import run_everything

    if not run_everything(context.instance, Path(workspace.config_path), echo=context.log.info):
        raise dg.Failure("a run of the chain failed; its own page says why")


@dg.job(description="From files to report: every dataset, then the corpus, then every experiment.")
def everything() -> None:
    """One job for all; datasets and experiments have different partitions, which one asset job cannot mix."""
    run_the_whole_graph()


def weekly_schedule(datasets: dg.PartitionsDefinition) -> dg.ScheduleDefinition:
    """Every dataset is read again on Monday mornings; what changed flows on by itself."""

    @dg.schedule(
        name="weekly_reingestion",
        cron_schedule="0 4 * * 1",
        job=reingest,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def weekly_reingestion(context: dg.ScheduleEvaluationContext):
        """One run per dataset."""
        day = context.scheduled_execution_time.strftime("%Y-%m-%d")
        return [dg.RunRequest(run_key=f"{name}-{day}", partition_key=name) for name in datasets.get_partition_keys()]

    return weekly_reingestion


@dg.sensor(
    name="custom_folders",
    job=reingest,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads a user's folder again when its files changed and have come to rest.",
)
def custom_folders(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """One run for each folder of `pianogen.toml` whose files changed since the last one."""
    from pianogen.catalogue import look_at

    seen = json.loads(context.cursor or "{}")
    requests, waiting = [], []
    for folder in workspace.settings.folders:
        state, newest = look_at(folder.folder)
        if state == seen.get(folder.name):
            continue
        if time.time() - newest < REST_SEC:
            waiting.append(folder.name)
            continue
        seen[folder.name] = state
        requests.append(dg.RunRequest(partition_key=folder.name))
    skip = f"still growing: {', '.join(waiting)}" if waiting else "no file changed"
    return dg.SensorResult(
        run_requests=requests, cursor=json.dumps(seen), skip_reason=None if requests else dg.SkipReason(skip)
    )


downstream = dg.AutomationConditionSensorDefinition(
    "downstream_of_new_data", target=dg.AssetSelection.all(), default_status=dg.DefaultSensorStatus.RUNNING
)
