"""What the music of one dataset is like, on two sheets."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pianogen.report.dataset_plots import key_bars, pedal_ranges
from pianogen.report.distribution_plots import (
    HELD_AND_SOUNDING,
    KINDS,
    bins_by_dataset,
    draw_bins,
    limits_of,
    set_ticks,
    summary_of,
)
from pianogen.report.drawing import Rows, legend_above, no_data, nothing, style


def notes_sheet(rows: Rows) -> Figure:
    """One dataset's pitch, velocity, note durations and polyphony.

    Args:
        rows: rows as of `distribution`, of one dataset.
    """
    return _sheet(rows, ("pitch", "velocity", "duration_sec", "polyphony"))


def metre_sheet(rows: Rows, keys: Rows, pedals: Rows) -> Figure:
    """One dataset's tempo, place of onsets in the quarter, keys and pedals.

    Args:
        rows: rows as of `distribution`, of one dataset.
        keys: rows as of `keys`, of the same.
        pedals: rows as of `pedal_use`, of the same.
    """
    figure = _sheet(rows, ("tempo_qpm", "onset_position"), num_rows=2)
    if len(figure.axes) > 2:
        with style():
            key_bars(figure.axes[2], keys)
            pedal_ranges(figure.axes[3], pedals)
    return figure


def _sheet(rows: Rows, measures: Sequence[str], num_rows: int = 2) -> Figure:
    found = next(iter(bins_by_dataset(rows, {m for one in measures for m in (one, KINDS[one].beside)}).values()), None)
    with style():
        if not found:
            return no_data("What the music is like")
        figure = Figure(figsize=(7.2, 2.1 * num_rows), layout="constrained")
        for axes, measure in zip(figure.subplots(num_rows, 2).flat, measures, strict=False):
            kind, bins, beside = KINDS[measure], found.get(measure, []), found.get(KINDS[measure].beside, [])
            axes.set_title(kind.title)
            if not bins:
                nothing(axes)
                continue
            limits = limits_of(kind, [found for found in (bins, beside) if found])
            draw_bins(axes, kind, bins, beside)
            # Room for the word at the right.
            axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
            axes.text(0.99, 0.97, summary_of(measure, bins), ha="right", va="top", fontsize=8, transform=axes.transAxes)
            set_ticks(axes, kind, limits)
            axes.set_xlabel(kind.unit)
            axes.set_ylabel(f"share of {kind.shares}", fontsize=8)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            if beside:
                legend_above(axes, kind.words, HELD_AND_SOUNDING)
        return figure
