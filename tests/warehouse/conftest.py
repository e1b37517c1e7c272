import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pianogen.lake import Lake
from pianogen.views import apply_views
from pianogen.warehouse import METRICS, REFERENCE_RESULTS, RUNS

SQL = Path(__file__).resolve().parents[2] / "warehouse"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table of the warehouse, with the types of the lake, and every view."""
    with contextlib.closing(Lake(tmp_path_factory.mktemp("lake")).connect()) as connection:
        for name, schema in {"runs": RUNS, "metrics": METRICS, "reference_results": REFERENCE_RESULTS}.items():
            connection.register("no_rows", schema.empty_table())
            connection.execute(f"create table {name} as select * from no_rows")
            connection.unregister("no_rows")
        apply_views(connection, SQL / "views")
        yield connection


@pytest.fixture
def database(empty_database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The empty tables, for one test to fill."""
    empty_database.execute("begin transaction")
    yield empty_database
    empty_database.execute("rollback")
