"""The music of a copy: stretched, struck otherwise, less even, with another pedal; transposing is done elsewhere.

What is stretched: of music that keeps to its beat, as scores do, the tempo, so that its notes stay where they are in
the bar; of other music, where the file's quarters are a clock and no beat, the ticks. It keeps to its beat where the
mean of its onsets on the circle of a grid is longer than half (see `statistics.counted_notes`, grid_distance).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pianogen.augment import Variation
from pianogen.midi.columns import NoteColumns, united
from pianogen.midi.time import DEFAULT_MICROSECONDS_PER_QUARTER
from pianogen.statistics.counted_notes import GRIDS
from pianogen.statistics.measures import ON_GRID

FINE_TICKS = 480
"""Ticks of a quarter that stretched music has at least: fewer would round its rhythm."""
_LAST_TICK = 2**31 - 1


def varied(notes: NoteColumns, variation: Variation, draw: Callable[[], np.random.Generator]) -> NoteColumns:
    """The notes of a copy, but for its semitones; sorted by onset, then pitch, then duration.

    Args:
        notes: the original.
        variation: what to change.
        draw: the random numbers of this copy, asked for once.
    """
    if variation.pedal != "kept":
        notes = _without_pedal(notes, is_sounded=variation.pedal == "sounded")
    if variation.velocity_scale != 1 or variation.velocity_shift:
        struck = np.rint(notes.velocity * variation.velocity_scale) + variation.velocity_shift
        notes = replace(notes, velocity=np.clip(struck, 1, 127).astype(np.uint8))
    if variation.stretch != 1:
        notes = _stretched(notes, variation.stretch)
    if variation.jitter_ms:
        notes = _jittered(notes, variation.jitter_ms / 1000, draw())
    return notes.sorted()


def keeps_to_beat(onset_tick: np.ndarray, ticks_per_quarter: int) -> bool:
    """Whether onsets lie on a grid of the quarter; music without notes does."""
    turn = 2j * np.pi * (onset_tick % ticks_per_quarter) / ticks_per_quarter
    return not len(turn) or 1 - max(abs(np.exp(parts * turn).mean()) for parts in GRIDS) < ON_GRID


def _stretched(notes: NoteColumns, ratio: float) -> NoteColumns:
    if keeps_to_beat(notes.onset_tick, notes.ticks_per_quarter):
        tempos = notes.tempos
        if not len(tempos) or tempos[0, 0] > 0:
            tempos = np.concatenate([np.array([[0, DEFAULT_MICROSECONDS_PER_QUARTER]], tempos.dtype), tempos])
        slower = np.clip(np.rint(tempos[:, 1] * ratio), 0, _LAST_TICK)
        return replace(notes, tempos=np.stack((tempos[:, 0], slower), axis=1).astype(np.int32))
    finer = -(-FINE_TICKS // notes.ticks_per_quarter)
    if notes.end_tick * finer * ratio > _LAST_TICK:
        finer = 1
    scale = finer * ratio

    def moved(tick: np.ndarray) -> np.ndarray:
        return np.minimum(np.rint(tick * scale), _LAST_TICK).astype(np.int32)

    def of_column(rows: np.ndarray) -> np.ndarray:
        return np.concatenate((moved(rows[:, :1]), rows[:, 1:]), axis=1)

    onset = moved(notes.onset_tick)
    return replace(
        notes,
        ticks_per_quarter=notes.ticks_per_quarter * finer,
        onset_tick=onset,
        # Ends are moved, not lengths, so that what followed without a gap still does.
        duration_tick=moved(notes.onset_tick.astype(np.int64) + notes.duration_tick) - onset,
        # Short presses may end up with no length, and neighbours at one tick.
        press_tick=united(moved(notes.press_tick)),
        tempos=of_column(notes.tempos),
        metres=of_column(notes.metres),
    )


def _jittered(notes: NoteColumns, sigma_sec: float, drawn: np.random.Generator) -> NoteColumns:
    tempo_map = notes.tempo_map
    onset_sec = tempo_map.seconds(notes.onset_tick) + sigma_sec * drawn.standard_normal(len(notes))
    onset = tempo_map.ticks(np.maximum(onset_sec, 0.0))
    return replace(notes, onset_tick=np.clip(onset, 0, _LAST_TICK - notes.duration_tick).astype(np.int32))


def _without_pedal(notes: NoteColumns, *, is_sounded: bool) -> NoteColumns:
    """Without presses; with `is_sounded` notes last to the lift that silences them, or to the next of their pitch."""
    press = notes.press_tick
    notes = replace(notes, press_tick=press[:0])
    if not is_sounded or not len(press) or not len(notes):
        return notes
    onset = notes.onset_tick.astype(np.int64)
    offset = onset + notes.duration_tick
    presses_so_far = np.searchsorted(press[:, 0], offset, side="right")
    lift = np.concatenate(([-1], press[:, 1].astype(np.int64)))[presses_so_far]
    order = np.lexsort((onset, notes.pitch))
    is_same = notes.pitch[order][1:] == notes.pitch[order][:-1]
    next_onset = np.full(len(notes), np.iinfo(np.int64).max)
    next_onset[order[:-1][is_same]] = onset[order[1:][is_same]]
    # A note that was held into the next of its pitch stays as it was.
    sounding = np.maximum(offset, np.minimum(lift, next_onset))
    return replace(notes, duration_tick=(sounding - onset).astype(np.int32))
