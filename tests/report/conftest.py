"""Warehouses and reports that tests read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from data_reports import publish_report
from report_rows import Rows, write_warehouse


@pytest.fixture(scope="session")
def data_report(tmp_path_factory) -> tuple[Path, Path]:
    """A warehouse that the stages made, and the folder of the pages of its data."""
    return publish_report(tmp_path_factory.mktemp("music"))


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Callable[..., Path]:
    """Call with rows by table; a column left out is null. Returns the path of the DuckDB file."""

    def build(name: str = "pianogen.duckdb", **tables: Rows) -> Path:
        return write_warehouse(tmp_path / name, **tables)

    return build
