"""What the compiled passes over music and ids share: the tables of a scheme's options, and music on its grid."""

from typing import NamedTuple

import numpy as np

REMI, TSD, MIDI_LIKE = 0, 1, 2
BAR, POSITION, PITCH, NOTE_ON, NOTE_OFF, VELOCITY, DURATION, SHIFT, REST, TEMPO, METRE, PEDAL, PEDAL_OFF = range(1, 14)
PROGRAM, CHORD = 14, 15
NUM_KINDS = 16
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
    with_programs: bool
    program_changes: bool
    """Whether a program is told when it changes, and not before every note."""
    with_chords: bool
    without_repeats: bool
    """Whether of notes of one pitch and onset the shortest alone is kept."""
    row_of_beat: np.ndarray
    """Row of each number of ticks in a beat, -1 for those that no metre has."""
    pitch_id: np.ndarray
    """Of each MIDI number, -1 out of range; shape (128,)."""
    off_id: np.ndarray
    """Of the note-off, the same way."""
    program_id: np.ndarray
    """Of each instrument; shape (128,)."""
    chord_id: np.ndarray
    """Of each chord that has a name, by its intervals above the first note as bits, -1 of others; shape (2**15,)."""
    unknown_chord_id: np.ndarray
    """Of other chords, by the number of their notes, 3 to 5; -1 where they are not told; shape (6,)."""
    chord_roots: int
    """Ids from a chord to the same a semitone higher: 1, or 0 where roots are not told."""
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
    most_steps: int
    """More ids than any time below the longest shift takes, of shifts and rests together."""
    tempo_border_usec: np.ndarray
    """Microseconds per quarter half way from each tempo to the next, ascending, float64."""
    tempo_id: np.ndarray
    """Of the tempi, from the fastest."""
    default_tempo_id: int
    metre_id: np.ndarray
    """By numerator and denominator; -1 for those without."""
    bar_id: int
    first_position_id: int
    num_positions: int
    pedal_id: np.ndarray
    """Of each instrument; the same of all, where programs are not told; shape (128,)."""
    pedal_off_id: np.ndarray
    kind: np.ndarray
    """Of each id."""
    value: np.ndarray
    """Pitch, velocity, position, place of the duration, shift or rest, microseconds per quarter, numerator * 256 +
    denominator, or program of each id, whose drums are -1."""
    length_tick: np.ndarray
    """Shape (num_rows, num_values): ticks of the durations and shifts by their place."""
    rest_length_tick: np.ndarray
    beat_of_denominator: np.ndarray
    """Ticks in a beat of each denominator where ids are decoded."""


class Grid(NamedTuple):
    """Music of a block on the grid of a scheme; rows of performance i are edges[i] to edges[i + 1]."""

    quarter: np.ndarray
    """Ticks of a quarter on the grid of each performance, int64, as all columns that say no other."""
    note_edges: np.ndarray
    """Of the columns of notes, which come by onset, then by part."""
    pitch: np.ndarray
    """Uint8."""
    velocity: np.ndarray
    """Uint8."""
    onset: np.ndarray
    length: np.ndarray
    row: np.ndarray
    """Of the tables of lengths, for the metre at the onset, int32."""
    part: np.ndarray
    """0 for the part that is told first at each tick, int16; empty, as `program`, where programs are not told."""
    program: np.ndarray
    """Uint8."""
    press_edges: np.ndarray
    presses: np.ndarray
    """Down and up; those that touch are one."""
    press_program: np.ndarray
    """Of each performance: the instrument that has the pedal, which is that of the first part."""
    tempo_edges: np.ndarray
    tempos: np.ndarray
    """Tick and id."""
    metre_edges: np.ndarray
    metres: np.ndarray
    """Tick, numerator and denominator, at the bars at which they can begin; one at least."""
