"""A tiny lake with shards, and trainings of it."""

from pathlib import Path

import pytest
from builders import build_tiny_shards, settings_in, write_tiny_lake
from trainings import Trainer


@pytest.fixture(scope="session")
def shared_lake(tmp_path_factory) -> Path:
    """Root of a lake with the shards of the experiment `tiny`; tests only read it."""
    settings = settings_in(tmp_path_factory.mktemp("tiny"))
    build_tiny_shards(write_tiny_lake(settings.lake), settings)
    return settings.lake


@pytest.fixture
def trainer(shared_lake, tmp_path) -> Trainer:
    return Trainer(shared_lake, tmp_path / "runs")
