"""Partitions: datasets for the corpus, experiments for training and what follows it."""

from pathlib import Path

import dagster as dg

from pianogen.catalogue import known_datasets
from pianogen.settings import Settings
from pianogen.training.experiment import find_experiments


def dataset_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition for each dataset that is known, so that one can be asked for that is not here yet."""
    return dg.StaticPartitionsDefinition([dataset.name for dataset in known_datasets(settings)])


def experiment_partitions(folder: Path) -> dg.StaticPartitionsDefinition:
    """One partition for each experiment file in the folder and below it, so that each can be asked for."""
    return dg.StaticPartitionsDefinition(list(find_experiments(folder)))
