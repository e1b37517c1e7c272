"""Metrics as they are now: for queries through this package, those of runs that are not finished are read as they grow.

The published table has them as they were when it was published. Here a temporary view takes its place for one
connection, and one that of each view that reads it.
"""

import re
from pathlib import Path

import duckdb

from pianogen.warehouse.runs import read_unfinished

READERS = ("training_curves", "trainings")
"""Views that read `metrics`, each after those that it reads."""
_NAMES_METRICS = re.compile(rf"\b({'|'.join(('metrics', *READERS))})\b", re.IGNORECASE)


def names_metrics(sql: str) -> bool:
    """Whether a query may ask for them."""
    return bool(_NAMES_METRICS.search(sql))


def create_live_metrics(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let `metrics`, and what reads it, mean the lines of now in this connection.

    Args:
        connection: to a warehouse.
        folder: of the warehouse; where the runs are not where they were seen from it, all stays as published.

    Raises:
        LakeError: a run's metrics cannot be read.
    """
    try:
        ((runs,),) = connection.execute("select runs from meta").fetchall()
        finished = connection.execute("select experiment, run_id from runs").fetchall()
    except duckdb.Error:
        return  # somebody else's database, or one that was published before this was told
    if not (folder / runs).is_dir():
        return
    connection.register("_live_metrics", read_unfinished(folder / runs, set(finished)))
    connection.execute("""
        create temporary view metrics as
        from warehouse.metrics semi join warehouse.runs using (experiment, run_id)
        union all by name
        from _live_metrics
    """)
    found = connection.execute(
        "select view_name, sql from duckdb_views() where database_name = 'warehouse' and list_contains(?, view_name)",
        [list(READERS)],
    )
    texts = dict(found.fetchall())
    for name in READERS:
        if name in texts:
            connection.execute(re.sub(r"(?i)^\s*create view", "create temporary view", texts[name]))
