"""Distributions in a line of text, for places where a picture has no room."""

import math

from pianogen.report.distribution_plots import KINDS, Bins, bins_by_dataset, ends_of, summary_of, value_text
from pianogen.report.drawing import Rows

HEIGHTS = "▁▂▃▄▅▆▇█"
MOST_COLUMNS = 24
MEASURES = {
    "pitch": "Pitch",
    "velocity": "Velocity",
    "duration_sec": "Durations",
    "polyphony": "Polyphony",
    "tempo_qpm": "Tempo",
    "onset_position": "In the quarter",
}
"""Titles that take little room."""


def glance(rows: Rows) -> list[tuple[str, str, str, str, str]]:
    """One dataset's distributions: title, lowest value drawn, columns, highest value drawn, what they come to.

    Args:
        rows: as of `distribution_plots.distribution`, of one dataset.
    """
    found = next(iter(bins_by_dataset(rows, MEASURES).values()), {})
    lines = []
    for measure, title in MEASURES.items():
        if bins := found.get(measure):
            low, high = (value_text(measure, value) for value in ends_of(bins))
            lines.append((title, low, columns(measure, bins), high, summary_of(measure, bins)))
    return lines


def columns(measure: str, bins: Bins) -> str:
    """Bars of text, as high as the shares of so many bins each; a point where there is nothing."""
    low, high = ends_of(bins)
    numbers = [_number(measure, start, end) for start, end, _ in bins if low <= start and end <= high]
    first, num = min(numbers), max(numbers) - min(numbers) + 1
    width = math.ceil(num / MOST_COLUMNS)
    shares = [0.0] * math.ceil(num / width)
    for start, end, share in bins:
        if 0 <= (place := _number(measure, start, end) - first) < num:
            shares[place // width] += share
    most = max(shares)
    return "".join(HEIGHTS[min(7, int(8 * share / most))] if share else "·" for share in shares)


def _number(measure: str, start: float, end: float) -> int:
    """Of a bin, among those of its measure, from anywhere."""
    kind = KINDS[measure]
    if kind.is_ratio:
        return round(math.log(start) / math.log(end / start))
    return round(start / ((end - start) or kind.step))
