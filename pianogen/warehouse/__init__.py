"""The warehouse: one DuckDB file published from the lake, to be read with SQL by people and reports.

publish.py    builds it, swaps it in whole, keeps the previous one
links.py      the bulk tables: views over Parquet files beside the database, linked from the lake
runs.py       runs and their metrics, as tables;  live.py: metrics as they are now
references.py what others report, from reference_results.csv
comments.py   what each table and column is, shown by every client
reading.py    opening and asking it, read-only and within a time
queries.py    named queries: warehouse/queries/*.sql
export.py     one file that holds everything, to be sent
"""

from pianogen.views import header
from pianogen.warehouse.comments import COLUMN_COMMENTS, COMMENTS
from pianogen.warehouse.export import export_warehouse
from pianogen.warehouse.links import LINKED
from pianogen.warehouse.publish import publish_warehouse
from pianogen.warehouse.queries import Parameter, Query, find_query, list_queries, parse_value
from pianogen.warehouse.reading import (
    Rows,
    list_tables,
    open_lake,
    open_warehouse,
    query_warehouse,
    run_check,
    stream_query,
)
from pianogen.warehouse.references import REFERENCE_RESULTS, read_reference_results
from pianogen.warehouse.runs import METRICS, RUNS, read_runs

__all__ = [
    "COLUMN_COMMENTS",
    "COMMENTS",
    "LINKED",
    "METRICS",
    "REFERENCE_RESULTS",
    "RUNS",
    "Parameter",
    "Query",
    "Rows",
    "export_warehouse",
    "find_query",
    "header",
    "list_queries",
    "list_tables",
    "open_lake",
    "open_warehouse",
    "parse_value",
    "publish_warehouse",
    "query_warehouse",
    "read_reference_results",
    "read_runs",
    "run_check",
    "stream_query",
]
