"""Jobs, the weekly schedule, the sensor on the user's folders, and when an asset follows its inputs."""

import datetime
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.resources import Workspace

REST_SEC = 5
"""A file that was written to within this time may still be growing."""


WEEKLY = dg.FreshnessPolicy.time_window(warn_window=datetime.timedelta(days=8), fail_window=datetime.timedelta(days=15))
"""Looked at within the week, whether anything had changed or not: a schedule that stood still is seen."""


def when_inputs_change() -> dg.AutomationCondition:
    """Follow an input whose data changed, not one that was merely made again; never past a failed gate."""
    changed = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    )
    there = ~dg.AutomationCondition.missing() | dg.AutomationCondition.will_be_requested()
    wanted: Any = changed | dg.AutomationCondition.code_version_changed() | dg.AutomationCondition.newly_missing()
    return (
        wanted.since_last_handled()
        # Not "no partition missing": a dataset that is known and not here is missing for ever.
        & dg.AutomationCondition.all_deps_match(there)
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label("when inputs change")


CORPUS_BY_DATASET = ("performances", "fingerprints", "statistics")
CORPUS = ("duplicate_pairs", "clusters", "splits", "round_trips", "comparison", "warehouse", "data_cards")
EXPERIMENT = ("shards", "runs", "evaluations", "test_kinships", "samples", "sample_judgements")
PUBLISHED = ("scores", "leaderboard", "report")

reingest = dg.define_asset_job(
    "reingest",
    dg.AssetSelection.assets(*CORPUS_BY_DATASET),
    description="Read one dataset's files again, and measure them.",
)
curate = dg.define_asset_job(
    "curate",
    dg.AssetSelection.assets(*CORPUS),
    description="Find the same music, split, measure tokenizers, compare, publish: over all datasets.",
)
experiment = dg.define_asset_job(
    "experiment",
    dg.AssetSelection.assets(*EXPERIMENT),
    description="Tokenize, train, evaluate, generate and judge, for one file of experiments/ or its folders.",
    # Beyond this the run is ended, whatever became of its process.
    tags={"dagster/max_runtime": str(7 * 24 * 3600)},
)
publish = dg.define_asset_job(
    "publish",
    dg.AssetSelection.assets(*PUBLISHED),
    description="Scores side by side, leaderboard, warehouse and report.",
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


@dg.schedule(
    name="weekly_reingestion",
    cron_schedule="0 4 * * 1",
    job=reingest,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads every dataset at hand again on Monday mornings; what changed flows on by itself.",
)
def weekly_reingestion(context: dg.ScheduleEvaluationContext, workspace: Workspace):
    """One run per dataset at hand; nothing is downloaded."""
    day = context.scheduled_execution_time.strftime("%Y-%m-%d")
    return [dg.RunRequest(run_key=f"{d.name}-{day}", partition_key=d.name) for d in workspace.datasets]


@dg.schedule(
    name="weekly_curation",
    cron_schedule="0 6 * * 1",
    job=curate,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After the reingestion, all that looks at every dataset at once; what is current is not made again.",
)
def weekly_curation(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run; it waits for those of the reingestion, which hold the pool of the lake."""
    return dg.RunRequest(run_key=context.scheduled_execution_time.strftime("%Y-%m-%d"))


@dg.sensor(
    name="custom_folders",
    job=reingest,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads a user's folder again when its files changed and have come to rest.",
)
def custom_folders(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """One run for each folder of `pianogen.toml` whose files changed since the last one.

    A folder has come to rest when two looks find it the same and its latest change lies `REST_SEC` back: a file may
    be given an old time while it is copied, and a slow writer may pause for longer than `REST_SEC`.
    """
    from pianogen.catalogue import look_at
    from pianogen.errors import SettingsError

    cursor = _Looks.read(context.cursor)
    looks, requests, waiting = _Looks(asked=dict(cursor.asked)), [], []
    named = {entry.name for entry in workspace.settings.folders}
    for dataset in workspace.datasets:
        if dataset.name not in named:
            continue
        try:
            state, newest = look_at(dataset.folder, follow_links=dataset.follow_links)
        except SettingsError as error:
            context.log.warning(str(error))
            continue
        looks.last[dataset.name] = state
        if state == cursor.asked.get(dataset.name):
            continue
        # A time in the future says nothing of when the file was written.
        if state != cursor.last.get(dataset.name) or 0 <= time.time() - newest < REST_SEC:
            waiting.append(dataset.name)
            continue
        looks.asked[dataset.name] = state
        requests.append(dg.RunRequest(partition_key=dataset.name))
    skip = f"changed, and may still grow: {', '.join(waiting)}" if waiting else "no file changed"
    return dg.SensorResult(
        run_requests=requests, cursor=looks.written(), skip_reason=None if requests else dg.SkipReason(skip)
    )


@dataclass
class _Looks:
    """What the sensor saw, by dataset: the state that a run was asked for, and that of the last look."""

    asked: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> "_Looks":
        found = json.loads(cursor or "{}")
        # A cursor of an earlier version knew only what was asked for.
        return cls(**found) if set(found) == {"asked", "last"} else cls(asked=found)

    def written(self) -> str:
        return json.dumps({"asked": self.asked, "last": self.last})


downstream = dg.AutomationConditionSensorDefinition(
    "downstream_of_new_data", target=dg.AssetSelection.all(), default_status=dg.DefaultSensorStatus.RUNNING
)
