"""Music of a block to ids of MidiTok's schemes, in one compiled pass.

REMI, TSD and MIDI-like say the same of notes, pedal, tempo and metre, and differ in how they tell time: by bars and
positions, or by time shifts; by durations, or by the ends of notes. The order of events, the grid and how values are
rounded are those of MidiTok 3.1 (`preprocess_score`, `_score_to_tokens` and `_add_time_events`), whose ids these are.
"""

import numba
import numpy as np

from pianogen.tokenizers.timeline import (
    METRE,
    MIDI_LIKE,
    NOTE_OFF,
    PEDAL,
    PITCH,
    REMI,
    TEMPO,
    Timeline,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""

_NEVER = 2**62


@njit
def encode(
    line: Timeline,
    ticks_per_quarter: np.ndarray,
    note_edges: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    press_edges: np.ndarray,
    press_tick: np.ndarray,
    tempo_edges: np.ndarray,
    tempos: np.ndarray,
    metre_edges: np.ndarray,
    metres: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Ids of each performance, and their edges; columns as of `MusicBlock`."""
    num = len(ticks_per_quarter)
    edges = np.zeros(num + 1, np.int64)
    out = np.empty(4 * len(pitch) + 64, np.int32)
    at = 0
    for i in range(num):
        first, end = note_edges[i], note_edges[i + 1]
        old = ticks_per_quarter[i]
        metre, new = _metres(line, metres[metre_edges[i] : metre_edges[i + 1]], old)
        note_pitch, note_velocity, onset, length = _quantised_notes(
            line, pitch[first:end], velocity[first:end], onset_tick[first:end], duration_tick[first:end], old, new,
            metre,
        )  # fmt: skip
        press = _quantised_presses(line, press_tick[press_edges[i] : press_edges[i + 1]], old, new, metre)
        tempo = _quantised_tempos(line, tempos[tempo_edges[i] : tempo_edges[i + 1]], old, new, metre)
        out, at = _tell(line, out, at, new, metre, tempo, press, note_pitch, note_velocity, onset, length)
        edges[i + 1] = at
    return out[:at], edges


# The grid


@njit
def _metres(line: Timeline, given: np.ndarray, old: int) -> tuple[np.ndarray, int]:
    """Metres at the bars at which they can begin, and the ticks of a quarter on the grid."""
    kept = np.zeros((len(given) + 2, 3), np.int64)
    num = 0
    if line.with_metres:
        for k in range(len(given)):
            numerator, denominator = given[k, 1], given[k, 2]
            if numerator >= line.metre_id.shape[0] or denominator >= line.metre_id.shape[1]:
                continue
            if line.metre_id[numerator, denominator] < 0:
                continue
            if num == 0 and given[k, 0] != 0:
                kept[0] = np.array([0, 4, 4])
                num = 1
            kept[num, 0], kept[num, 1], kept[num, 2] = given[k, 0], numerator, denominator
            num += 1
    if num == 0:
        kept[0] = np.array([0, 4, 4])
        num = 1
    new = line.positions
    if line.with_metres:
        highest = 0
        for k in range(num):
            highest = max(highest, kept[k, 2])
        new = int(line.positions * highest / 4)
    if not line.with_metres:
        return kept[:1], new
    if new != old:
        for k in range(num):
            kept[k, 0] = int(kept[k, 0] * (new / old))
    i = 0
    bar = _bar_ticks(kept[0], new)
    previous = 0
    while i < num:
        if i >= 1 and kept[i, 1] == kept[i - 1, 1] and kept[i, 2] == kept[i - 1, 2]:
            num = _without(kept, i, num)
            continue
        if i >= 1 and kept[i, 0] < kept[i - 1, 0]:
            kept[i, 0] = kept[i - 1, 0]
        past = (kept[i, 0] - previous) % bar
        if past:
            kept[i, 0] += bar - past
        bar = _bar_ticks(kept[i], new)
        previous = kept[i, 0]
        if i >= 1 and kept[i, 0] == kept[i - 1, 0]:
            num = _without(kept, i - 1, num)
            if i >= 2 and kept[i - 1, 1] == kept[i - 2, 1] and kept[i - 1, 2] == kept[i - 2, 2]:
                num = _without(kept, i - 1, num)
                bar = _bar_ticks(kept[i - 2], new)
                previous = kept[i - 2, 0]
                i -= 1
            continue
        i += 1
    return kept[:num], new


@njit
def _without(rows: np.ndarray, i: int, num: int) -> int:
    for k in range(i, num - 1):
        rows[k] = rows[k + 1]
    return num - 1


@njit
def _beat_ticks(metre: np.ndarray, new: int) -> int:
    return int(new * 4 / metre[2])


@njit
def _bar_ticks(metre: np.ndarray, new: int) -> int:
    return _beat_ticks(metre, new) * metre[1]


@njit
def _step(metre: np.ndarray, new: int, positions: int) -> int:
    """Ticks between the lines of the grid under a metre."""
    return int(new // (positions * (metre[2] / 4)))


@njit
def _rounded(tick: int, scale: float) -> int:
    """Half away from zero, as C's round does."""
    return np.int64(np.floor(tick * scale + 0.5))


@njit
def _section(metre: np.ndarray, tick: int) -> int:
    """The last metre that begins at the tick or before."""
    k = len(metre) - 1
    while k and metre[k, 0] > tick:
        k -= 1
    return k


@njit
def _on_grid(line: Timeline, metre: np.ndarray, new: int, tick: int) -> int:
    """The nearest line of the grid of the metre that holds; of two the even one, as numpy rounds.

    Metres that follow each other with one denominator are one grid, which begins with the first of them.
    """
    k = _section(metre, tick)
    step = _step(metre[k], new, line.positions)
    while k and metre[k - 1, 2] == metre[k, 2]:
        k -= 1
    start = metre[k, 0] if k else 0
    return np.int64(np.rint((tick - start) / step)) * step + start


@njit
def _has_several_grids(line: Timeline, metre: np.ndarray) -> bool:
    for k in range(1, len(metre)):
        if metre[k, 2] != metre[0, 2]:
            return line.with_metres
    return False


@njit
def _quantised_notes(
    line: Timeline,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    old: int,
    new: int,
    metre: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pitches, velocities, onsets and durations on the grid."""
    num = 0
    for k in range(len(pitch)):
        num += line.pitch_id[pitch[k]] >= 0
    new_pitch, new_velocity = np.empty(num, np.int64), np.empty(num, np.int64)
    onset, length = np.empty(num, np.int64), np.empty(num, np.int64)
    scale = new / old
    is_same, has_several = new == old, _has_several_grids(line, metre)
    beat = _beat_ticks(metre[0], new)
    row = line.row_of_beat[beat]
    longest = line.duration_tick.shape[1] - 1
    n = 0
    for k in range(len(pitch)):
        if line.pitch_id[pitch[k]] < 0:
            continue
        new_pitch[n], new_velocity[n] = pitch[k], velocity[k]
        begin = np.int64(onset_tick[k])
        lasts = np.int64(duration_tick[k])
        if not is_same:
            begin, lasts = _rounded(begin, scale), max(1, _rounded(lasts, scale))
        if has_several:
            end = begin + lasts
            begin = _on_grid(line, metre, new, begin)
            if line.scheme == MIDI_LIKE:
                end = _on_grid(line, metre, new, end)
                if end <= begin:
                    end = begin + _step(metre[_section(metre, begin)], new, line.positions)
                lasts = end - begin
            row = line.row_of_beat[_beat_ticks(metre[_section(metre, begin)], new)]
        if line.scheme != MIDI_LIKE:
            lasts = line.duration_tick[row, min(lasts, longest)]
        onset[n], length[n] = begin, lasts
        n += 1
    if line.without_repeats:
        return _without_repeats(line, new_pitch, new_velocity, onset, length)
    return new_pitch, new_velocity, onset, length


@njit
def _without_repeats(
    line: Timeline, pitch: np.ndarray, velocity: np.ndarray, onset: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Notes by onset, pitch, duration and velocity, the first of each onset and pitch."""
    for k in range(1, len(pitch)):
        p, v, o, d = pitch[k], velocity[k], onset[k], length[k]
        n = k
        while n and onset[n - 1] == o:
            q, e = pitch[n - 1], length[n - 1]
            if not (q > p or (q == p and (e > d or (e == d and _is_louder(line, velocity[n - 1], v))))):
                break
            pitch[n], velocity[n], length[n] = q, velocity[n - 1], e
            n -= 1
        pitch[n], velocity[n], length[n] = p, v, d
    num = 0
    for k in range(len(pitch)):
        if num and onset[num - 1] == onset[k] and pitch[num - 1] == pitch[k]:
            continue
        pitch[num], velocity[num], onset[num], length[num] = pitch[k], velocity[k], onset[k], length[k]
        num += 1
    return pitch[:num], velocity[:num], onset[:num], length[:num]


@njit
def _is_louder(line: Timeline, one: int, other: int) -> bool:
    if line.velocity_id[1] < 0:
        return one > other
    return line.velocity_id[one] > line.velocity_id[other]


@njit
def _quantised_presses(line: Timeline, presses: np.ndarray, old: int, new: int, metre: np.ndarray) -> np.ndarray:
    """Presses of the pedal on the grid; those that touch are one."""
    if not line.with_pedal:
        return np.empty((0, 2), np.int64)
    found = np.empty((len(presses), 2), np.int64)
    scale, has_several = new / old, _has_several_grids(line, metre)
    num = 0
    for k in range(len(presses)):
        down, lasts = np.int64(presses[k, 0]), np.int64(presses[k, 1]) - presses[k, 0]
        if new != old:
            down, lasts = _rounded(down, scale), max(1, _rounded(lasts, scale))
        up = down + lasts
        if has_several:
            down, up = _on_grid(line, metre, new, down), _on_grid(line, metre, new, up)
            if up <= down:
                up = down + _step(metre[_section(metre, down)], new, line.positions)
        if num and found[num - 1, 1] >= down:
            found[num - 1, 1] = max(found[num - 1, 1], up)
            continue
        found[num, 0], found[num, 1] = down, up
        num += 1
    return found[:num]


@njit
def _quantised_tempos(line: Timeline, given: np.ndarray, old: int, new: int, metre: np.ndarray) -> np.ndarray:
    """Tick and id of each tempo; of several at one tick the last, and one at the beginning."""
    if not line.with_tempos:
        return np.empty((0, 2), np.int64)
    found = np.empty((len(given) + 1, 2), np.int64)
    scale, has_several = new / old, _has_several_grids(line, metre)
    num = 0
    for k in range(len(given)):
        tick = np.int64(given[k, 0])
        if new != old:
            tick = _rounded(tick, scale)
        if has_several:
            tick = _on_grid(line, metre, new, tick)
        if num == 0 and tick != 0:
            found[0, 0], found[0, 1] = 0, line.default_tempo_id
            num = 1
        if num and found[num - 1, 0] == tick:
            num -= 1
        found[num, 0], found[num, 1] = tick, line.tempo_id[_closest(line.tempo_usec, given[k, 1])]
        num += 1
    if num == 0:
        found[0, 0], found[0, 1] = 0, line.default_tempo_id
        num = 1
    return found[:num]


@njit
def _closest(values: np.ndarray, value: float) -> int:
    """Place of the closest of ascending values; of two the greater."""
    k = np.searchsorted(values, value)
    if k == len(values) or (k and abs(value - values[k - 1]) < abs(value - values[k])):
        k -= 1
    return k


# Events in their order


@njit
def _tell(
    line: Timeline,
    out: np.ndarray,
    at: int,
    new: int,
    metre: np.ndarray,
    tempo: np.ndarray,
    press: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    onset: np.ndarray,
    length: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Write the ids of one performance; the array, which may be a larger one, and where it ends."""
    next_metre = 0 if line.with_metres else len(metre)
    next_tempo = next_press = next_note = 0
    # Notes that sound, as a heap of ends and numbers.
    ends, num_ends = np.empty(len(pitch), np.int64), 0
    current = metre[0] if line.with_metres and line.scheme == REMI else np.array([0, 4, 4])
    bar_ticks, beat = _bar_ticks(current, new), _beat_ticks(current, new)
    step = beat // line.positions
    metre_id = line.metre_id[current[1], current[2]]
    previous, note_end = (-1 if line.scheme == REMI else 0), 0
    bar, bar_at_metre, tick_at_metre, tick_at_bar = -1, 0, 0, 0
    while True:
        # Of what comes at one tick: metre, tempo, pedal, then notes.
        tick, kind = _NEVER, 0
        if next_metre < len(metre):
            tick, kind = metre[next_metre, 0], METRE
        if next_tempo < len(tempo) and tempo[next_tempo, 0] < tick:
            tick, kind = tempo[next_tempo, 0], TEMPO
        if next_press < 2 * len(press) and press[next_press // 2, next_press % 2] < tick:
            tick, kind = press[next_press // 2, next_press % 2], PEDAL
        if num_ends and ends[0] >> 31 < tick:
            tick, kind = ends[0] >> 31, NOTE_OFF
        if next_note < len(pitch) and onset[next_note] < tick:
            tick, kind = onset[next_note], PITCH
        if kind == 0:
            break

        if tick != previous:
            row = line.row_of_beat[beat]
            if line.with_rests and tick - note_end >= line.rest_length_tick[row, 0]:
                previous = max(note_end, previous)
                out, at, previous = _add_time(line.rest_id, line.rest_tick, row, out, at, tick, previous)
                if line.scheme == REMI:
                    real = bar_at_metre + (previous - tick_at_metre) // bar_ticks
                    if real > bar:
                        bar = max(bar, 0)
                        tick_at_bar += (real - bar) * bar_ticks
                        bar = real
            if line.scheme == REMI:
                num_bars = bar_at_metre + (tick - tick_at_metre) // bar_ticks - bar
                if num_bars > 0:
                    out = _with_room(out, at, 2 * num_bars + 8)
                    for n in range(num_bars):
                        out[at] = line.bar_id
                        at += 1
                        if line.with_metres and not (kind == METRE and n + 1 == num_bars):
                            out[at] = metre_id
                            at += 1
                    bar += num_bars
                    tick_at_bar = tick_at_metre + (bar - bar_at_metre) * bar_ticks
                if kind != METRE:
                    out = _with_room(out, at, 8)
                    out[at] = line.first_position_id + min((tick - tick_at_bar) // step, line.num_positions - 1)
                    at += 1
            elif tick != previous:
                out, at, previous = _add_time(line.shift_id, line.shift_tick, row, out, at, tick, previous)
            previous = tick

        out = _with_room(out, at, 8)
        if kind == PITCH:
            out[at] = line.pitch_id[pitch[next_note]]
            at += 1
            if line.velocity_id[1] >= 0:
                out[at] = line.velocity_id[velocity[next_note]]
                at += 1
            end = onset[next_note] + length[next_note]
            if line.scheme != MIDI_LIKE:
                row = line.row_of_beat[_beat_ticks(metre[_section(metre, tick)], new)]
                out[at] = line.duration_id[row, length[next_note]]
                at += 1
            elif length[next_note] == 0:
                out[at] = line.off_id[pitch[next_note]]
                at += 1
            else:
                num_ends = _push(ends, num_ends, end << 31 | next_note)
            note_end = max(note_end, end)
            next_note += 1
        elif kind == NOTE_OFF:
            out[at] = line.off_id[pitch[ends[0] & 0x7FFFFFFF]]
            at += 1
            num_ends = _pop(ends, num_ends)
        elif kind == METRE:
            bar_at_metre += (tick - tick_at_metre) // bar_ticks
            tick_at_metre = tick
            current = metre[next_metre]
            bar_ticks, beat = _bar_ticks(current, new), _beat_ticks(current, new)
            step = beat // line.positions
            metre_id = line.metre_id[current[1], current[2]]
            out[at] = metre_id
            at += 1
            if line.scheme == REMI:
                # So that what comes next at this tick has a position.
                previous -= 1
            if line.scheme != MIDI_LIKE:
                note_end = max(note_end, tick)
            next_metre += 1
        else:
            note_end = max(note_end, tick)
            if kind == TEMPO:
                out[at] = tempo[next_tempo, 1]
                next_tempo += 1
            else:
                out[at] = line.pedal_off_id if next_press % 2 else line.pedal_id
                next_press += 1
            at += 1
    return out, at


@njit
def _add_time(
    ids: np.ndarray, ticks: np.ndarray, row: int, out: np.ndarray, at: int, tick: int, previous: int
) -> tuple[np.ndarray, int, int]:
    """The longest step that is not too long, again and again; the array, where it ends, the tick that is reached."""
    longest = ids.shape[1] - 1
    out = _with_room(out, at, (tick - previous) // ticks[row, longest] + 64)
    while tick > previous:
        k = min(tick - previous, longest)
        if ids[row, k] < 0:
            break
        out[at] = ids[row, k]
        at += 1
        previous += ticks[row, k]
    return out, at, previous


@njit
def _with_room(out: np.ndarray, at: int, more: int) -> np.ndarray:
    if at + more <= len(out):
        return out
    larger = np.empty(max(2 * len(out), at + more), out.dtype)
    larger[:at] = out[:at]
    return larger


@njit
def _push(heap: np.ndarray, num: int, value: int) -> int:
    k = num
    while k and heap[(k - 1) // 2] > value:
        heap[k] = heap[(k - 1) // 2]
        k = (k - 1) // 2
    heap[k] = value
    return num + 1


@njit
def _pop(heap: np.ndarray, num: int) -> int:
    """Take away the least; how many are left."""
    num -= 1
    value, k = heap[num], 0
    while 2 * k + 1 < num:
        child = 2 * k + 1
        if child + 1 < num and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[k] = heap[child]
        k = child
    heap[k] = value
    return num
