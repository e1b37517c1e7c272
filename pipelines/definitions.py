"""The one `defs`: what `dagster dev`, `dg` and the tests load."""

import os
from pathlib import Path

import dagster as dg

from pianogen.settings import load_settings
from pipelines import automation, checks
from pipelines.assets import (
    dedupe,
    download,
    evaluation,
    ingest,
    report,
    round_trips,
    shards,
    splits,
    statistics,
    training,
    warehouse,
)
from pipelines.partitions import dataset_partitions, experiment_partitions
from pipelines.resources import Workspace
from pipelines.showing import brief_console

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = Path(os.environ.get("PIANOGEN_CONFIG", PROJECT / "pianogen.toml"))
"""The settings file; the environment names another one for a second corpus on one machine."""


def build_definitions(config: Path) -> dg.Definitions:
    """Every definition over the project that `config` describes."""
    settings = load_settings(config)
    datasets = dataset_partitions(settings)
    experiments = experiment_partitions(settings.experiments)
    return dg.Definitions(
        assets=[
            *download.build(datasets),
            *ingest.build(datasets),
            *dedupe.build(datasets),
            splits.splits,
            *statistics.build(datasets),
            round_trips.round_trips,
            statistics.comparison,
            warehouse.warehouse,
            warehouse.data_cards,
            *shards.build(experiments),
            *training.build(experiments),
            *evaluation.build(experiments),
            evaluation.scores,
            evaluation.leaderboard,
            report.report,
        ],
        asset_checks=[
            *checks.sql_checks(settings.sql / "checks"),
            checks.no_music_stands_in_two_splits,
            checks.no_group_holds_a_large_share_of_the_music,
        ],
        jobs=[*automation.ASSET_JOBS, automation.everything],
        schedules=[automation.weekly_reingestion, automation.weekly_curation],
        sensors=[automation.custom_folders, automation.downstream],
        resources={"workspace": Workspace(config_path=str(config))},
        loggers={"console": dg.colored_console_logger, "brief": brief_console},
        # A step in a process of its own costs seconds of imports; what is heavy runs in processes of the
        # library's own, blocks and training in processes of their own.
        executor=dg.in_process_executor,
    )


defs = build_definitions(CONFIG)
