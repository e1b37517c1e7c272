"""What several tests share."""

from pathlib import Path

import pytest

from pianogen.lake import Lake

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA = PROJECT.parent / "shared" / "data"


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
