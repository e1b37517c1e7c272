"""Statistics per performance and per dataset, computed once for the lake's current notes.

The definitions are SQL, in `warehouse/views`: each table here is the view of its name. In the lake they
are for readers of Parquet; the warehouse copies them so that its readers need not wait for them.
"""

import contextlib
from pathlib import Path

from pianogen.errors import LakeError
from pianogen.lake import ALL, Lake, Manifest, Stage
from pianogen.views import apply_views, view_files

_ORDER = {
    "sounding_time": "performance_id, num_sounding",
    "performance_statistics": "performance_id",
    "dataset_statistics": "dataset",
}
"""The views, each after those it reads, and the order of their rows."""
_INPUTS = ("notes", "performances")
STAGE = Stage(
    name="statistics", modules=("pianogen.statistics", "pianogen.views"), packages=("duckdb",), tables=tuple(_ORDER)
)


def build_statistics(lake: Lake, sql: Path) -> Manifest:
    """Write the statistics of the lake's current notes, unless they are there.

    Args:
        lake: read, and written to: one block of the stage `statistics` with the tables `sounding_time`,
            `performance_statistics` and `dataset_statistics`, each in the order of its ids.
        sql: folder with `views/`.

    Returns:
        The manifest, with the number of rows of each table in `info`.

    Raises:
        LakeError: nothing has been ingested yet.
        QueryError: a view cannot be created.
    """
    key = _key(lake, sql)
    if key is None:
        raise LakeError(f"{lake.root}: no performances yet; ingest a dataset first")
    if not lake.has_block(STAGE.name, key):
        tables = {}
        # Only the inputs: an earlier run's statistics are lake tables with the names of these views.
        with contextlib.closing(lake.connect(_INPUTS)) as connection:
            # Several threads add numbers in an order that varies, and with it the last bits of a mean.
            connection.execute("set threads = 1")
            apply_views(connection, sql / "views", list(_ORDER))
            for name, order in _ORDER.items():
                tables[name] = connection.sql(f"select * from {name} order by {order}").to_arrow_table()
                # The views that read this one find its rows ready, and need not compute them again.
                connection.execute(f"drop view {name}")
                connection.register(name, tables[name])
        lake.write_block(STAGE.name, key, tables)
    num_rows = {table: lake.read_block(STAGE.name, key, table).num_rows for table in STAGE.tables}
    return lake.publish(STAGE, [key], info=num_rows)


def current_statistics(lake: Lake, sql: Path) -> Manifest | None:
    """The manifest of the lake's statistics; None when they are missing or not of its current notes and views."""
    manifest = lake.manifest(STAGE.name, ALL)
    return manifest if manifest and manifest.blocks == (_key(lake, sql),) else None


def _key(lake: Lake, sql: Path) -> str | None:
    """Key of the block that holds the current statistics; None when there is nothing to compute them from."""
    inputs = [[m.stage, m.partition, m.version] for m in lake.manifests() if set(_INPUTS) & set(m.tables)]
    texts = {name: text for name, text in view_files(sql / "views").items() if name in _ORDER}
    return STAGE.key(inputs, texts) if inputs else None
