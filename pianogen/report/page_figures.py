"""Which plots the pages of the data have, from rows of their queries."""

from collections.abc import Iterable, Sequence
from typing import Any

from pianogen.report.data_figures import (
    NAMES,
    PAIRS,
    SPLITS,
    TITLES,
    Figure,
    axis,
    matrix,
    pack,
    pack_parts,
    pack_shares,
)
from pianogen.report.data_queries import CATEGORIES, QUANTILES
from pianogen.report.rendering import shown
from pianogen.statistics.bins import HISTOGRAMS

Row = dict[str, Any]
Rows = dict[str, list[Row]]

MAJOR = ("C", "G", "D", "A", "E", "B", "F#", "Db", "Ab", "Eb", "Bb", "F")
MINOR = ("A", "E", "B", "F#", "C#", "G#", "Eb", "Bb", "F", "C", "G", "D")
"""Tonics along the circle of fifths; a minor key stands at its relative major's place."""

_BITS = "Jensen–Shannon divergence: 0 bits where both are the same, 1 where they have no value in common."
_MOVED = (
    "Wasserstein distance: how far one has to be moved, on average, to become the other; lengths of time in doublings. "
    "A circle (pitch class, place in the quarter) has none."
)
_EVERY_TIME = "The same music counts every time."
_SHARE_TEXTS = {
    "pitch_class": "Key presses at each pitch class.",
    "velocity": "How hard keys are struck. A single bar is a file that nobody played.",
    "tempo_qpm": "Tempo that the file states, by time. Recordings often state one tempo that means nothing.",
    "onset_position": "Where in the file's quarter keys go down, to the nearest 48th: peaks are a grid, a plain is a "
    "player whom the file's quarters do not follow.",
}
_QUANTILE_TEXTS = {
    "duration_sec": ("Length of performances", "To the last note-off.", "seconds"),
    "notes_per_sec": ("Density", "Notes of a performance over its length.", "notes per second"),
    "grid_distance": (
        "Distance from the grid",
        "How little onsets keep to the file's quarters.",
        "0 is a score, 1 a player without a grid",
    ),
    "sustain_share": ("Sustain pedal", "Share of a performance with the pedal down.", "share of the time"),
    "soft_share": ("Soft pedal", "Share of a performance with the pedal down (una corda).", "share of the time"),
}


def comparison(rows: Rows, names: Sequence[str]) -> tuple[Row, list[Figure]]:
    """What the scripts of the page of all datasets read, and its plots.

    Args:
        rows: of `all_queries`.
        names: of the datasets.
    """
    data = _data(rows, names)
    quantiles = _by_measure(rows["quantiles"], QUANTILES)
    columns = ("num_performances", "p05", "p25", "p50", "p75", "p95")
    data["quantiles"] = {name: pack(found, names, columns) for name, found in quantiles.items()}
    labels = data["labels"]
    both = ("counted", "split")
    plots = [
        _amount("notes", "Notes", "Key presses, drums left out.", 2, 0),
        _amount("hours", "Hours", "To the last note-off of each performance.", 1, 2),
        _amount("performances", "Performances", "Accepted files, each as often as chosen above.", 0, 0),
        Figure(
            id="kept",
            kind="kept",
            title="What is left when the same music counts once",
            text="Share of all that stays. Copies have the same bytes or notes, or are an edit of them; counted once, "
            "other performances and excerpts of the same music go as well.",
            query="amounts",
            follows=("split",),
            options={"amount": ("of", (("2", "notes"), ("1", "hours"), ("0", "performances")))},
        ),
        *(_quantile(name) for name in QUANTILES),
        *(_share(name, both, {}) for name in HISTOGRAMS),
        *_parts(("split",), {}),
        Figure(
            id="beside",
            kind="shares",
            title="Splits of a dataset",
            text="The same measures as above, train beside validation and test.",
            query="shares",
            follows=("counted",),
            options={
                # First the dataset of which there are most splits: one of a single split shows nothing.
                "dataset": ("dataset", sorted(_numbered(labels), key=lambda one: -len(data["amounts"][int(one[0])]))),
                "measure": ("measure", list(NAMES.items())),
            },
            spec={"by": "split"},
        ),
        *_distances(rows, names, labels),
    ]
    return data, plots


def dataset(rows: Rows, name: str) -> tuple[Row, list[Figure]]:
    """What the scripts of the page of one dataset read, and its plots.

    Args:
        rows: of `all_queries`, those of the dataset.
        name: of the dataset.
    """
    data = _data(rows, [name])
    beside = {"by": "split"}
    pairs = [f"{a} {b}" for a, b in PAIRS]
    plots = [
        *(_share(measure, ("counted",), beside) for measure in HISTOGRAMS),
        *_parts((), {**beside, "with_all": True}),
        _matrix(
            id="split_distances",
            title="Distance of splits",
            text=f"Measure by measure. {_BITS}",
            query="split_distances",
            follows=("counted",),
            key=("counted",),
            rows=NAMES,
            columns=dict(zip(pairs, (f"{a} – {b}" for a, b in PAIRS), strict=True)),
            cells=(
                (row["counted"], row["measure"], f"{row['split_a']} {row['split_b']}", row["jensen_shannon_bits"])
                for row in rows["split_distances"]
            ),
        ),
    ]
    return data, plots


def splits_of(data: Row, number: int) -> list[str]:
    """Splits of a dataset that have music, `all` first."""
    return [split for split in SPLITS if split in data["amounts"][number]]


def _data(rows: Rows, names: Sequence[str]) -> Row:
    """What both kinds of pages have."""
    keys = [f"{tonic} major" for tonic in MAJOR] + [f"{tonic} minor" for tonic in MINOR]
    orders = {"key": keys, "time_signature": None, "is_on_grid": ("grid", "no grid")}
    shares, parts = _by_measure(rows["shares"], HISTOGRAMS), _by_measure(rows["parts"], CATEGORIES)
    return {
        "labels": [shown(name) for name in names],
        "axes": {name: axis(histogram) for name, histogram in HISTOGRAMS.items()},
        "shares": {name: pack_shares(found, names) for name, found in shares.items()},
        "amounts": pack(rows["amounts"], names, ("num_performances", "duration_hours", "num_notes")),
        "parts": {name: pack_parts(found, names, orders[name]) for name, found in parts.items()},
    }


def _by_measure(rows: Sequence[Row], measures: Iterable[str]) -> Rows:
    found: Rows = {measure: [] for measure in measures}
    for row in rows:
        if row["measure"] in found:
            found[row["measure"]].append(row)
    return found


def _amount(unit: str, title: str, text: str, place: int, digits: int) -> Figure:
    return Figure(
        id=unit,
        kind="amounts",
        title=title,
        text=text,
        query="amounts",
        follows=("counted", "split"),
        spec={"place": place, "digits": digits, "unit": unit},
    )


def _quantile(name: str) -> Figure:
    title, text, unit = _QUANTILE_TEXTS[name]
    return Figure(
        id=f"spread-{name}",
        kind="quantiles",
        title=title,
        text=f"{text} Each performance counts the same.",
        query=f"quantiles {name}",
        follows=("counted", "split"),
        spec={
            "measure": name,
            "unit": unit,
            "log": name in ("duration_sec", "notes_per_sec"),
            "most": 1 if name.endswith("_share") else None,
        },
    )


def _share(name: str, follows: tuple[str, ...], spec: Row) -> Figure:
    return Figure(
        id=name,
        kind="shares",
        title=TITLES[name],
        text=_SHARE_TEXTS.get(name, HISTOGRAMS[name].text),
        query=f"shares {name}",
        follows=follows,
        spec={"measure": name, **spec},
    )


def _parts(follows: tuple[str, ...], spec: Row) -> list[Figure]:
    return [
        Figure(
            id="keys",
            kind="keys",
            title="Keys",
            text="Estimated key of each performance, % of the row, along the circle of fifths: major keys above, minor "
            f"ones, in small letters, under their relative majors. {_EVERY_TIME}",
            query="parts key",
            follows=follows,
            spec={"measure": "key", **spec},
            is_wide=True,
        ),
        Figure(
            id="time_signatures",
            kind="parts",
            title="Time signatures",
            text=f"The one that holds longest in each performance, as the file states it. {_EVERY_TIME}",
            query="parts time_signature",
            follows=follows,
            spec={"measure": "time_signature", **spec},
        ),
        Figure(
            id="on_grid",
            kind="parts",
            title="On the grid",
            text=f"Performances that lie on the grid of their file, as scores do. {_EVERY_TIME}",
            query="parts is_on_grid",
            follows=follows,
            spec={"measure": "is_on_grid", **spec},
        ),
    ]


def _distances(rows: Rows, names: Sequence[str], labels: Sequence[str]) -> list[Figure]:
    columns = dict(zip(names, labels, strict=True))
    return [
        _matrix(
            id="mean_distances",
            title="Distance of datasets, all measures together",
            text=f"Mean over the {len(HISTOGRAMS)} measures. {_BITS}",
            query="mean_distances",
            follows=("counted",),
            key=("counted",),
            rows=columns,
            columns=columns,
            cells=_both_ways(
                (row["counted"], row["dataset_a"], row["dataset_b"], row["jensen_shannon_bits"])
                for row in rows["mean_distances"]
            ),
        ),
        _matrix(
            id="distances",
            title="Distance of datasets, measure by measure",
            text=f"{_BITS} {_MOVED}",
            query="distances",
            follows=("counted",),
            options={
                "measure": ("measure", list(NAMES.items())),
                "metric": (
                    "distance",
                    (("bits", "Jensen–Shannon, in bits"), ("moved", "Wasserstein, in the measure's unit")),
                ),
            },
            key=("measure", "counted", "metric"),
            rows=columns,
            columns=columns,
            cells=_both_ways(
                (f"{row['measure']}|{row['counted']}|{metric}", row["dataset_a"], row["dataset_b"], row[column])
                for row in rows["distances"]
                for metric, column in (("bits", "jensen_shannon_bits"), ("moved", "wasserstein"))
            ),
            units={row["measure"]: row["wasserstein_unit"] or "" for row in rows["distances"]},
        ),
        _matrix(
            id="split_distances",
            title="Distance of splits",
            text=f"Of each dataset, measure by measure. {_BITS}",
            query="split_distances",
            follows=("counted",),
            options={"pair": ("between", [(f"{a} {b}", f"{a} and {b}") for a, b in PAIRS])},
            key=("pair", "counted"),
            rows=NAMES,
            columns=columns,
            cells=(
                (
                    f"{row['split_a']} {row['split_b']}|{row['counted']}",
                    row["measure"],
                    row["dataset"],
                    row["jensen_shannon_bits"],
                )
                for row in rows["split_distances"]
            ),
        ),
        _matrix(
            id="dedupe_distances",
            title="What counting once changes",
            text=f"Distance of each dataset from itself, measure by measure. {_BITS}",
            query="dedupe_distances",
            follows=("split",),
            options={"change": ("when music counts", (("once", "once"), ("no_copies", "without copies")))},
            key=("change", "split"),
            rows=NAMES,
            columns=columns,
            cells=(
                (f"{row['counted']}|{row['split']}", row["measure"], row["dataset"], row["jensen_shannon_bits"])
                for row in rows["dedupe_distances"]
            ),
        ),
    ]


Cells = Iterable[tuple[str, str, str, float | None]]


def _matrix(
    *,
    key: tuple[str, ...],
    rows: dict[str, str],
    columns: dict[str, str],
    cells: Cells,
    units: dict[str, str] | None = None,
    **about: Any,
) -> Figure:
    """A matrix in bits, or where the metric is another, in the unit of its measure; rows and columns have labels."""
    spec = {
        "key": key,
        "rows": list(rows.values()),
        "columns": list(columns.values()),
        "values": matrix(cells, list(rows), list(columns)),
        "unit": "bits",
        "units": units or {},
    }
    return Figure(kind="matrix", spec=spec, **about)


def _both_ways(cells: Cells) -> Cells:
    for key, a, b, value in cells:
        yield key, a, b, value
        yield key, b, a, value


def _numbered(labels: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(i), label) for i, label in enumerate(labels)]
