"""Plots of the data as values: what the scripts of a page draw, and the same numbers as a table.

A page holds `data`, which its scripts read, and figures, each a selection of it. Selections follow what the reader
chose: `split`, `counted` (see the view `distributions`), and options of the figure's own. `numbers` and the function of
that name in `charts.js` make the same table of them.

Shares are kept in thousandths of a percent, as whole numbers, from the first bin that is not empty to the last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pianogen.report.rendering import fixed, rounded, shown
from pianogen.statistics.bins import HISTOGRAMS, Histogram

Row = dict[str, Any]

SPLITS = ("all", "train", "validation", "test")
COUNTED = {"all": "every time", "no_copies": "copies once", "once": "once"}
"""How often the same music counts, in words."""
DEFAULT = {"split": "all", "counted": "all"}
PAIRS = (("train", "test"), ("train", "validation"), ("validation", "test"))

TITLES = {
    "pitch": "Pitch",
    "pitch_class": "Pitch class",
    "velocity": "Velocity",
    "duration_sec": "Note duration: key held",
    "sounding_duration_sec": "Note duration: sounding",
    "duration_quarters": "Note duration in quarters",
    "ioi_sec": "Time between onsets",
    "melodic_interval": "Melodic interval",
    "polyphony": "Polyphony: keys held",
    "sounding_polyphony": "Polyphony: pitches sounding",
    "onset_position": "Place within the quarter",
    "tempo_qpm": "Tempo",
}
"""Of the histograms, as titles of their plots."""
NAMES = {
    "pitch": "pitch",
    "pitch_class": "pitch class",
    "velocity": "velocity",
    "duration_sec": "key held",
    "sounding_duration_sec": "note sounding",
    "duration_quarters": "held, in quarters",
    "ioi_sec": "between onsets",
    "melodic_interval": "melodic interval",
    "polyphony": "keys at once",
    "sounding_polyphony": "pitches at once",
    "onset_position": "place in quarter",
    "tempo_qpm": "tempo",
}
"""Of the histograms, short enough for the side of a matrix."""

MAX_PARTS = 6
"""Categories of a bar that have a name; the others are one."""
_PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One plot of a page."""

    id: str
    kind: str
    """Which function of `charts.js` draws it: shares, amounts, kept, quantiles, parts, keys, matrix."""
    title: str
    text: str
    """What is seen, in a sentence or two."""
    query: str
    """Name of the query that all its numbers come from."""
    spec: Row = field(default_factory=dict)
    """What its kind needs to know, JSON values."""
    follows: tuple[str, ...] = ()
    """Of `split` and `counted`, those that change it."""
    options: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] = field(default_factory=dict)
    """Choices of its own: by name, what they are about, and values with their words; the first holds at first."""
    is_wide: bool = False

    @property
    def chosen(self) -> dict[str, str]:
        """What is chosen before the reader chooses."""
        return DEFAULT | {name: choices[0][0] for name, (_, choices) in self.options.items()}

    def for_script(self) -> Row:
        """What the scripts are given; the page has the rest."""
        return {"id": self.id, "kind": self.kind, "follows": self.follows, "options": list(self.options), **self.spec}


@dataclass(frozen=True)
class Numbers:
    """A table of text."""

    columns: list[str]
    rows: list[list[str]]


# Axes


def axis(histogram: Histogram) -> Row:
    """How the bins of a histogram stand along an axis.

    Returns:
        `x`, their places, and `labels`; `ticks`, places with their texts; `title`, `name`; `y`, what a share is of;
        `log`; `marked`, so few that each has a mark; `outside`, percent of a distribution that the axis may leave out.
    """
    low, high = histogram.low.tolist(), histogram.high.tolist()
    if histogram.is_ratio:
        places = [round((a * b) ** 0.5, 6) for a, b in zip(low, high, strict=True)]
        labels = [f"{rounded(a)}–{rounded(b)} s" for a, b in zip(low, high, strict=True)]
    elif low == high:
        places = [round(value, 6) for value in low]
        labels = [_value(histogram.name, value) for value in low]
    else:
        places = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        labels = [f"{a:g}–{b:g}" for a, b in zip(low, high, strict=True)]
    if histogram.name in ("polyphony", "sounding_polyphony", "duration_quarters", "tempo_qpm"):
        labels[-1] = f"{low[-1]:g} and more"
    titles = {
        "pitch": "pitch, and its MIDI number",
        "pitch_class": "pitch class",
        "velocity": "velocity (MIDI number)",
        "duration_sec": "seconds; ×4 each line",
        "sounding_duration_sec": "seconds; ×4 each line",
        "ioi_sec": "seconds; ×4 each line",
        "duration_quarters": "quarters of the file",
        "melodic_interval": "semitones, up is positive",
        "polyphony": "keys held at once",
        "sounding_polyphony": "pitches sounding at once",
        "onset_position": "place within the file's quarter",
        "tempo_qpm": "quarters per minute",
    }
    return {
        "x": places,
        "labels": labels,
        "ticks": _ticks(histogram.name),
        "title": titles[histogram.name],
        "name": NAMES[histogram.name],
        "y": f"% of {'time' if histogram.counts == 'seconds' else histogram.counts}",
        "log": histogram.is_ratio,
        "marked": histogram.num_bins <= 12,
        "outside": 0 if histogram.is_circular else 4 if histogram.name == "duration_quarters" else 0.5,
    }


def _value(name: str, value: float) -> str:
    if name == "pitch":
        return f"{pitch_name(int(value))} ({value:.0f})"
    if name == "pitch_class":
        return _PITCH_CLASSES[int(value)]
    if name == "onset_position":
        return str(Fraction(value).limit_denominator(48))
    if name == "duration_quarters":
        whole, rest = divmod(Fraction(value).limit_denominator(24), 1)
        return f"{whole or ''} {rest or ''}".strip() or "0"
    return f"{value:+g}" if name == "melodic_interval" and value else f"{value:g}"


def pitch_name(pitch: int) -> str:
    """Name and octave; 60 is C4."""
    return f"{_PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def _ticks(name: str) -> list[tuple[float, str]] | None:
    """Places that are named on the axis; None leaves them to the library."""
    if name == "pitch":
        return [(pitch, f"{pitch_name(pitch)}<br>{pitch}") for pitch in range(12, 128, 12)]
    if name == "pitch_class":
        return [(float(i), text) for i, text in enumerate(_PITCH_CLASSES)]
    if name == "velocity":
        return [(value, str(value)) for value in (1, 16, 32, 48, 64, 80, 96, 112, 127)]
    if name == "onset_position":
        named = ((0, "0"), (1, "¼"), (2, "½"), (3, "¾"))
        return [(numerator / 4, text) for numerator, text in named] + [(1 / 3, "⅓"), (2 / 3, "⅔")]
    if name == "melodic_interval":
        return [(value, f"{value:+d}" if value else "0") for value in range(-36, 37, 12)]
    if HISTOGRAMS[name].is_ratio:
        texts = ("0.004", "0.016", "0.06", "0.25", "1", "4", "16", "64")
        return [(4.0**power, text) for power, text in zip(range(-4, 4), texts, strict=True)]
    return None


# Packing


def pack_shares(rows: Iterable[Row], datasets: Sequence[str]) -> list[Row]:
    """Shares of one measure by dataset, split and counted.

    Args:
        rows: of the query `shares`, of the measure.
        datasets: names, in the order of the result.

    Returns:
        For each dataset a dict of splits, each a dict of counted: the first bin and thousandths of a percent from there
        on, or "split counted" of equal ones.
    """
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        bins = found.setdefault((row["dataset"], row["split"], row["counted"]), [row["bin"]])
        bins += [0] * (row["bin"] - bins[0] - len(bins) + 1)
        bins.append(round(1000 * row["percent"]))
    packed: list[Row] = []
    for dataset in datasets:
        seen: dict[tuple[int, ...], str] = {}
        splits: Row = {}
        for split in SPLITS:
            for counted in COUNTED:
                bins = found.get((dataset, split, counted))
                if bins is not None:
                    earlier = seen.setdefault(tuple(bins), f"{split} {counted}")
                    splits.setdefault(split, {})[counted] = bins if earlier == f"{split} {counted}" else earlier
        packed.append(splits)
    return packed


def unpack_shares(splits: Row, split: str, counted: str) -> list[int] | None:
    """Thousandths of a percent by bin, as far as the last that is not empty; None where there is no such music."""
    bins = splits.get(split, {}).get(counted)
    if isinstance(bins, str):
        split, counted = bins.split(" ")
        bins = splits[split][counted]
    return None if bins is None else [0] * bins[0] + bins[1:]


def pack(rows: Iterable[Row], datasets: Sequence[str], names: Sequence[str]) -> list[Row]:
    """Values of rows by dataset, split and counted, in the order of `names`."""
    packed: dict[str, Row] = {dataset: {} for dataset in datasets}
    for row in rows:
        if row["dataset"] in packed:
            values = [row[name] for name in names]
            packed[row["dataset"]].setdefault(row["split"], {})[row["counted"]] = values
    return list(packed.values())


def pack_parts(rows: Sequence[Row], datasets: Sequence[str], order: Sequence[str] | None = None) -> Row:
    """Shares of categories by dataset and split.

    Args:
        rows: of the query `parts`, of one measure.
        datasets: names, in the order of the result.
        order: the categories; without it the most common ones, with `others` after them, and last those without.

    Returns:
        `categories`, and `values`: for each dataset a dict of splits, percents in the order of the categories.
    """
    if order is None:
        counts: dict[str, float] = {}
        for row in rows:
            if row["split"] == "all" and row["value"] is not None:
                # By share, so that a large dataset does not decide alone.
                counts[row["value"]] = counts.get(row["value"], 0) + row["percent"]
        ranked = sorted(counts, key=lambda value: (-counts[value], value))
        order = ranked[:MAX_PARTS]
        categories = [*order, *(["others"] if len(ranked) > MAX_PARTS else [])]
        categories += ["not stated"] if any(row["value"] is None for row in rows) else []
    else:
        categories = list(order)
    places = {value: i for i, value in enumerate(categories)}
    packed: dict[str, Row] = {dataset: {} for dataset in datasets}
    for row in rows:
        values = packed[row["dataset"]].setdefault(row["split"], [0.0] * len(categories))
        name = "not stated" if row["value"] is None else row["value"] if row["value"] in order else "others"
        if name in places:
            values[places[name]] = round(values[places[name]] + row["percent"], 2)
    return {"categories": [shown(name) for name in categories], "values": list(packed.values())}


def matrix(
    cells: Iterable[tuple[str, str, str, float | None]], rows: Sequence[str], columns: Sequence[str]
) -> dict[str, list[list[float | None]]]:
    """Matrices by key, from (key, row, column, value); None where there is no value."""
    row_of = {name: i for i, name in enumerate(rows)}
    column_of = {name: i for i, name in enumerate(columns)}
    found: dict[str, list[list[float | None]]] = {}
    for key, row, column, value in cells:
        if row in row_of and column in column_of:
            lines = found.setdefault(key, [[None] * len(columns) for _ in rows])
            lines[row_of[row]][column_of[column]] = value
    return found


# Numbers

_HELD = {"keys": "parts", "kept": "amounts"}
"""Where in a page's data a kind finds its values, if not under its own name."""


def numbers(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    """What a figure shows, as a table of text.

    Args:
        figure: one of the page's.
        data: what the page's scripts read.
        chosen: `split`, `counted` and the figure's options.
    """
    return _NUMBERS[figure.kind](figure, data, chosen)


def series(figure: Figure, data: Row, chosen: Mapping[str, str]) -> list[tuple[str, Row, str]]:
    """What is drawn over each other or in rows: label, values of a dataset by split, and the split."""
    held = data[_HELD.get(figure.kind, figure.kind)]
    if isinstance(held, dict):
        held = held[_measure(figure, chosen)]
    if isinstance(held, dict):
        held = held["values"]
    if figure.spec.get("by") == "split":
        values = held[int(chosen.get("dataset", 0))]
        found = [split for split in SPLITS if split in values]
        # All of a single split is that split.
        found = [split for split in found if split != "all" or figure.spec.get("with_all")] or found
        return [(split, values, split) for split in found]
    return [(label, values, chosen["split"]) for label, values in zip(data["labels"], held, strict=True)]


def _measure(figure: Figure, chosen: Mapping[str, str]) -> str:
    return chosen.get("measure") or figure.spec["measure"]


def _of_shares(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    labels = data["axes"][_measure(figure, chosen)]["labels"]
    lines = [
        (label, unpack_shares(values, split, chosen["counted"]))
        for label, values, split in series(figure, data, chosen)
    ]
    rows = []
    for i, label in enumerate(labels):
        cells = [bins[i] if bins and i < len(bins) else 0 for _, bins in lines]
        if any(cells):
            rows.append([label, *(fixed(cell / 1000, 3) if cell else "" for cell in cells)])
    return Numbers(["", *(f"{label}, %" for label, _ in lines)], rows)


def _of_amounts(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    place, digits = figure.spec["place"], figure.spec["digits"]
    rows = []
    for label, values, split in series(figure, data, chosen):
        found = values.get(split, {}).get(chosen["counted"])
        rows.append([label, fixed(found[place], digits) if found else "–"])
    return Numbers(["", figure.spec["unit"]], rows)


def _of_kept(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    rows = []
    for label, values, split in series(figure, data, chosen):
        found = values.get(split, {})
        cells = []
        for counted in COUNTED:
            amounts = found.get(counted)
            cells += [fixed(amounts[i], digits) if amounts else "–" for i, digits in enumerate((0, 2, 0))]
        rows.append([label, *cells])
    units = ("performances", "hours", "notes")
    return Numbers(["", *(f"{unit}, {words}" for words in COUNTED.values() for unit in units)], rows)


def _of_quantiles(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    rows = []
    for label, values, split in series(figure, data, chosen):
        found = values.get(split, {}).get(chosen["counted"])
        count, *rest = found or [None] * 6
        rows.append([label, fixed(count, 0), *map(rounded, rest)])
    return Numbers(["", "performances", "5 %", "25 %", "median", "75 %", "95 %"], rows)


def _of_parts(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    categories = data["parts"][figure.spec["measure"]]["categories"]
    rows = []
    for label, values, split in series(figure, data, chosen):
        found = values.get(split, [None] * len(categories))
        rows.append([label, *(fixed(value, 2) for value in found)])
    return Numbers(["", *(f"{name}, %" for name in categories)], rows)


def _of_matrix(figure: Figure, data: Row, chosen: Mapping[str, str]) -> Numbers:
    spec = figure.spec
    lines = spec["values"].get("|".join(chosen[name] for name in spec["key"]), [])
    rows = [
        [label, *("–" if value is None else fixed(value, 4) for value in line)]
        for label, line in zip(spec["rows"], lines, strict=False)
    ]
    return Numbers(["", *spec["columns"]], rows)


_NUMBERS = {
    "shares": _of_shares,
    "amounts": _of_amounts,
    "kept": _of_kept,
    "quantiles": _of_quantiles,
    "parts": _of_parts,
    "keys": _of_parts,
    "matrix": _of_matrix,
}
