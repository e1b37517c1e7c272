"""The pages of the data: one that compares the datasets, and one for each of them.

They draw with Plotly, whose script lies once beside them; whatever comes out of files reaches it as plain text (see
`charts.js`). A content security policy names our scripts by their hashes and lets no other run but files beside the
page. It allows styles anywhere, which Plotly sets as it draws, and nothing to be fetched.
"""

import hashlib
import importlib.metadata
import importlib.resources
import re
from collections.abc import Sequence
from typing import Any

import duckdb

from pianogen.foreign_text import plain_value
from pianogen.measured import COLUMNS, GROUPS
from pianogen.report import data_queries as queries
from pianogen.report import page_figures, player_parts
from pianogen.report.data_figures import COUNTED, SPLITS, Figure, numbers
from pianogen.report.rendering import environment, in_script, own, rounded, shown
from pianogen.report.tokenizer_page import FILE_NAME as TOKENIZERS
from pianogen.static_pages import content_policy

PLOTLY = "plotly.min.js"
SCRIPT_PLACES = ("'self'", "file:")
"""Plotly's script lies beside the page, on a disk or on a server."""
SCRIPTS = ("charts.js", "data_page.js")

_OF_TWO = ("mean_distances", "distances")
"""Queries whose rows belong to two datasets."""

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def data_pages(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Text of each page of the data by the name of its file, none where there are no datasets.

    Args:
        connection: reads a published warehouse.

    Raises:
        duckdb.Error: it lacks a view or column that a page reads.
    """
    rows = {name: _rows(connection, query) for name, query in queries.all_queries().items()}
    names = [row["dataset"] for row in rows["overview"]]
    if not names:
        return {}
    links = {name: file_name(name) for name in names}
    listened: dict[str, list[str]] = {name: [] for name in names}
    for row in rows["listen"]:
        listened[row["dataset"]].append(row["performance_id"])
    heard = [i for ids in listened.values() for i in ids]
    notes = _by(_rows(connection, queries.notes(heard)) if heard else [], "performance_id")
    by_dataset = {query: _by(found, "dataset") for query, found in rows.items() if query not in _OF_TWO}
    has_tokenizers = bool(connection.sql("select 1 from tokenizer_round_trips limit 1").fetchall())
    pages = {"index.html": _comparison(rows, links, has_tokenizers)}
    for name in names:
        own_rows = {query: found.get(name, []) for query, found in by_dataset.items()}
        asked = queries.dataset_queries(name, listened[name])
        pages[links[name]] = _dataset(name, own_rows, notes, asked, links)
    return pages


def plotly_script() -> bytes:
    """Plotly's script, as its package carries it."""
    return importlib.resources.files("plotly").joinpath("package_data", PLOTLY).read_bytes()


def file_name(dataset: str) -> str:
    """Name of a dataset's page: one that any file system takes, and that no two datasets share."""
    if re.fullmatch(r"[a-z0-9_-]{1,60}", dataset) and dataset != "index":
        return f"{dataset}.html"
    unique = hashlib.sha256(dataset.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_-]+', '_', dataset.lower())[:60]}.{unique}.html"


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    found = connection.sql(query).to_arrow_table().to_pylist()
    return [{name: plain_value(value) for name, value in row.items()} for row in found]


def _by(rows: list[Row], column: str) -> Rows:
    """The rows by a column's value, each group in their order."""
    found: Rows = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _comparison(rows: Rows, links: dict[str, str], has_tokenizers: bool) -> str:
    data, plots = page_figures.comparison(rows, list(links))
    overview = [{**row, "link": links[row["dataset"]]} for row in rows["overview"]]
    return _page(
        "data_index.html",
        plots,
        data,
        queries.comparison_queries(),
        overview=overview,
        num_performances=sum(row["num_performances"] or 0 for row in overview),
        duration_hours=sum(row["duration_hours"] or 0 for row in overview),
        outliers=[{**row, "column": COLUMNS[row["measure"]], "link": links[row["dataset"]]} for row in rows["odd"]],
        drift=rows["drift"],
        has_splits=any(len(page_figures.splits_of(data, i)) > 1 for i in range(len(links))),
        columns=COLUMNS,
        tokenizers=TOKENIZERS if has_tokenizers else None,
    )


def _dataset(name: str, rows: Rows, notes: Rows, asked: dict[str, str], links: dict[str, str]) -> str:
    data, plots = page_figures.dataset(rows, name)
    splits = page_figures.splits_of(data, 0)
    amounts = data["amounts"][0]
    listen = _listen(rows["listen"], notes)
    return _page(
        "data_dataset.html",
        plots,
        data,
        asked,
        music=(player_parts.FIRST_SCRIPT, *player_parts.PAGE) if listen else (),
        dataset=shown(name),
        overview=rows["overview"][0],
        others=[{"name": shown(other), "link": link} for other, link in links.items() if other != name],
        amounts=[(split, amounts[split]["all"], amounts[split].get("once")) for split in splits],
        has_splits=len(splits) > 2,
        measures=_measures(rows["measures"]),
        outliers=[{**row, "column": COLUMNS[row["measure"]]} for row in rows["outliers"]],
        listen=listen,
        listen_sec=queries.LISTEN_SEC,
        **{name: rows[name] for name in ("messages", "works", "rejections")},
    )


def _measures(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Summaries with their definitions, by group, as in `pianogen.measured`."""
    found = {row["measure"]: row for row in rows}
    groups = [
        (group, [{**found[column.name], "column": column} for column in columns if column.name in found])
        for group, columns in GROUPS.items()
    ]
    return [(group, members) for group, members in groups if members]


def _words(row: Row) -> str:
    """Why a performance is an outlier."""
    column = COLUMNS[row["measure"]]
    unit = {"share 0-1": "", "MIDI number": ""}.get(column.unit, column.unit)
    amount = f"{rounded(row['amount'])} {unit}".strip()
    return (
        f"{amount}; the dataset's median is {rounded(row['dataset_p50'])}, nine in ten lie from "
        f"{rounded(row['dataset_p05'])} to {rounded(row['dataset_p95'])}"
    )


def _listen(rows: list[Row], notes: Rows) -> list[Row]:
    """Outliers with the notes of their beginning, as the player takes them."""
    listen = []
    for row in rows:
        found = notes.get(row["performance_id"])
        if not found:
            continue
        columns = ("pitch", "onset_sec", "sounding_sec", "velocity")
        end_sec = max(note["onset_sec"] + max(note["sounding_sec"], 0) for note in found)
        listen.append(
            {
                **row,
                "title": shown(row["title"] or row["path"]),
                "path": shown(row["path"]),
                "words": _words(row),
                "first_sec": found[0]["first_sec"],
                "num_notes": len(found),
                "performances": [
                    {
                        "notes": [[note[column] for column in columns] for note in found],
                        "duration_sec": round(end_sec, 3),
                    }
                ],
            }
        )
    return listen


# Rendering


def _page(
    template: str, plots: list[Figure], data: Row, asked: dict[str, str], music: Sequence[str] = (), **values: Any
) -> str:
    style = player_parts.style() + own("data_page.css")
    scripts = [own(name) for name in (*music, *SCRIPTS)]
    by_id = {
        figure.id: {
            "figure": figure,
            "sql": asked[figure.query],
            "numbers": numbers(figure, data, figure.chosen),
        }
        for figure in plots
    }
    return (
        environment()
        .get_template(template)
        .render(
            style=style,
            scripts=scripts,
            plotly=PLOTLY,
            content_policy=content_policy(None, scripts, SCRIPT_PLACES),
            figures=by_id,
            sql=asked,
            counted=COUNTED,
            split_names=SPLITS[1:],
            data=in_script({**data, "figures": [figure.for_script() for figure in plots]}),
            version=importlib.metadata.version("pianogen"),
            **values,
        )
    )
