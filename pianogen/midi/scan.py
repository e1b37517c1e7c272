"""Bytes of Standard MIDI Files to columns in file time: one compiled pass over each byte, no object per event.

Nothing here trusts the file: every read is within its bounds, every loop ends with the bytes, and memory is
a fixed number of bytes per byte of the file. What the rules of acceptance are stands in docs/ingest.md.

Notes are paired within a track: a note-off ends the oldest open note of its channel and pitch. A note-on of
velocity 0 is a note-off. Programs hold within their track, as in pretty_midi and symusic.
"""

from typing import NamedTuple

import numba
import numpy as np

from pianogen.midi.codes import Code, Kind, Warn

njit = numba.njit(error_model="numpy")
"""Not cached by themselves: `read` keeps the whole, under a key that knows all of its sources."""

MAX_TICK = 2**31 - 1
MAX_TRACKS = 2**15 - 1
"""Numbers of tracks are 16 bits in the lake."""

PEDALS = 3
"""Pedals that are up or down: sustain (0), sostenuto (1), soft (2)."""

NO_LIFT = -1


class Events(NamedTuple):
    """Raw events of one file after another, in the order of their bytes."""

    note_tick: np.ndarray
    note_duration: np.ndarray  # NO_END while the note is open
    note_pitch: np.ndarray
    note_velocity: np.ndarray
    note_track: np.ndarray
    note_channel: np.ndarray
    note_program: np.ndarray
    control_tick: np.ndarray
    control_track: np.ndarray
    control_channel: np.ndarray
    control_number: np.ndarray
    control_value: np.ndarray
    press_down: np.ndarray
    press_lift: np.ndarray  # NO_LIFT while the pedal is down
    press_track: np.ndarray
    press_channel: np.ndarray
    press_program: np.ndarray
    press_pedal: np.ndarray
    tempo_tick: np.ndarray
    tempo_usec: np.ndarray  # microseconds per quarter
    metre_tick: np.ndarray
    metre_numerator: np.ndarray
    metre_log_denominator: np.ndarray
    key_tick: np.ndarray
    key_sharps: np.ndarray
    key_mode: np.ndarray
    name_track: np.ndarray
    name_first: np.ndarray  # position of its first byte in the buffer
    name_size: np.ndarray


NO_END = -1

NOTES, CONTROLS, PRESSES, TEMPOS, METRES, KEYS, NAMES = range(7)
"""Places in an array of numbers of events."""


def new_events(num_bytes: int) -> Events:
    """Room for the events of files of so many bytes together; memory is taken when it is written to."""

    def room(least_bytes: int, *kinds: type) -> list[np.ndarray]:
        return [np.empty(num_bytes // least_bytes + 1, kind) for kind in kinds]

    # The divisors are the fewest bytes that such an event takes.
    i32, u8, i16 = np.int32, np.uint8, np.int16
    return Events(
        *room(3, i32, i32, u8, u8, i16, u8, u8),
        *room(3, i32, i16, u8, u8, u8),
        *room(3, i32, i32, i16, u8, u8, u8),
        *room(7, i32, i32),
        *room(6, i32, u8, u8),
        *room(6, i32, np.int8, u8),
        *room(4, i16, np.int64, i32),
    )


@njit
def scan_file(buffer, first, end, events, num, counts, warnings, facts):
    """Append the events of one file.

    Args:
        buffer: bytes of several files, uint8.
        first: position of the file's first byte.
        end: position after its last.
        events: an `Events`; rows from `num` on are written.
        num: number of rows of each kind so far, shape (7,); increased.
        counts: messages by `Kind`, zeros, increased.
        warnings: numbers by `Warn`, zeros, increased.
        facts: ticks per quarter, number of tracks, format; written.

    Returns:
        A `Code`, the byte of the file that it speaks of, and a number that explains it.
    """
    size = end - first
    if size == 0:
        return Code.EMPTY_FILE, 0, 0
    if size < 4 or not _is(buffer, first, 77, 84, 104, 100):
        return Code.NOT_MIDI, 0, 0
    if size < 14:
        return Code.SHORT_HEADER, 0, size
    header_size = _uint32(buffer, first + 4)
    if header_size < 6:
        return Code.SHORT_HEADER, 4, 8 + header_size
    file_format = _uint16(buffer, first + 8)
    num_declared = _uint16(buffer, first + 10)
    division = _uint16(buffer, first + 12)
    facts[0], facts[2] = division, file_format
    if division == 0:
        return Code.ZERO_DIVISION, 12, 0
    if division & 0x8000:
        return Code.SMPTE_DIVISION, 12, division
    if file_format > 2:
        warnings[Warn.UNKNOWN_FORMAT] = file_format
    elif file_format == 2:
        warnings[Warn.FORMAT_2] = 1
    position = first + 8 + header_size
    num_tracks = 0
    open_head = np.empty(2048, np.int32)
    open_tail = np.empty(2048, np.int32)
    # The next open note of the same channel and pitch, by row from the file's first.
    open_next = np.empty(size // 3 + 1, np.int32)
    while num_tracks < num_declared:
        if position + 8 > end:
            return Code.MISSING_TRACKS, end - first, num_tracks
        chunk_size = _uint32(buffer, position + 4)
        is_track = _is(buffer, position, 77, 84, 114, 107)
        if not is_track:
            for i in range(4):
                if buffer[position + i] < 32 or buffer[position + i] > 126:
                    return Code.NO_CHUNK, position - first, num_tracks
        position += 8
        if position + chunk_size > end:
            return Code.CUT_CHUNK, position - first, chunk_size
        if is_track:
            if num_tracks == MAX_TRACKS:
                return Code.TOO_MANY_TRACKS, position - first, num_declared
            code, where, value = _scan_track(
                buffer, position, position + chunk_size, num_tracks, events, num, counts, warnings,
                open_head, open_tail, open_next,
            )  # fmt: skip
            if code != Code.OK:
                return code, where - first, value
            num_tracks += 1
        else:
            counts[Kind.UNKNOWN_CHUNK] += 1
        position += chunk_size
    facts[1] = num_tracks
    warnings[Warn.TRAILING_BYTES] = end - position
    return Code.OK, 0, 0


@njit
def _scan_track(buffer, position, end, track, events, num, counts, warnings, open_head, open_tail, open_next):
    # Counted in registers; what an error leaves behind is dropped with the file.
    first_note = num[NOTES]
    next_note, next_control, next_press = first_note, num[CONTROLS], num[PRESSES]
    num_on, num_off, num_zero = 0, 0, 0
    open_head[:] = -1
    program = np.zeros(16, np.uint8)
    # Row of the press that is held, by channel and pedal.
    held = np.full((16, PEDALS), -1, np.int64)
    tick = np.int64(0)
    running = 0
    after_meta = False
    named = False
    has_end = False
    while position < end:
        # Delta time, a quantity of 1 to 4 bytes of 7 bits.
        begins = position
        # Unsigned: the index is not asked whether it counts from the end.
        byte = buffer[np.uint64(position)]
        position += 1
        delta = np.int64(byte & 0x7F)
        while byte & 0x80:
            if position >= end:
                return Code.CUT_EVENT, begins, 0
            if position - begins >= 4:
                return Code.LONG_QUANTITY, begins, 0
            byte = buffer[position]
            position += 1
            delta = (delta << 7) | (byte & 0x7F)
        tick += delta
        if tick > MAX_TICK:
            return Code.LATE_TICK, begins, tick
        if position >= end:
            return Code.CUT_EVENT, begins, 0
        status = np.int64(buffer[np.uint64(position)])
        if status & 0x80:
            position += 1
        elif running:
            status = running
            if after_meta:
                warnings[Warn.RUNNING_AFTER_META] += 1
        else:
            return Code.NO_STATUS, position, status
        if status < 0xF0:
            running = status
            after_meta = False
            high = status & 0xF0
            channel = status & 0x0F
            if position >= end:
                return Code.CUT_EVENT, begins, status
            data1 = buffer[np.uint64(position)]
            position += 1
            if data1 & 0x80:
                return Code.BAD_DATA, position - 1, data1
            data2 = np.uint8(0)
            if high != 0xC0 and high != 0xD0:
                if position >= end:
                    return Code.CUT_EVENT, begins, status
                data2 = buffer[np.uint64(position)]
                position += 1
                if data2 & 0x80:
                    return Code.BAD_DATA, position - 1, data2
            if high == 0x90 and data2:
                num_on += 1
                row = np.uint64(next_note)
                events.note_tick[row] = tick
                events.note_duration[row] = NO_END
                events.note_pitch[row] = data1
                events.note_velocity[row] = data2
                events.note_track[row] = track
                events.note_channel[row] = channel
                events.note_program[row] = program[channel]
                which = (channel << 7) | data1
                local = next_note - first_note
                next_note += 1
                open_next[local] = -1
                if open_head[which] < 0:
                    open_head[which] = local
                else:
                    open_next[open_tail[which]] = local
                open_tail[which] = local
            elif high <= 0x90:
                if high == 0x80:
                    num_off += 1
                else:
                    num_zero += 1
                which = (channel << 7) | data1
                local = open_head[which]
                if local >= 0:
                    row = np.uint64(first_note + local)
                    events.note_duration[row] = tick - events.note_tick[row]
                    open_head[which] = open_next[local]
                else:
                    warnings[Warn.STRAY_OFFS] += 1
            elif high == 0xB0:
                row = np.uint64(next_control)
                next_control += 1
                events.control_tick[row] = tick
                events.control_track[row] = track
                events.control_channel[row] = channel
                events.control_number[row] = data1
                events.control_value[row] = data2
                pedal = 0 if data1 == 64 else (1 if data1 == 66 else (2 if data1 == 67 else -1))
                if pedal >= 0:
                    press = held[channel, pedal]
                    if data2 >= 64 and press < 0:
                        press = next_press
                        next_press += 1
                        events.press_down[press] = tick
                        events.press_lift[press] = NO_LIFT
                        events.press_track[press] = track
                        events.press_channel[press] = channel
                        events.press_program[press] = program[channel]
                        events.press_pedal[press] = pedal
                        held[channel, pedal] = press
                    elif data2 < 64 and press >= 0:
                        events.press_lift[press] = tick
                        held[channel, pedal] = -1
            elif high == 0xC0:
                counts[Kind.PROGRAM_CHANGE] += 1
                program[channel] = data1
            elif high == 0xD0:
                counts[Kind.CHANNEL_PRESSURE] += 1
            elif high == 0xE0:
                counts[Kind.PITCH_BEND] += 1
            else:
                counts[Kind.KEY_PRESSURE] += 1
            continue
        if status == 0xFF:
            if position >= end:
                return Code.CUT_EVENT, begins, status
            meta = np.int64(buffer[position])
            position += 1
        elif status == 0xF0 or status == 0xF7:
            meta = np.int64(-1)
        else:
            # System messages belong on a cable, not into a file: those that are defined can be passed over.
            if status == 0xF1 or status == 0xF3:
                position += 1
            elif status == 0xF2:
                position += 2
            elif status == 0xF4 or status == 0xF5 or status == 0xF9 or status == 0xFD:
                return Code.UNDEFINED_STATUS, position - 1, status
            if position > end:
                return Code.CUT_EVENT, begins, status
            counts[Kind.SYSTEM] += 1
            warnings[Warn.SYSTEM_MESSAGES] += 1
            continue
        # Length of a meta or system exclusive message.
        after_meta = True
        length = np.int64(0)
        length_bytes = 0
        while True:
            if position >= end:
                return Code.CUT_EVENT, begins, status
            if length_bytes == 4:
                return Code.LONG_QUANTITY, begins, 0
            byte = buffer[position]
            position += 1
            length_bytes += 1
            length = (length << 7) | (byte & 0x7F)
            if not byte & 0x80:
                break
        if length > end - position:
            return Code.CUT_EVENT, begins, status
        data = position
        position += length
        if meta < 0:
            counts[Kind.SYSTEM_EXCLUSIVE] += 1
            continue
        _count_meta(meta, counts)
        if meta == 0x2F:
            has_end = True
            break
        if meta == 0x51:
            if length == 3:
                tempo_row = num[TEMPOS]
                num[TEMPOS] = tempo_row + 1
                events.tempo_tick[tempo_row] = tick
                events.tempo_usec[tempo_row] = (
                    (np.int64(buffer[data]) << 16) | (np.int64(buffer[data + 1]) << 8) | np.int64(buffer[data + 2])
                )
            else:
                warnings[Warn.ODD_META] += 1
        elif meta == 0x58:
            if length >= 2:
                metre_row = num[METRES]
                num[METRES] = metre_row + 1
                events.metre_tick[metre_row] = tick
                events.metre_numerator[metre_row] = buffer[data]
                events.metre_log_denominator[metre_row] = buffer[data + 1]
            else:
                warnings[Warn.ODD_META] += 1
        elif meta == 0x59:
            if length >= 2:
                key_row = num[KEYS]
                num[KEYS] = key_row + 1
                events.key_tick[key_row] = tick
                events.key_sharps[key_row] = np.int8(buffer[data])
                events.key_mode[key_row] = buffer[data + 1]
            else:
                warnings[Warn.ODD_META] += 1
        elif meta == 0x03 and not named and length:
            named = True
            name_row = num[NAMES]
            num[NAMES] = name_row + 1
            events.name_track[name_row] = track
            events.name_first[name_row] = data
            events.name_size[name_row] = length
    counts[Kind.NOTE_ON] += num_on
    counts[Kind.NOTE_OFF] += num_off
    counts[Kind.NOTE_ON_ZERO] += num_zero
    counts[Kind.CONTROL_CHANGE] += next_control - num[CONTROLS]
    num[NOTES], num[CONTROLS], num[PRESSES] = next_note, next_control, next_press
    if not has_end:
        warnings[Warn.NO_END_OF_TRACK] += 1
    elif position < end:
        warnings[Warn.AFTER_END_OF_TRACK] += end - position
    return Code.OK, 0, 0


@njit
def _count_meta(meta, counts):
    if meta == 0x00:
        counts[Kind.SEQUENCE_NUMBER] += 1
    elif 0x01 <= meta <= 0x0F:
        counts[Kind.TEXT + min(meta - 1, 7)] += 1
    elif meta == 0x20:
        counts[Kind.CHANNEL_PREFIX] += 1
    elif meta == 0x21:
        counts[Kind.PORT] += 1
    elif meta == 0x2F:
        counts[Kind.END_OF_TRACK] += 1
    elif meta == 0x51:
        counts[Kind.TEMPO] += 1
    elif meta == 0x54:
        counts[Kind.SMPTE_OFFSET] += 1
    elif meta == 0x58:
        counts[Kind.TIME_SIGNATURE] += 1
    elif meta == 0x59:
        counts[Kind.KEY_SIGNATURE] += 1
    elif meta == 0x7F:
        counts[Kind.SEQUENCER_SPECIFIC] += 1
    else:
        counts[Kind.OTHER_META] += 1


@njit
def _is(buffer, position, a, b, c, d):
    return (
        buffer[position] == a and buffer[position + 1] == b and buffer[position + 2] == c and buffer[position + 3] == d
    )


@njit
def _uint16(buffer, position):
    return (np.int64(buffer[position]) << 8) | np.int64(buffer[position + 1])


@njit
def _uint32(buffer, position):
    return (_uint16(buffer, position) << 16) | _uint16(buffer, position + 2)
