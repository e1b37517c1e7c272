"""Bytes of a MIDI file to a `ParsedFile`: symusic parses, mido explains what symusic refuses."""

import io
import struct
from typing import Any

import numpy as np

from pianogen.errors import RejectedFileError
from pianogen.midi.parsed import ParsedFile, Track, build_parsed
from pianogen.midi.time import tempo_map


def parse_midi(data: bytes) -> ParsedFile:
    """Everything that the lake keeps of one Standard MIDI File.

    Raises:
        RejectedFileError: with the reason and what was found.
    """
    _check_header(data)
    import symusic

    try:
        # A factory makes one of three classes, by time unit; here in ticks.
        score: Any = symusic.Score.from_midi(data)
    except Exception as error:
        # symusic raises RuntimeError, ValueError and decoding errors from its C++ core.
        raise _explained(data, error) from None
    tempos = score.tempos.numpy()
    warnings = []
    if not len(tempos["time"]):
        warnings.append("no_tempo: 120 quarters a minute assumed")
    if zero := int((tempos["mspq"] <= 0).sum()):
        warnings.append(f"zero_tempo: {zero} tempo changes of no duration passed over")
    tempo = tempo_map(tempos["time"], tempos["mspq"], score.ticks_per_quarter)
    metres = [(m.time, m.numerator, m.denominator) for m in score.time_signatures]
    keys = [(k.time, k.key, "minor" if k.tonality else "major") for k in score.key_signatures]
    valid_metres = [metre for metre in metres if metre[1] > 0 and metre[2] > 0]
    valid_keys = [key for key in keys if -7 <= key[1] <= 7]
    if invalid := len(metres) - len(valid_metres) + len(keys) - len(valid_keys):
        warnings.append(f"invalid_signatures: {invalid} impossible time or key signatures left out")
    return build_parsed(
        format="midi",
        title=None,
        composer=None,
        tempo=tempo,
        tracks=[_track(track) for track in score.tracks],
        time_signatures=np.array(valid_metres, np.int64).reshape(-1, 3),
        key_signatures=valid_keys,
        warnings=warnings,
    )


def _track(track) -> Track:
    notes = track.notes.numpy()
    controls = track.controls.numpy()
    pitch, velocity = notes["pitch"], notes["velocity"]
    if len(pitch) and (pitch.min() < 0 or velocity.min() < 0):
        raise RejectedFileError("invalid_bytes", "a pitch or velocity above 127")
    tick = controls["time"]
    order = np.argsort(tick, kind="stable") if (tick[1:] < tick[:-1]).any() else slice(None)
    return Track(
        program=track.program,
        is_drum=track.is_drum,
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        onset_tick=notes["time"],
        duration_tick=notes["duration"],
        control_tick=tick[order],
        control_number=controls["number"][order],
        control_value=controls["value"][order],
    )


def _check_header(data: bytes) -> None:
    if not data:
        raise RejectedFileError("empty_file", "0 bytes")
    if data[:4] != b"MThd":
        raise RejectedFileError("not_midi", f"the file begins with {data[:4]!r}, a MIDI file with b'MThd'")
    if len(data) < 14:
        raise RejectedFileError("truncated", f"{len(data)} bytes, a MIDI header has 14")
    (division,) = struct.unpack(">H", data[12:14])
    if division == 0:
        raise RejectedFileError("zero_division", "the header says 0 ticks per quarter")
    if division & 0x8000:
        raise RejectedFileError("smpte_division", f"time in SMPTE frames (division 0x{division:04x}), not in quarters")


def _explained(data: bytes, error: Exception) -> RejectedFileError:
    """The rejection of a file that symusic refused, in mido's words where it has some."""
    import mido

    symusic_words = str(error).removesuffix(": iostream error")
    try:
        mido.MidiFile(file=io.BytesIO(data))
    except EOFError:
        return RejectedFileError("truncated", f"the file ends in the middle of a track (symusic: {symusic_words})")
    except Exception as explanation:
        # mido raises OSError, ValueError, IndexError and KeyError for what it cannot read.
        mido_words = str(explanation) or type(explanation).__name__
        return RejectedFileError("invalid_bytes", f"{mido_words} (symusic: {symusic_words})")
    return RejectedFileError("invalid_bytes", f"symusic: {symusic_words} (mido reads it)")
