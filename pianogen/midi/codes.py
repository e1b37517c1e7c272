"""Numbers that the compiled reader of MIDI files (`scan`, `assemble`) and the words about them share."""

from enum import IntEnum


class Code(IntEnum):
    """How the reading of a file ended."""

    OK = 0
    EMPTY_FILE = 1
    NOT_MIDI = 2
    SHORT_HEADER = 3
    ZERO_DIVISION = 4
    SMPTE_DIVISION = 5
    MISSING_TRACKS = 6
    NO_CHUNK = 7
    CUT_CHUNK = 8
    TOO_MANY_TRACKS = 9
    CUT_EVENT = 10
    LONG_QUANTITY = 11
    NO_STATUS = 12
    BAD_DATA = 13
    UNDEFINED_STATUS = 14
    LATE_TICK = 15
    NO_NOTES = 16
    ONLY_DRUMS = 17
    NO_PIANO = 18
    TOO_LONG = 19
    TOO_SILENT = 20
    TOO_DENSE = 21


class Kind(IntEnum):
    """Kinds of MIDI messages, as table `message_counts` names them (in lower case)."""

    NOTE_ON = 0
    NOTE_ON_ZERO = 1
    NOTE_OFF = 2
    KEY_PRESSURE = 3
    CONTROL_CHANGE = 4
    PROGRAM_CHANGE = 5
    CHANNEL_PRESSURE = 6
    PITCH_BEND = 7
    SYSTEM_EXCLUSIVE = 8
    SYSTEM = 9
    SEQUENCE_NUMBER = 10
    TEXT = 11
    COPYRIGHT = 12
    TRACK_NAME = 13
    INSTRUMENT_NAME = 14
    LYRIC = 15
    MARKER = 16
    CUE_POINT = 17
    OTHER_TEXT = 18
    CHANNEL_PREFIX = 19
    PORT = 20
    END_OF_TRACK = 21
    TEMPO = 22
    SMPTE_OFFSET = 23
    TIME_SIGNATURE = 24
    KEY_SIGNATURE = 25
    SEQUENCER_SPECIFIC = 26
    OTHER_META = 27
    UNKNOWN_CHUNK = 28


class Warn(IntEnum):
    """What an accepted file is warned of; `parse.WARNINGS` has the words."""

    NO_TEMPO = 0
    ZERO_TEMPO = 1
    INVALID_SIGNATURES = 2
    UNKNOWN_FORMAT = 3
    FORMAT_2 = 4
    TRAILING_BYTES = 5
    NO_END_OF_TRACK = 6
    AFTER_END_OF_TRACK = 7
    RUNNING_AFTER_META = 8
    SYSTEM_MESSAGES = 9
    ODD_META = 10
    STRAY_OFFS = 11
    UNCLOSED_NOTES = 12
    ZERO_LENGTH_NOTES = 13
    NOTES_OFF_PIANO = 14
    DRUMS = 15
    OTHER_PARTS = 16
    UNKNOWN_CHUNKS = 17
