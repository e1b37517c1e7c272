"""Partitions: datasets for the corpus, experiments for training and what follows it."""

from pathlib import Path

import dagster as dg

from pianogen.catalogue import known_datasets
from pianogen.settings import Settings
from pianogen.training.experiment import list_experiments


def dataset_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition for each dataset that is known, so that one can be asked for that is not here yet."""
    return dg.StaticPartitionsDefinition([dataset.name for dataset in known_datasets(settings)])


def experiment_partitions(folder: Path) -> dg.StaticPartitionsDefinition:
    """One partition for each file `experiments/<name>.yaml`."""
    return dg.StaticPartitionsDefinition(list(list_experiments(folder)))
