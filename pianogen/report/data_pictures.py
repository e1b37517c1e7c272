"""The pictures of the data that assets show: of one dataset once it is measured, of all once they are compared.

They are drawn from the lake, before anything is published. The pages of the report show the same numbers at leisure.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from matplotlib.figure import Figure

from pianogen.lake import Lake
from pianogen.report import data_sheets, dataset_plots, distribution_plots, plots
from pianogen.report.glance import glance
from pianogen.statistics.bins import bin_table
from pianogen.tables import empty
from pianogen.views import apply_views, quoted

Row = dict[str, Any]

OF_DATASET = ("counted_performances", "histogram_cells", "distributions", "category_distribution")
"""Views of one dataset, and those that they read."""
OF_ALL = ("counted_performances", "distributions", "category_distribution", "dataset_distances", "split_distances")
"""Views over the tables of the comparison."""
OUTLIERS = 3
"""Listed of each dataset."""

_PEDALS = " union all ".join(
    f"""select dataset, '{measure}' as measure,
    quantile_cont({measure}, 0.05) as p05, quantile_cont({measure}, 0.25) as p25, quantile_cont({measure}, 0.5) as p50,
    quantile_cont({measure}, 0.75) as p75, quantile_cont({measure}, 0.95) as p95
    from performance_statistics group by dataset"""
    for measure in dataset_plots.PEDALS
)
_SHARES = "select dataset, measure, low, high, share from distributions where split = 'all' and counted = 'all'"
_KEYS = "select dataset, value, share from category_distribution where split = 'all' and measure = 'key'"


def dataset_pictures(lake: Lake, sql: Path, dataset: str) -> tuple[list[tuple[str, ...]], dict[str, Figure]]:
    """What the music of one dataset is like; it has been measured, and perhaps nothing else.

    Args:
        lake: has the statistics of the dataset.
        sql: folder with `views/`.
        dataset: its name.

    Returns:
        The lines of `glance`, and pictures by name.
    """
    with _open_dataset(lake, sql, dataset) as connection:
        shares, keys, pedals = (_rows(connection, query) for query in (_SHARES, _KEYS, _PEDALS))
    sheets = {"notes": data_sheets.notes_sheet(shares), "metre": data_sheets.metre_sheet(shares, keys, pedals)}
    return glance(shares), sheets


@contextlib.contextmanager
def open_comparison(lake: Lake, sql: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the lake's tables, those of the comparison among them, and the views over these."""
    with contextlib.closing(lake.connect()) as connection:
        apply_views(connection, sql / "views", OF_ALL)
        yield connection


def comparison_pictures(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Figure]]:
    """Datasets beside each other, by what they are about and by name of the picture.

    Args:
        connection: of `open_comparison`.
    """
    shares = _rows(connection, _SHARES)
    splits = _rows(
        connection,
        "select dataset, split, measure, low, high, share from distributions "
        "where split <> 'all' and counted = 'all' and measure in ('pitch', 'duration_sec')",
    )
    queries = {
        "statistics": "select dataset, num_notes from dataset_statistics",
        "durations": "select dataset, duration_sec from performance_statistics",
        "pedals": "select * from measure_summaries where split = 'all' and counted = 'all'",
        "counted": "select * from measure_summaries where split = 'all' and measure = 'duration_sec'",
        "distances": "select * from dataset_distances where counted = 'all'",
    }
    rows = {name: _rows(connection, query) for name, query in queries.items()}
    measures = ("pitch", "velocity", "duration_sec", "polyphony", "tempo_qpm", "onset_position")
    return {
        "amounts": {
            "note_counts": plots.note_counts(rows["statistics"]),
            "durations": plots.duration_by_dataset(rows["durations"]),
            "the_same_music_once": dataset_plots.counted(rows["counted"]),
        },
        "music": {
            **{measure: distribution_plots.distribution(shares, measure) for measure in measures},
            "keys": dataset_plots.keys(_rows(connection, _KEYS)),
            "pedals": dataset_plots.pedal_use(rows["pedals"]),
        },
        "distances": {"matrix": dataset_plots.distance_matrix(rows["distances"])},
        "splits": {
            "pitch": distribution_plots.by_split(splits, "pitch"),
            "duration_sec": distribution_plots.by_split(splits, "duration_sec"),
        },
    }


def comparison_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    """What the pictures do not say, as rows: what is nearest to each dataset, test beside train, outliers.

    Args:
        connection: of `open_comparison`.
    """
    nearest = """
        with means as (
            select
                dataset_a, dataset_b,
                avg(jensen_shannon_bits)              as bits,
                max(jensen_shannon_bits)              as most_bits,
                arg_max(measure, jensen_shannon_bits) as differs_most_in
            from dataset_distances
            where counted = 'all' and dataset_a <> dataset_b
            group by dataset_a, dataset_b
        )

        select dataset_a as dataset, dataset_b as nearest, bits, differs_most_in, most_bits
        from means
        qualify row_number() over (partition by dataset_a order by bits, dataset_b) = 1
        order by dataset"""
    held_out = """
        select
            dataset, split_b as split,
            avg(jensen_shannon_bits)              as bits,
            arg_max(measure, jensen_shannon_bits) as differs_most_in,
            max(jensen_shannon_bits)              as most_bits
        from split_distances
        where split_a = 'train' and split_b in ('validation', 'test') and counted = 'all'
        group by dataset, split_b
        order by dataset, split desc"""
    outliers = f"""
        select dataset, path, measure, amount, dataset_p05, dataset_p95, deviation
        from outliers
        where rank <= {OUTLIERS}
        order by rank, dataset"""
    queries = {"nearest_datasets": nearest, "held_out_beside_train": held_out, "outliers": outliers}
    return {name: _rows(connection, query) for name, query in queries.items()}


@contextlib.contextmanager
def _open_dataset(lake: Lake, sql: Path, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of one dataset, whatever the others hold; no splits and no duplicates are known of it."""
    manifests = [manifest for manifest in lake.manifests() if manifest.partition == dataset]
    with contextlib.closing(duckdb.connect()) as connection:
        for table in ("performances", "performance_statistics", "histograms", "splits", "clusters", "duplicate_pairs"):
            found = [m for m in manifests if table in m.tables]
            paths = [str(lake.block_path(m.stage, key) / f"{table}.parquet") for m in found for key in m.blocks]
            if paths:
                listed = ", ".join(map(quoted, paths))
                connection.execute(f"create view {table} as from read_parquet([{listed}], hive_partitioning = false)")
            else:
                connection.register("no_rows", empty(table))
                connection.execute(f"create table {table} as from no_rows")
                connection.unregister("no_rows")
        connection.register("histogram_bins", bin_table())
        apply_views(connection, sql / "views", OF_DATASET)
        yield connection


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    return connection.sql(query).to_arrow_table().to_pylist()
