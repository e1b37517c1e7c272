"""Rows of the warehouse as pictures: music per dataset, and the loss of a run.

Each function takes the rows of one view as dicts and returns a matplotlib Figure. Rows may come in any order. Without
rows, a figure says "no data yet". More pictures of the data: `distribution_plots`.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pianogen.report.distribution_plots import distribution
from pianogen.report.drawing import (
    BLUE,
    INK,
    LIGHT,
    VERMILION,
    Rows,
    bars,
    height_of,
    new_figure,
    no_data,
    short,
    short_time,
    style,
    to_png,
    to_svg,
)

__all__ = ["duration_by_dataset", "loss_curve", "note_counts", "pitch_distribution", "to_png", "to_svg"]


def note_counts(rows: Rows) -> Figure:
    """Bars: notes in each dataset, the largest first.

    Args:
        rows: rows of `dataset_statistics`; reads dataset, num_notes.
    """
    rows = sorted(rows, key=lambda row: (-(row["num_notes"] or 0), row["dataset"]))
    with style():
        if not rows:
            return no_data("Notes per dataset")
        figure, axes = new_figure(height=height_of(len(rows)))
        counts = [row["num_notes"] or 0 for row in rows]
        bars(axes, rows, counts, [f"{count:,}" for count in counts])
        axes.set_title("Notes per dataset")
        axes.set_xlabel("notes")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        return figure


def pitch_distribution(rows: Rows) -> Figure:
    """One row of bars for each dataset: share of its notes at each pitch.

    Each row has its own scale: a dataset of few notes would flatten the others.

    Args:
        rows: rows of `pitch_distribution`; reads dataset, pitch, share (0-1 of the dataset's notes).
    """
    pitches = [{**row, "measure": "pitch", "low": row["pitch"], "high": row["pitch"]} for row in rows]
    return distribution(pitches, "pitch", "Pitch distribution")


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
    with style():
        if not durations:
            return no_data("Duration by dataset")
        # A sorted sum: floats added in another order could end in another last digit.
        hours = {name: math.fsum(sorted(seconds)) / 3600 for name, seconds in durations.items()}
        names = sorted(durations, key=lambda name: (-hours[name], name))
        figure, _ = new_figure(height=height_of(len(names)), axes=False)
        left, right = figure.subplots(1, 2, sharey=True)
        labels = [f"{hours[name]:.1f}" if hours[name] >= 0.95 else f"{hours[name]:.2g}" for name in names]
        bars(left, [{"dataset": name} for name in names], [hours[name] for name in names], labels)
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
    with style():
        if not any(points.values()):
            return no_data("Training curve")
        figure, axes = new_figure(height=2.9)
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
        boxprops={"facecolor": LIGHT, "edgecolor": BLUE},
        medianprops={"linewidth": 0},
        whiskerprops=line,
        capprops=line,
    )
    axes.plot(medians, range(len(medians)), "o", color=INK, markersize=4)
    axes.set_xscale("log")
    low, high = min(box["whislo"] for box in boxes) / 1.5, max(box["whishi"] for box in boxes) * 1.5
    ticks = [t for t in (0.1, 1, 5, 20, 60, 180, 600, 1800, 7200, 86400) if low <= t <= high]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [short_time(tick) for tick in ticks])
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
