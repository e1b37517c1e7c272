"""Token sequences of a split that passed the gate."""

import dagster as dg

from pipelines.resources import Workspace
from pipelines.showing import log_progress, result


def build(experiments: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets of the stage, partitioned by experiment."""

    @dg.asset(deps=["splits"], partitions_def=experiments, group_name="tokens", kinds={"arrow"}, pool="training")
    def shards(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
        """Token sequences of train, validation and test, train transposed, with their manifest."""
        from pianogen.shards import build_shards
        from pianogen.training.experiment import load_experiment

        experiment = load_experiment(workspace.experiment_file(context.partition_key))
        manifest = build_shards(
            workspace.lake,
            workspace.settings,
            name=experiment.name,
            tokenizer=experiment.tokenizer,
            augment=experiment.augmentation,
            datasets=experiment.data.names,
            leak=experiment.data.leak,
            progress=log_progress(context, "shards written"),
        )
        counts = manifest.info["counts"]
        return result(
            manifest,
            **{"dagster/row_count": sum(split["num_sequences"] for split in counts.values())},
            counts=dg.MetadataValue.json(counts),
            tokenizer=dg.MetadataValue.json(manifest.info["tokenizer"]),
            split_version=manifest.info["split_version"],
            certificate=manifest.info["certificate"] or "none: test music is in train, as `data.leak` asks for",
        )

    return [shards]
