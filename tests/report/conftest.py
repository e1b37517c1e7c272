"""A warehouse with the true schemas and views, filled with the rows that a test writes out."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from data_reports import publish_report
from report_rows import Rows

from pianogen.statistics.bins import bin_table
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views
from pianogen.warehouse import METRICS, RUNS

VIEWS = Path(__file__).resolve().parents[2] / "warehouse" / "views"


@pytest.fixture(scope="session")
def data_report(tmp_path_factory) -> tuple[Path, Path]:
    """A warehouse that the stages made, and the folder of the pages of its data."""
    return publish_report(tmp_path_factory.mktemp("music"))


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Callable[..., Path]:
    """Call with rows by table; a column left out is null. Returns the path of the DuckDB file."""

    def build(name: str = "pianogen.duckdb", **tables: Rows) -> Path:
        path = tmp_path / name
        tables = {"histogram_bins": bin_table().to_pylist(), **tables}
        with duckdb.connect(str(path)) as connection:
            for table, schema in {**SCHEMAS, "runs": RUNS, "metrics": METRICS}.items():
                columns = {c.name: [row.get(c.name) for row in tables.get(table, [])] for c in schema}
                nullable = pa.schema([column.with_nullable(True) for column in schema])
                connection.register("rows_to_copy", pa.table(columns, schema=nullable))
                connection.execute(f"create table {table} as select * from rows_to_copy")
                connection.unregister("rows_to_copy")
            apply_views(connection, VIEWS)
        return path

    return build
