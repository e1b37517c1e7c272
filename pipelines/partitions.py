"""Partitions: datasets for the corpus, experiments for training and what follows it."""

from pathlib import Path

import dagster as dg

from pianogen.catalogue import load_catalogue
from pianogen.settings import Settings
from pianogen.training.experiment import list_experiments


def dataset_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition for each dataset of the catalogue and of `pianogen.toml`."""
    return dg.StaticPartitionsDefinition([dataset.name for dataset in load_catalogue(settings)])


def experiment_partitions(folder: Path) -> dg.StaticPartitionsDefinition:
    """One partition for each file `experiments/<name>.yaml`."""
    return dg.StaticPartitionsDefinition(list(list_experiments(folder)))
