import pytest
from builders import train_tiny


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Settings and experiment of a finished training."""
    return train_tiny(tmp_path_factory.mktemp("generating"))
