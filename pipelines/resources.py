"""What every asset is given: the settings, and the lake under them."""

from functools import cached_property
from pathlib import Path

import dagster as dg

from pianogen.catalogue import Dataset, load_catalogue
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings
from pianogen.training.experiment import experiment_file


class Workspace(dg.ConfigurableResource):
    """The project's `pianogen.toml` and what it names."""

    config_path: str

    @cached_property
    def settings(self) -> Settings:
        """The settings file, read once per run."""
        return load_settings(Path(self.config_path))

    @cached_property
    def lake(self) -> Lake:
        """The lake that the settings name."""
        return Lake(self.settings.lake)

    def experiment_file(self, name: str) -> Path:
        """The file of an experiment, which is a partition of what is trained."""
        return experiment_file(self.settings.experiments, name)

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """Every dataset at hand now: a download brings one while the code stays loaded."""
        return load_catalogue(self.settings)
