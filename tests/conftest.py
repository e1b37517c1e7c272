"""What several tests share."""

from pathlib import Path

import pytest

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
