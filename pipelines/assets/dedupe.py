"""Fingerprints of performances, pairs of the same music, clusters."""

import dagster as dg

from pipelines import same_music
from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import log_progress, result
from pipelines.tables import columns, written


def build(datasets: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Fingerprints are partitioned by dataset; pairs and clusters look at all of them at once."""

    @dg.asset(
        deps=["performances"],
        partitions_def=datasets,
        group_name="corpus",
        kinds={"parquet"},
        pool="lake",
        automation_condition=when_inputs_change(),
        freshness_policy=WEEKLY,
        metadata=columns("fingerprints", "content_hashes", "shingles"),
    )
    def fingerprints(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """Content hashes and shingles, one set per performance."""
        from pianogen.dedupe.fingerprint import fingerprint_dataset

        progress = log_progress(context, "blocks fingerprinted")
        manifest = fingerprint_dataset(workspace.lake, context.partition_key, workspace.settings, progress)
        return result(manifest, **written(workspace.lake, manifest, "fingerprints"))

    @dg.asset(
        deps=["fingerprints"],
        group_name="corpus",
        kinds={"parquet", "duckdb"},
        pool="lake",
        automation_condition=when_inputs_change(),
        freshness_policy=WEEKLY,
        metadata=columns("duplicate_pairs"),
    )
    def duplicate_pairs(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """Pairs of performances that hold the same music, with the relation and its evidence."""
        from pianogen.dedupe.candidates import find_duplicate_pairs

        progress = log_progress(context, "steps compared")
        manifest = find_duplicate_pairs(workspace.lake, settings=workspace.settings, progress=progress)
        counts = manifest.info["num_pairs"]
        return result(
            manifest,
            **written(workspace.lake, manifest, "duplicate_pairs"),
            num_pairs=dg.MetadataValue.json(counts),
            **same_music.of_pairs(workspace),
        )

    @dg.asset(
        deps=["duplicate_pairs"],
        group_name="corpus",
        kinds={"parquet"},
        pool="lake",
        automation_condition=when_inputs_change(),
        freshness_policy=WEEKLY,
        metadata=columns("clusters"),
    )
    def clusters(workspace: Workspace) -> dg.MaterializeResult:
        """The cluster of every performance: all renditions of the same music together, and who represents them."""
        from pianogen.dedupe.clusters import find_clusters

        datasets = [dataset.name for dataset in workspace.datasets]
        manifest = find_clusters(workspace.lake, datasets, workspace.settings.splits)
        return result(
            manifest,
            **written(workspace.lake, manifest, "clusters"),
            **manifest.info,
            **same_music.of_clusters(workspace),
        )

    return [fingerprints, duplicate_pairs, clusters]
