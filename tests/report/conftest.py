"""Warehouses and reports that tests read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsers import launch, watched
from data_reports import publish_report
from report_rows import Rows, write_warehouse

from pianogen.report.page import write_report


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


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from launch()


@pytest.fixture(scope="module")
def report_of(tmp_path_factory) -> Callable[..., Path]:
    """Call with rows by table; returns their report's page, written once, since a browser only reads it."""
    pages: dict[str, Path] = {}

    def write(**tables) -> Path:
        rows = repr(tables)
        if rows not in pages:
            folder = tmp_path_factory.mktemp("report")
            pages[rows] = write_report(write_warehouse(folder / "pianogen.duckdb", **tables), folder / "report")
        return pages[rows]

    return write


@pytest.fixture
def open_report(browser, report_of) -> Iterator[Callable]:
    """Call with rows of `samples`; returns the open page. In the end, nothing may have failed or been fetched."""
    with watched(browser) as pages:

        def open_page(*samples, tables: dict | None = None, **options):
            return pages.open(report_of(samples=list(samples), **(tables or {})), **options)

        open_page.troubles = pages.troubles
        yield open_page
