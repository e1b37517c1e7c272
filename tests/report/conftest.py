"""Warehouses and reports that tests read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsers import launch
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
    contexts, troubles, requests = [], [], []

    def open_page(*samples, tables: dict | None = None, width: int = 1280, **options):
        path = report_of(samples=list(samples), **(tables or {}))
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    open_page.troubles = troubles
    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
    assert [address for address in requests if not address.startswith(("file:", "data:"))] == []
