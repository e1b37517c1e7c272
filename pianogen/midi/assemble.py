"""Raw events of one file to the columns of the lake: sorted notes, seconds, pedals, presses. Compiled.

Order of notes: onset, pitch, track, then the order of the file. The tempo map is that of `time.tempo_map`. All of it
is tested against a reference that says the same rules slowly (tests/midi/reference.py).
"""

from typing import NamedTuple

import numpy as np

from pianogen.midi.codes import Code, Warn
from pianogen.midi.scan import CONTROLS, KEYS, METRES, NO_END, NO_LIFT, NOTES, PRESSES, TEMPOS, njit
from pianogen.midi.time import DEFAULT_MICROSECONDS_PER_QUARTER, SEC_STEPS

MAX_DURATION_SEC = 12 * 3600
"""Nothing that is played lasts longer; longer files have broken time stamps."""

MAX_SILENCE_SEC = 3600
"""The same for a gap in which nothing sounds, from the start of the file on."""

MAX_NOTES_PER_SEC = 5000
"""In any window of one second: ten hands at the limit of a piano's action, in 40 parts, stay below."""

LOWEST_PIANO, HIGHEST_PIANO = 21, 108
LAST_PIANO_PROGRAM = 7
DRUM_CHANNEL = 9


class Columns(NamedTuple):
    """Columns of the lake for several files, one after the other (see `tables`)."""

    track: np.ndarray
    program: np.ndarray
    is_drum: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    onset_tick: np.ndarray
    duration_tick: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray
    held_sec: np.ndarray
    control_sec: np.ndarray
    press_track: np.ndarray
    press_channel: np.ndarray
    press_pedal: np.ndarray
    press_sec: np.ndarray
    lift_sec: np.ndarray
    tempo_tick: np.ndarray
    tempo_sec: np.ndarray
    tempo_usec: np.ndarray
    metre_tick: np.ndarray
    metre_sec: np.ndarray
    metre_numerator: np.ndarray
    metre_denominator: np.ndarray
    key_tick: np.ndarray
    key_sec: np.ndarray
    key_sharps: np.ndarray
    key_is_minor: np.ndarray
    part_track: np.ndarray
    part_channel: np.ndarray
    part_program: np.ndarray
    part_notes: np.ndarray


PARTS = 7
"""Place of the number of parts, after those of `scan`."""

NUM_COUNTERS = 8


def new_columns(num_bytes: int, num_files: int) -> Columns:
    """Room for the columns of files of so many bytes together."""

    def room(least_bytes: int, *kinds: type) -> list[np.ndarray]:
        return [np.empty(num_bytes // least_bytes + num_files + 1, kind) for kind in kinds]

    f64, i32, i16, u8 = np.float64, np.int32, np.int16, np.uint8
    return Columns(
        *room(3, i16, u8, np.bool_, u8, u8, i32, i32, f64, f64, np.float32),
        *room(3, f64),
        *room(3, i16, u8, u8, f64, f64),
        *room(7, i32, f64, i32),
        *room(6, i32, f64, i16, i16),
        *room(6, i32, f64, np.int8, np.bool_),
        *room(3, i16, u8, u8, i32),
    )


@njit
def assemble_file(events, before, num, columns, at, programs, warnings, facts, figures, only_piano):
    """Columns of one file from its events.

    Args:
        events: as `scan_file` left them; its notes are compacted in place.
        before: number of events of each kind before this file's.
        num: the same after it.
        columns: a `Columns`; rows from `at` on are written.
        at: number of rows so far, shape (NUM_COUNTERS,): those of `scan`, with notes, controls and so on as
            columns have them, then parts; increased.
        programs: which programs have pitched notes, bool, shape (128,); written.
        warnings: numbers by `Warn`, increased.
        facts: ticks per quarter, tracks, format, pitched notes, drum notes, last tick; the last three written.
        figures: seconds of the last note-off; written.
        only_piano: leave out drums and programs that are no piano.

    Returns:
        A `Code`, 0, and a number that explains it.
    """
    division = facts[0]
    # Tempo map
    first_tempo = at[TEMPOS]
    num_tempos = _tempo_map(events, before[TEMPOS], num[TEMPOS], columns, first_tempo, division, warnings)
    tempo_tick = columns.tempo_tick[first_tempo : first_tempo + num_tempos].astype(np.int64)
    sec_per_tick = columns.tempo_usec[first_tempo : first_tempo + num_tempos] / (1e6 * division)
    tempo_sec = np.zeros(num_tempos)
    for i in range(1, num_tempos):
        tempo_sec[i] = tempo_sec[i - 1] + (tempo_tick[i] - tempo_tick[i - 1]) * sec_per_tick[i - 1]
    columns.tempo_sec[first_tempo : first_tempo + num_tempos] = np.rint(tempo_sec * SEC_STEPS) / SEC_STEPS
    # Notes that count, and which parts they make
    first_row, first_part = before[NOTES], at[PARTS]
    num_notes, num_parts, end_tick = _keep_notes(
        events, first_row, num[NOTES], columns, first_part, programs, warnings, facts, only_piano
    )
    if num_notes == 0:
        if warnings[Warn.OTHER_PARTS]:
            return Code.NO_PIANO, 0, warnings[Warn.OTHER_PARTS]
        return Code.NO_NOTES, 0, warnings[Warn.UNCLOSED_NOTES]
    if facts[3] == 0:
        return Code.ONLY_DRUMS, 0, facts[4]
    if end_tick > 2**31 - 1:
        return Code.LATE_TICK, 0, end_tick
    facts[5] = end_tick
    last = _tempo_at(tempo_tick, end_tick)
    figures[0] = _seconds(end_tick, last, tempo_tick, tempo_sec, sec_per_tick)
    if figures[0] > MAX_DURATION_SEC:
        return Code.TOO_LONG, 0, np.int64(figures[0])
    code, value = _write_notes(
        events, first_row, num_notes, columns, at[NOTES], tempo_tick, tempo_sec, sec_per_tick, warnings
    )
    if code != Code.OK:
        return code, 0, value
    num_presses = num[PRESSES] - before[PRESSES]
    if num_presses:
        for row in range(before[PRESSES], num[PRESSES]):
            if events.press_lift[row] == NO_LIFT:
                events.press_lift[row] = max(end_tick, np.int64(events.press_down[row]))
        _sustain(
            events, before[PRESSES], num[PRESSES], columns, at[NOTES], at[NOTES] + num_notes,
            tempo_tick, tempo_sec, sec_per_tick,
        )  # fmt: skip
        _write_presses(events, before[PRESSES], num[PRESSES], columns, at[PRESSES], tempo_tick, tempo_sec, sec_per_tick)
    tempo = 0
    for i in range(num[CONTROLS] - before[CONTROLS]):
        tick = np.int64(events.control_tick[before[CONTROLS] + i])
        tempo = _step(tempo_tick, tempo, tick)
        columns.control_sec[at[CONTROLS] + i] = _seconds(tick, tempo, tempo_tick, tempo_sec, sec_per_tick)
    _write_signatures(events, before, num, columns, at, tempo_tick, tempo_sec, sec_per_tick, warnings)
    at[NOTES] += num_notes
    at[CONTROLS] += num[CONTROLS] - before[CONTROLS]
    at[PRESSES] += num_presses
    at[TEMPOS] += num_tempos
    at[PARTS] += num_parts
    return Code.OK, 0, 0


@njit
def _tempo_map(events, first, end, columns, row, division, warnings):
    """Write the file's tempos: the last of each tick, the default up to the first; their number."""
    count = end - first
    start = row
    key = np.empty(count, np.int64)
    usable = 0
    for i in range(first, end):
        if events.tempo_usec[i] > 0:
            key[usable] = (np.int64(events.tempo_tick[i]) << 31) | (i - first)
            usable += 1
    warnings[Warn.ZERO_TEMPO] = count - usable
    warnings[Warn.NO_TEMPO] = np.int64(count == 0)
    key = key[:usable]
    ascending = True
    for i in range(1, usable):
        if key[i] < key[i - 1]:
            ascending = False
            break
    if not ascending:
        # Not key.sort(): numba's sort takes quadratic time over orders that a file can be given.
        sort_with(key, np.empty(usable, np.int8))
    if usable == 0 or (key[0] >> 31) > 0:
        columns.tempo_tick[row] = 0
        columns.tempo_usec[row] = DEFAULT_MICROSECONDS_PER_QUARTER
        row += 1
    for i in range(usable):
        tick = key[i] >> 31
        if i + 1 < usable and (key[i + 1] >> 31) == tick:
            continue
        columns.tempo_tick[row] = tick
        columns.tempo_usec[row] = events.tempo_usec[first + (key[i] & 0x7FFFFFFF)]
        row += 1
    return row - start


@njit
def _keep_notes(events, first, end, columns, part, programs, warnings, facts, only_piano):
    """Compact the notes that end and count; write the parts. Numbers of notes and parts, and the last tick."""
    programs[:] = False
    kept = first
    first_part = part
    part_of_channel = np.full(16, -1, np.int64)
    track = -1
    end_tick = np.int64(0)
    num_drums = 0
    for row in range(first, end):
        duration = events.note_duration[row]
        if duration == NO_END:
            warnings[Warn.UNCLOSED_NOTES] += 1
            continue
        channel = events.note_channel[row]
        program = events.note_program[row]
        is_drum = channel == DRUM_CHANNEL
        if only_piano and (is_drum or program > LAST_PIANO_PROGRAM):
            warnings[Warn.OTHER_PARTS] += 1
            continue
        pitch = events.note_pitch[row]
        if is_drum:
            num_drums += 1
        else:
            programs[program] = True
            if pitch < LOWEST_PIANO or pitch > HIGHEST_PIANO:
                warnings[Warn.NOTES_OFF_PIANO] += 1
        if duration == 0:
            warnings[Warn.ZERO_LENGTH_NOTES] += 1
        if events.note_track[row] != track:
            track = events.note_track[row]
            part_of_channel[:] = -1
        if part_of_channel[channel] < 0:
            part_of_channel[channel] = part
            columns.part_track[part] = track
            columns.part_channel[part] = channel
            columns.part_program[part] = program
            columns.part_notes[part] = 0
            part += 1
        columns.part_notes[part_of_channel[channel]] += 1
        last = np.int64(events.note_tick[row]) + duration
        end_tick = max(end_tick, last)
        if kept != row:
            events.note_tick[kept] = events.note_tick[row]
            events.note_duration[kept] = duration
            events.note_pitch[kept] = pitch
            events.note_velocity[kept] = events.note_velocity[row]
            events.note_track[kept] = track
            events.note_channel[kept] = channel
            events.note_program[kept] = program
        kept += 1
    facts[3] = kept - first - num_drums
    facts[4] = num_drums
    warnings[Warn.DRUMS] = num_drums
    return kept - first, part - first_part, end_tick


@njit
def _write_notes(events, first, count, columns, at, tempo_tick, tempo_sec, sec_per_tick, warnings):
    """Notes in order, with their seconds; refuses what nobody can have played."""
    key = np.empty(count, np.int64)
    row_of = np.empty(count, np.int32)
    for i in range(count):
        row = np.uint64(first + i)
        key[i] = (
            (np.int64(events.note_tick[row]) << 22)
            | (np.int64(events.note_pitch[row]) << 15)
            | np.int64(events.note_track[row])
        )
        row_of[i] = i
    sort_with(key, row_of)
    tempo = 0
    num_tempos = len(tempo_tick)
    silent_from = 0.0
    for i in range(count):
        # Unsigned: no index is asked whether it counts from the end.
        row = np.uint64(first + row_of[i])
        out = np.uint64(at + i)
        onset = np.int64(events.note_tick[row])
        duration = events.note_duration[row]
        channel = events.note_channel[row]
        columns.track[out] = events.note_track[row]
        columns.program[out] = events.note_program[row]
        columns.is_drum[out] = channel == DRUM_CHANNEL
        columns.pitch[out] = events.note_pitch[row]
        columns.velocity[out] = events.note_velocity[row]
        columns.onset_tick[out] = onset
        columns.duration_tick[out] = duration
        while tempo + 1 < num_tempos and tempo_tick[tempo + 1] <= onset:
            tempo += 1
        onset_sec = _seconds(onset, tempo, tempo_tick, tempo_sec, sec_per_tick)
        offset = onset + duration
        last = tempo
        if last + 1 < num_tempos and tempo_tick[last + 1] <= offset:
            last = _tempo_at(tempo_tick, offset)
        offset_sec = _seconds(offset, last, tempo_tick, tempo_sec, sec_per_tick)
        columns.onset_sec[out] = onset_sec
        columns.offset_sec[out] = offset_sec
        columns.held_sec[out] = 0.0
        if onset_sec - silent_from > MAX_SILENCE_SEC:
            return Code.TOO_SILENT, np.int64(onset_sec - silent_from)
        silent_from = max(silent_from, offset_sec)
        if i >= MAX_NOTES_PER_SEC and onset_sec - columns.onset_sec[at + i - MAX_NOTES_PER_SEC] < 1.0:
            return Code.TOO_DENSE, np.int64(onset_sec)
    return Code.OK, 0


@njit
def _sustain(events, first, end, columns, first_note, end_note, tempo_tick, tempo_sec, sec_per_tick):
    """Move note-offs to the lift of the sustain pedal.

    The two hands of one instrument often lie in two tracks with the pedal in one of them, so a press
    holds the notes of every track of the same program.
    """
    done = np.zeros(128, np.bool_)
    down = np.empty(end - first, np.int64)
    lift = np.empty(end - first, np.int32)
    for start in range(first, end):
        program = events.press_program[start]
        if done[program] or events.press_pedal[start] != 0 or events.press_channel[start] == DRUM_CHANNEL:
            continue
        done[program] = True
        count = 0
        for row in range(start, end):
            if (
                events.press_pedal[row] == 0
                and events.press_program[row] == program
                and events.press_channel[row] != DRUM_CHANNEL
            ):
                down[count] = events.press_down[row]
                lift[count] = events.press_lift[row]
                count += 1
        sort_with(down[:count], lift[:count])
        # The union of presses that overlap.
        merged = 0
        for i in range(1, count):
            if down[i] <= lift[merged]:
                lift[merged] = max(lift[merged], lift[i])
            else:
                merged += 1
                down[merged] = down[i]
                lift[merged] = lift[i]
        count = merged + 1
        near = 0
        for note in range(first_note, end_note):
            if columns.program[note] != program or columns.is_drum[note]:
                continue
            onset = np.int64(columns.onset_tick[note])
            offset = onset + columns.duration_tick[note]
            # The last press that begins by the onset moves on with it; from there to the note-off it is near.
            while near + 1 < count and down[near + 1] <= onset:
                near += 1
            # A long note may outlast millions of presses: step over a few, then halve.
            press = near
            while press + 1 < count and down[press + 1] <= offset:
                press += 1
                if press - near == 8:
                    press += _tempo_at(down[press:count], offset)
                    break
            if down[press] <= offset and lift[press] > offset:
                tick = np.int64(lift[press])
                tempo = _tempo_at(tempo_tick, tick)
                lift_sec = _seconds(tick, tempo, tempo_tick, tempo_sec, sec_per_tick)
                columns.held_sec[note] = lift_sec - columns.offset_sec[note]


@njit
def _write_presses(events, first, end, columns, at, tempo_tick, tempo_sec, sec_per_tick):
    """Presses by track, channel, pedal and time."""
    count = end - first
    key = np.empty(count, np.int64)
    row_of = np.empty(count, np.int32)
    for i in range(count):
        row = first + i
        key[i] = (
            (np.int64(events.press_track[row]) << 40)
            | (np.int64(events.press_channel[row]) << 36)
            | (np.int64(events.press_pedal[row]) << 32)
            | np.int64(events.press_down[row])
        )
        row_of[i] = i
    sort_with(key, row_of)
    down_tempo = 0
    lift_tempo = 0
    for i in range(count):
        row = first + row_of[i]
        out = at + i
        columns.press_track[out] = events.press_track[row]
        columns.press_channel[out] = events.press_channel[row]
        columns.press_pedal[out] = events.press_pedal[row]
        tick = np.int64(events.press_down[row])
        down_tempo = _step(tempo_tick, down_tempo, tick)
        columns.press_sec[out] = _seconds(tick, down_tempo, tempo_tick, tempo_sec, sec_per_tick)
        tick = np.int64(events.press_lift[row])
        lift_tempo = _step(tempo_tick, lift_tempo, tick)
        columns.lift_sec[out] = _seconds(tick, lift_tempo, tempo_tick, tempo_sec, sec_per_tick)


@njit
def _write_signatures(events, before, num, columns, at, tempo_tick, tempo_sec, sec_per_tick, warnings):
    tempo = 0
    row = at[METRES]
    for i in range(before[METRES], num[METRES]):
        if events.metre_numerator[i] == 0 or events.metre_log_denominator[i] > 10:
            warnings[Warn.INVALID_SIGNATURES] += 1
            continue
        tick = np.int64(events.metre_tick[i])
        tempo = _step(tempo_tick, tempo, tick)
        columns.metre_tick[row] = tick
        columns.metre_sec[row] = _seconds(tick, tempo, tempo_tick, tempo_sec, sec_per_tick)
        columns.metre_numerator[row] = events.metre_numerator[i]
        columns.metre_denominator[row] = 1 << np.int64(events.metre_log_denominator[i])
        row += 1
    at[METRES] = row
    row = at[KEYS]
    for i in range(before[KEYS], num[KEYS]):
        if abs(np.int64(events.key_sharps[i])) > 7 or events.key_mode[i] > 1:
            warnings[Warn.INVALID_SIGNATURES] += 1
            continue
        tick = np.int64(events.key_tick[i])
        tempo = _step(tempo_tick, tempo, tick)
        columns.key_tick[row] = tick
        columns.key_sec[row] = _seconds(tick, tempo, tempo_tick, tempo_sec, sec_per_tick)
        columns.key_sharps[row] = events.key_sharps[i]
        columns.key_is_minor[row] = events.key_mode[i] == 1
        row += 1
    at[KEYS] = row


@njit
def _seconds(tick, tempo, tempo_tick, tempo_sec, sec_per_tick):
    """Seconds of a tick under a tempo, in steps of the lake."""
    exact = tempo_sec[tempo] + (tick - tempo_tick[tempo]) * sec_per_tick[tempo]
    return np.rint(exact * SEC_STEPS) * (1 / SEC_STEPS)


@njit
def _tempo_at(tempo_tick, tick):
    """Number of the tempo that holds at a tick."""
    low, high = 0, len(tempo_tick)
    while high - low > 1:
        middle = (low + high) >> 1
        if tempo_tick[middle] <= tick:
            low = middle
        else:
            high = middle
    return low


@njit
def _step(tempo_tick, tempo, tick):
    """The same, near to the one that held last."""
    if tempo_tick[tempo] > tick:
        return _tempo_at(tempo_tick, tick)
    if tempo + 1 < len(tempo_tick) and tempo_tick[tempo + 1] <= tick:
        tempo += 1
        if tempo + 1 < len(tempo_tick) and tempo_tick[tempo + 1] <= tick:
            return _tempo_at(tempo_tick, tick)
    return tempo


@njit
def sort_with(key, value):
    """Sort keys in place, and values with them; equal keys keep their order.

    Merging from below: what lies in order already is not touched, and tracks that lie one after the other,
    each in order, are merged in as many passes as their number has bits.
    """
    count = len(key)
    run = 16
    for first in range(0, count, run):
        for i in range(first + 1, min(first + run, count)):
            k, v = key[i], value[i]
            j = i - 1
            while j >= first and key[j] > k:
                key[j + 1] = key[j]
                value[j + 1] = value[j]
                j -= 1
            key[j + 1] = k
            value[j + 1] = v
    if count <= run:
        return
    left_key = np.empty(count, key.dtype)
    left_value = np.empty(count, value.dtype)
    while run < count:
        for first in range(0, count - run, 2 * run):
            middle = first + run
            end = min(middle + run, count)
            if key[middle - 1] <= key[middle]:
                continue
            # What is below the right side's first stays where it is.
            start = first
            low, high = first, middle
            while low < high:
                half = (low + high) >> 1
                if key[half] <= key[middle]:
                    low = half + 1
                else:
                    high = half
            start = low
            size = middle - start
            left_key[:size] = key[start:middle]
            left_value[:size] = value[start:middle]
            i, j, out = 0, middle, start
            while i < size and j < end:
                if key[j] < left_key[i]:
                    key[out] = key[j]
                    value[out] = value[j]
                    j += 1
                else:
                    key[out] = left_key[i]
                    value[out] = left_value[i]
                    i += 1
                out += 1
            while i < size:
                key[out] = left_key[i]
                value[out] = left_value[i]
                i += 1
                out += 1
        run *= 2
