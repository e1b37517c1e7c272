"""Tokenizers beside each other as pictures: what comes back of each dataset, and at what price.

Each function takes rows as dicts, in any order, and returns a matplotlib Figure; without rows it says "no data yet".
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pianogen.report.drawing import (
    BLUE,
    INK,
    SHADES,
    WIDTH,
    Rows,
    figure_title,
    height_of,
    label,
    new_figure,
    no_data,
    plain,
    style,
)

LEAST_SHADED = 0.5
"""F1 up to which a cell is white: what most schemes lose lies far above."""


def f1_matrix(rows: Rows) -> Figure:
    """F1 of each tokenizer (rows, the best first) over each dataset (columns).

    Args:
        rows: rows of `tokenizer_round_trips` of one split; reads tokenizer, dataset, f1.
    """
    values = {(row["tokenizer"], row["dataset"]): row["f1"] for row in rows if row["f1"] is not None}
    with style():
        if not values:
            return no_data("Round trip: F1 of notes")
        datasets = sorted({dataset for _, dataset in values})
        tokenizers = ranked(rows)
        width = max(WIDTH, 1.7 + 0.62 * len(datasets))
        figure = Figure(figsize=(width, 1.7 + 0.3 * len(tokenizers)), layout="constrained")
        axes = figure.add_subplot()
        cells = np.array([[values.get((name, dataset), np.nan) for dataset in datasets] for name in tokenizers])
        axes.imshow(cells, cmap=SHADES, vmin=LEAST_SHADED, vmax=1.15, aspect="auto")
        for y, x in np.argwhere(~np.isnan(cells)):
            # Cut off, as on the page: 1.000 means that everything came back.
            text = f"{math.floor(1000 * cells[y, x]) / 1000:.3f}"
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if cells[y, x] > 0.95 else INK)
        axes.set_yticks(range(len(tokenizers)), [label(name) for name in tokenizers])
        axes.set_xticks(range(len(datasets)), [label(name) for name in datasets], rotation=35, ha="right")
        plain(axes)
        figure_title(figure, "Round trip: F1 of notes, onsets within 50 ms")
        return figure


def price(rows: Rows) -> Figure:
    """F1 and, beside it, tokens per note of each tokenizer, the best first: mean of the datasets, and their range.

    Args:
        rows: rows of the query `round_trip_queries.PRICE`.
    """
    with style():
        if not rows:
            return no_data("What comes back, and at what price")
        names = ranked(rows)
        found = {row["tokenizer"]: row for row in rows}
        figure, _ = new_figure(height=height_of(len(names)), axes=False)
        left, right = figure.subplots(1, 2, sharey=True)
        _ranges(left, [found[name] for name in names], "f1")
        left.set_title("F1 of notes")
        left.set_xlim(-0.03, 1.06)
        left.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"))
        _ranges(right, [found[name] for name in names], "tokens_per_note")
        right.set_title("Tokens per note")
        right.set_xlim(0, 1.08 * max(row["tokens_per_note_most"] or 0 for row in rows) or 1)
        right.xaxis.set_major_locator(MaxNLocator(5))
        left.set_yticks(range(len(names)), [label(name) for name in names])
        left.set_ylim(len(names) - 0.45, -0.55)
        for axes in (left, right):
            axes.set_xlabel("mean of datasets, and range")
        return figure


def ranked(rows: Rows) -> list[str]:
    """Tokenizers, those with the greatest mean F1 first, of equal ones by name."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["tokenizer"], []).append(row["f1"] or 0.0)
    # Sorted sums: floats added in another order could end in another last digit.
    means = {name: math.fsum(sorted(values)) / len(values) for name, values in found.items()}
    return sorted(means, key=lambda name: (-means[name], name))


def _ranges(axes: Axes, rows: Rows, name: str) -> None:
    for y, row in enumerate(rows):
        if row[name] is None:
            continue
        axes.plot([row[f"{name}_least"], row[f"{name}_most"]], [y, y], color=BLUE, linewidth=1.4)
        axes.plot([row[name]], [y], "o", color=INK, markersize=4.5)
    plain(axes)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
