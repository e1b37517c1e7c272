"""Which notes of two performances are the same ones, and one axis of time on which both can be drawn.

The axis runs in seconds of a. Between anchors that go on at one pace it is stretched so that b lies on a; where one of
the two has a passage that the other leaves out, the axis makes room for it and the other one waits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

EDITED_TOLERANCE_SEC = 0.15
"""Between a note and its copy, after the map of times."""
PERFORMED_TOLERANCE_SEC = 0.3
"""The same, where somebody else plays or a score stands."""
GOES_ON_SEC = 2.0
"""An anchor is the beginning of equal music: for so long both go on together behind the last one."""

_SMALLEST_STEP_SEC = 1e-6
"""What rounding leaves of a step of nothing must not become one."""


class Notes(NamedTuple):
    """Notes of one performance by onset, then pitch; arrays of shape (num_notes,)."""

    pitch: np.ndarray
    velocity: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray
    held_sec: np.ndarray = np.empty(0, np.float32)
    """How long the pedal holds each note after its note-off; empty where that is not told."""


@dataclass(frozen=True, eq=False)
class TimeMap:
    """Places on the axis, and what time it is there in a and in b; straight lines between them, and beyond.

    All three ascend, `axis_sec` strictly.
    """

    axis_sec: np.ndarray
    a_sec: np.ndarray
    b_sec: np.ndarray
    tempo_ratio: float
    """Seconds of b per second of a, before the first place and after the last."""

    def place_a(self, sec: np.ndarray) -> np.ndarray:
        """Where times of a lie on the axis."""
        return _place(sec, self.a_sec, self.axis_sec, 1.0)

    def place_b(self, sec: np.ndarray) -> np.ndarray:
        """Where times of b lie on the axis."""
        return _place(sec, self.b_sec, self.axis_sec, 1.0 / self.tempo_ratio)


def steps_go_on(times_a: np.ndarray, times_b: np.ndarray, tempo_ratio: float) -> np.ndarray:
    """Whether a and b go through each step from anchor to anchor at about one pace; shape (num_anchors - 1,)."""
    step_a, step_b = np.diff(times_a), np.diff(times_b) / tempo_ratio
    difference = np.abs(step_a - step_b)
    return (difference * min(1.0, tempo_ratio) <= 0.5) | (difference <= 0.6 * np.maximum(step_a, step_b))


def time_map(times_a: np.ndarray, times_b: np.ndarray, tempo_ratio: float) -> TimeMap:
    """The axis through anchors.

    Args:
        times_a: times of the anchors in a, seconds, strictly ascending, shape (num_anchors,).
        times_b: the same in b.
        tempo_ratio: seconds of b per second of a.

    Raises:
        ValueError: there is no anchor, they do not ascend, or the ratio is not positive.
    """
    if not (np.isfinite(tempo_ratio) and tempo_ratio > 0):
        raise ValueError(f"tempo_ratio must be positive, found {tempo_ratio}")
    if len(times_a) == 0 or len(times_a) != len(times_b):
        raise ValueError(f"anchors need a time in both, found {len(times_a)} and {len(times_b)}")
    if np.any(np.diff(times_a) <= 0) or np.any(np.diff(times_b) <= 0):
        raise ValueError("times of anchors must ascend in both performances")
    goes_on = GOES_ON_SEC / min(1.0, tempo_ratio)
    axis, a, b = [float(times_a[0])], [float(times_a[0])], [float(times_b[0])]

    def add(step: float, next_a: float, next_b: float) -> None:
        if step > _SMALLEST_STEP_SEC:
            axis.append(axis[-1] + step)
            a.append(next_a)
            b.append(next_b)
        else:
            a[-1], b[-1] = next_a, next_b

    for i, is_one_pace in enumerate(steps_go_on(times_a, times_b, tempo_ratio)):
        next_a, next_b = float(times_a[i + 1]), float(times_b[i + 1])
        step_a, step_b = next_a - a[-1], (next_b - b[-1]) / tempo_ratio
        if is_one_pace:
            add(step_a, next_a, next_b)
            continue
        together = min(goes_on, step_a, step_b)
        add(together, a[-1] + together, min(b[-1] + together * tempo_ratio, next_b))
        add(step_a - together, next_a, b[-1])
        add(step_b - together, next_a, next_b)
    return TimeMap(np.array(axis), np.array(a), np.array(b), tempo_ratio)


def match_notes(
    a: Notes, b: Notes, semitones: int, is_mirrored: bool, times: TimeMap, tolerance_sec: float = EDITED_TOLERANCE_SEC
) -> np.ndarray:
    """Pairs of notes that are the same, the nearest first taken; a note stands in one pair at most.

    Args:
        a: notes of one performance.
        b: notes of the other.
        semitones: b is a transposed up by this; where it is mirrored, the sum of a pitch and its image.
        is_mirrored: b is a's mirror image on the keyboard.
        times: how the times of the two lie on each other.
        tolerance_sec: how far apart two notes may begin, in seconds of the faster one.

    Returns:
        Numbers of the notes in a and in b, shape (num_matches, 2), ascending by that in a.
    """
    if not (len(a.pitch) and len(b.pitch)):
        return np.empty((0, 2), np.int64)
    reach = tolerance_sec / min(1.0, times.tempo_ratio)
    place_a, place_b = times.place_a(a.onset_sec), times.place_b(b.onset_sec)
    image = (semitones - a.pitch.astype(np.int64)) if is_mirrored else (a.pitch.astype(np.int64) + semitones)
    found = []
    for pitch in np.unique(image):
        of_a, of_b = np.flatnonzero(image == pitch), np.flatnonzero(b.pitch == pitch)
        of_b = of_b[np.argsort(place_b[of_b], kind="stable")]
        first = np.searchsorted(place_b[of_b], place_a[of_a] - reach, side="left")
        count = np.searchsorted(place_b[of_b], place_a[of_a] + reach, side="right") - first
        i = np.repeat(of_a, count)
        j = of_b[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
        found.append(np.column_stack([i, j]))
    candidates = np.concatenate(found)
    distance = np.abs(place_a[candidates[:, 0]] - place_b[candidates[:, 1]])
    order = np.lexsort((candidates[:, 1], candidates[:, 0], distance))
    is_free_a, is_free_b = np.ones(len(a.pitch), bool), np.ones(len(b.pitch), bool)
    matches = []
    for i, j in candidates[order].tolist():
        if is_free_a[i] and is_free_b[j]:
            is_free_a[i] = is_free_b[j] = False
            matches.append((i, j))
    return np.array(sorted(matches), np.int64).reshape(-1, 2)


def _place(sec: np.ndarray, knots: np.ndarray, axis: np.ndarray, pace: float) -> np.ndarray:
    """Where times lie on the axis; of a time at which the axis waits, behind the wait."""
    sec = np.asarray(sec, np.float64)
    at = np.searchsorted(knots, sec, side="right") - 1
    inner = np.clip(at, 0, max(len(knots) - 2, 0))
    if len(knots) == 1:
        return axis[0] + (sec - knots[0]) * pace
    width = knots[inner + 1] - knots[inner]
    share = (sec - knots[inner]) / np.where(width > 0, width, 1.0)
    between = axis[inner] + share * (axis[inner + 1] - axis[inner])
    before, after = axis[0] + (sec - knots[0]) * pace, axis[-1] + (sec - knots[-1]) * pace
    return np.where(at < 0, before, np.where(at >= len(knots) - 1, after, between))
