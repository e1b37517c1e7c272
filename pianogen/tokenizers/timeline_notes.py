"""Ids of MidiTok's schemes back to music, in one compiled pass over a block.

What they mean is what MidiTok 3.1 makes of them (`_tokens_to_score`).
"""

from typing import NamedTuple

import numpy as np

from pianogen.compiled import njit
from pianogen.tokenizers.base import EOS_ID
from pianogen.tokenizers.timeline import (
    BAR,
    DURATION,
    METRE,
    MIDI_LIKE,
    NOTE_OFF,
    NOTE_ON,
    NUM_KINDS,
    PEDAL,
    PEDAL_OFF,
    PITCH,
    POSITION,
    PROGRAM,
    REMI,
    REST,
    SHIFT,
    TEMPO,
    VELOCITY,
    Timeline,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

LAST_TICK = 2**30
"""Where time stops, so that all ends of notes are int32."""
_DEFAULT_VELOCITY = 100
_OPEN = -1
"""Length of a note that has not ended."""
_TICK, _TICK_AT_BAR, _BAR, _NOTE_END, _TICK_AT_METRE, _BAR_AT_METRE = range(6)
_NUMERATOR, _DENOMINATOR, _BEAT, _BAR_TICKS = range(6, 10)
"""Places in `clock`, where a sequence has come to."""


class Decoded(NamedTuple):
    """Music of a block of sequences, on the grid; rows of sequence i are edges[i] to edges[i + 1]."""

    note_edges: np.ndarray
    onset: np.ndarray
    pitch: np.ndarray
    length: np.ndarray
    velocity: np.ndarray
    track: np.ndarray
    """Empty where programs are not told."""
    program: np.ndarray
    press_edges: np.ndarray
    presses: np.ndarray
    tempo_edges: np.ndarray
    tempos: np.ndarray
    metre_edges: np.ndarray
    metres: np.ndarray


@njit
def decode(line: Timeline, values: np.ndarray, edges: np.ndarray) -> Decoded:
    """Music of each sequence; what makes no sense is passed over.

    Such are a pitch that no velocity and duration follow, the end of what does not sound, and what does not end.
    """
    num = len(edges) - 1
    values, edges = _without_special(values, edges)
    counts = np.zeros(NUM_KINDS, np.int64)
    kind_of, kinds = line.kind, np.zeros(len(values), np.int64)
    for k in range(len(values)):
        if values[k] < len(kind_of):
            kinds[k] = kind_of[values[k]]
        counts[kinds[k]] += 1
    most = counts[PITCH] + counts[NOTE_ON]
    num_parts = most if line.with_programs else 0
    music = Decoded(
        np.zeros(num + 1, np.int64), np.empty(most, np.int32), np.empty(most, np.uint8), np.empty(most, np.int32),
        np.empty(most, np.uint8), np.empty(num_parts, np.int16), np.empty(num_parts, np.uint8),
        np.zeros(num + 1, np.int64), np.empty((counts[PEDAL_OFF], 2), np.int32),
        np.zeros(num + 1, np.int64), np.empty((counts[TEMPO], 2), np.int32),
        np.zeros(num + 1, np.int64), np.empty((counts[METRE], 3), np.int32),
    )  # fmt: skip
    # Of each program and pitch the first and last of the notes that wait for their end, and of each note the next.
    num_keys = 128 * (128 if line.with_programs else 1) if line.scheme == MIDI_LIKE else 0
    first, last, after = np.empty(num_keys, np.int64), np.empty(num_keys, np.int64), np.empty(counts[NOTE_ON], np.int64)
    clock, pressed, track_of = np.empty(10, np.int64), np.empty(129, np.int64), np.empty(128, np.int16)
    for i in range(num):
        tokens = values[edges[i] : edges[i + 1]]
        first[:], pressed[:], track_of[:] = -1, -1, -1
        _read(line, tokens, kinds[edges[i] : edges[i + 1]], i, music, clock, first, last, after, pressed, track_of)
        if line.scheme == MIDI_LIKE:
            music.note_edges[i + 1] = _without_open(line, music, music.note_edges[i], music.note_edges[i + 1])
        _sort(line, music, music.note_edges[i], music.note_edges[i + 1])
        begin = music.press_edges[i]
        music.press_edges[i + 1] = begin + _unite(music.presses[begin : music.press_edges[i + 1]])
    return music


@njit
def _without_special(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids without PAD, BOS and EOS, and their edges: what they part belongs together."""
    kept, kept_edges = np.empty(len(values), values.dtype), np.zeros_like(edges)
    num = 0
    for i in range(len(edges) - 1):
        for k in range(edges[i], edges[i + 1]):
            if values[k] > EOS_ID:
                kept[num] = values[k]
                num += 1
        kept_edges[i + 1] = num
    return kept[:num], kept_edges


@njit
def _read(
    line: Timeline,
    tokens: np.ndarray,
    kinds: np.ndarray,
    i: int,
    music: Decoded,
    clock: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    after: np.ndarray,
    pressed: np.ndarray,
    track_of: np.ndarray,
) -> None:
    """Write the music of one sequence, notes in the order in which they are told, and where it ends to the edges."""
    num_notes, num_presses = music.note_edges[i], music.press_edges[i]
    num_tempos, num_metres = music.tempo_edges[i], music.metre_edges[i]
    num_metres += _begin(line, tokens, kinds, clock, music.metres[num_metres:])
    onset, pitch, length, velocity = music.onset, music.pitch, music.length, music.velocity
    value_of, length_tick, row_of_beat, positions = line.value, line.length_tick, line.row_of_beat, line.positions
    with_velocity, with_programs = line.velocity_id[1] >= 0, line.with_programs
    begin, program = num_notes, 0
    for k in range(len(tokens)):
        kind = kinds[k]
        value = value_of[tokens[k]] if kind else 0
        if kind in (PITCH, NOTE_ON):
            loud, k_duration = np.int64(_DEFAULT_VELOCITY), k + 1
            if with_velocity:
                if k + 1 >= len(tokens) or kinds[k + 1] != VELOCITY:
                    continue
                loud, k_duration = value_of[tokens[k + 1]], k + 2
            lasts = np.int64(_OPEN)
            if kind == PITCH:
                if k_duration >= len(tokens) or kinds[k_duration] != DURATION:
                    continue
                lasts = length_tick[row_of_beat[clock[_BEAT]], value_of[tokens[k_duration]]]
                clock[_NOTE_END] = max(clock[_NOTE_END], clock[_TICK] + lasts)
            if program < 0:
                # Drums are not told.
                continue
            onset[num_notes], pitch[num_notes] = clock[_TICK], value
            length[num_notes], velocity[num_notes] = lasts, loud
            if with_programs:
                if track_of[program] < 0:
                    track_of[program] = track_of.max() + 1
                music.track[num_notes], music.program[num_notes] = track_of[program], program
            if kind == NOTE_ON:
                n, key = num_notes - begin, 128 * program + value
                after[n] = -1
                if first[key] < 0:
                    first[key] = n
                else:
                    after[last[key]] = n
                last[key] = n
            num_notes += 1
        elif kind == NOTE_OFF:
            key = 128 * program + value
            if program >= 0 and first[key] >= 0:
                n = first[key]
                first[key] = after[n]
                length[begin + n] = clock[_TICK] - onset[begin + n]
        elif kind == SHIFT:
            clock[_TICK] = min(clock[_TICK] + length_tick[row_of_beat[clock[_BEAT]], value], LAST_TICK)
        elif kind == POSITION:
            clock[_BAR] = max(clock[_BAR], 0)
            clock[_TICK] = min(clock[_TICK_AT_BAR] + value * (clock[_BEAT] // positions), LAST_TICK)
        elif kind == BAR:
            clock[_BAR] += 1
            if clock[_BAR] > 0:
                clock[_TICK] = min(clock[_TICK_AT_BAR] + clock[_BAR_TICKS], LAST_TICK)
            clock[_TICK_AT_BAR] = clock[_TICK]
        elif kind == REST:
            _pass_rest(line, clock, value)
        elif kind == PROGRAM:
            program = value
        elif kind == TEMPO:
            music.tempos[num_tempos, 0], music.tempos[num_tempos, 1] = clock[_TICK], value
            num_tempos += 1
            clock[_NOTE_END] = max(clock[_NOTE_END], clock[_TICK])
        elif kind == METRE:
            num_metres += _begin_metre(line, clock, value, music.metres[num_metres:])
        elif kind == PEDAL:
            if pressed[value + 1] < 0:
                pressed[value + 1] = clock[_TICK]
        elif kind == PEDAL_OFF and pressed[value + 1] >= 0:
            if value >= 0:
                music.presses[num_presses, 0], music.presses[num_presses, 1] = pressed[value + 1], clock[_TICK]
                num_presses += 1
            pressed[value + 1] = -1
    music.note_edges[i + 1], music.press_edges[i + 1] = num_notes, num_presses
    music.tempo_edges[i + 1], music.metre_edges[i + 1] = num_tempos, num_metres


# Time


@njit
def _begin(line: Timeline, tokens: np.ndarray, kinds: np.ndarray, clock: np.ndarray, metres: np.ndarray) -> int:
    """Set the clock to the beginning; how many metres were written, which is one where REMI tells another than 4/4."""
    clock[:] = 0
    clock[_BAR] = -1
    numerator, denominator = 4, 4
    is_remi = line.scheme == REMI
    if is_remi and line.with_metres:
        numerator, denominator = _first_metre(line, tokens, kinds)
    _set_metre(line, clock, numerator, denominator)
    if not is_remi:
        clock[_BEAT] = line.beat_of_denominator[4]
    if numerator == 4 and denominator == 4:
        return 0
    metres[0, 0], metres[0, 1], metres[0, 2] = 0, numerator, denominator
    return 1


@njit
def _first_metre(line: Timeline, tokens: np.ndarray, kinds: np.ndarray) -> tuple[int, int]:
    """The metre that is told before any note, or 4/4."""
    for k in range(len(tokens)):
        if kinds[k] == METRE:
            return line.value[tokens[k]] // 256, line.value[tokens[k]] % 256
        if kinds[k] in (PITCH, VELOCITY, DURATION, PEDAL):
            break
    return 4, 4


@njit
def _set_metre(line: Timeline, clock: np.ndarray, numerator: int, denominator: int) -> None:
    clock[_NUMERATOR], clock[_DENOMINATOR] = numerator, denominator
    clock[_BEAT] = line.beat_of_denominator[denominator]
    clock[_BAR_TICKS] = int(line.beat_of_denominator[4] * 4 / denominator) * numerator


@njit
def _begin_metre(line: Timeline, clock: np.ndarray, value: int, metres: np.ndarray) -> int:
    """A metre that is told; how many were written: none where REMI tells the one that holds."""
    numerator, denominator = value // 256, value % 256
    if line.scheme == REMI:
        if numerator == clock[_NUMERATOR] and denominator == clock[_DENOMINATOR]:
            return 0
        clock[_TICK_AT_METRE], clock[_BAR_AT_METRE] = clock[_TICK_AT_BAR], clock[_BAR]
    metres[0, 0], metres[0, 1], metres[0, 2] = clock[_TICK], numerator, denominator
    _set_metre(line, clock, numerator, denominator)
    return 1


@njit
def _pass_rest(line: Timeline, clock: np.ndarray, value: int) -> None:
    if line.scheme != MIDI_LIKE:
        clock[_TICK] = max(clock[_NOTE_END], clock[_TICK])
    clock[_TICK] = min(clock[_TICK] + line.rest_length_tick[line.row_of_beat[clock[_BEAT]], value], LAST_TICK)
    if line.scheme == REMI:
        reached = clock[_BAR_AT_METRE] + (clock[_TICK] - clock[_TICK_AT_METRE]) // clock[_BAR_TICKS]
        if reached > clock[_BAR]:
            clock[_TICK_AT_BAR] += (reached - max(clock[_BAR], 0)) * clock[_BAR_TICKS]
            clock[_BAR] = reached


# Notes and presses in order


@njit
def _without_open(line: Timeline, music: Decoded, first: int, end: int) -> int:
    """Close up notes that have ended; where they end."""
    onset, pitch, length, velocity = music.onset, music.pitch, music.length, music.velocity
    track, program, with_programs = music.track, music.program, line.with_programs
    at = first
    for k in range(first, end):
        if length[k] == _OPEN:
            continue
        if at < k:
            onset[at], pitch[at], length[at], velocity[at] = onset[k], pitch[k], length[k], velocity[k]
            if with_programs:
                track[at], program[at] = track[k], program[k]
        at += 1
    return at


@njit
def _sort(line: Timeline, music: Decoded, first: int, end: int) -> None:
    """By onset, pitch and duration."""
    onset, pitch, length, velocity = music.onset, music.pitch, music.length, music.velocity
    track, program, with_programs = music.track, music.program, line.with_programs
    is_ascending = True
    for k in range(first + 1, end):
        is_ascending &= onset[k - 1] <= onset[k]
    if not is_ascending:
        order = first + np.argsort(onset[first:end], kind="mergesort")
        onset[first:end], length[first:end] = onset[order], length[order]
        pitch[first:end], velocity[first:end] = pitch[order], velocity[order]
        if with_programs:
            track[first:end], program[first:end] = track[order], program[order]
    # What begins at once is nearly sorted.
    for k in range(first + 1, end):
        n = k
        while n > first and onset[n - 1] == onset[n]:
            if pitch[n - 1] < pitch[n] or (pitch[n - 1] == pitch[n] and length[n - 1] <= length[n]):
                break
            pitch[n - 1], pitch[n] = pitch[n], pitch[n - 1]
            length[n - 1], length[n] = length[n], length[n - 1]
            velocity[n - 1], velocity[n] = velocity[n], velocity[n - 1]
            if with_programs:
                track[n - 1], track[n] = track[n], track[n - 1]
                program[n - 1], program[n] = program[n], program[n - 1]
            n -= 1


@njit
def _unite(presses: np.ndarray) -> int:
    """Presses of all programs as those of one pedal: ascending, disjoint, none of no length. How many they are."""
    is_ascending = True
    for k in range(1, len(presses)):
        is_ascending &= presses[k - 1, 0] <= presses[k, 0]
    if not is_ascending:
        presses[:] = presses[np.argsort(presses[:, 0], kind="mergesort")]
    num = 0
    for down, up in presses:
        if up <= down:
            continue
        if num and down <= presses[num - 1, 1]:
            presses[num - 1, 1] = max(presses[num - 1, 1], up)
            continue
        presses[num, 0], presses[num, 1] = down, up
        num += 1
    return num
