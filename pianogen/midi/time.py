"""Tempo map: file ticks to seconds."""

from dataclasses import dataclass

import numpy as np

DEFAULT_MICROSECONDS_PER_QUARTER = 500_000
"""120 quarters a minute, where a file names no tempo (Standard MIDI Files 1.0)."""

SEC_STEPS = 2.0**20
"""Seconds of the lake are multiples of 1/SEC_STEPS, about a millionth, which makes notes a third smaller on disk.
Ticks are exact."""


@dataclass(frozen=True, eq=False)
class TempoMap:
    """Tempo changes of one file.

    Args:
        tick: where each tempo begins, ascending without repeats, the first 0, shape (num_tempos,).
        microseconds_per_quarter: shape (num_tempos,), all positive.
        ticks_per_quarter: the file's division.
    """

    tick: np.ndarray
    microseconds_per_quarter: np.ndarray
    ticks_per_quarter: int

    @property
    def start_sec(self) -> np.ndarray:
        """When each tempo begins, seconds, shape (num_tempos,)."""
        lengths = np.diff(self.tick) * self._sec_per_tick[:-1]
        return np.concatenate(([0.0], np.cumsum(lengths)))

    def seconds(self, tick: np.ndarray) -> np.ndarray:
        """Seconds of file ticks, rounded to the steps of the lake, float64, the shape of `tick`."""
        tempo = np.searchsorted(self.tick, tick, side="right") - 1
        exact = self.start_sec[tempo] + (tick - self.tick[tempo]) * self._sec_per_tick[tempo]
        return np.rint(exact * SEC_STEPS) / SEC_STEPS

    def ticks(self, sec: np.ndarray) -> np.ndarray:
        """The nearest file ticks of seconds, int64, the shape of `sec`."""
        tempo = np.maximum(np.searchsorted(self.start_sec, sec + 0.5 / SEC_STEPS, side="right") - 1, 0)
        ticks = (sec - self.start_sec[tempo]) / self._sec_per_tick[tempo]
        return self.tick[tempo] + np.rint(ticks).astype(np.int64)

    @property
    def tempo_qpm(self) -> np.ndarray:
        """Quarters per minute, shape (num_tempos,)."""
        return 60e6 / self.microseconds_per_quarter

    @property
    def _sec_per_tick(self) -> np.ndarray:
        return self.microseconds_per_quarter / (1e6 * self.ticks_per_quarter)


def tempo_map(tick: np.ndarray, microseconds_per_quarter: np.ndarray, ticks_per_quarter: int) -> TempoMap:
    """A tempo map from a file's tempo events.

    Events of zero microseconds are passed over. Of several at one tick the last holds. Up to the first
    one, the default holds.

    Args:
        tick: shape (num_events,), in the order of the file.
        microseconds_per_quarter: shape (num_events,).
        ticks_per_quarter: positive.
    """
    usable = microseconds_per_quarter > 0
    tick = np.asarray(tick, np.int64)[usable]
    tempo = np.asarray(microseconds_per_quarter, np.int64)[usable]
    order = np.argsort(tick, kind="stable")
    tick, tempo = tick[order], tempo[order]
    is_last = np.append(np.diff(tick) > 0, True)[: len(tick)]
    tick, tempo = tick[is_last], tempo[is_last]
    if not len(tick) or tick[0] > 0:
        tick = np.concatenate(([0], tick))
        tempo = np.concatenate(([DEFAULT_MICROSECONDS_PER_QUARTER], tempo))
    return TempoMap(tick, tempo, ticks_per_quarter)
