"""How often values occur in datasets and their splits, as small pictures.

Each function takes rows of the view `distributions` as dicts, in any order, and returns a matplotlib Figure; without
rows it says "no data yet". Every dataset has a scale of its own, since a narrow distribution would flatten the wide
ones. The pages of the report draw the same numbers larger, to be pointed at.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from pianogen.report.drawing import (
    BLUE,
    INK,
    LIGHT,
    PIANO,
    VERMILION,
    Rows,
    figure_title,
    label,
    legend,
    new_figure,
    no_data,
    percent,
    pitch_name,
    style,
)

SPLITS = ("train", "validation", "test")
LENGTHS = (60, 30, 16, 8, 4, 2, 1, 0.5, 0.25, 0.12, 0.06, 0.03, 0.016, 0.008, 0.004)
"""Seconds that an axis may name."""
MOST = 40
"""Pitches at once of the last bin, which is for more too."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How the distribution of a measure is drawn."""

    title: str
    unit: str
    """Under the axis."""
    shares: str
    """What a share is of."""
    step: float = 1.0
    """Width of a bin that is a single value."""
    is_ratio: bool = False
    """Bins are of equal ratio: the axis is logarithmic."""
    beside: str = ""
    """A measure that is drawn over it."""
    words: tuple[str, str] = ("", "")
    """What the two are."""
    margin: float = 0.0
    """Room at both ends of the axis,"""
    span: float = 0.0
    """which shows at least this much,"""
    limits: tuple[float, float] | None = None
    """or ends of the axis that do not follow the data."""


KINDS = {
    "pitch": Kind(title="Pitch", unit="pitch (C4 is middle C, MIDI 60)", shares="notes"),
    "velocity": Kind(title="Velocity", unit="velocity (MIDI, 1–127)", shares="notes", limits=(0, 128)),
    "duration_sec": Kind(
        title="Note durations",
        unit="seconds (log scale)",
        shares="notes",
        is_ratio=True,
        beside="sounding_duration_sec",
        words=("held", "sounding"),
    ),
    "ioi_sec": Kind(title="From onset to onset", unit="seconds (log scale)", shares="steps", is_ratio=True),
    "polyphony": Kind(
        title="Polyphony",
        unit="pitches at once",
        shares="time",
        beside="sounding_polyphony",
        words=("held", "sounding"),
        margin=0.6,
        span=10,
    ),
    "tempo_qpm": Kind(title="Tempo that the files state", unit="quarters per minute", shares="time", margin=5, span=60),
    "onset_position": Kind(
        title="Place in the file's quarter",
        unit="quarters after its beginning",
        shares="notes",
        step=1 / 48,
        limits=(-0.02, 1.0),
    ),
}
"""By measure of the view `distributions`."""

Bins = list[tuple[float, float, float]]
"""Lower edge, upper edge and share of each, ascending."""
HELD_AND_SOUNDING = ({"color": BLUE, "linewidth": 6}, {"color": VERMILION, "linewidth": 1.4})


def distribution(rows: Rows, measure: str, title: str = "") -> Figure:
    """How often each value occurs, a line of bars for each dataset.

    Args:
        rows: rows of `distributions`, each dataset once: reads dataset, measure, low, high, share; other measures
            than those that are drawn are passed over.
        measure: of `KINDS`; its companion is drawn over it.
        title: in place of the kind's own.
    """
    kind = KINDS[measure]
    found = bins_by_dataset(rows, (measure, kind.beside))
    with style():
        if not found:
            return no_data(title or kind.title)
        figure, grid = _lines(found)
        limits = limits_of(kind, [bins for by_measure in found.values() for bins in by_measure.values()])
        for axes, (dataset, by_measure) in zip(grid, found.items(), strict=True):
            draw_bins(axes, kind, by_measure.get(measure, []), by_measure.get(kind.beside, []))
            _name(axes, dataset, summary_of(measure, by_measure.get(measure, [])))
        _finish(figure, grid, kind, limits, title or kind.title)
        if kind.beside:
            legend(figure, kind.words, HELD_AND_SOUNDING)
        return figure


def by_split(rows: Rows, measure: str) -> Figure:
    """The splits of each dataset over each other: what is held out should be like what is trained on.

    Args:
        rows: rows of `distributions`, each dataset and split once: reads dataset, split, measure, low, high, share.
        measure: of `KINDS`.
    """
    kind = KINDS[measure]
    found: dict[str, dict[str, Bins]] = {}
    for split in SPLITS:
        for dataset, by_measure in bins_by_dataset([r for r in rows if r["split"] == split], (measure,)).items():
            found.setdefault(dataset, {})[split] = by_measure[measure]
    found = {dataset: by_split for dataset, by_split in sorted(found.items()) if len(by_split) > 1}
    title = f"{kind.title} by split"
    with style():
        if not found:
            return no_data(title)
        figure, grid = _lines(found)
        limits = limits_of(kind, [bins for splits in found.values() for bins in splits.values()])
        strokes = {
            "validation": {"color": VERMILION, "linewidth": 1.2},
            "test": {"color": INK, "linewidth": 1.2, "linestyle": "--"},
        }
        for axes, (dataset, splits) in zip(grid, found.items(), strict=True):
            for split, bins in splits.items():
                fill = {"fill": True, "color": LIGHT, "linewidth": 0} if split == "train" else strokes[split]
                _stairs(axes, kind, bins, **fill)
            axes.set_ylim(0, 1.05 * max(share for bins in splits.values() for *_, share in bins))
            _name(axes, dataset, "")
        _finish(figure, grid, kind, limits, title)
        legend(figure, SPLITS, [{"color": LIGHT, "linewidth": 6}, *strokes.values()])
        return figure


# Parts of the figures


def bins_by_dataset(rows: Iterable[Mapping[str, Any]], measures: Iterable[str]) -> dict[str, dict[str, Bins]]:
    """Bins in order, by dataset and measure."""
    found: dict[str, dict[str, Bins]] = {}
    for row in rows:
        if row["measure"] in measures and row["share"] is not None:
            bins = found.setdefault(row["dataset"], {}).setdefault(row["measure"], [])
            bins.append((row["low"], row["high"], row["share"]))
    return {name: {measure: sorted(bins) for measure, bins in found[name].items()} for name in sorted(found)}


def _lines(found: Mapping[str, Any]) -> tuple[Figure, Sequence[Axes]]:
    """Axes below each other, one for each dataset."""
    row_height = max(0.62, 1.6 - 0.25 * (len(found) - 1))
    figure, _ = new_figure(height=0.85 + row_height * len(found), axes=False)
    grid = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes in grid:
        axes.yaxis.set_major_locator(MaxNLocator(2 if len(found) > 3 else 4, steps=[1, 2, 5, 10]))
    return figure, list(grid)


def draw_bins(axes: Axes, kind: Kind, bins: Bins, beside: Bins) -> None:
    """One distribution as an area, and another over it as a line."""
    _stairs(axes, kind, bins, fill=True, color=BLUE, linewidth=0)
    _stairs(axes, kind, beside, color=VERMILION, linewidth=1.2)
    axes.set_ylim(0, 1.05 * max((share for *_, share in (*bins, *beside)), default=1))
    axes.yaxis.set_major_formatter(percent)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _stairs(axes: Axes, kind: Kind, bins: Bins, **look: Any) -> None:
    """Bins as one outline; what lies between bins that are there is empty."""
    if not bins:
        return
    edges, shares = [], []
    for low, high, share in bins:
        low, high = (low, high) if high > low else (low - kind.step / 2, low + kind.step / 2)
        if edges and low > edges[-1] + 1e-9:
            shares.append(0.0)
            edges.append(low)
        edges = edges or [low]
        shares.append(share)
        edges.append(high)
    axes.stairs(shares, edges, **look)
    axes.yaxis.set_major_formatter(percent)


def limits_of(kind: Kind, all_bins: Sequence[Bins]) -> tuple[float, float]:
    """Ends of an axis that shows all but the outermost thousandths of each distribution."""
    if kind.limits:
        return kind.limits
    lows, highs = zip(*map(ends_of, all_bins), strict=True)
    if kind is KINDS["pitch"]:
        return min(PIANO[0], *lows) - 1.0, max(PIANO[1], *highs) + 1.0
    if kind.is_ratio:
        return min(lows) / 1.2, max(highs) * 1.2
    margin = max(kind.margin, (kind.span - (max(highs) - min(lows))) / 2)
    return max(min(lows) - margin, -kind.margin), max(highs) + margin


def ends_of(bins: Bins) -> tuple[float, float]:
    """Where a distribution begins and ends, less its outermost thousandths."""
    return _quantile(bins, 0.001)[0], _quantile(bins, 0.999)[1]


def value_text(measure: str, value: float) -> str:
    """A value of a measure in its unit."""
    if measure == "pitch":
        return pitch_name(round(value))
    return _seconds(value) if KINDS[measure].is_ratio else f"{value:.2g}" if value < 1 else f"{value:g}"


def _quantile(bins: Bins, q: float) -> tuple[float, float]:
    """Edges of the bin at which the shares, summed up, reach a part of all."""
    below, whole = 0.0, sum(share for *_, share in bins)
    for low, high, share in bins:
        below += share
        if below >= q * whole:
            return low, high
    return bins[-1][:2]


def summary_of(measure: str, bins: Bins) -> str:
    """What a distribution comes to, in a word."""
    if not bins:
        return ""
    if measure == "onset_position":
        return f"{100 * sum(share for low, _, share in bins if low == 0):.0f} % at its beginning"
    if measure == "pitch":
        peak = max(bins, key=lambda one: (one[2], -one[0]))
        return f"peak {pitch_name(int(peak[0]))}, {100 * peak[2]:.1f} %"
    low, high = _quantile(bins, 0.5)
    if measure == "velocity" and len(bins) == 1:
        return f"all {low:g}"
    if measure in ("duration_sec", "ioi_sec"):
        return f"median {_seconds(math.sqrt(low * high))}"
    return f"median {low:g}" if low == high else f"median {low:g}–{high:g}"


def _name(axes: Axes, dataset: str, summary: str) -> None:
    """Above the axes, where no data is."""
    axes.set_title(label(dataset), loc="left", fontsize=8, pad=2)
    axes.set_title(summary, loc="right", fontsize=8, fontweight="normal", pad=2)


def _finish(figure: Figure, grid: Sequence[Axes], kind: Kind, limits: tuple[float, float], title: str) -> None:
    figure_title(figure, title)
    set_ticks(grid[-1], kind, limits)
    grid[-1].set_xlabel(kind.unit)
    figure.supylabel(f"share of the {kind.shares}", fontsize=9)
    for axes in grid:
        axes.grid(axis="x")
        axes.set_axisbelow(True)


def set_ticks(axes: Axes, kind: Kind, limits: tuple[float, float]) -> None:
    """Ends and ticks of the axis of values."""
    low, high = limits
    axes.set_xlim(limits)
    if kind is KINDS["pitch"]:
        octaves = [pitch for pitch in range(math.ceil(low), math.floor(high) + 1) if pitch % 12 == 0]
        axes.set_xticks(octaves, [pitch_name(pitch) for pitch in octaves])
    elif kind.is_ratio:
        axes.set_xscale("log")
        ticks = [tick for tick in LENGTHS if low <= tick <= high]
        ticks = ticks[:: math.ceil(len(ticks) / 6)]
        # The last bin holds what is longer, too.
        axes.set_xticks(ticks, ["60 s +" if tick == 60 else _seconds(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(limits)
    elif kind is KINDS["polyphony"] and high > MOST:
        axes.set_xticks(range(0, MOST + 1, 10), [*map(str, range(0, MOST, 10)), f"{MOST} +"])
    elif kind is KINDS["onset_position"]:
        axes.set_xticks([0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4], ["0", "¼", "⅓", "½", "⅔", "¾"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))


def _seconds(value: float) -> str:
    return f"{1000 * value:.2g} ms" if value < 0.1 else f"{value:.2g} s"
