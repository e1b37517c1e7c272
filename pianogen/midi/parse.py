"""Bytes of MIDI files to parsed files: `read` does the work, here are the words and the tables."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from pianogen.errors import RejectedFileError
from pianogen.midi.assemble import (
    HIGHEST_PIANO,
    LAST_PIANO_PROGRAM,
    LOWEST_PIANO,
    MAX_NOTES_PER_SEC,
    PARTS,
)
from pianogen.midi.codes import Code, Kind, Warn
from pianogen.midi.parsed import EVENT_TABLES, Facts, ParsedFile, ParsedFiles, table_of
from pianogen.midi.read import ReadFiles, names_of, read_files
from pianogen.midi.scan import CONTROLS, KEYS, MAX_TICK, MAX_TRACKS, METRES, NOTES, PRESSES, TEMPOS

PEDAL_NAMES = ("sustain", "sostenuto", "soft")
"""Pedals that are up or down, by their numbers in `scan`."""

MAX_EXPLAINED_BYTES = 2**20
"""mido takes about a second for so much."""

REJECTIONS: dict[Code, tuple[str, Callable[[int, int], str]]] = {
    Code.EMPTY_FILE: ("empty_file", lambda at, n: "0 bytes"),
    Code.NOT_MIDI: ("not_midi", lambda at, n: "the file does not begin with MThd"),
    Code.SHORT_HEADER: ("truncated", lambda at, n: f"{n} bytes, a MIDI header has 14"),
    Code.ZERO_DIVISION: ("zero_division", lambda at, n: "the header says 0 ticks per quarter"),
    Code.SMPTE_DIVISION: (
        "smpte_division",
        lambda at, n: f"time in SMPTE frames (division 0x{n:04x}), not in quarters",
    ),
    Code.MISSING_TRACKS: ("truncated", lambda at, n: f"the file ends at byte {at} after {n} of the header's tracks"),
    Code.NO_CHUNK: ("invalid_bytes", lambda at, n: f"no chunk begins at byte {at}, where track {n} should"),
    Code.CUT_CHUNK: ("truncated", lambda at, n: f"a chunk of {n} bytes at byte {at} is cut off by the end of the file"),
    Code.TOO_MANY_TRACKS: ("too_many_tracks", lambda at, n: f"{n} tracks, more than {MAX_TRACKS}"),
    Code.CUT_EVENT: ("truncated", lambda at, n: f"the event at byte {at} is cut off by the end of its track"),
    Code.LONG_QUANTITY: ("invalid_bytes", lambda at, n: f"a number of more than 4 bytes in the event at byte {at}"),
    Code.NO_STATUS: ("invalid_bytes", lambda at, n: f"byte {at} is 0x{n:02x}, where an event's status should be"),
    Code.BAD_DATA: ("invalid_bytes", lambda at, n: f"byte {at} is 0x{n:02x}, where data up to 0x7f should be"),
    Code.UNDEFINED_STATUS: (
        "invalid_bytes",
        lambda at, n: f"byte {at} is 0x{n:02x}, a status that MIDI does not define",
    ),
    Code.LATE_TICK: ("implausible_time", lambda at, n: f"an event at tick {n}; ticks go up to {MAX_TICK}"),
    Code.NO_NOTES: (
        "no_notes",
        lambda at, n: "the file is well formed and holds no note" + (f" that ends; {n} begin" if n else ""),
    ),
    Code.ONLY_DRUMS: ("no_notes", lambda at, n: f"only drums: {n} notes on the drum channel"),
    Code.NO_PIANO: (
        "no_piano",
        lambda at, n: f"none of its {n} notes is a piano's (programs 0-{LAST_PIANO_PROGRAM}, no drums)",
    ),
    Code.TOO_LONG: ("implausible_time", lambda at, n: f"the last note ends after {n / 3600:.1f} hours"),
    Code.TOO_SILENT: ("implausible_silence", lambda at, n: f"nothing sounds for {n / 3600:.1f} hours"),
    Code.TOO_DENSE: (
        "implausible_density",
        lambda at, n: f"more than {MAX_NOTES_PER_SEC} notes within a second, {n} s from the start",
    ),
}
"""Reason and words of each way to be refused, from the byte position and the number that come with it."""

WARNINGS: dict[Warn, Callable[[int], str]] = {
    Warn.NO_TEMPO: lambda n: "no_tempo: 120 quarters a minute assumed",
    Warn.ZERO_TEMPO: lambda n: f"zero_tempo: {n} tempo changes of no duration passed over",
    Warn.INVALID_SIGNATURES: lambda n: f"invalid_signatures: {n} impossible time or key signatures left out",
    Warn.UNKNOWN_FORMAT: lambda n: f"unknown_format: the header says format {n}; read as format 1",
    Warn.FORMAT_2: lambda n: "format_2: tracks that are pieces of their own are laid over each other",
    Warn.TRAILING_BYTES: lambda n: f"trailing_bytes: {n} bytes after the last track passed over",
    Warn.NO_END_OF_TRACK: lambda n: f"no_end_of_track: {n} tracks end without saying so",
    Warn.AFTER_END_OF_TRACK: lambda n: f"after_end_of_track: {n} bytes after the end of a track passed over",
    Warn.RUNNING_AFTER_META: lambda n: f"running_after_meta: {n} events take their status from before a meta event",
    Warn.SYSTEM_MESSAGES: lambda n: f"system_messages: {n} messages that belong on a cable passed over",
    Warn.ODD_META: lambda n: f"odd_meta: {n} tempo, time or key signature events of a wrong length passed over",
    Warn.STRAY_OFFS: lambda n: f"stray_offs: {n} note-offs without a note",
    Warn.UNCLOSED_NOTES: lambda n: f"unclosed_notes: {n} notes that never end left out",
    Warn.ZERO_LENGTH_NOTES: lambda n: f"zero_length_notes: {n} notes end where they begin",
    Warn.NOTES_OFF_PIANO: lambda n: f"notes_off_piano: {n} notes outside pitches {LOWEST_PIANO}-{HIGHEST_PIANO}",
    Warn.DRUMS: lambda n: f"drums: {n} notes on the drum channel, not tokenized",
    Warn.OTHER_PARTS: lambda n: f"other_parts: {n} notes of drums and of programs that are no piano left out",
    Warn.UNKNOWN_CHUNKS: lambda n: f"unknown_chunks: {n} chunks that are no tracks passed over",
}
"""What an accepted file is warned of, from the number of times."""

_KIND_NAMES = pa.array([kind.name.lower() for kind in Kind])


def parse_midi(data: bytes, *, only_piano: bool = False) -> ParsedFile:
    """Everything that the lake keeps of one Standard MIDI File.

    Args:
        data: the file.
        only_piano: leave out drums and the programs that are no piano.

    Raises:
        RejectedFileError: with the reason and what was found.
    """
    parsed = parse_midi_files([data], only_piano=only_piano)
    (outcome,) = parsed.outcomes
    if isinstance(outcome, RejectedFileError):
        raise outcome
    return ParsedFile(**vars(outcome), tables=parsed.tables)


def parse_midi_files(files: Sequence[bytes], *, only_piano: bool = False, reuse: bool = False) -> ParsedFiles:
    """Everything that the lake keeps of several Standard MIDI Files.

    Args:
        files: their bytes.
        only_piano: leave out drums and the programs that are no piano.
        reuse: the tables may lie where those of the last call of this thread lay, which end there.
    """
    read = read_files(list(files), only_piano=only_piano, reuse=reuse)
    return ParsedFiles(
        outcomes=tuple(
            _facts(read, i) if code == Code.OK else _rejection(read, i, files[i]) for i, code in enumerate(read.code)
        ),
        tables=_tables(read),
        sizes=_sizes(read),
    )


def _facts(read: ReadFiles, i: int) -> Facts:
    division, num_tracks, _, num_notes, num_drum_notes, end_tick = read.facts[i].tolist()
    counted = read.warnings[i]
    warnings = [WARNINGS[Warn(w)](int(counted[w])) for w in np.flatnonzero(counted).tolist()]
    if read.programs[i, LAST_PIANO_PROGRAM + 1 :].any():
        other = np.flatnonzero(read.programs[i])
        listed = ", ".join(map(str, other[other > LAST_PIANO_PROGRAM]))
        warnings.append(f"other_instruments: programs {listed} are taken as piano")
    return Facts(
        format="midi",
        ticks_per_quarter=division,
        num_tracks=num_tracks,
        num_notes=num_notes,
        num_drum_notes=num_drum_notes,
        duration_sec=float(read.duration_sec[i]),
        duration_quarters=end_tick / division,
        warnings=tuple(warnings),
    )


def _rejection(read: ReadFiles, i: int, data: bytes) -> RejectedFileError:
    code = Code(int(read.code[i]))
    reason, words = REJECTIONS[code]
    if code == Code.NOT_MIDI:
        return RejectedFileError(reason, f"the file begins with {data[:4]!r}, a MIDI file with b'MThd'")
    return RejectedFileError(reason, words(int(read.position[i]), int(read.value[i])))


def words_of_mido(data: bytes) -> str:
    """What mido says of a broken file, as a second opinion; slow.

    `not asked` for files of more than `MAX_EXPLAINED_BYTES`.
    """
    if len(data) > MAX_EXPLAINED_BYTES:
        return "not asked"
    import mido

    try:
        mido.MidiFile(file=io.BytesIO(data))
    except EOFError:
        return "the file ends in the middle of a track"
    except Exception as error:
        # mido raises OSError, ValueError, IndexError and KeyError for what it cannot read.
        return str(error) or type(error).__name__
    return "reads it"


def _sizes(read: ReadFiles) -> dict[str, np.ndarray]:
    rows = np.diff(read.num_rows, axis=0)[read.accepted]
    places = (NOTES, CONTROLS, PRESSES, TEMPOS, METRES, KEYS, PARTS)
    sizes = {name: rows[:, place] for name, place in zip(EVENT_TABLES, places, strict=False)}
    return sizes | {"message_counts": (read.counts[read.accepted] > 0).sum(axis=1)}


def _tables(read: ReadFiles) -> dict[str, pa.Table]:
    columns, events = read.columns, read.events
    num = read.num_rows[-1]
    tables = {
        "notes": table_of(
            "notes",
            {
                name: getattr(columns, name)[: num[NOTES]]
                for name in (
                    "track",
                    "program",
                    "is_drum",
                    "pitch",
                    "velocity",
                    "onset_tick",
                    "duration_tick",
                    "onset_sec",
                    "offset_sec",
                    "held_sec",
                )
            },
        ),
        # A refused file's events are written over by the next file's, so these rows stand as those of columns do.
        "controls": table_of(
            "controls",
            {
                "track": events.control_track[: num[CONTROLS]],
                "channel": events.control_channel[: num[CONTROLS]],
                "tick": events.control_tick[: num[CONTROLS]],
                "time_sec": columns.control_sec[: num[CONTROLS]],
                "number": events.control_number[: num[CONTROLS]],
                "value": events.control_value[: num[CONTROLS]],
            },
        ),
        "pedal_presses": table_of(
            "pedal_presses",
            {
                "track": columns.press_track[: num[PRESSES]],
                "channel": columns.press_channel[: num[PRESSES]],
                "pedal": _named(columns.press_pedal[: num[PRESSES]], pa.array(PEDAL_NAMES)),
                "press_sec": columns.press_sec[: num[PRESSES]],
                "lift_sec": columns.lift_sec[: num[PRESSES]],
            },
        ),
        "tempos": table_of(
            "tempos",
            {
                "tick": columns.tempo_tick[: num[TEMPOS]],
                "time_sec": columns.tempo_sec[: num[TEMPOS]],
                "tempo_qpm": 60e6 / columns.tempo_usec[: num[TEMPOS]],
            },
        ),
        "time_signatures": table_of(
            "time_signatures",
            {
                "tick": columns.metre_tick[: num[METRES]],
                "time_sec": columns.metre_sec[: num[METRES]],
                "numerator": columns.metre_numerator[: num[METRES]],
                "denominator": columns.metre_denominator[: num[METRES]],
            },
        ),
        "key_signatures": table_of(
            "key_signatures",
            {
                "tick": columns.key_tick[: num[KEYS]],
                "time_sec": columns.key_sec[: num[KEYS]],
                "sharps": columns.key_sharps[: num[KEYS]],
                "mode": _named(columns.key_is_minor[: num[KEYS]], pa.array(["major", "minor"])),
            },
        ),
        "parts": table_of(
            "parts",
            {
                "track": columns.part_track[: num[PARTS]],
                "channel": columns.part_channel[: num[PARTS]],
                "name": pa.array(_part_names(read), pa.string()),
                "program": columns.part_program[: num[PARTS]],
                "is_drum": columns.part_channel[: num[PARTS]] == 9,
                "num_notes": columns.part_notes[: num[PARTS]],
            },
        ),
        "message_counts": _message_counts(read),
    }
    assert tuple(tables) == EVENT_TABLES
    return tables


def _named(number: np.ndarray, names: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(number.astype(np.int32)), names)


def _part_names(read: ReadFiles) -> list[str | None]:
    found: list[str | None] = []
    for i in read.accepted.tolist():
        names = names_of(read, i)
        begin, end = read.num_rows[i, PARTS], read.num_rows[i + 1, PARTS]
        found += [names.get(track) for track in read.columns.part_track[begin:end].tolist()]
    return found


def _message_counts(read: ReadFiles) -> pa.Table:
    counts = read.counts[read.accepted]
    rows, kinds = np.nonzero(counts)
    return table_of(
        "message_counts", {"kind": _named(kinds, _KIND_NAMES), "num_messages": counts[rows, kinds].astype(np.int32)}
    )
