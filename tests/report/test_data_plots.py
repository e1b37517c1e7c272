"""Pictures of the data: what is drawn is what the rows say, legends hide nothing, and colours can be told apart."""

import itertools
import random
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from pianogen.report import data_sheets, dataset_plots, distribution_plots, drawing, glance
from pianogen.statistics.bins import HISTOGRAMS

NAMES = ["bach", "custom", "maestro", "lakh", "pop909", "asap", "giantmidi", "jsb", "jsb_fast", "x" * 60]
INLINE_BYTES = 30_000
"""A picture lies in Dagster's event database."""


def shares(names, measures=tuple(HISTOGRAMS), splits=("all",)) -> list[dict]:
    """Rows of `distributions`: a bell over the middle third of the bins, another one for each dataset and split."""
    rng = random.Random(5)
    rows = []
    for name, split, measure in itertools.product(names, splits, measures):
        histogram = HISTOGRAMS[measure]
        bins = range(histogram.num_bins // 3, 2 * histogram.num_bins // 3 + 1)
        weights = [rng.random() + 0.1 for _ in bins]
        rows += [
            {
                "dataset": name,
                "split": split,
                "measure": measure,
                "low": float(histogram.low[i]),
                "high": float(histogram.high[i]),
                "share": weight / sum(weights),
            }
            for i, weight in zip(bins, weights, strict=True)
        ]
    return rows


def key_rows(names) -> list[dict]:
    return [
        {"dataset": name, "value": key, "share": share}
        for name in names
        for key, share in (("C major", 0.5), ("A minor", 0.25), ("F# minor", 0.2), (None, 0.05))
    ]


def summaries(names, measures) -> list[dict]:
    rng = random.Random(6)
    rows = []
    for name, measure in itertools.product(names, measures):
        values = sorted(rng.random() for _ in range(5))
        quantiles = dict(zip(("p05", "p25", "p50", "p75", "p95"), values, strict=True))
        for counted, part in (("all", 1.0), ("no_copies", 0.9), ("once", 0.4)):
            rows.append(
                {"dataset": name, "measure": measure, "counted": counted, "num_performances": round(1000 * part)}
                | {"total": 7200 * part, **quantiles}
            )
    return rows


def distances(names) -> list[dict]:
    rng = random.Random(7)
    rows = []
    for a, b in itertools.combinations_with_replacement(sorted(names), 2):
        for measure in ("pitch", "velocity"):
            bits = 0.0 if a == b else rng.random()
            pairs = {(a, b), (b, a)}
            rows += [
                {"dataset_a": x, "dataset_b": y, "measure": measure, "jensen_shannon_bits": bits}
                for x, y in sorted(pairs)
            ]
    return rows


def figures(names: list[str], measures=("velocity", "duration_sec")) -> dict:
    """Every picture of these datasets, by name, as a function of rows and the rows."""
    one = names[:1]
    made = {
        f"distribution {measure}": (lambda rows, m=measure: distribution_plots.distribution(rows, m), shares(names))
        for measure in measures
    }
    splits = shares(names, ("pitch", "duration_sec"), distribution_plots.SPLITS)
    pedals = [row for row in summaries(names, dataset_plots.PEDALS) if row["counted"] == "all"]
    return made | {
        "pitch by split": (lambda rows: distribution_plots.by_split(rows, "pitch"), splits),
        "durations by split": (lambda rows: distribution_plots.by_split(rows, "duration_sec"), splits),
        "keys": (dataset_plots.keys, key_rows(names)),
        "pedals": (dataset_plots.pedal_use, pedals),
        "counted": (dataset_plots.counted, summaries(names, ["duration_sec"])),
        "distances": (dataset_plots.distance_matrix, distances(names) if len(names) > 1 else []),
        "notes sheet": (data_sheets.notes_sheet, shares(one)),
        "metre sheet": (
            lambda rows: data_sheets.metre_sheet(rows, key_rows(one), [row for row in pedals if row["dataset"] in one]),
            shares(one),
        ),
    }


def texts(figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    found += [figure.get_suptitle(), figure.get_supxlabel(), figure.get_supylabel()]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(loc=place) for place in ("left", "center", "right")]
        found += [axes.get_xlabel(), axes.get_ylabel()]
        found += [label.get_text() for label in [*axes.get_yticklabels(), *axes.get_xticklabels()]]
    return found


@pytest.mark.parametrize("num_datasets", [1, 10])
def test_pictures_are_small_enough_to_lie_in_a_database(num_datasets):
    for name, (plot, rows) in figures(NAMES[:num_datasets]).items():
        assert len(drawing.to_png(plot(rows))) < INLINE_BYTES, name


def test_without_rows_a_figure_says_so():
    for name, (plot, _) in figures(NAMES[:1], distribution_plots.KINDS).items():
        assert "no data yet" in texts(plot([])), name


def test_rows_in_another_order_give_the_same_bytes():
    for name, (plot, rows) in figures(NAMES[:2]).items():
        shuffled = random.Random(1).sample(rows, len(rows))
        assert drawing.to_png(plot(rows)) == drawing.to_png(plot(shuffled)), name


def test_every_figure_has_a_title_and_every_axis_says_what_it_counts_in():
    for name, (plot, rows) in figures(NAMES[:2], distribution_plots.KINDS).items():
        figure = plot(rows)
        assert figure.get_suptitle() or all(axes.get_title(loc="left") for axes in figure.axes), name
        said = figure.get_supxlabel() or [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
        assert said, name


def test_legends_and_names_lie_on_no_data_and_not_on_each_other():
    for name, (plot, rows) in figures(NAMES[:4], distribution_plots.KINDS).items():
        figure = plot(rows)
        renderer = FigureCanvasAgg(figure).get_renderer()
        with drawing.style():
            figure.draw(renderer)

        def box(artist, renderer=renderer):
            return artist.get_window_extent(renderer)

        legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
        titles = [t for axes in figure.axes for t in (axes._left_title, axes.title, axes._right_title) if t.get_text()]
        titles += [text for text in figure.texts if text.get_text() == figure.get_suptitle() != ""]
        for axes, said in itertools.product(figure.axes, [*legends, *titles]):
            assert not box(axes).padded(-1).overlaps(box(said)), f"{name}: {said}"
        for legend, title in itertools.product(legends, titles):
            assert not box(legend).overlaps(box(title)), f"{name}: {title}"


# Vision without red or green cones. Source: Machado, Oliveira, Fernandes 2009, severity 1.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "trichromacy": np.eye(3),
}


def lab(color: str, vision: str) -> np.ndarray:
    """CIE L*a*b* of a colour as it is seen, D65."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLIND[vision]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-4))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", BLIND)
@pytest.mark.parametrize(
    "together",
    [
        (drawing.BLUE, drawing.VERMILION),  # held and sounding, major and minor
        (drawing.LIGHT, drawing.VERMILION, drawing.INK),  # train, validation, test
        (drawing.LIGHT, drawing.BLUE, drawing.INK),  # every time, copies once, once
    ],
)
def test_colours_that_share_axes_can_be_told_apart_by_the_colour_blind(together, vision):
    for a, b in itertools.combinations(together, 2):
        assert np.linalg.norm(lab(a, vision) - lab(b, vision)) > 30


def test_shades_grow_darker_with_the_share():
    lightness = [lab(drawing.SHADES(share), "trichromacy")[0] for share in np.linspace(0, 1, 20)]
    assert all(a > b for a, b in itertools.pairwise(lightness))


def test_a_matrix_has_each_pair_once_with_the_mean_of_its_measures():
    rows = [
        {"dataset_a": a, "dataset_b": b, "measure": measure, "jensen_shannon_bits": bits}
        for a, b in (("x", "y"), ("y", "x"))
        for measure, bits in (("pitch", 0.5), ("velocity", 0.25))
    ] + [{"dataset_a": "x", "dataset_b": "x", "measure": "pitch", "jensen_shannon_bits": 0.0}]
    figure = dataset_plots.distance_matrix(rows)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.38"]
    assert {"x", "y", "Distances between datasets: mean of 2 measures"} <= set(texts(figure))


def test_what_is_left_is_told_as_a_share_and_in_numbers():
    figure = dataset_plots.counted(summaries(["bach"], ["duration_sec"]))
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([1.0, 0.9, 0.4])
    assert [text.get_text() for text in axes.texts] == [" 1,000, 2 h", " 900, 1.8 h", " 400, 0.8 h"]


def test_bins_that_hold_nothing_are_drawn_as_nothing():
    rows = [
        {"dataset": "bach", "measure": "velocity", "low": v, "high": v, "share": share}
        for v, share in ((60.0, 0.25), (63.0, 0.75))
    ]
    figure = distribution_plots.distribution(rows, "velocity")
    data = figure.axes[0].patches[0].get_data()
    assert (data.values.tolist(), data.edges.tolist()) == ([0.25, 0.0, 0.75], [59.5, 60.5, 62.5, 63.5])
    assert "median 63" in texts(figure)


def test_one_velocity_is_called_so():
    row = {"dataset": "bach", "measure": "velocity", "low": 64.0, "high": 64.0, "share": 1.0}
    assert "all 64" in texts(distribution_plots.distribution([row], "velocity"))


def test_a_dataset_without_held_out_music_is_no_part_of_the_comparison_of_splits():
    rows = shares(["mine"], ("pitch",), ("train",)) + shares(["bach"], ("pitch",), ("train", "test"))
    said = texts(distribution_plots.by_split(rows, "pitch"))
    assert "bach" in said
    assert "mine" not in said


def test_b_flat_is_written_with_a_sign_and_b_minor_stays_b():
    names = texts(data_sheets.metre_sheet(shares(["bach"]), key_rows(["bach"]), []))
    assert {"D\nb", "B♭\ng"} <= set(names)


def test_any_name_is_drawn_as_it_stands_in_valid_svg():
    for plot, rows in figures(["$\\frac{x}$", "<b>&amp;</b>", "a -- b -->", "_" * 300, ""]).values():
        root = ElementTree.fromstring(drawing.to_svg(plot(rows)))
        assert not [e for e in root.iter() if e.tag.endswith(("}b", "}script"))]


def test_a_glance_is_as_high_as_the_shares_and_a_point_where_nothing_is():
    rows = [
        {"dataset": "bach", "measure": "polyphony", "low": float(n), "high": float(n), "share": share}
        for n, share in ((0, 0.1), (2, 0.5), (3, 0.4))
    ]
    assert glance.glance(rows) == [("Polyphony", "0", "▂·█▇", "3", "median 2")]


def test_a_glance_of_many_bins_puts_as_many_in_each_column():
    rows = [
        {"dataset": "a", "measure": "onset_position", "low": i / 48, "high": i / 48, "share": 1 / 48} for i in range(48)
    ]
    ((title, low, columns, high, summary),) = glance.glance(rows)
    assert (title, low, columns, high) == ("In the quarter", "0", "█" * 24, "0.98")
    assert summary == "2 % at its beginning"
    assert glance.glance([]) == []
