"""Where the weights of a run come from, as its checkpoints say it."""

import dataclasses
import importlib.metadata
from typing import Any

from pianogen.shards import ShardSet
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.runs import PACKAGES, run_id, training_code_version


def origin(config: ExperimentConfig, shards: ShardSet) -> dict[str, Any]:
    """What the weights of a run come from, the gate's certificate included."""
    return {
        "experiment": config.name,
        "run_id": run_id(config, shards.version),
        "dataset_versions": shards.info["dataset_versions"],
        # Of shards from before they were recorded nothing is known.
        "licences": shards.info.get("licences"),
        "non_commercial_datasets": shards.info.get("non_commercial_datasets"),
        "split_version": shards.info["split_version"],
        "shards_version": shards.version,
        "certificate": shards.info["certificate"],
        "code_version": training_code_version(config.model.name),
    }


def lineage_of(config: ExperimentConfig, shards: ShardSet) -> dict[str, Any]:
    """What a checkpoint says of itself wherever it is copied: where it comes from, and how it was made."""
    return {
        **origin(config, shards),
        "model": dataclasses.asdict(config.model),
        "training": dataclasses.asdict(config.training),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
