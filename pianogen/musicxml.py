"""Bytes of a MusicXML score to a `ParsedFile`, through music21.

Each part is a track, from the top: in a chorale soprano, alto, tenor and bass stay apart. A score has no
performance: it is played at its tempo marks (120 quarters a minute without one), with velocity 64 where
it names none, repeats not expanded, tied notes as one, every part as piano.
"""

import functools
import io
import xml.etree.ElementTree as ElementTree
import zipfile
from typing import Any

import numpy as np

from pianogen.errors import RejectedFileError
from pianogen.midi.parsed import ParsedFile, Track, build_parsed
from pianogen.midi.time import tempo_map

TICKS_PER_QUARTER = 480
DEFAULT_VELOCITY = 64
"""MIDI 1.0: the value of a keyboard without velocity."""

MAX_XML_BYTES = 64 * 2**20
_ONE_NOTE = b"""<score-partwise version="4.0">
<part-list><score-part id="P"><part-name/></score-part></part-list>
<part id="P"><measure number="1"><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration></note></measure></part>
</score-partwise>"""


@functools.cache
def load_parser() -> None:
    """Import all that reading a score takes, by reading one: seconds that no file's limits are to pay for."""
    parse_musicxml(_ONE_NOTE)


def parse_musicxml(data: bytes) -> ParsedFile:
    """Everything that the lake keeps of one score, plain (.musicxml) or compressed (.mxl).

    Raises:
        RejectedFileError: with the reason and what was found.
    """
    text = _unpacked(data) if data[:4] == b"PK\x03\x04" else data
    import music21

    try:
        score: Any = music21.converter.parseData(text, format="musicxml")
        score.toSoundingPitch(inPlace=True)  # what a clarinet in A reads is not what it plays
        parts = list(score.parts) if isinstance(score, music21.stream.Score) else [score]
        return _parsed(score, parts)
    except RejectedFileError:
        raise
    except Exception as error:
        # music21 raises its own errors, and those of ElementTree, int() and dict look-ups inside it.
        raise RejectedFileError("invalid_score", f"music21: {type(error).__name__}: {error}") from None


def _unpacked(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            container = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
            root = next(e for e in container.iter() if e.tag.endswith("rootfile"))
            return _member(archive, root.attrib["full-path"])
    except RejectedFileError:
        raise
    except Exception as error:
        # zipfile raises its own errors, and those of zlib, struct, file access and passwords inside it.
        words = f"{type(error).__name__}: {error}"
        raise RejectedFileError("invalid_score", f"not a compressed MusicXML archive: {words}") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        text = file.read(MAX_XML_BYTES + 1)
    if len(text) > MAX_XML_BYTES:
        raise RejectedFileError("invalid_score", f"{name} unpacks to more than {MAX_XML_BYTES // 2**20} MiB")
    return text


def _parsed(score, parts) -> ParsedFile:
    from music21 import bar, meter, tempo
    from music21 import key as m21_key

    warnings = []
    tracks = [_track(part.stripTies(), warnings) for part in parts]
    flat = parts[0].flatten() if parts else score.flatten()
    marks = [(_tick(m.offset), m.getQuarterBPM()) for m in flat.getElementsByClass(tempo.MetronomeMark)]
    marks = [(tick, qpm) for tick, qpm in marks if qpm]
    if not marks:
        warnings.append("no_tempo: 120 quarters a minute assumed")
    if any(part.recurse().getElementsByClass(bar.Repeat) for part in parts[:1]):
        warnings.append("repeats: written once, not expanded")
    metres = [(_tick(m.offset), m.numerator, m.denominator) for m in flat.getElementsByClass(meter.TimeSignature)]
    keys = [
        (_tick(k.offset), k.sharps, "minor" if isinstance(k, m21_key.Key) and k.mode == "minor" else "major")
        for k in flat.getElementsByClass(m21_key.KeySignature)
        if k.sharps is not None
    ]
    metadata = score.metadata
    return build_parsed(
        format="musicxml",
        title=(metadata.title or metadata.movementName) if metadata else None,
        composer=metadata.composer if metadata else None,
        tempo=tempo_map(
            np.array([m[0] for m in marks], np.int64),
            np.array([round(60e6 / m[1]) for m in marks], np.int64),
            TICKS_PER_QUARTER,
        ),
        tracks=tracks,
        time_signatures=np.array(metres, np.int64).reshape(-1, 3),
        key_signatures=keys,
        warnings=list(dict.fromkeys(warnings)),
    )


def _tick(quarters) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _track(part, warnings: list[str]) -> Track:
    from music21 import chord, harmony, note

    rows = []
    for element in part.flatten().notes:
        if isinstance(element, harmony.Harmony):
            continue  # a chord symbol names a harmony; nobody plays it
        onset_tick, duration_tick = _tick(element.offset), _tick(element.quarterLength)
        if element.duration.isGrace:
            duration_tick = TICKS_PER_QUARTER // 8
            warnings.append("grace_notes: sounded on the beat as 32nds")
        members = element.notes if isinstance(element, chord.Chord) else [element]
        for member in members:
            if isinstance(member, note.Note):
                velocity = member.volume.velocity or element.volume.velocity or DEFAULT_VELOCITY
                rows.append((onset_tick, duration_tick, member.pitch.midi, min(max(velocity, 1), 127)))
            else:
                warnings.append("unpitched: notes without a pitch left out")
    column = np.array(rows, np.int64).reshape(-1, 4)
    return Track(
        name=part.partName,
        pitch=column[:, 2].astype(np.uint8),
        velocity=column[:, 3].astype(np.uint8),
        onset_tick=column[:, 0],
        duration_tick=column[:, 1],
    )
