"""What the music is like: each dataset by itself, then beside each other."""

import dagster as dg

from pipelines import compared, lineage
from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import full_page, log_progress, pictures, result, table
from pipelines.tables import column_names, columns, schemas, written


def build(datasets: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage that are partitioned by dataset."""

    @dg.asset(
        deps=["performances"],
        partitions_def=datasets,
        group_name="statistics",
        kinds={"parquet"},
        pool="lake",
        automation_condition=when_inputs_change(),
        freshness_policy=WEEKLY,
        metadata=columns("performance_statistics", "histograms", "statistics_history"),
    )
    def statistics(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """All that is measured of each performance, and its histograms; docs/statistics.md defines every measure."""
        from pianogen.report.data_pictures import dataset_pictures
        from pianogen.statistics.build import build_statistics

        dataset, settings = context.partition_key, workspace.settings
        progress = log_progress(context, f"blocks of {dataset} measured")
        manifest = build_statistics(workspace.lake, dataset, settings, progress)
        history = workspace.lake.require("statistics_history", dataset)
        glance, drawn = dataset_pictures(workspace.lake, settings.sql, dataset)
        return result(
            manifest,
            **written(workspace.lake, manifest, "performance_statistics"),
            **{"dagster/column_lineage": lineage.of_statistics()},
            dataset_version=manifest.info["dataset_version"],
            num_versions_measured=history.info["version"],
            full_page=full_page(settings, dataset),
            at_a_glance=table(["", "from", "", "to", ""], glance),
            pictures=pictures(drawn),
        )

    return [statistics]


@dg.asset(
    deps=["statistics", "splits", "clusters"],
    group_name="statistics",
    kinds={"parquet", "duckdb"},
    pool="lake",
    automation_condition=when_inputs_change(),
    freshness_policy=WEEKLY,
)
def comparison(workspace: Workspace) -> dg.MaterializeResult:
    """Datasets beside each other: distributions, distances, outliers, by split and with the same music once."""
    from pianogen.report.data_pictures import comparison_pictures, comparison_tables, open_comparison
    from pianogen.statistics.build import update_statistics

    lake, settings = workspace.lake, workspace.settings
    # A dataset that was read and not measured would be missing.
    update_statistics(lake, settings)
    manifest = lake.require("comparison")
    with open_comparison(lake, settings.sql) as connection:
        drawn, tables = comparison_pictures(connection), comparison_tables(connection)
    return result(
        manifest,
        **written(lake, manifest, "distances"),
        **schemas(lake, manifest, first="distances"),
        **{"dagster/column_lineage": lineage.of_distances()},
        lineage_of_dataset_statistics=lineage.of_dataset_statistics(column_names(lake, manifest, "dataset_statistics")),
        num_rows=manifest.info,
        full_page=full_page(settings),
        **compared.of_datasets(tables),
        **{f"pictures_of_{about}": pictures(figures) for about, figures in drawn.items()},
    )
