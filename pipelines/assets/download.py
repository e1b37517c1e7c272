"""Datasets of the catalogue to their folders, when somebody asks for one."""

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import bulleted, log_bytes


def build(datasets: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by dataset. No job, schedule or sensor asks for them by itself."""

    @dg.asset(partitions_def=datasets, group_name="corpus", kinds={"file"}, pool="download")
    def downloads(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """The files of a dataset, fetched and verified; of a folder of yours, what is there and what is missing."""
        from pianogen.catalogue import find_dataset, look_at
        from pianogen.download import obtain
        from pianogen.download_plan import plan
        from pianogen.inventory import describe, licence_text

        dataset = find_dataset(workspace.settings, context.partition_key)
        planned = plan(dataset, workspace.settings)
        for line in planned.lines:
            context.log.info(line)
        if dataset.non_commercial:
            context.log.warning(
                f"{dataset.name} may not be used commercially ({dataset.licence}), nor may what is derived from it"
            )
        received = []
        if planned.state != "yours":
            receipt = obtain(
                dataset, workspace.settings, progress=log_bytes(context, dataset.name), say=context.log.info
            )
            received = list(receipt.archives)
        known = describe(workspace.settings, dataset.name)
        missing = known["missing"]
        archives = [f"{a.name} from {a.source}: {a.size_bytes:,} bytes, SHA-256 {a.sha256}" for a in received]
        state, _ = look_at(dataset.folder, follow_links=dataset.follow_links)
        return dg.MaterializeResult(
            data_version=dg.DataVersion("+".join(a.sha256 for a in received) or state),
            metadata={
                "dagster/row_count": known["files_here"] or 0,
                "state": planned.state,
                "here": known["here"],
                "folder": dg.MetadataValue.path(str(dataset.folder)),
                "licence": licence_text(dataset),
                "non_commercial": dataset.non_commercial,
                "num_archive_bytes": sum(a.size_bytes for a in received),
                "archives": dg.MetadataValue.md(bulleted(archives) or "none: read where it is"),
                "num_missing": dg.MetadataValue.null() if missing is None else len(missing),
                "missing": dg.MetadataValue.md(bulleted(missing or ()) or "nothing that is known to be missing"),
                "advice": known["advice"],
            },
        )

    return [downloads]
