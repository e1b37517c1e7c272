"""Music of a block on the grid of MidiTok's schemes, in one compiled pass.

The grid, how values are rounded, and which notes come first are those of MidiTok 3.1 (`preprocess_score`).
"""

import numpy as np

from pianogen.compiled import njit
from pianogen.tokenizers.timeline import MIDI_LIKE, Grid, Timeline

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

MAX_QUARTERS = 2**20
"""What begins later is left out, and what lasts longer ends there: 12 hours at 1,456 quarters a minute. A file of a few
bytes can claim 2,000 times as many, each of which would be tokens."""


@njit
def on_grid(
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
    track: np.ndarray,
    program: np.ndarray,
) -> Grid:
    """Notes within the pitch range, presses, tempos and metres; columns as of `MusicBlock`."""
    num, most = len(ticks_per_quarter), len(pitch)
    quarter, press_program = np.empty(num, np.int64), np.zeros(num, np.int64)
    new_note_edges, new_press_edges = np.zeros(num + 1, np.int64), np.zeros(num + 1, np.int64)
    new_tempo_edges, new_metre_edges = np.zeros(num + 1, np.int64), np.zeros(num + 1, np.int64)
    new_pitch, new_velocity = np.empty(most, np.uint8), np.empty(most, np.uint8)
    onset, length, row = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32)
    part, new_program = np.empty(most * line.with_programs, np.int16), np.empty(most * line.with_programs, np.uint8)
    presses = np.empty((len(press_tick), 2), np.int64)
    new_tempos = np.empty((len(tempos) + num, 2), np.int64)
    new_metres = np.empty((len(metres) + 2 * num, 3), np.int64)
    has_parts = line.with_programs and len(track) == most and len(program) == most
    for i in range(num):
        first, end, at = note_edges[i], note_edges[i + 1], new_note_edges[i]
        source_quarter = ticks_per_quarter[i]
        while end > first and onset_tick[end - 1] >= MAX_QUARTERS * source_quarter:
            end -= 1
        metre, grid_quarter = _metres(line, metres[metre_edges[i] : metre_edges[i + 1]], source_quarter)
        quarter[i] = grid_quarter
        of_metre, of_press, of_tempo = new_metre_edges[i], new_press_edges[i], new_tempo_edges[i]
        new_metres[of_metre : of_metre + len(metre)] = metre
        new_metre_edges[i + 1] = of_metre + len(metre)
        quarters = source_quarter, grid_quarter
        given = pitch[first:end], velocity[first:end], onset_tick[first:end], duration_tick[first:end]
        found = new_pitch[at:], new_velocity[at:], onset[at:], length[at:], row[at:]
        if has_parts and end > first:
            in_track, by = track[first:end], program[first:end]
            part_of, is_merged, press_program[i] = _parts(in_track, by)
            rows, part_edges = _by_part(line, given, by, part_of, is_merged, quarters)
            num_notes = 0
            for p in range(len(part_edges) - 1):
                begin = num_notes
                of_part = rows[part_edges[p] : part_edges[p + 1]]
                num_notes = _add_notes(line, found, begin, of_part, given, quarters, metre)
                part[at + begin : at + num_notes] = p
            _merge(found, part[at:], num_notes)
            for k in range(at, at + num_notes):
                new_program[k] = part_of[128 + part[k]]
        else:
            num_notes = _add_notes(line, found, 0, np.arange(end - first), given, quarters, metre)
            if line.with_programs:
                part[at : at + num_notes], new_program[at : at + num_notes] = 0, 0
        new_note_edges[i + 1] = at + num_notes
        new_press_edges[i + 1] = of_press + _add_presses(
            line, presses[of_press:], press_tick[press_edges[i] : press_edges[i + 1]], quarters, metre
        )
        new_tempo_edges[i + 1] = of_tempo + _add_tempos(
            line, new_tempos[of_tempo:], tempos[tempo_edges[i] : tempo_edges[i + 1]], quarters, metre
        )
    return Grid(
        quarter, new_note_edges, new_pitch, new_velocity, onset, length, row, part, new_program, new_press_edges,
        presses, press_program, new_tempo_edges, new_tempos, new_metre_edges, new_metres,
    )  # fmt: skip


# Metres


@njit
def _metres(line: Timeline, given: np.ndarray, source_quarter: int) -> tuple[np.ndarray, int]:
    """Metres at the bars at which they can begin, and the ticks of a quarter on the grid."""
    kept = np.zeros((len(given) + 2, 3), np.int64)
    num = 0
    if line.with_metres:
        for k in range(len(given)):
            if given[k, 0] >= MAX_QUARTERS * source_quarter:
                break
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
    grid_quarter = line.positions
    if line.with_metres:
        highest = 0
        for k in range(num):
            highest = max(highest, kept[k, 2])
        grid_quarter = line.positions * highest // 4
    if not line.with_metres:
        return kept[:1], grid_quarter
    if grid_quarter != source_quarter:
        for k in range(num):
            kept[k, 0] = int(kept[k, 0] * (grid_quarter / source_quarter))
    i = 0
    bar = _bar_ticks(kept[0], grid_quarter)
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
        bar = _bar_ticks(kept[i], grid_quarter)
        previous = kept[i, 0]
        if i >= 1 and kept[i, 0] == kept[i - 1, 0]:
            num = _without(kept, i - 1, num)
            if i >= 2 and kept[i - 1, 1] == kept[i - 2, 1] and kept[i - 1, 2] == kept[i - 2, 2]:
                num = _without(kept, i - 1, num)
                bar = _bar_ticks(kept[i - 2], grid_quarter)
                previous = kept[i - 2, 0]
                i -= 1
            continue
        i += 1
    return kept[:num], grid_quarter


@njit
def _without(rows: np.ndarray, i: int, num: int) -> int:
    for k in range(i, num - 1):
        rows[k] = rows[k + 1]
    return num - 1


@njit
def _beat_ticks(metre: np.ndarray, grid_quarter: int) -> int:
    return int(grid_quarter * 4 / metre[2])


@njit
def _bar_ticks(metre: np.ndarray, grid_quarter: int) -> int:
    return _beat_ticks(metre, grid_quarter) * metre[1]


@njit
def _step(metre: np.ndarray, grid_quarter: int, positions: int) -> int:
    """Ticks between the lines of the grid under a metre."""
    return int(grid_quarter // (positions * (metre[2] / 4)))


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
def _on_grid(line: Timeline, metre: np.ndarray, grid_quarter: int, tick: int) -> int:
    """The nearest line of the grid of the metre that holds; of two the even one, as numpy rounds.

    Metres that follow each other with one denominator are one grid, which begins with the first of them.
    """
    k = _section(metre, tick)
    step = _step(metre[k], grid_quarter, line.positions)
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


# Notes, part by part


@njit
def _parts(track: np.ndarray, program: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Of each instrument the number of its part, by its first track, and whether it has several tracks.

    Behind the first 128 numbers stands the instrument of each part.
    """
    lowest, highest = np.full(128, 2**15, np.int32), np.full(128, -1, np.int32)
    for k in range(len(track)):
        lowest[program[k]] = min(lowest[program[k]], track[k])
        highest[program[k]] = max(highest[program[k]], track[k])
    part_of = np.full(256, -1, np.int32)
    for part, instrument in enumerate(np.argsort(lowest, kind="mergesort")):
        if highest[instrument] < 0:
            break
        part_of[instrument], part_of[128 + part] = part, instrument
    return part_of, (highest >= 0) & (highest != lowest), part_of[128]


@njit
def _by_part(
    line: Timeline, given: tuple, program: np.ndarray, part_of: np.ndarray, is_merged: np.ndarray, quarters: tuple
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the notes, part after part, and their edges; several tracks are one as symusic sorts it.

    That is by onset, duration, pitch and velocity, where those of one track stay as they come.
    """
    edges = np.zeros(129, np.int64)
    for k in range(len(program)):
        edges[part_of[program[k]] + 1] += 1
    num_parts = 0
    for p in range(128):
        num_parts += edges[p + 1] > 0
        edges[p + 1] += edges[p]
    rows, filled = np.empty(len(program), np.int64), edges[:-1].copy()
    for k in range(len(program)):
        p = part_of[program[k]]
        rows[filled[p]] = k
        filled[p] += 1
    for p in range(num_parts):
        if is_merged[part_of[128 + p]]:
            _sort_merged(rows[edges[p] : edges[p + 1]], given, quarters)
    return rows, edges[: num_parts + 1]


@njit
def _sort_merged(rows: np.ndarray, given: tuple, quarters: tuple[int, int]) -> None:
    """Notes of one onset by duration, pitch and velocity."""
    pitch, velocity, onset, duration = given
    source_quarter, grid_quarter = quarters
    scale, is_same = grid_quarter / source_quarter, grid_quarter == source_quarter
    keys = np.empty(len(rows), np.int64)
    for n in range(len(rows)):
        row = rows[n]
        lasts = np.int64(duration[row]) if is_same else max(1, _rounded(duration[row], scale))
        key = lasts << 14 | np.int64(pitch[row]) << 7 | np.int64(velocity[row])
        begin = np.int64(onset[row]) if is_same else _rounded(onset[row], scale)
        k = n
        while k and keys[k - 1] > key:
            other = onset[rows[k - 1]]
            if (np.int64(other) if is_same else _rounded(other, scale)) != begin:
                break
            keys[k], rows[k] = keys[k - 1], rows[k - 1]
            k -= 1
        keys[k], rows[k] = key, row


@njit
def _add_notes(
    line: Timeline, found: tuple, num: int, rows: np.ndarray, given: tuple, quarters: tuple, metre: np.ndarray
) -> int:
    """Pitches, velocities, onsets, durations and rows of one part, behind the first num; how many are there.

    Args:
        line: of the scheme.
        found: columns to write to.
        num: of notes that are there.
        rows: of the notes, in their order.
        given: columns to read.
        quarters: ticks of a quarter there, and on the grid.
        metre: of the performance.
    """
    pitch, velocity, onset_tick, duration_tick = given
    new_pitch, new_velocity, onset, length, rows_of_table = found
    source_quarter, grid_quarter = quarters
    last_tick = MAX_QUARTERS * source_quarter
    scale = grid_quarter / source_quarter
    is_same, has_several = grid_quarter == source_quarter, _has_several_grids(line, metre)
    row = line.row_of_beat[_beat_ticks(metre[0], grid_quarter)]
    longest = line.duration_tick.shape[1] - 1
    n = num
    for k in rows:
        if line.pitch_id[pitch[k]] < 0:
            continue
        begin = np.int64(onset_tick[k])
        lasts = min(np.int64(duration_tick[k]), last_tick - begin)
        if not is_same:
            begin, lasts = _rounded(begin, scale), max(1, _rounded(lasts, scale))
        if has_several:
            end = begin + lasts
            begin = _on_grid(line, metre, grid_quarter, begin)
            if line.scheme == MIDI_LIKE:
                end = _on_grid(line, metre, grid_quarter, end)
                if end <= begin:
                    end = begin + _step(metre[_section(metre, begin)], grid_quarter, line.positions)
                lasts = end - begin
            row = line.row_of_beat[_beat_ticks(metre[_section(metre, begin)], grid_quarter)]
        if line.scheme != MIDI_LIKE:
            lasts = line.duration_tick[row, min(lasts, longest)]
        new_pitch[n], new_velocity[n] = pitch[k], velocity[k]
        onset[n], length[n], rows_of_table[n] = begin, lasts, row
        n += 1
    if not line.without_repeats:
        return n
    columns = new_pitch[num:n], new_velocity[num:n], onset[num:n], length[num:n], rows_of_table[num:n]
    return num + _without_repeats(line, *columns)


@njit
def _without_repeats(
    line: Timeline, pitch: np.ndarray, velocity: np.ndarray, onset: np.ndarray, length: np.ndarray, row: np.ndarray
) -> int:
    """Sort by onset, pitch, duration and velocity, and keep the first of each onset and pitch; how many there are."""
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
        row[num] = row[k]
        num += 1
    return num


@njit
def _is_louder(line: Timeline, one: int, other: int) -> bool:
    if line.velocity_id[1] < 0:
        return one > other
    return line.velocity_id[one] > line.velocity_id[other]


@njit
def _merge(found: tuple, part: np.ndarray, num: int) -> None:
    """Notes of all parts by onset, then by part, as they stand one part after the other."""
    if num == 0 or part[0] == part[num - 1]:
        return
    pitch, velocity, onset, length, row = found
    order = np.argsort(onset[:num], kind="mergesort")
    pitch[:num], velocity[:num] = pitch[:num][order], velocity[:num][order]
    onset[:num], length[:num] = onset[:num][order], length[:num][order]
    row[:num], part[:num] = row[:num][order], part[:num][order]


# Pedal and tempo


@njit
def _add_presses(line: Timeline, found: np.ndarray, presses: np.ndarray, quarters: tuple, metre: np.ndarray) -> int:
    """Presses of the pedal on the grid; those that touch are one. How many they are."""
    if not line.with_pedal:
        return 0
    source_quarter, grid_quarter = quarters
    last_tick = MAX_QUARTERS * source_quarter
    scale, has_several = grid_quarter / source_quarter, _has_several_grids(line, metre)
    num = 0
    for k in range(len(presses)):
        if presses[k, 0] >= last_tick:
            break
        down = np.int64(presses[k, 0])
        lasts = min(np.int64(presses[k, 1]), last_tick) - down
        if grid_quarter != source_quarter:
            down, lasts = _rounded(down, scale), max(1, _rounded(lasts, scale))
        up = down + lasts
        if has_several:
            down, up = _on_grid(line, metre, grid_quarter, down), _on_grid(line, metre, grid_quarter, up)
            if up <= down:
                up = down + _step(metre[_section(metre, down)], grid_quarter, line.positions)
        if num and found[num - 1, 1] >= down:
            found[num - 1, 1] = max(found[num - 1, 1], up)
            continue
        found[num, 0], found[num, 1] = down, up
        num += 1
    return num


@njit
def _add_tempos(line: Timeline, found: np.ndarray, given: np.ndarray, quarters: tuple, metre: np.ndarray) -> int:
    """Tick and id of each tempo; of several at one tick the last, and one at the beginning. How many they are."""
    if not line.with_tempos:
        return 0
    source_quarter, grid_quarter = quarters
    last_tick = MAX_QUARTERS * source_quarter
    scale, has_several = grid_quarter / source_quarter, _has_several_grids(line, metre)
    num = 0
    for k in range(len(given)):
        if given[k, 0] >= last_tick:
            break
        tick = np.int64(given[k, 0])
        if grid_quarter != source_quarter:
            tick = _rounded(tick, scale)
        if has_several:
            tick = _on_grid(line, metre, grid_quarter, tick)
        if num == 0 and tick != 0:
            found[0, 0], found[0, 1] = 0, line.default_tempo_id
            num = 1
        if num and found[num - 1, 0] == tick:
            num -= 1
        found[num, 0], found[num, 1] = (
            tick,
            line.tempo_id[np.searchsorted(line.tempo_border_usec, given[k, 1], side="right")],
        )
        num += 1
    if num == 0:
        found[0, 0], found[0, 1] = 0, line.default_tempo_id
        num = 1
    return num
