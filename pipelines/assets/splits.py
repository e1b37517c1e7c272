"""Clusters to train, validation and test."""

import dagster as dg

from pipelines.automation import when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import result


@dg.asset(
    deps=["clusters"],
    group_name="corpus",
    kinds={"parquet"},
    pool="lake",
    automation_condition=when_inputs_change(),
)
def splits(workspace: Workspace) -> dg.MaterializeResult:
    """The split of every performance, and the report of music that stands in two of them."""
    from pianogen.splits import assign_splits

    manifest = assign_splits(workspace.lake, workspace.datasets)
    counts = {f"num_{split}": n for split, n in manifest.info["num_performances"].items()}
    return result(manifest, **{"dagster/row_count": sum(counts.values())}, **counts)
