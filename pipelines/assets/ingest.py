"""Files of a dataset to performances and rejections."""

import dagster as dg

from pipelines.automation import WEEKLY, when_inputs_change
from pipelines.resources import Workspace
from pipelines.showing import SHOWN, bulleted, log_progress, result, table
from pipelines.tables import columns, written

TABLES = (
    "performances", "parts", "notes", "controls", "pedal_presses", "tempos", "time_signatures", "key_signatures",
    "message_counts", "files", "rejections", "sources", "links", "removed_files",
)  # fmt: skip


def build(datasets: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by dataset."""

    @dg.asset(
        deps=["downloads"],
        partitions_def=datasets,
        group_name="corpus",
        kinds={"parquet"},
        pool="lake",
        automation_condition=when_inputs_change(),
        freshness_policy=WEEKLY,
        metadata=columns(*TABLES),
    )
    def performances(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """One row per accepted file, with its notes, pedals, tempos and signatures; the rest are rejections."""
        from pianogen.ingest import ingest_dataset, retire_datasets
        from pianogen.inventory import licence_text, rejections_by_reason, require_at_hand

        dataset = require_at_hand(workspace.settings, context.partition_key)
        retire_datasets(workspace.lake, [at_hand.name for at_hand in workspace.datasets])
        progress = log_progress(context, f"files of {dataset.name} parsed")
        manifest = ingest_dataset(workspace.lake, dataset, workspace.settings, progress)
        info = manifest.info
        notes = workspace.lake.require("listing", dataset.name).info["metadata_notes"]
        if info["non_commercial"]:
            context.log.warning(f"{dataset.name} may not be used commercially ({info['licence']})")
        for note in notes[:SHOWN]:
            context.log.warning(note)
        return result(
            manifest,
            **written(workspace.lake, manifest, "performances"),
            num_files=info["num_files"],
            num_rejections=info["num_rejections"],
            rejections_by_reason=table(
                ["reason", "files"], [*rejections_by_reason(workspace.lake, dataset.name).items()]
            ),
            num_removed=workspace.lake.require("removed", dataset.name).info["num_removed"],
            licence=licence_text(dataset),
            non_commercial=info["non_commercial"],
            metadata_notes=dg.MetadataValue.md(bulleted(notes) or "none"),
            dataset_version=info["dataset_version"],
        )

    return [performances]
