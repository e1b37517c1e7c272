"""Clusters to train, validation and test."""

import dagster as dg

from pipelines import same_music
from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import result
from pipelines.tables import columns, written


@dg.asset(
    deps=["clusters"],
    group_name="corpus",
    kinds={"parquet"},
    pool="lake",
    automation_condition=when_inputs_change(),
    freshness_policy=WEEKLY,
    metadata=columns("splits", "split_moves", "contamination"),
)
def splits(workspace: Workspace) -> dg.MaterializeResult:
    """The split of every performance, and the report of music that stands in two of them."""
    from pianogen.splits import assign_splits

    manifest = assign_splits(workspace.lake, workspace.datasets, workspace.settings.splits)
    info = manifest.info
    counts = {f"num_{split}": n for split, n in info["num_performances"].items()}
    counts["num_left_out"] = sum(info["num_left_out"].values())
    moved = workspace.lake.require("split_history").info["num_moved"]
    return result(
        manifest,
        **written(workspace.lake, manifest, "splits"),
        **counts,
        left_out=dg.MetadataValue.json(info["num_left_out"]),
        moves=dg.MetadataValue.json(info["num_moves"]),
        num_moved_since_earlier=moved,
        **same_music.of_splits(workspace),
    )
