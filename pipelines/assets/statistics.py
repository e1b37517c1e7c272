"""Distributions of notes, and the study's three pictures."""

import dagster as dg

from pipelines.automation import when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import picture, result


@dg.asset(
    deps=["performances", "splits"],
    group_name="statistics",
    kinds={"parquet", "duckdb"},
    pool="lake",
    automation_condition=when_inputs_change(),
)
def statistics(workspace: Workspace) -> dg.MaterializeResult:
    """Note counts, pitch, duration, velocity and polyphony per performance and per dataset."""
    from pianogen.report import plots
    from pianogen.statistics import build_statistics
    from pianogen.warehouse import open_warehouse, publish_warehouse

    manifest = build_statistics(workspace.lake, workspace.settings.sql)
    settings = workspace.settings
    published = publish_warehouse(workspace.lake, settings.runs, settings.sql, settings.warehouse)
    with open_warehouse(settings.warehouse) as connection:
        rows = {
            view: connection.sql(f"select * from {view}").to_arrow_table().to_pylist()
            for view in ("dataset_statistics", "pitch_distribution", "performance_statistics")
        }
    return result(
        manifest,
        **{"dagster/row_count": manifest.info["performance_statistics"]},
        note_counts=picture(plots.to_png(plots.note_counts(rows["dataset_statistics"])), "notes per dataset"),
        pitch_distribution=picture(
            plots.to_png(plots.pitch_distribution(rows["pitch_distribution"])), "pitches per dataset"
        ),
        duration_by_dataset=picture(
            plots.to_png(plots.duration_by_dataset(rows["performance_statistics"])), "durations per dataset"
        ),
        warehouse=dg.MetadataValue.path(str(settings.warehouse)),
        warehouse_built=bool(published.get("built")),
    )
