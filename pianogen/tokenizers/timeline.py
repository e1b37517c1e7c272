"""What the options of MidiTok's schemes say, as tables for the compiled passes over music and ids."""

from typing import NamedTuple

import numpy as np

REMI, TSD, MIDI_LIKE = 0, 1, 2
BAR, POSITION, PITCH, NOTE_ON, NOTE_OFF, VELOCITY, DURATION, SHIFT, REST, TEMPO, METRE, PEDAL, PEDAL_OFF = range(1, 14)
"""Kinds of tokens; 0 are the special ones."""


class Timeline(NamedTuple):
    """What a scheme's options say, as tables that ids and ticks are looked up in.

    Durations, shifts and rests depend on the number of ticks in a beat: each such number that occurs has a row.
    """

    scheme: int
    positions: int
    """In a beat."""
    with_metres: bool
    with_tempos: bool
    with_pedal: bool
    with_rests: bool
    without_repeats: bool
    """Whether of notes of one pitch and onset the shortest alone is kept."""
    row_of_beat: np.ndarray
    """Row of each number of ticks in a beat, -1 for those that no metre has."""
    pitch_id: np.ndarray
    """Of each MIDI number, -1 out of range; shape (128,)."""
    off_id: np.ndarray
    """Of the note-off, the same way."""
    velocity_id: np.ndarray
    """Of each velocity; -1 where they are not told; shape (128,)."""
    duration_id: np.ndarray
    """Shape (num_rows, longest + 1): of each duration in ticks; longer ones have the last."""
    duration_tick: np.ndarray
    """How long that lasts."""
    shift_id: np.ndarray
    """Of the longest shift that is not longer, the same way."""
    shift_tick: np.ndarray
    rest_id: np.ndarray
    rest_tick: np.ndarray
    tempo_usec: np.ndarray
    """Microseconds per quarter of the tempi, ascending, float64."""
    tempo_id: np.ndarray
    default_tempo_id: int
    metre_id: np.ndarray
    """By numerator and denominator; -1 for those without."""
    bar_id: int
    first_position_id: int
    num_positions: int
    pedal_id: int
    pedal_off_id: int
    kind: np.ndarray
    """Of each id."""
    value: np.ndarray
    """Pitch, velocity, position, place of the duration, shift or rest, microseconds per quarter, or numerator * 256 +
    denominator of each id."""
    length_tick: np.ndarray
    """Shape (num_rows, num_values): ticks of the durations and shifts by their place."""
    rest_length_tick: np.ndarray
    beat_of_denominator: np.ndarray
    """Ticks in a beat of each denominator where ids are decoded."""
