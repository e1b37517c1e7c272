"""The rules of docs/ingest.md once more: slow, message by message, over what mido reads. For tests."""

import io
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import mido
import numpy as np

from pianogen.errors import RejectedFileError
from pianogen.midi.parsed import ParsedFile

MAX_DURATION_SEC, MAX_SILENCE_SEC, MAX_NOTES_PER_SEC = 12 * 3600, 3600, 5000

PEDALS = {64: "sustain", 66: "sostenuto", 67: "soft"}
"""In the order in which presses are sorted."""

_KINDS = {
    "polytouch": "key_pressure",
    "aftertouch": "channel_pressure",
    "pitchwheel": "pitch_bend",
    "sysex": "system_exclusive",
    "lyrics": "lyric",
    "cue_marker": "cue_point",
    "device_name": "other_text",
    "midi_port": "port",
    "set_tempo": "tempo",
}
_SYSTEM = {
    "quarter_frame", "songpos", "song_select", "tune_request", "clock", "start", "continue", "stop", "active_sensing",
}  # fmt: skip


@dataclass
class Note:
    track: int
    channel: int
    program: int
    pitch: int
    velocity: int
    onset: int
    offset: int | None = None

    @property
    def is_drum(self) -> bool:
        return self.channel == 9


@dataclass
class Press:
    track: int
    channel: int
    program: int
    number: int
    down: int
    lift: int | None = None


@dataclass
class Music:
    """Everything that the messages say, in ticks."""

    notes: list[Note] = field(default_factory=list)
    presses: list[Press] = field(default_factory=list)
    controls: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    tempos: dict[int, int] = field(default_factory=dict)
    metres: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, str]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def read_reference(data: bytes, *, only_piano: bool = False) -> dict[str, list[tuple]] | str:
    """Rows of every table, as `rows_of` gives ours, or the reason of the rejection.

    Raises:
        Exception: what mido raises over a file that it does not read.
    """
    midi = mido.MidiFile(file=io.BytesIO(data))
    music = Music()
    for number, track in enumerate(midi.tracks):
        _listen(track, number, music)
    notes = [note for note in music.notes if note.offset is not None]
    if only_piano:
        others = [note for note in notes if note.is_drum or note.program > 7]
        notes = [note for note in notes if not note.is_drum and note.program <= 7]
        if others and not notes:
            return "no_piano"
    if all(note.is_drum for note in notes):
        return "no_notes"
    clock = _Clock(music.tempos, midi.ticks_per_beat)
    parts: dict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in notes:
        parts[note.track, note.channel].append(note)
    end = max(_end(note) for note in notes)
    if clock(end) > MAX_DURATION_SEC:
        return "implausible_time"
    for press in music.presses:
        press.lift = max(end, press.down) if press.lift is None else press.lift
    notes.sort(key=lambda note: (note.onset, note.pitch, note.track))
    if reason := _implausible([(clock(note.onset), clock(_end(note))) for note in notes]):
        return reason
    held = _held(music.presses)
    return {
        "notes": [
            (
                note.track, note.program, note.is_drum, note.pitch, note.velocity, note.onset, _end(note) - note.onset,
                clock(note.onset), clock(_end(note)),
                float(np.float32(clock(_silent_from(note, held)) - clock(_end(note)))),
            )
            for note in notes
        ],
        "controls": [(track, channel, tick, clock(tick), *rest) for track, channel, tick, *rest in music.controls],
        "pedal_presses": [
            (press.track, press.channel, PEDALS[press.number], clock(press.down), clock(press.lift or 0))
            for press in sorted(music.presses, key=lambda press: (press.track, press.channel, press.number, press.down))
        ],
        "tempos": [(tick, clock(tick), 60e6 / usec) for tick, usec in clock.changes],
        "time_signatures": [(tick, clock(tick), *rest) for tick, *rest in music.metres],
        "key_signatures": [(tick, clock(tick), *rest) for tick, *rest in music.keys],
        "parts": [
            (track, channel, music.names.get(track), of_part[0].program, channel == 9, len(of_part))
            for (track, channel), of_part in parts.items()
        ],
        "message_counts": sorted(music.counts.items()),
    }  # fmt: skip


def rows_of(parsed: ParsedFile) -> dict[str, list[tuple]]:
    """Our rows, to be compared with the reference's."""
    rows = {name: [tuple(row.values()) for row in table.to_pylist()] for name, table in parsed.tables.items()}
    return rows | {"message_counts": sorted(rows["message_counts"])}


def ours_or_reason(parse, data: bytes, **options: bool) -> dict[str, list[tuple]] | str:
    """What `parse_midi` says, in the form of `read_reference`."""
    try:
        return rows_of(parse(data, **options))
    except RejectedFileError as error:
        return error.reason


def _listen(track: mido.MidiTrack, number: int, music: Music) -> None:
    tick = 0
    programs: dict[int, int] = defaultdict(int)
    sounding: dict[tuple[int, int], list[Note]] = defaultdict(list)
    down: dict[tuple[int, int], Press] = {}
    for message in track:
        tick += message.time
        music.counts[_kind(message)] += 1
        kind = message.type
        if kind == "end_of_track":
            break
        if kind == "program_change":
            programs[message.channel] = message.program
        elif kind == "note_on" and message.velocity:
            channel = message.channel
            note = Note(number, channel, programs[channel], message.note, message.velocity, tick)
            sounding[channel, message.note].append(note)
            music.notes.append(note)
        elif kind in ("note_on", "note_off"):
            if sounding[message.channel, message.note]:
                sounding[message.channel, message.note].pop(0).offset = tick
        elif kind == "control_change":
            channel, control, value = message.channel, message.control, message.value
            music.controls.append((number, channel, tick, control, value))
            if control not in PEDALS:
                continue
            if value >= 64 and (channel, control) not in down:
                down[channel, control] = Press(number, channel, programs[channel], control, tick)
                music.presses.append(down[channel, control])
            elif value < 64 and (channel, control) in down:
                down.pop((channel, control)).lift = tick
        elif kind == "set_tempo" and message.tempo:
            music.tempos[tick] = message.tempo
        elif kind == "time_signature" and message.numerator and message.denominator <= 1024:
            music.metres.append((tick, message.numerator, message.denominator))
        elif kind == "key_signature":
            music.keys.append((tick, *_key(message.key)))
        elif kind == "track_name" and message.name and number not in music.names:
            name = message.name.encode("latin-1")
            try:
                music.names[number] = name.decode()
            except UnicodeDecodeError:
                music.names[number] = message.name


def _kind(message) -> str:
    kind = message.type
    if kind == "note_on" and not message.velocity:
        return "note_on_zero"
    if kind == "unknown_meta":
        return "other_text" if message.type_byte < 0x10 else "other_meta"
    return "system" if kind in _SYSTEM else _KINDS.get(kind, kind)


def _key(name: str) -> tuple[int, str]:
    tonic = name.removesuffix("m")
    sharps = "FCGDAEB".index(tonic[0]) - 1 + 7 * (tonic.count("#") - tonic.count("b"))
    return (sharps, "major") if tonic == name else (sharps - 3, "minor")


class _Clock:
    """Seconds of ticks, rounded as the lake's."""

    def __init__(self, tempos: dict[int, int], ticks_per_quarter: int) -> None:
        self.changes = sorted(({0: 500_000} | tempos).items())
        self._ticks = [tick for tick, _ in self.changes]
        self._sec_per_tick = [usec / (1e6 * ticks_per_quarter) for _, usec in self.changes]
        self._begins = [0.0]
        for i in range(1, len(self.changes)):
            length = self._ticks[i] - self._ticks[i - 1]
            self._begins.append(self._begins[-1] + length * self._sec_per_tick[i - 1])

    def __call__(self, tick: int) -> float:
        i = bisect_right(self._ticks, tick) - 1
        return round((self._begins[i] + (tick - self._ticks[i]) * self._sec_per_tick[i]) * 2**20) / 2**20


def _end(note: Note) -> int:
    assert note.offset is not None
    return note.offset


def _implausible(times: list[tuple[float, float]]) -> str | None:
    onsets = [onset for onset, _ in times]
    last = 0.0
    for i, (onset, offset) in enumerate(times):
        if onset - last > MAX_SILENCE_SEC:
            return "implausible_silence"
        last = max(last, offset)
        if i + 1 - bisect_right(onsets, onset - 1) > MAX_NOTES_PER_SEC:
            return "implausible_density"
    return None


def _held(presses: list[Press]) -> dict[int, list[list[int]]]:
    """Where the sustain pedal of each program is down, in whichever track: disjoint, ascending."""
    found: dict[int, list[list[int]]] = defaultdict(list)
    for press in sorted(presses, key=lambda press: press.down):
        if press.number != 64 or press.channel == 9:
            continue
        assert press.lift is not None
        spans = found[press.program]
        if spans and press.down <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], press.lift)
        else:
            spans.append([press.down, press.lift])
    return found


def _silent_from(note: Note, held: dict[int, list[list[int]]]) -> int:
    spans = [] if note.is_drum else held.get(note.program, [])
    after = bisect_left(spans, [_end(note) + 1])
    return max(_end(note), spans[after - 1][1]) if after else _end(note)
