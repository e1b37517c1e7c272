"""Datasets beside each other: what SQL makes of the statistics of performances, computed once.

The definitions are SQL, in `warehouse/views`: each table here is the view of its name. In the lake they
are for readers of Parquet; the warehouse copies them so that its readers need not wait for them.
"""

import contextlib
from pathlib import Path

from pianogen.errors import LakeError
from pianogen.lake import ALL, Lake, Manifest, Stage
from pianogen.statistics.bins import bin_table
from pianogen.views import apply_views, view_files

_ORDER = {
    "counted_performances": None,
    "histogram_cells": "dataset, split, counted_as, measure, bin",
    "distributions": None,
    "distances": "kind, dataset_a, split_a, counted_a, dataset_b, split_b, counted_b, measure",
    "measure_summaries": "dataset, split, counted, measure",
    "dataset_statistics": "dataset",
    "performances_with_sources": None,
    "described_performances": None,
    "outliers": "dataset, rank",
}
"""The views, each after those it reads, and the order of their rows; what has none is read by others and not kept."""
_INPUTS = (
    "performance_statistics", "histograms", "performances", "files", "sources", "splits", "clusters", "duplicate_pairs",
)  # fmt: skip
_KEPT = tuple(name for name, order in _ORDER.items() if order)
STAGE = Stage(
    name="comparison",
    modules=("pianogen.statistics.bins", "pianogen.statistics.comparison", "pianogen.views"),
    packages=("duckdb",),
    tables=("histogram_bins", *_KEPT),
)


def build_comparison(lake: Lake, sql: Path) -> Manifest:
    """Compare the datasets whose statistics are in the lake, unless it is done.

    Args:
        lake: read, and written to: one block of the stage `comparison`, each of its tables in the order of its keys.
        sql: folder with `views/`.

    Returns:
        The manifest, with the number of rows of each table in `info`.

    Raises:
        LakeError: no dataset has statistics yet.
        QueryError: a view cannot be created.
    """
    key = _key(lake, sql)
    if key is None:
        raise LakeError(f"{lake.root}: no statistics yet; run the stage `statistics` of a dataset first")
    if not lake.has_block(STAGE.name, key):
        tables = {"histogram_bins": bin_table()}
        with contextlib.closing(lake.connect(_INPUTS)) as connection:
            # Several threads add numbers in an order that varies, and with it the last bits of a mean.
            connection.execute("set threads = 1")
            connection.register("histogram_bins", tables["histogram_bins"])
            apply_views(connection, sql / "views", list(_ORDER))
            for name in _KEPT:
                tables[name] = connection.sql(f"select * from {name} order by {_ORDER[name]}").to_arrow_table()
                # The views that read this one find its rows ready, and need not compute them again.
                connection.execute(f"drop view {name}")
                connection.register(name, tables[name])
        lake.write_block(STAGE.name, key, tables)
    num_rows = {table: lake.read_block(STAGE.name, key, table, []).num_rows for table in STAGE.tables}
    return lake.publish(STAGE, [key], info=num_rows)


def comparison_is_current(lake: Lake, sql: Path) -> bool:
    """Whether the lake's comparison is of its current statistics, splits and views."""
    manifest = lake.manifest(STAGE.name, ALL)
    return bool(manifest and manifest.blocks == (_key(lake, sql),))


def _key(lake: Lake, sql: Path) -> str | None:
    """Key of the block that holds the current comparison; None when there is nothing to compare."""
    inputs = [[m.stage, m.partition, m.version] for m in lake.manifests() if set(_INPUTS) & set(m.tables)]
    if not any(stage == "statistics" for stage, *_ in inputs):
        return None
    texts = {name: text for name, text in view_files(sql / "views").items() if name in _ORDER}
    return STAGE.key(inputs, texts)
