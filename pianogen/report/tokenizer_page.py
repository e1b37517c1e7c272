"""The page of the tokenizers: what each loses of each dataset, and how many tokens it takes.

It has no scripts: tables, one picture, and the SQL beside each. Names of datasets and tokenizers are escaped.
"""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import duckdb

from pianogen.foreign_text import plain_value
from pianogen.report import round_trip_plots
from pianogen.report.drawing import to_address
from pianogen.report.rendering import environment, own
from pianogen.report.round_trip_queries import QUERIES
from pianogen.round_trips.matching import TOLERANCE_SEC
from pianogen.static_pages import content_policy

FILE_NAME = "tokenizers.html"
F1_STEPS = (0.5, 0.8, 0.95, 0.99, 1.0)
"""From each of these on a cell is a shade darker."""
ERRORS = {
    "onset_error_ms": ("Onset", "ms"),
    "duration_error_ms": ("Duration", "ms"),
    "velocity_error": ("Velocity", "of 127"),
}

Row = dict[str, Any]


def tokenizer_page(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Text of the page; None where no tokenizer was measured.

    Args:
        connection: reads a published warehouse.

    Raises:
        duckdb.Error: it lacks a view or column that the page reads.
    """
    rows = {name: _rows(connection, query) for name, query in QUERIES.items()}
    if not rows["f1"]:
        return None
    names, datasets = round_trip_plots.ranked(rows["price"]), sorted({row["dataset"] for row in rows["f1"]})
    style = own("page.css") + own("tokenizer_page.css")
    return (
        environment()
        .get_template("tokenizer_page.html")
        .render(
            style=style,
            content_policy=content_policy(style, ()),
            sql=QUERIES,
            datasets=datasets,
            f1=_matrix(rows["f1"], names, datasets, "f1"),
            shade=_shade,
            steps=F1_STEPS,
            errors=[(*words, _matrix(rows["errors"], names, datasets, name)) for name, words in ERRORS.items()],
            unknown=rows["unknown"],
            everything=rows["everything"],
            tolerance_ms=round(1000 * TOLERANCE_SEC),
            price=to_address(round_trip_plots.price(rows["price"])),
            prices=sorted(rows["price"], key=lambda row: names.index(row["tokenizer"])),
            version=importlib.metadata.version("pianogen"),
        )
    )


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    found = connection.sql(query).to_arrow_table().to_pylist()
    return [{name: plain_value(value) for name, value in row.items()} for row in found]


def _matrix(
    rows: Sequence[Row], names: Sequence[str], datasets: Sequence[str], column: str
) -> list[tuple[str, list[float | None]]]:
    """Values of each tokenizer by dataset; tokenizers that have none are left out."""
    found = {(row["tokenizer"], row["dataset"]): row[column] for row in rows}
    lines = [(name, [found.get((name, dataset)) for dataset in datasets]) for name in names]
    return [line for line in lines if any(value is not None for value in line[1])]


def _shade(f1: float | None) -> str:
    """Class of a cell."""
    return "none" if f1 is None else f"step{sum(f1 >= step for step in F1_STEPS)}"
