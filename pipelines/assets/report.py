"""The static page."""

import dagster as dg

from pipelines.automation import when_inputs_change
from pipelines.resources import Workspace


@dg.asset(
    deps=["leaderboard"],
    group_name="evaluation",
    kinds={"html"},
    pool="lake",
    automation_condition=when_inputs_change(),
)
def report(workspace: Workspace) -> dg.MaterializeResult:
    """Leaderboard, plots and samples that play, as one folder that needs no server."""
    import hashlib

    from pianogen.report.page import write_report

    page = write_report(workspace.settings.warehouse, workspace.settings.report)
    version = hashlib.sha256(page.read_bytes()).hexdigest()[:32]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version), metadata={"page": dg.MetadataValue.url(page.as_uri())}
    )
