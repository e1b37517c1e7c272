"""Files of a dataset to performances and rejections."""

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import log_progress, result


def build(datasets: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by dataset."""

    @dg.asset(partitions_def=datasets, group_name="corpus", kinds={"parquet"}, pool="lake")
    def performances(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """One row per accepted file, with its notes, pedals, tempos and signatures; the rest are rejections."""
        from pianogen.ingest import ingest_dataset, retire_datasets

        retire_datasets(workspace.lake, [dataset.name for dataset in workspace.datasets])
        dataset = next(d for d in workspace.datasets if d.name == context.partition_key)
        progress = log_progress(context, f"files of {dataset.name} parsed")
        manifest = ingest_dataset(workspace.lake, dataset, workspace.settings, progress)
        reasons = workspace.lake.read("rejections", ["dataset", "reason"]).to_pandas()
        reasons = reasons[reasons.dataset == dataset.name].reason.value_counts()
        return result(
            manifest,
            **{"dagster/row_count": manifest.info["num_performances"]},
            num_files=manifest.info["num_files"],
            num_rejections=manifest.info["num_rejections"],
            rejections_by_reason=dg.MetadataValue.md(
                "\n".join(["| reason | files |", "|---|---|", *(f"| {r} | {n} |" for r, n in reasons.items())])
            ),
            licence=dataset.licence,
            dataset_version=manifest.info["dataset_version"],
        )

    return [performances]
