"""Ids of MidiTok's schemes back to music, in one compiled pass over a block.

What they mean is what MidiTok 3.1 makes of them (`_tokens_to_score`).
"""

import numba
import numpy as np

from pianogen.tokenizers.timeline import (
    BAR,
    DURATION,
    METRE,
    MIDI_LIKE,
    NOTE_OFF,
    NOTE_ON,
    PEDAL,
    PEDAL_OFF,
    PITCH,
    POSITION,
    REMI,
    REST,
    SHIFT,
    TEMPO,
    VELOCITY,
    Timeline,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""


@njit
def decode(line: Timeline, values: np.ndarray, edges: np.ndarray):
    """Music of each sequence, on the grid: notes, presses, tempos and metres, each with their edges.

    What makes no sense is passed over: a pitch that no velocity and duration follow, an end of what does not sound.
    """
    num = len(edges) - 1
    note_edges, press_edges = np.zeros(num + 1, np.int64), np.zeros(num + 1, np.int64)
    tempo_edges, metre_edges = np.zeros(num + 1, np.int64), np.zeros(num + 1, np.int64)
    counts = np.zeros(14, np.int64)
    for token in values:
        if 0 <= token < len(line.kind):
            counts[line.kind[token]] += 1
    notes = np.empty((counts[PITCH] + counts[NOTE_OFF], 4), np.int64)
    presses = np.empty((counts[PEDAL_OFF], 2), np.int32)
    tempos = np.empty((counts[TEMPO], 2), np.int32)
    metres = np.empty((counts[METRE], 3), np.int32)
    num_notes = num_presses = num_tempos = num_metres = 0
    with_velocity = line.velocity_id[1] >= 0
    # Of each pitch the notes that wait for their end, first in, first out.
    size = counts[NOTE_ON]
    waiting_tick, waiting_velocity = np.empty(size, np.int64), np.empty(size, np.int64)
    after, first, last = np.empty(size, np.int64), np.empty(128, np.int64), np.empty(128, np.int64)
    for i in range(num):
        tick, tick_at_bar, bar, note_end = 0, 0, -1, 0
        tick_at_metre, bar_at_metre, pressed = 0, 0, -1
        numerator, denominator = 4, 4
        begin, end = edges[i], edges[i + 1]
        if line.with_metres and line.scheme == REMI:
            numerator, denominator = _first_metre(line, values[begin:end])
        quarter = line.beat_of_denominator[4]
        beat = line.beat_of_denominator[denominator] if line.scheme == REMI else quarter
        bar_ticks = int(quarter * 4 / denominator) * numerator
        if line.scheme == REMI and line.with_metres and (numerator != 4 or denominator != 4):
            metres[num_metres, 0], metres[num_metres, 1], metres[num_metres, 2] = 0, numerator, denominator
            num_metres += 1
        first[:] = -1
        num_waiting = 0
        for k in range(begin, end):
            token = values[k]
            kind = line.kind[token] if 0 <= token < len(line.kind) else 0
            value = line.value[token] if kind else 0
            row = line.row_of_beat[beat]
            if kind == BAR:
                bar += 1
                if bar > 0:
                    tick = tick_at_bar + bar_ticks
                tick_at_bar = tick
            elif kind == POSITION:
                bar = max(bar, 0)
                tick = tick_at_bar + value * (beat // line.positions)
            elif kind == SHIFT:
                tick += line.length_tick[row, value]
            elif kind == REST:
                if line.scheme != MIDI_LIKE:
                    tick = max(note_end, tick)
                tick += line.rest_length_tick[row, value]
                if line.scheme == REMI:
                    real = bar_at_metre + (tick - tick_at_metre) // bar_ticks
                    if real > bar:
                        bar = max(bar, 0)
                        tick_at_bar += (real - bar) * bar_ticks
                        bar = real
            elif kind == PITCH:
                k_duration = k + 2 if with_velocity else k + 1
                if k_duration >= end or line.kind[values[k_duration]] != DURATION:
                    continue
                if with_velocity and line.kind[values[k + 1]] != VELOCITY:
                    continue
                loud = line.value[values[k + 1]] if with_velocity else 100
                lasts = line.length_tick[row, line.value[values[k_duration]]]
                notes[num_notes, 0], notes[num_notes, 1] = tick, value
                notes[num_notes, 2], notes[num_notes, 3] = lasts, loud
                num_notes += 1
                note_end = max(note_end, tick + lasts)
            elif kind == NOTE_ON:
                loud = 100
                if with_velocity:
                    if k + 1 >= end or line.kind[values[k + 1]] != VELOCITY:
                        continue
                    loud = line.value[values[k + 1]]
                waiting_tick[num_waiting], waiting_velocity[num_waiting] = tick, loud
                after[num_waiting] = -1
                if first[value] < 0:
                    first[value] = num_waiting
                else:
                    after[last[value]] = num_waiting
                last[value] = num_waiting
                num_waiting += 1
            elif kind == NOTE_OFF:
                if first[value] >= 0:
                    n = first[value]
                    first[value] = after[n]
                    notes[num_notes, 0], notes[num_notes, 1] = waiting_tick[n], value
                    notes[num_notes, 2], notes[num_notes, 3] = tick - waiting_tick[n], waiting_velocity[n]
                    num_notes += 1
            elif kind == TEMPO:
                tempos[num_tempos, 0], tempos[num_tempos, 1] = tick, value
                num_tempos += 1
                note_end = max(note_end, tick)
            elif kind == METRE:
                new_numerator, new_denominator = value // 256, value % 256
                if line.scheme != REMI or new_numerator != numerator or new_denominator != denominator:
                    numerator, denominator = new_numerator, new_denominator
                    if line.scheme == REMI:
                        tick_at_metre, bar_at_metre = tick_at_bar, bar
                    metres[num_metres, 0] = tick
                    metres[num_metres, 1], metres[num_metres, 2] = numerator, denominator
                    num_metres += 1
                    bar_ticks = int(quarter * 4 / denominator) * numerator
                    beat = line.beat_of_denominator[denominator]
            elif kind == PEDAL:
                if pressed < 0:
                    pressed = tick
            elif kind == PEDAL_OFF and pressed >= 0:
                presses[num_presses, 0], presses[num_presses, 1] = pressed, tick
                num_presses += 1
                pressed = -1
        note_edges[i + 1], press_edges[i + 1] = num_notes, num_presses
        tempo_edges[i + 1], metre_edges[i + 1] = num_tempos, num_metres
        _sort(notes[note_edges[i] : num_notes])
    return (
        notes[:num_notes],
        note_edges,
        presses[:num_presses],
        press_edges,
        tempos[:num_tempos],
        tempo_edges,
        metres[:num_metres],
        metre_edges,
    )


@njit
def _first_metre(line: Timeline, tokens: np.ndarray) -> tuple[int, int]:
    """The metre that is told before any note, or 4/4."""
    for token in tokens:
        kind = line.kind[token] if 0 <= token < len(line.kind) else 0
        if kind == METRE:
            return line.value[token] // 256, line.value[token] % 256
        if kind in (PITCH, VELOCITY, DURATION, PEDAL):
            break
    return 4, 4


@njit
def _sort(notes: np.ndarray) -> None:
    """By onset, pitch and duration."""
    order = np.argsort(notes[:, 0] << 7 | notes[:, 1], kind="mergesort")
    notes[:] = notes[order]
    for k in range(1, len(notes)):
        n = k
        while n and notes[n - 1, 0] == notes[n, 0] and notes[n - 1, 1] == notes[n, 1] and notes[n - 1, 2] > notes[n, 2]:
            for column in range(4):
                notes[n - 1, column], notes[n, column] = notes[n, column], notes[n - 1, column]
            n -= 1
