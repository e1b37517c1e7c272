"""The histograms that are kept of every performance: what is counted, in which bins.

A histogram is one of `HISTOGRAMS`; its bins are numbered from 0. What lies below the first edge counts in the first
bin, what lies above the last edge in the last. Lengths of time are binned by ratio, four bins to a doubling, because
a semiquaver and a crotchet differ by a factor, at any tempo: 56 bins between 1/256 s and 64 s.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen.tables import SCHEMAS

PER_DOUBLING = 4
SHORTEST_SEC = 2.0**-8
NUM_LENGTHS = 56
"""Bins of a length of time; up to 64 s."""
PER_QUARTER = 24
"""Bins of a length in quarters, so that sixteenths and triplets have bins of their own."""
NUM_QUARTERS = 8 * PER_QUARTER + 1
"""The last is for 8 quarters and more."""
POSITIONS = 48
"""Places within a quarter."""
WIDEST = 36
"""Semitones of the top line's steps, up or down."""
MOST = 40
"""Pitches at once; the last bin is for more too."""
TEMPO_WIDTH = 5.0
"""Quarters per minute."""
NUM_TEMPOS = 80


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """One of the histograms: its bins, and what they count."""

    name: str
    unit: str
    """Of the edges."""
    counts: str
    """What a weight is a number of: notes, steps, seconds."""
    low: np.ndarray
    """Lower edge of each bin, shape (num_bins,)."""
    high: np.ndarray
    """Upper edge; where a bin is a single value, that value, as is `low`."""
    text: str
    is_ratio: bool = False
    """Bins are of equal ratio: distances between distributions are in doublings, not in the unit."""
    is_circular: bool = False
    """The last bin lies beside the first, so that no distance runs along the bins."""

    @property
    def num_bins(self) -> int:
        """Bins are numbered from 0 to one less."""
        return len(self.low)


def _values(first: int, num: int) -> dict[str, Any]:
    values = np.arange(first, first + num, dtype=float)
    return {"low": values, "high": values}


def _edges(edges: np.ndarray) -> dict[str, Any]:
    return {"low": edges[:-1], "high": edges[1:]}


_LENGTHS: dict[str, Any] = {
    "unit": "seconds",
    "is_ratio": True,
    **_edges(SHORTEST_SEC * 2.0 ** (np.arange(NUM_LENGTHS + 1) / PER_DOUBLING)),
}

HISTOGRAMS = {
    histogram.name: histogram
    for histogram in (
        Histogram(
            name="pitch", unit="MIDI number", counts="notes", text="Key presses at each pitch.", **_values(0, 128)
        ),
        Histogram(
            name="pitch_class",
            unit="semitones above C",
            counts="notes",
            text="Key presses at each pitch class, 0 is C.",
            is_circular=True,
            **_values(0, 12),
        ),
        Histogram(
            name="velocity", unit="MIDI number", counts="notes", text="Key presses at each velocity.", **_values(0, 128)
        ),
        Histogram(name="duration_sec", counts="notes", text="How long keys are held, to the note-off.", **_LENGTHS),
        Histogram(
            name="sounding_duration_sec",
            counts="notes",
            text="How long notes sound, to the note-off or the later lift of the sustain pedal.",
            **_LENGTHS,
        ),
        Histogram(
            name="duration_quarters",
            unit="quarters",
            counts="notes",
            text="How long keys are held in the file's quarters, to the nearest 24th; the last bin is for 8 and more.",
            low=np.arange(NUM_QUARTERS) / PER_QUARTER,
            high=np.arange(NUM_QUARTERS) / PER_QUARTER,
        ),
        Histogram(
            name="ioi_sec",
            counts="steps",
            text="Inter-onset intervals: from each moment at which a key goes down to the next such moment.",
            **_LENGTHS,
        ),
        Histogram(
            name="melodic_interval",
            unit="semitones",
            counts="steps",
            text="Steps of the top line, up is positive: the highest notes of what is struck within 50 ms.",
            **_values(-WIDEST, 2 * WIDEST + 1),
        ),
        Histogram(
            name="polyphony",
            unit="pitches",
            counts="seconds",
            text="Time with each number of keys held at once, 0 is silence.",
            **_values(0, MOST + 1),
        ),
        Histogram(
            name="sounding_polyphony",
            unit="pitches",
            counts="seconds",
            text="Time with each number of pitches sounding at once, held by keys or by the sustain pedal.",
            **_values(0, MOST + 1),
        ),
        Histogram(
            name="onset_position",
            unit="quarters",
            counts="notes",
            text="Where in the file's quarter keys go down, to the nearest 48th: peaks are a grid, a plain a player.",
            is_circular=True,
            low=np.arange(POSITIONS) / POSITIONS,
            high=np.arange(POSITIONS) / POSITIONS,
        ),
        Histogram(
            name="tempo_qpm",
            unit="quarters per minute",
            counts="seconds",
            text="Time at each tempo that the file states.",
            **_edges(TEMPO_WIDTH * np.arange(NUM_TEMPOS + 1)),
        ),
    )
}
"""By name, in the order of their columns in `counts`."""


def bin_table() -> pa.Table:
    """One row per bin of each histogram: the table `histogram_bins`."""
    rows = [
        {
            "measure": histogram.name,
            "bin": i,
            "low": float(histogram.low[i]),
            "high": float(histogram.high[i]),
            "unit": histogram.unit,
            "counts": histogram.counts,
            "is_ratio": histogram.is_ratio,
            "is_circular": histogram.is_circular,
            "num_bins": histogram.num_bins,
            "about": histogram.text,
        }
        for histogram in HISTOGRAMS.values()
        for i in range(histogram.num_bins)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["histogram_bins"])
