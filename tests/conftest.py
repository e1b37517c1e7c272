"""What several tests share."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from pianogen.lake import Lake

# An example may be the first to load compiled code; and speed is shown in benchmarks, not here. With twice as many
# examples the whole suite takes more than ten minutes.
settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.load_profile("unhurried")

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA = PROJECT.parent / "shared" / "data"
MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one."""
MEMORY_BYTES = 4 * 2**30
"""So much must be free there; a run of all tests takes less than a quarter of it."""


def pytest_configure() -> None:
    """Folders of tests lie in memory, unless PYTEST_DEBUG_TEMPROOT or --basetemp say where.

    What must outlive a power cut is synced to the disk, which is half the time of publishing a small warehouse. Tests
    kill processes, never the machine: what a killed one has written is there for the next, on a disk or not.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MIDI files that lies beside the project, where there is one."""
    if not (REAL_DATA / "manifest.csv").is_file():
        pytest.skip(
            "real MIDI files not found: they lie in ../shared/data, and their licences do not allow shipping them"
        )
    return REAL_DATA


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder for music."""
    path = tmp_path / "music"
    path.mkdir()
    return path


@pytest.fixture
def lake(tmp_path) -> Lake:
    """An empty lake beside it."""
    return Lake(tmp_path / "lake")
