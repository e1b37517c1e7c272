"""A warehouse with the true schemas and views, filled with the rows that a test writes out."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from report_rows import Rows

from pianogen.tables import SCHEMAS
from pianogen.views import apply_views
from pianogen.warehouse import METRICS, RUNS

VIEWS = Path(__file__).resolve().parents[2] / "warehouse" / "views"


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Callable[..., Path]:
    """Call with rows by table; a column left out is null. Returns the path of the DuckDB file."""

    def build(name: str = "pianogen.duckdb", **tables: Rows) -> Path:
        path = tmp_path / name
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
