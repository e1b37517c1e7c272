"""Pedals: control changes to presses, and how long notes sound under the sustain pedal."""

import numpy as np

SUSTAIN = 64
PEDALS = {SUSTAIN: "sustain", 66: "sostenuto", 67: "soft"}
"""Controller numbers of the pedals that are up or down."""

DOWN_FROM = 64
"""A pedal is down at this value or more (MIDI 1.0, table of controllers)."""


def presses(tick: np.ndarray, value: np.ndarray, end_tick: int) -> np.ndarray:
    """Presses of one pedal.

    Args:
        tick: times of its control changes, ascending, shape (num_changes,).
        value: 0-127, shape (num_changes,).
        end_tick: when a pedal that is never lifted is taken to be lifted.

    Returns:
        Down and lift tick of each press, shape (num_presses, 2), ascending and disjoint.
    """
    is_down = value >= DOWN_FROM
    before = np.concatenate(([False], is_down[:-1]))
    down = tick[is_down & ~before]
    lift = tick[~is_down & before]
    if len(lift) < len(down):
        lift = np.append(lift, max(end_tick, int(down[-1])))
    return np.stack([down, lift], axis=1) if len(down) else np.empty((0, 2), np.int64)


def merge_presses(intervals: np.ndarray) -> np.ndarray:
    """Union of presses that may overlap, shape (num_presses, 2), ascending and disjoint."""
    if not len(intervals):
        return intervals
    intervals = intervals[np.argsort(intervals[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(intervals[:, 1])
    is_first = np.concatenate(([True], intervals[1:, 0] > furthest[:-1]))
    is_last = np.append(is_first[1:], True)
    return np.stack([intervals[is_first, 0], furthest[is_last]], axis=1)


def sounding_offsets(offset_sec: np.ndarray, press_sec: np.ndarray) -> np.ndarray:
    """Move each note-off to the pedal lift that silences the note.

    Args:
        offset_sec: note-off times, seconds, shape (num_notes,).
        press_sec: down and lift time of each sustain press, seconds, shape (num_presses, 2),
            ascending and disjoint.

    Returns:
        Sounding offsets, seconds, shape (num_notes,); the note-off where the pedal is up.

    Raises:
        ValueError: presses overlap or run backwards.
    """
    times = press_sec.ravel()
    if (steps_back := np.flatnonzero(np.diff(times) < 0)).size:
        i = steps_back[0]
        raise ValueError(f"press_sec must ascend: {times[i + 1]:.3f} s follows {times[i]:.3f} s")
    # lift_sec[k] ends the k-th press; entry 0 stands for "no press yet".
    lift_sec = np.concatenate(([-np.inf], press_sec[:, 1]))
    presses_so_far = np.searchsorted(press_sec[:, 0], offset_sec, side="right")
    return np.maximum(offset_sec, lift_sec[presses_so_far])
