"""The lake as one DuckDB file for everybody, and a card of each dataset for those who read no SQL."""

import dagster as dg

from pianogen.foreign_text import markdown_table
from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace


@dg.asset(
    deps=["comparison", "round_trips"],
    group_name="statistics",
    kinds={"duckdb"},
    pool="lake",
    automation_condition=when_inputs_change(),
    freshness_policy=WEEKLY,
)
def warehouse(workspace: Workspace) -> dg.MaterializeResult:
    """Every table of the lake and every view over them, as one file that is read with SQL."""
    from pianogen.statistics.build import update_statistics
    from pianogen.warehouse import publish_warehouse

    settings = workspace.settings
    update_statistics(workspace.lake, settings)
    published = publish_warehouse(workspace.lake, settings.runs, settings.sql, settings.warehouse)
    counts = published["num_rows"]
    tables = markdown_table(["table", "rows"], [(name, f"{count:,}") for name, count in counts.items()])
    return dg.MaterializeResult(
        data_version=dg.DataVersion(published["version"]),
        metadata={
            "dagster/row_count": sum(counts.values()),
            "dagster/size_bytes": published["size_bytes"],
            "dagster/uri": settings.warehouse.as_uri(),
            "was_built": published["built"],
            "num_views": published["num_views"],
            "tables": dg.MetadataValue.md(tables),
            "file": dg.MetadataValue.path(settings.warehouse),
        },
    )


@dg.asset(
    deps=["warehouse"],
    group_name="statistics",
    kinds={"markdown"},
    pool="lake",
    automation_condition=when_inputs_change(),
    freshness_policy=WEEKLY,
)
def data_cards(workspace: Workspace) -> dg.MaterializeResult:
    """What each dataset is, in words and numbers: a page of Markdown, written from the warehouse alone."""
    from pianogen.report.data_card import write_data_cards

    settings = workspace.settings
    cards = write_data_cards(settings.warehouse, settings.data_cards, workspace.datasets)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(cards.version),
        metadata={
            "dagster/row_count": len(cards.paths),
            "folder": dg.MetadataValue.path(settings.data_cards),
            **{name: dg.MetadataValue.md(text) for name, text in cards.told.items()},
        },
    )
