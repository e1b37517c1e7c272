"""Where the weights of a run come from, as its checkpoints say it."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from pianogen.shards import ShardSet
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.parents import Beginning
from pianogen.training.runs import PACKAGES, run_id, training_code_version


def origin(config: ExperimentConfig, shards: ShardSet, beginning: Beginning | None = None) -> dict[str, Any]:
    """What the weights of a run come from, the gate's certificate included.

    Args:
        config: the experiment.
        shards: its shard set.
        beginning: what they are before the first step; random without it.
    """
    begun = beginning or Beginning()
    return {
        "experiment": config.name,
        "run_id": run_id(config, shards.version, begun.parent),
        "dataset_versions": shards.info["dataset_versions"],
        **_licences(shards.info, begun.parents),
        "split_version": shards.info["split_version"],
        "shards_version": shards.version,
        "certificate": shards.info["certificate"],
        "leak": shards.info.get("leak", 0.0),
        "code_version": training_code_version(config.model.name),
        "trained_on": begun.trained_on,
        "parents": list(begun.parents),
        "parents_check": begun.check,
    }


def lineage_of(config: ExperimentConfig, shards: ShardSet, beginning: Beginning | None = None) -> dict[str, Any]:
    """What a checkpoint says of itself wherever it is copied: where it comes from, and how it was made."""
    return {
        **origin(config, shards, beginning),
        "model": dataclasses.asdict(config.model),
        "training": dataclasses.asdict(config.training),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _licences(info: Mapping[str, Any], parents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Licences of all music that the weights have seen, and what of it forbids commercial use.

    Of shards from before they were recorded nothing is known; what is known to forbid it stays known all the same.
    """
    # What a dataset stands under now goes before what it stood under.
    said = [*parents, info]
    licences: dict[str, str] | None = {}
    for one in said:
        licences = None if licences is None or one.get("licences") is None else {**licences, **one["licences"]}
    forbidding = [one.get("non_commercial_datasets") for one in said]
    names = sorted({name for found in forbidding for name in found or ()})
    return {
        "licences": licences,
        "non_commercial_datasets": None if not names and None in forbidding else names,
    }
