"""Rows of the warehouse as pictures: music per dataset, and the loss of a run.

Each function takes the rows of one view as dicts and returns a matplotlib Figure; `to_png` and `to_svg`
turn it into bytes that depend on the rows alone. No pyplot, so nothing is kept between calls. Rows may
come in any order. Without rows, a figure says "no data yet".

One hue stands for data, because every dataset is labelled where it is drawn; where two things share
axes, the pair is blue and vermilion of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.style
import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

Rows = Sequence[Mapping[str, Any]]

BLUE = "#0072b2"
VERMILION = "#d55e00"
INK = "#24292f"
FAINT = "#8c959f"
PIANO = (21, 108)
"""Lowest and highest MIDI pitch of a piano, A0 and C8."""
WIDTH = 5.6
"""Inches. Narrow, so that text stays readable when a phone scales the picture down."""
MAX_LABEL = 18
"""Characters of a dataset's name that are drawn."""

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "x",
    "grid.color": "#d0d7de",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "svg.fonttype": "path",  # the same picture whatever fonts the reader has
    "svg.hashsalt": "pianogen",  # ids of clip paths are random without a salt
}


@contextlib.contextmanager
def _style() -> Iterator[None]:
    """Our settings over matplotlib's own, so that a user's matplotlibrc changes no bytes."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def note_counts(rows: Rows) -> Figure:
    """Bars: notes in each dataset, the largest first.

    Args:
        rows: rows of `dataset_statistics`; reads dataset, num_notes.
    """
    rows = sorted(rows, key=lambda row: (-(row["num_notes"] or 0), row["dataset"]))
    with _style():
        if not rows:
            return _no_data("Notes per dataset")
        figure, axes = _figure(height=_height(len(rows)))
        counts = [row["num_notes"] or 0 for row in rows]
        _bars(axes, rows, counts, [f"{count:,}" for count in counts])
        axes.set_title("Notes per dataset")
        axes.set_xlabel("notes")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        return figure


def pitch_distribution(rows: Rows) -> Figure:
    """One row of bars for each dataset: share of its notes at each pitch.

    Each row has its own scale: a dataset of few notes would flatten the others.

    Args:
        rows: rows of `pitch_distribution`; reads dataset, pitch, share (0-1 of the dataset's notes).
    """
    shares: dict[str, dict[int, float]] = {}
    for row in rows:
        shares.setdefault(row["dataset"], {})[row["pitch"]] = row["share"] or 0.0
    with _style():
        if not shares:
            return _no_data("Pitch distribution")
        names = sorted(shares)
        row_height = max(0.55, 1.6 - 0.25 * (len(names) - 1))
        figure, _ = _figure(height=0.9 + row_height * len(names), axes=False)
        grid = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        low = min(PIANO[0], *(min(by_pitch) for by_pitch in shares.values()))
        high = max(PIANO[1], *(max(by_pitch) for by_pitch in shares.values()))
        for axes, name in zip(grid, names, strict=True):
            _pitch_bars(axes, name, shares[name])
            axes.yaxis.set_major_locator(MaxNLocator(2 if len(names) > 3 else 4, steps=[1, 2, 5, 10]))
        grid[0].set_xlim(low - 1, high + 1)
        grid[0].set_title("Pitch distribution")
        octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
        grid[-1].set_xticks(octaves, [_pitch_name(pitch) for pitch in octaves])
        grid[-1].set_xlabel("pitch (C4 is middle C, MIDI 60)")
        figure.supylabel("share of the dataset's notes", fontsize=9)
        return figure


def duration_by_dataset(rows: Rows) -> Figure:
    """Left, hours of music in each dataset; right, how long its performances are.

    The box spans the middle half of the performances, the whiskers the middle 90 %; the dot is the median.

    Args:
        rows: rows of `performance_statistics`; reads dataset, duration_sec. A row without a positive
            duration counts nothing.
    """
    durations: dict[str, list[float]] = {}
    for row in rows:
        if row["duration_sec"] is not None and row["duration_sec"] > 0:
            durations.setdefault(row["dataset"], []).append(row["duration_sec"])
    with _style():
        if not durations:
            return _no_data("Duration by dataset")
        # A sorted sum: floats added in another order could end in another last digit.
        hours = {name: math.fsum(sorted(seconds)) / 3600 for name, seconds in durations.items()}
        names = sorted(durations, key=lambda name: (-hours[name], name))
        figure, _ = _figure(height=_height(len(names)), axes=False)
        left, right = figure.subplots(1, 2, sharey=True)
        labels = [f"{hours[name]:.1f}" if hours[name] >= 0.95 else f"{hours[name]:.2g}" for name in names]
        _bars(left, [{"dataset": name} for name in names], [hours[name] for name in names], labels)
        left.set_title("Music per dataset")
        left.set_xlabel("hours")
        _duration_boxes(right, [durations[name] for name in names])
        right.set_title("Performance length")
        return figure


def loss_curve(rows: Rows) -> Figure:
    """Train and validation nll of one run against its steps, with the best validation marked.

    Args:
        rows: rows of `metrics` of one run; reads step, split (train or validation), nll (nats per token).
            Values that are missing or not finite are left out.
    """
    points: dict[str, list[tuple[int, float]]] = {"train": [], "validation": []}
    for row in rows:
        if row["nll"] is not None and math.isfinite(row["nll"]) and row["split"] in points:
            points[row["split"]].append((row["step"], row["nll"]))
    with _style():
        if not any(points.values()):
            return _no_data("Training curve")
        figure, axes = _figure(height=2.9)
        for split, color, shape in (("train", BLUE, {}), ("validation", VERMILION, {"marker": "o", "markersize": 3})):
            if not points[split]:
                continue
            steps, nll = zip(*sorted(points[split]), strict=True)
            axes.plot(steps, nll, color=color, linewidth=1.4, label=split, **shape)
        if points["validation"]:
            _mark_best(axes, points["validation"])
        axes.set_title("Loss")
        axes.set_xlabel("step (optimizer updates)")
        axes.set_ylabel("nll (nats per token)")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axes.margins(x=0.02, y=0.12)
        axes.grid(axis="y")
        axes.legend(frameon=False, loc="upper right", labelcolor="linecolor")
        return figure


def to_png(figure: Figure) -> bytes:
    """PNG bytes on white at 100 dots an inch, small enough for an inline picture; the same for the same figure."""
    buffer = io.BytesIO()
    with _style():
        # 64 colours are enough for two hues and their soft edges, and halve the bytes.
        figure.savefig(buffer, format="png", dpi=100, facecolor="white")
    with PIL.Image.open(buffer) as picture:
        few_colors = picture.convert("RGB").quantize(64, dither=PIL.Image.Dither.NONE)
    buffer = io.BytesIO()
    few_colors.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """SVG text on a transparent ground, letters as outlines; the same for the same figure."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode("utf-8")


def _figure(*, height: float, axes: bool = True) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot() if axes else None


def _height(num_rows: int) -> float:
    return 0.95 + 0.3 * num_rows


def _no_data(title: str) -> Figure:
    figure, axes = _figure(height=1.4)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, "no data yet", ha="center", va="center", color=FAINT, transform=axes.transAxes)
    return figure


def _bars(axes: Axes, rows: Rows, values: Sequence[float], labels: Sequence[str]) -> None:
    """Horizontal bars from the top, each with its dataset at the left and its value at the end."""
    bars = axes.barh(range(len(rows)), values, height=0.66, color=BLUE)
    axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [_label(row["dataset"]) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    # Room for the number that stands after the longest bar.
    axes.set_xlim(0, 1.3 * max(*values, 0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _pitch_bars(axes: Axes, name: str, by_pitch: Mapping[int, float]) -> None:
    pitches = range(min(by_pitch), max(by_pitch) + 1)
    edges = np.arange(pitches.start, pitches.stop + 1) - 0.5
    # One outline in place of 88 bars: a tenth of the bytes.
    axes.stairs([by_pitch.get(pitch, 0.0) for pitch in pitches], edges, fill=True, color=BLUE, linewidth=0)
    axes.set_ylim(0, 1.3 * max(*by_pitch.values(), 1e-6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    peak = max(by_pitch, key=lambda pitch: (by_pitch[pitch], -pitch))
    axes.text(0.01, 0.93, _label(name), transform=axes.transAxes, va="top", fontweight="bold", fontsize=8)
    axes.text(
        0.99,
        0.93,
        f"peak {_pitch_name(peak)}, {100 * by_pitch[peak]:.1f} %",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
    )
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _duration_boxes(axes: Axes, durations: Sequence[Sequence[float]]) -> None:
    boxes, medians = [], []
    for seconds in durations:
        p5, q1, median, q3, p95 = np.percentile(seconds, [5, 25, 50, 75, 95])
        boxes.append({"med": median, "q1": q1, "q3": q3, "whislo": p5, "whishi": p95, "fliers": []})
        medians.append(median)
    line = {"color": BLUE, "linewidth": 1.2}
    axes.bxp(
        boxes,
        positions=range(len(boxes)),
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": "#9ecae1", "edgecolor": BLUE},
        medianprops={"linewidth": 0},
        whiskerprops=line,
        capprops=line,
    )
    axes.plot(medians, range(len(medians)), "o", color=INK, markersize=4)
    axes.set_xscale("log")
    low, high = min(box["whislo"] for box in boxes) / 1.5, max(box["whishi"] for box in boxes) * 1.5
    ticks = [t for t in (0.1, 1, 5, 20, 60, 180, 600, 1800, 7200, 86400) if low <= t <= high]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [_short_time(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("duration (log scale)\nmedian, middle 50 %, 90 %")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _mark_best(axes: Axes, points: Sequence[tuple[int, float]]) -> None:
    step, nll = min(points, key=lambda point: (point[1], point[0]))
    axes.plot([step], [nll], "o", color=VERMILION, markersize=6, markerfacecolor="none")
    late = step > max(s for s, _ in points) / 2
    axes.annotate(
        f"best {nll:.3f}, step {step:,}",
        (step, nll),
        xytext=(0, 7),
        textcoords="offset points",
        ha="right" if late else "left",
        va="bottom",
        fontsize=8,
        color=VERMILION,
    )


def _label(name: str) -> str:
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"


def _pitch_name(pitch: int) -> str:
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _short(value: float) -> str:
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _short_time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"
