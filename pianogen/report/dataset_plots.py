"""Datasets beside each other, as small pictures: keys, pedals, music that is there twice, distances.

Each function takes the rows of one view as dicts, in any order, and returns a matplotlib Figure; without rows it says
"no data yet".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pianogen.report.drawing import (
    BLUE,
    INK,
    LIGHT,
    SHADES,
    VERMILION,
    Rows,
    figure_title,
    height_of,
    label,
    legend,
    legend_above,
    new_figure,
    no_data,
    nothing,
    percent,
    plain,
    short,
    style,
)

MAJOR = ("C", "G", "D", "A", "E", "B", "F#", "Db", "Ab", "Eb", "Bb", "F")
MINOR = ("A", "E", "B", "F#", "C#", "G#", "Eb", "Bb", "F", "C", "G", "D")
"""Tonics along the circle of fifths; a minor key stands under its relative major."""
PEDALS = {"sustain_share": "sustain", "soft_share": "soft", "sostenuto_share": "sostenuto"}
COUNTED = {"all": "every time", "no_copies": "copies once", "once": "once"}
"""How often the same music counts, see the view `distributions`."""
LONGEST_LIST = 14
"""Datasets of a matrix whose cells have room for numbers."""


def keys(rows: Rows) -> Figure:
    """Estimated keys: a line of 24 cells for each dataset, the darker the more performances.

    Args:
        rows: rows of `category_distribution` of the measure key, each dataset once: reads dataset, value, share.
    """
    shares: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["value"] is not None:
            shares.setdefault(row["dataset"], {})[row["value"]] = row["share"]
    with style():
        if not shares:
            return no_data("Keys")
        names = sorted(shares)
        figure, _ = new_figure(height=height_of(len(names)) + 0.35, axes=False)
        grid = figure.subplots(1, 2, sharey=True)
        most = max(share for by_key in shares.values() for share in by_key.values())
        for axes, mode, tonics in zip(grid, ("major", "minor"), (MAJOR, MINOR), strict=True):
            cells = [[shares[name].get(f"{tonic} {mode}", 0.0) for tonic in tonics] for name in names]
            image = axes.pcolormesh(
                np.arange(13) - 0.5,
                np.arange(len(names) + 1) - 0.5,
                cells,
                cmap=SHADES,
                vmin=0,
                vmax=most,
                edgecolors="white",
                linewidth=1,
            )
            axes.set_xticks(range(12), [_sharp(tonic) for tonic in tonics])
            axes.set_xlabel(f"{mode} keys, by fifths")
            plain(axes)
        grid[0].set_yticks(range(len(names)), [label(name) for name in names])
        grid[0].set_ylim(len(names) - 0.5, -0.5)
        figure_title(figure, "Keys, as estimated")
        bar = figure.colorbar(image, ax=grid, fraction=0.04, pad=0.02)
        bar.set_label("share of performances", fontsize=8)
        bar.ax.yaxis.set_major_formatter(percent)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(3)
        return figure


def pedal_use(rows: Rows) -> Figure:
    """How long each pedal is down: the middle half of a dataset's performances, the middle 90 %, and the median.

    Args:
        rows: rows of `measure_summaries`, each dataset once: reads dataset, measure (of `PEDALS`), p05 to p95.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["measure"] in PEDALS and row["p50"] is not None:
            found.setdefault(row["dataset"], {})[row["measure"]] = row
    with style():
        if not found:
            return no_data("Pedals")
        names = sorted(found)
        figure, _ = new_figure(height=height_of(len(names)) + 0.3, axes=False)
        grid = figure.subplots(1, 3, sharey=True)
        for axes, (measure, pedal) in zip(grid, PEDALS.items(), strict=True):
            _ranges(axes, [found[name].get(measure) for name in names])
            axes.set_title(pedal, fontweight="normal", fontsize=9)
            axes.set_xlim(-0.03, 1.03)
            axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
        grid[0].set_yticks(range(len(names)), [label(name) for name in names])
        grid[0].set_ylim(len(names) - 0.45, -0.55)
        figure_title(figure, "Pedals")
        figure.supxlabel("% of the time down: median, middle 50 % and 90 % of performances", fontsize=9)
        return figure


def counted(rows: Rows) -> Figure:
    """What is left of each dataset when copies count once, and when all renditions of the same music do.

    Args:
        rows: rows of `measure_summaries` of the measure duration_sec, split all: reads dataset, counted,
            num_performances, total (seconds).
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["measure"] == "duration_sec" and row["counted"] in COUNTED:
            found.setdefault(row["dataset"], {})[row["counted"]] = row
    found = {name: found[name] for name in sorted(found) if found[name].get("all")}
    with style():
        if not found:
            return no_data("The same music once")
        figure, axes = new_figure(height=1.1 + 0.5 * len(found))
        fills = {"all": {"color": LIGHT}, "no_copies": {"color": BLUE}, "once": {"color": INK}}
        for i, by_counted in enumerate(found.values()):
            whole = by_counted["all"]["total"] or 1
            for k, (name, fill) in enumerate(fills.items()):
                row = by_counted.get(name)
                if row is None:
                    continue
                place = i + 0.26 * (k - 1)
                axes.barh(place, row["total"] / whole, height=0.24, **fill)
                text = f" {row['num_performances']:,}, {_hours(row['total'])}"
                axes.text(row["total"] / whole, place, text, va="center", fontsize=7)
        axes.set_yticks(range(len(found)), [label(name) for name in found])
        axes.set_ylim(len(found) - 0.45, -0.55)
        axes.set_xlim(0, 1.32)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(percent)
        figure_title(figure, "The same music once")
        axes.set_xlabel("share of the dataset's time; at the bars: performances, hours")
        plain(axes)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        legend(figure, COUNTED.values(), [{**fill, "linewidth": 6} for fill in fills.values()])
        return figure


def distance_matrix(rows: Rows) -> Figure:
    """How far apart each two datasets are: the mean over the measures of the Jensen-Shannon divergence.

    Args:
        rows: rows of `dataset_distances`, each pair and measure once: reads dataset_a, dataset_b, measure,
            jensen_shannon_bits.
    """
    bits: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["dataset_a"] != row["dataset_b"] and row["jensen_shannon_bits"] is not None:
            pair = (min(row["dataset_a"], row["dataset_b"]), max(row["dataset_a"], row["dataset_b"]))
            bits.setdefault(pair, []).append(row["jensen_shannon_bits"])
    measures = {row["measure"] for row in rows}
    with style():
        if not bits:
            return no_data("Distances between datasets")
        names = sorted({name for pair in bits for name in pair})
        # Summed in order: floats added in another one could end in another last digit.
        means = {pair: math.fsum(sorted(found)) / len(found) for pair, found in bits.items()}
        size = len(names) - 1
        figure, axes = new_figure(height=1.3 + min(0.42, 4 / size) * size)
        cells = np.full((size, size), np.nan)
        for (a, b), mean in means.items():
            cells[names.index(b) - 1, names.index(a)] = mean
        top = max(means.values())
        axes.pcolormesh(
            np.arange(size + 1) - 0.5, np.arange(size + 1) - 0.5, np.ma.masked_invalid(cells), cmap=SHADES,
            vmin=0, vmax=top or 1, edgecolors="white", linewidth=1,
        )  # fmt: skip
        for i, j in zip(*np.nonzero(~np.isnan(cells)), strict=True):
            if size < LONGEST_LIST:
                color = "white" if cells[i, j] > 0.6 * top else INK
                axes.text(j, i, f"{cells[i, j]:.2f}", ha="center", va="center", fontsize=8, color=color)
        axes.set_xticks(
            range(size), [label(name) for name in names[:-1]], rotation=30, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(size), [label(name) for name in names[1:]])
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_title(f"Distances between datasets: mean of {len(measures)} measures")
        axes.set_xlabel("Jensen-Shannon divergence, bits: 0 the same, 1 nothing in common")
        plain(axes)
        return figure


# Parts of the figures


def key_bars(axes: Axes, rows: Rows) -> None:
    """Keys of one dataset, the major ones beside their relative minors."""
    shares = {row["value"]: row["share"] for row in rows if row["value"] is not None}
    axes.set_title("Keys")
    if not shares:
        nothing(axes)
        return
    for shift, mode, tonics, color in ((-0.2, "major", MAJOR, BLUE), (0.2, "minor", MINOR, VERMILION)):
        heights = [shares.get(f"{tonic} {mode}", 0.0) for tonic in tonics]
        axes.bar(np.arange(12) + shift, heights, width=0.4, color=color)
    names = [f"{_sharp(a)}\n{_sharp(b[0].lower() + b[1:])}" for a, b in zip(MAJOR, MINOR, strict=True)]
    axes.set_xticks(range(12), names, fontsize=7.5)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 1.05 * max(shares.values()))
    axes.set_xlabel("as estimated, by fifths; minor in small letters")
    axes.set_ylabel("share of performances", fontsize=8)
    axes.yaxis.set_major_formatter(percent)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    legend_above(axes, ("major", "minor"), [{"color": color, "linewidth": 6} for color in (BLUE, VERMILION)])


def pedal_ranges(axes: Axes, rows: Rows) -> None:
    """Pedals of one dataset below each other, as in `pedal_use`."""
    found = {row["measure"]: row for row in rows if row["measure"] in PEDALS and row["p50"] is not None}
    axes.set_title("Pedals")
    if not found:
        nothing(axes)
        return
    _ranges(axes, [found.get(measure) for measure in PEDALS])
    axes.set_yticks(range(len(PEDALS)), list(PEDALS.values()))
    axes.set_ylim(len(PEDALS) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(percent)
    axes.set_xlabel("share of time down:\nmedian, middle 50 %, 90 % of performances")


def _ranges(axes: Axes, rows: Sequence[Mapping[str, Any] | None]) -> None:
    """A line for each row: thin for the middle 90 %, thick for the middle half, a dot for the median."""
    for i, row in enumerate(rows):
        if row is None:
            continue
        axes.plot([row["p05"], row["p95"]], [i, i], color=BLUE, linewidth=1.2)
        axes.plot([row["p25"], row["p75"]], [i, i], color=LIGHT, linewidth=7, solid_capstyle="butt")
        axes.plot([row["p50"]], [i], "o", color=INK, markersize=4)
    plain(axes)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _sharp(tonic: str) -> str:
    return tonic[0] + tonic[1:].replace("#", "♯").replace("b", "♭")


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{short(round(hours))} h" if hours >= 10 else f"{hours:.2g} h"
