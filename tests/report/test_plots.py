"""Plots: what is drawn is what the rows say, whatever the names, and the same rows give the same bytes."""

import io
import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import PIL.Image
import pytest
from matplotlib.colors import to_hex

from pianogen.report import plots

NAMES = ["bach", "custom", "maestro", "lakh", "pop909", "asap", "giantmidi", "jsb", "jsb_fast", "x" * 60]
INLINE_BYTES = 60_000
"""More would make a page of the Dagster UI slow."""


def rows_by_plot(names: list[str]) -> dict:
    rng = random.Random(5)
    steps = range(0, 2000, 10)
    return {
        plots.note_counts: [{"dataset": name, "num_notes": rng.randrange(1, 10**8)} for name in names],
        plots.pitch_distribution: [
            {"dataset": name, "pitch": pitch, "share": rng.random() / 50} for name in names for pitch in range(21, 109)
        ],
        plots.duration_by_dataset: [
            {"dataset": name, "duration_sec": rng.lognormvariate(4, 1)} for name in names for _ in range(30)
        ],
        plots.loss_curve: [
            {"step": step, "split": split, "nll": 1 + 300 / (step + 100) + rng.random() / 10}
            for step in steps
            for split in ("train", "validation")
            if names and (split == "train" or step % 200 == 0)
        ],
    }


def texts(figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_title(loc="right"), axes.get_xlabel(), axes.get_ylabel()]
        found += [label.get_text() for label in [*axes.get_yticklabels(), *axes.get_xticklabels()]]
    return found


@pytest.mark.parametrize("num_datasets", [1, 2, 10])
def test_pictures_are_small_enough_to_stand_inline(num_datasets):
    for plot, rows in rows_by_plot(NAMES[:num_datasets]).items():
        png = plots.to_png(plot(rows))
        assert len(png) < INLINE_BYTES, plot.__name__
        with PIL.Image.open(io.BytesIO(png)) as picture:
            assert picture.width >= 500
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 4, "an empty picture"


def test_without_rows_a_figure_says_so():
    for plot, rows in rows_by_plot([]).items():
        assert "no data yet" in texts(plot(rows)), plot.__name__
        assert plots.to_png(plot(rows)).startswith(b"\x89PNG")


def test_rows_in_another_order_give_the_same_bytes():
    for plot, rows in rows_by_plot(NAMES[:4]).items():
        shuffled = random.Random(1).sample(rows, len(rows))
        assert plots.to_png(plot(rows)) == plots.to_png(plot(shuffled)), plot.__name__
        assert plots.to_svg(plot(rows)) == plots.to_svg(plot(shuffled)), plot.__name__


def test_a_matplotlibrc_and_another_process_change_no_bytes(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: pink\nsvg.fonttype: none\nfigure.dpi: 300\n")
    code = (
        "import sys; from pianogen.report import plots;"
        "f = plots.note_counts([{'dataset': 'bach', 'num_notes': 12}, {'dataset': 'jsb', 'num_notes': 7}]);"
        "sys.stdout.buffer.write(plots.to_png(f) + plots.to_svg(f).encode());"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "3"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
    figure = plots.note_counts([{"dataset": "bach", "num_notes": 12}, {"dataset": "jsb", "num_notes": 7}])
    assert plots.to_png(figure) + plots.to_svg(figure).encode() == other


def test_bars_are_as_long_as_the_counts_with_the_largest_on_top():
    figure = plots.note_counts([{"dataset": "small", "num_notes": 5}, {"dataset": "large", "num_notes": 1234567}])
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [1234567, 5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["large", "small"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row stands on top"
    assert "1,234,567" in texts(figure)


def test_hours_are_summed_and_the_median_is_marked():
    rows = [{"dataset": "bach", "duration_sec": sec} for sec in (600, 1200, 5400, None, 0)]
    left, right = plots.duration_by_dataset(rows).axes
    assert [bar.get_width() for bar in left.patches] == [pytest.approx(2.0)]
    assert right.lines[-1].get_xdata().tolist() == [1200]


def test_each_dataset_has_its_own_row_of_pitches_and_its_peak_is_named():
    shares = {"bach": {60: 0.5, 62: 0.25, 64: 0.25}, "jsb": {127: 1.0}}
    rows = [
        {"dataset": d, "pitch": p, "share": share} for d, by_pitch in shares.items() for p, share in by_pitch.items()
    ]
    figure = plots.pitch_distribution(rows)
    assert len(figure.axes) == 2
    assert {"bach", "jsb", "peak C4, 50.0 %", "peak G9, 100.0 %"} <= set(texts(figure))
    assert figure.axes[0].get_xlim()[1] > 127, "a pitch above the piano is shown"
    assert figure.axes[0].patches[0].get_data().values.tolist() == [0.5, 0.0, 0.25, 0.0, 0.25]


def test_the_loss_curve_leaves_out_what_is_not_finite_and_marks_the_best():
    rows = [
        {"step": 30, "split": "train", "nll": float("nan")},
        {"step": 20, "split": "train", "nll": 2.0},
        {"step": 10, "split": "train", "nll": 3.0},
        {"step": 10, "split": "validation", "nll": 2.5},
        {"step": 20, "split": "validation", "nll": 2.25},
        {"step": 30, "split": "validation", "nll": float("inf")},
        {"step": 40, "split": "validation", "nll": None},
    ]
    figure = plots.loss_curve(rows)
    train, validation, best = figure.axes[0].lines
    assert (train.get_xdata().tolist(), train.get_ydata().tolist()) == ([10, 20], [3.0, 2.0])
    assert validation.get_ydata().tolist() == [2.5, 2.25]
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([20], [2.25])
    assert "best 2.250, step 20" in texts(figure)
    assert to_hex(train.get_color()) != to_hex(validation.get_color())


def test_a_run_that_has_not_been_validated_yet_still_has_a_curve():
    figure = plots.loss_curve([{"step": 10, "split": "train", "nll": 3.0}])
    assert len(figure.axes[0].lines) == 1
    assert plots.to_svg(figure)


def test_axes_have_units():
    rows = rows_by_plot(NAMES[:2])
    assert "nll (nats per token)" in texts(plots.loss_curve(rows[plots.loss_curve]))
    assert "hours" in texts(plots.duration_by_dataset(rows[plots.duration_by_dataset]))
    assert "notes" in texts(plots.note_counts(rows[plots.note_counts]))


@pytest.mark.parametrize("name", ["$\\frac{x}$", "<b>&amp;</b>", "a -- b -->", "_" * 300, ""])
def test_any_name_is_drawn_as_it_stands_in_valid_svg(name):
    for plot, rows in rows_by_plot([name, "bach"]).items():
        svg = plots.to_svg(plot(rows))
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not [e for e in root.iter() if e.tag.endswith(("}b", "}script"))]


def test_a_picture_holds_no_date():
    assert "<dc:date>" not in plots.to_svg(plots.note_counts([]))
