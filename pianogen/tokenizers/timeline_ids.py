"""Music on the grid of MidiTok's schemes to their ids, in one compiled pass over a block.

REMI, TSD and MIDI-like say the same of notes, chords, parts, pedal, tempo and metre, and differ in how they tell time:
by bars and positions, or by time shifts; by durations, or by the ends of notes. The order of events is that of MidiTok
3.1 (`_score_to_tokens` and `_add_time_events`), whose ids these are. At one tick: metre, tempo, pedal, then part by
part the ends of notes, the chord, and the notes that begin; MIDI-like with chords has all ends before the pedal.
"""

import numba
import numpy as np

from pianogen.compiled import njit
from pianogen.tokenizers.timeline import (
    METRE,
    MIDI_LIKE,
    NOTE_OFF,
    PEDAL,
    PEDAL_OFF,
    PITCH,
    REMI,
    TEMPO,
    Grid,
    Timeline,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
inlined = numba.njit(inline="always", error_model="numpy")
"""Of what is called at every event; it takes arrays alone, since numba counts references to all of a named tuple."""

_MOST_OF_EVENT = 12
"""More ids than any event takes without the time before it: programs, chord, note and its end, position."""
_DIGIT = 11
"""Bits by which events are sorted at once."""


@njit
def tell(line: Timeline, grid: Grid, chord: np.ndarray, kind_of_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of each performance, and their edges.

    Args:
        line: of the scheme.
        grid: the music.
        chord: id of the chord before each note, -1 without one; empty where chords are not told.
        kind_of_id: an array of the type that ids shall have.
    """
    num = len(grid.quarter)
    edges = np.zeros(num + 1, np.int64)
    out = np.empty(4 * grid.note_edges[-1] + 64, kind_of_id.dtype)
    at = 0
    for i in range(num):
        most = at + _most_ids(line, grid, i)
        if most > len(out):
            larger = np.empty(max(2 * len(out), most), out.dtype)
            larger[:at] = out[:at]
            out = larger
        key, event = _events(line, grid, i)
        at = _tell(line, grid, chord, i, key, event, out, at)
        edges[i + 1] = at
    return out[:at], edges


@njit
def _most_ids(line: Timeline, grid: Grid, i: int) -> int:
    """At least as many as a performance takes, so that none is written beyond the array."""
    first, end = grid.note_edges[i], grid.note_edges[i + 1]
    last = 0
    for n in range(first, end):
        last = max(last, grid.onset[n] + grid.length[n])
    num_presses = grid.press_edges[i + 1] - grid.press_edges[i]
    if num_presses:
        last = max(last, grid.presses[grid.press_edges[i + 1] - 1, 1])
    num_tempos = grid.tempo_edges[i + 1] - grid.tempo_edges[i]
    if num_tempos:
        last = max(last, grid.tempos[grid.tempo_edges[i + 1] - 1, 0])
    metre = grid.metres[grid.metre_edges[i] : grid.metre_edges[i + 1]]
    last = max(last, metre[-1, 0])
    events = 2 * (end - first) + 2 * num_presses + num_tempos + len(metre)
    longest = min(line.length_tick[:, -1].min(), line.rest_length_tick[:, -1].min())
    most = events * (_MOST_OF_EVENT + line.most_steps) + 2 * (last // longest) + 64
    if line.scheme == REMI:
        shortest_bar = last + 1
        for k in range(len(metre)):
            shortest_bar = min(shortest_bar, _bar_and_beat(metre[k], grid.quarter[i])[0])
        most += 2 * (last // shortest_bar + len(metre) + 1)
    return most


# Events in their order


@njit
def _rank_bits(line: Timeline) -> int:
    """Bits of what orders the events of one tick: 0 to 4, or up to 3 + 2 * 128 with parts."""
    return 9 if line.with_programs else 3


@njit
def _events(line: Timeline, grid: Grid, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Events of a performance in their order: tick and rank within it, and kind << 32 with the row of its column.

    A note's end has the note's row; of a note of no length it is told with the note, and no event.
    """
    bits, is_midi_like, with_parts = _rank_bits(line), line.scheme == MIDI_LIKE, line.with_programs
    onset, length, part = grid.onset, grid.length, grid.part
    # Metre, tempo, pedal, ends, notes; with chords MIDI-like has ends before the pedal.
    pedal_rank, off_rank, on_rank = 2, 3, 4
    ranks_of_part = 2 if is_midi_like else 1
    if is_midi_like and line.with_chords:
        off_rank, pedal_rank, on_rank = (2, 130, 131) if with_parts else (2, 3, 4)
        ranks_of_part = 1
    first, end = grid.note_edges[i], grid.note_edges[i + 1]
    num_metres = grid.metre_edges[i + 1] - grid.metre_edges[i] if line.with_metres else 0
    num_tempos = grid.tempo_edges[i + 1] - grid.tempo_edges[i]
    num_presses = grid.press_edges[i + 1] - grid.press_edges[i]
    most = num_metres + num_tempos + 2 * num_presses + (end - first) * (2 if is_midi_like else 1)
    key, event = np.empty(most, np.int64), np.empty(most, np.int64)
    num = 0
    for n in range(grid.metre_edges[i], grid.metre_edges[i] + num_metres):
        key[num], event[num] = grid.metres[n, 0] << bits, METRE << 32 | n
        num += 1
    for n in range(grid.tempo_edges[i], grid.tempo_edges[i + 1]):
        key[num], event[num] = grid.tempos[n, 0] << bits | 1, TEMPO << 32 | n
        num += 1
    for n in range(grid.press_edges[i], grid.press_edges[i + 1]):
        key[num], event[num] = grid.presses[n, 0] << bits | pedal_rank, PEDAL << 32 | n
        key[num + 1], event[num + 1] = grid.presses[n, 1] << bits | pedal_rank, PEDAL_OFF << 32 | n
        num += 2
    for n in range(first, end):
        of_part = ranks_of_part * part[n] if with_parts else 0
        key[num], event[num] = onset[n] << bits | on_rank + of_part, PITCH << 32 | n
        num += 1
        if is_midi_like and length[n] > 0:
            key[num], event[num] = (onset[n] + length[n]) << bits | off_rank + of_part, NOTE_OFF << 32 | n
            num += 1
    return _sorted(key[:num], event[:num])


@njit
def _sorted(key: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events by their keys, digit by digit; those of one key keep their order."""
    is_ascending, most = True, 0
    for k in range(len(key)):
        is_ascending &= k == 0 or key[k - 1] <= key[k]
        most = max(most, key[k])
    if is_ascending:
        return key, event
    other_key, other_event = np.empty_like(key), np.empty_like(event)
    starts = np.empty(2**_DIGIT + 1, np.int64)
    shift = 0
    while most >> shift:
        starts[:] = 0
        for k in range(len(key)):
            starts[(key[k] >> shift & (2**_DIGIT - 1)) + 1] += 1
        for digit in range(2**_DIGIT):
            starts[digit + 1] += starts[digit]
        for k in range(len(key)):
            digit = key[k] >> shift & (2**_DIGIT - 1)
            other_key[starts[digit]], other_event[starts[digit]] = key[k], event[k]
            starts[digit] += 1
        key, other_key, event, other_event = other_key, key, other_event, event
        shift += _DIGIT
    return key, event


# Their ids


@njit
def _tell(
    line: Timeline, grid: Grid, chord: np.ndarray, i: int, key: np.ndarray, event: np.ndarray, out: np.ndarray, at: int
) -> int:
    """Write the ids of one performance; where they end."""
    bits, grid_quarter = _rank_bits(line), grid.quarter[i]
    scheme, positions, program_changes = line.scheme, line.positions, line.program_changes
    with_rests, with_metres, with_programs = line.with_rests, line.with_metres, line.with_programs
    with_velocities, with_chords = line.velocity_id[1] >= 0, line.with_chords
    pitch_id, off_id, velocity_id, duration_id = line.pitch_id, line.off_id, line.velocity_id, line.duration_id
    shift_id, shift_tick, rest_id, rest_tick = line.shift_id, line.shift_tick, line.rest_id, line.rest_tick
    program_id, row_of_beat, least_rest = line.program_id, line.row_of_beat, line.rest_length_tick[:, 0]
    pitch, velocity, length, table_row, program = grid.pitch, grid.velocity, grid.length, grid.row, grid.program

    metre = grid.metres[grid.metre_edges[i]]
    if with_metres and scheme != REMI:
        metre = np.array([0, 4, 4])
    bar_ticks, beat = _bar_and_beat(metre, grid_quarter)
    metre_id = line.metre_id[metre[1], metre[2]]
    row = row_of_beat[beat]
    said, previous, note_end = -1, (-1 if scheme == REMI else 0), 0
    bar, bar_at_metre, tick_at_metre, tick_at_bar = -1, 0, 0, 0
    for k in range(len(key)):
        tick, kind, n = key[k] >> bits, event[k] >> 32, event[k] & 0xFFFFFFFF
        if tick != previous:
            if with_rests and tick - note_end >= least_rest[row]:
                previous = max(note_end, previous)
                at, previous = _add_time(rest_id[row], rest_tick[row], out, at, tick, previous)
                if scheme == REMI:
                    reached = bar_at_metre + (previous - tick_at_metre) // bar_ticks
                    if reached > bar:
                        tick_at_bar += (reached - max(bar, 0)) * bar_ticks
                        bar = reached
            if scheme == REMI:
                num_bars = bar_at_metre + (tick - tick_at_metre) // bar_ticks - bar
                if num_bars > 0:
                    # The last bar has the metre that comes now, if one does.
                    own = metre_id if with_metres else -1
                    at = _add_bars(out, at, num_bars, line.bar_id, own, kind == METRE)
                    bar += num_bars
                    tick_at_bar = tick_at_metre + (bar - bar_at_metre) * bar_ticks
                if kind != METRE:
                    position = (tick - tick_at_bar) // (beat // positions)
                    out[at] = line.first_position_id + min(position, line.num_positions - 1)
                    at += 1
            elif tick != previous:
                at, previous = _add_time(shift_id[row], shift_tick[row], out, at, tick, previous)
            previous = tick

        if kind == PITCH:
            if with_chords and chord[n] >= 0:
                if with_programs:
                    at, said = _add_program(program_id, program[n], program_changes, out, at, said)
                out[at] = chord[n]
                at += 1
            if with_programs:
                at, said = _add_program(program_id, program[n], program_changes, out, at, said)
            out[at] = pitch_id[pitch[n]]
            at += 1
            if with_velocities:
                out[at] = velocity_id[velocity[n]]
                at += 1
            if scheme != MIDI_LIKE:
                out[at] = duration_id[table_row[n], length[n]]
                at += 1
            note_end = max(note_end, tick + length[n])
        if kind == NOTE_OFF or (kind == PITCH and scheme == MIDI_LIKE and length[n] == 0):
            if with_programs:
                at, said = _add_program(program_id, program[n], program_changes, out, at, said)
            out[at] = off_id[pitch[n]]
            at += 1
        elif kind != PITCH:
            if kind != METRE or scheme != MIDI_LIKE:
                note_end = max(note_end, tick)
            if kind == METRE:
                bar_at_metre += (tick - tick_at_metre) // bar_ticks
                tick_at_metre = tick
                metre = grid.metres[n]
                bar_ticks, beat = _bar_and_beat(metre, grid_quarter)
                metre_id, row = line.metre_id[metre[1], metre[2]], row_of_beat[beat]
                if scheme == REMI:
                    # So that what comes next at this tick has a position.
                    previous -= 1
                out[at] = metre_id
            elif kind == TEMPO:
                out[at] = grid.tempos[n, 1]
            else:
                out[at] = (line.pedal_id if kind == PEDAL else line.pedal_off_id)[grid.press_program[i]]
            at += 1
    return at


@inlined
def _bar_and_beat(metre: np.ndarray, grid_quarter: int) -> tuple[int, int]:
    """Ticks of a bar and of a beat."""
    beat = int(grid_quarter * 4 / metre[2])
    return beat * metre[1], beat


@inlined
def _add_time(
    ids: np.ndarray, ticks: np.ndarray, out: np.ndarray, at: int, tick: int, previous: int
) -> tuple[int, int]:
    """The longest step that is not too long, again and again; where ids end, and the tick that is reached."""
    while tick > previous:
        k = min(tick - previous, len(ids) - 1)
        if ids[k] < 0:
            break
        out[at] = ids[k]
        at += 1
        previous += ticks[k]
    return at, previous


@inlined
def _add_bars(out: np.ndarray, at: int, num_bars: int, bar_id: int, metre_id: int, is_metre_next: bool) -> int:
    """Bars, each with its metre, if there is an id, but for the last where another metre comes; where ids end."""
    for n in range(num_bars):
        out[at] = bar_id
        at += 1
        if metre_id >= 0 and not (is_metre_next and n + 1 == num_bars):
            out[at] = metre_id
            at += 1
    return at


@inlined
def _add_program(
    ids: np.ndarray, program: int, changes_alone: bool, out: np.ndarray, at: int, said: int
) -> tuple[int, int]:
    """The instrument, or nothing where that is told which was told last; where ids end, and what was told."""
    if not changes_alone or program != said:
        out[at] = ids[program]
        at += 1
    return at, np.int64(program)
