import io
import zipfile
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import music21
import pytest

from pianogen.errors import RejectedFileError
from pianogen.musicxml import MAX_XML_BYTES, TICKS_PER_QUARTER, parse_musicxml
from pianogen.musicxml import _unpacked as unpacked
from pianogen.reading import parse_file

BACH = Path(music21.__file__).parent / "corpus/bach"
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def note(step: str, octave: int, quarters: int, inside: str = "", before: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{before}{pitch}<duration>{quarters}</duration>{inside}</note>"


def score(*parts: str, head: str = "") -> bytes:
    """A MusicXML score of one measure a part, `divisions` 1."""
    listed = "".join(f'<score-part id="P{i}"><part-name>P{i}</part-name></score-part>' for i in range(len(parts)))
    body = "".join(
        f'<part id="P{i}"><measure number="1"><attributes><divisions>1</divisions></attributes>{part}</measure></part>'
        for i, part in enumerate(parts)
    )
    text = f'<?xml version="1.0"?><score-partwise version="3.1">{head}<part-list>{listed}</part-list>{body}'
    return f"{text}</score-partwise>".encode()


def packed(text: bytes, *, full_path: str = "s.xml", name: str = "s.xml") -> bytes:
    """A .mxl archive."""
    container = f'<container><rootfiles><rootfile full-path="{full_path}"/></rootfiles></container>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr(name, text)
    return file.getvalue()


def rows(data: bytes) -> list[tuple]:
    """Track, pitch, onset and duration in quarters of each note."""
    notes = parse_musicxml(data).notes.to_pylist()
    return [
        (n["track"], n["pitch"], n["onset_tick"] / TICKS_PER_QUARTER, n["duration_tick"] / TICKS_PER_QUARTER)
        for n in notes
    ]


def test_each_part_is_a_track_from_the_top():
    parsed = parse_musicxml(score(note("C", 5, 2) + note("D", 5, 2), note("C", 3, 4)))
    assert rows(score(note("C", 5, 2) + note("D", 5, 2), note("C", 3, 4))) == [
        (1, 48, 0, 4),
        (0, 72, 0, 2),
        (0, 74, 2, 2),
    ]
    assert (parsed.format, parsed.num_tracks, parsed.duration_sec, parsed.duration_quarters) == ("musicxml", 2, 2, 4)
    assert set(parsed.notes["velocity"].to_pylist()) == {64}
    assert parsed.warnings == ("no_tempo: 120 quarters a minute assumed",)


def test_tied_notes_are_one_note():
    tied = note("C", 4, 2, '<tie type="start"/>') + note("C", 4, 2, '<tie type="stop"/>') + note("C", 4, 1)
    assert rows(score(tied)) == [(0, 60, 0, 4), (0, 60, 4, 1)]


def test_chords_voices_and_rests_fall_where_they_are_written():
    chord = note("C", 4, 1) + note("E", 4, 1, before="<chord/>")
    rest = "<note><rest/><duration>1</duration></note>"
    second_voice = "<backup><duration>3</duration></backup>" + note("C", 3, 3)
    assert rows(score(chord + rest + note("G", 4, 1) + second_voice)) == [
        (0, 48, 0, 3),
        (0, 60, 0, 1),
        (0, 64, 0, 1),
        (0, 67, 2, 1),
    ]


def test_a_transposing_instrument_sounds_where_it_sounds():
    horn_in_f = "<attributes><transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose></attributes>"
    assert rows(score(horn_in_f + note("G", 4, 4), note("C", 4, 4))) == [(0, 60, 0, 4), (1, 60, 0, 4)]


def test_grace_notes_sound_on_the_beat_and_chord_symbols_do_not_sound():
    grace = "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>"
    symbol = "<harmony><root><root-step>A</root-step></root><kind>minor</kind></harmony>"
    data = score(symbol + grace + note("C", 4, 4))
    assert rows(data) == [(0, 60, 0, 4), (0, 62, 0, 1 / 8)]
    assert "grace_notes: sounded on the beat as 32nds" in parse_musicxml(data).warnings


def test_tempo_metre_key_and_names_are_read():
    attributes = (
        "<attributes><key><fifths>-3</fifths><mode>minor</mode></key>"
        "<time><beats>3</beats><beat-type>8</beat-type></time></attributes>"
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>60</per-minute></metronome>"
        '</direction-type><sound tempo="60"/></direction>'
    )
    head = (
        "<work><work-title>Air</work-title></work>"
        '<identification><creator type="composer">N. N.</creator></identification>'
    )
    parsed = parse_musicxml(packed(score(attributes + note("C", 4, 4), head=head)))
    assert (parsed.title, parsed.composer, parsed.duration_sec, parsed.warnings) == ("Air", "N. N.", 4, ())
    first = {name: table.to_pylist()[0] for name, table in parsed.tables.items() if table.num_rows}
    assert first["tempos"] == {"tick": 0, "time_sec": 0, "tempo_qpm": 60}
    assert first["time_signatures"] == {"tick": 0, "time_sec": 0, "numerator": 3, "denominator": 8}
    assert first["key_signatures"] == {"tick": 0, "time_sec": 0, "sharps": -3, "mode": "minor"}


def test_repeats_are_written_once_and_told():
    repeat = '<barline location="right"><repeat direction="backward"/></barline>'
    data = score(note("C", 4, 4) + repeat)
    assert rows(data) == [(0, 60, 0, 4)]
    assert "repeats: written once, not expanded" in parse_musicxml(data).warnings


def encrypted(data: bytes) -> bytes:
    """The archive with every member said to need a password."""
    local, central = data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01"), b"PK\x01\x02\x14\x03\x14\x00"
    return local.replace(central + b"\x00", central + b"\x01")


def with_broken_deflate(data: bytes) -> bytes:
    start = data.rindex(b"s.xml<?xml") if b"s.xml<?xml" in data else data.index(b"s.xml", 100) + 5
    return data[:start] + b"\xff" * 8 + data[start + 8 :]


PACKED = packed(score(note("C", 4, 4)) + b" " * 1000)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"not XML", "invalid_score: music21: "),
        (score(note("C", 4, 4))[:-30], "invalid_score: music21: "),
        (b"<html><body/></html>", "(invalid_score|no_notes): "),
        (score("<note><rest/><duration>4</duration></note>"), "no_notes: "),
        (PACKED[:-40], "invalid_score: not a compressed MusicXML archive: BadZipFile"),
        (packed(b"", full_path="other.xml"), "invalid_score: not a compressed MusicXML archive: KeyError"),
        (encrypted(PACKED), "invalid_score: not a compressed MusicXML archive: RuntimeError: .*encrypted"),
        (with_broken_deflate(PACKED), "invalid_score: not a compressed MusicXML archive: "),
        (packed(b" " * (MAX_XML_BYTES + 1)), "invalid_score: s.xml unpacks to more than 64 MiB"),
    ],
    ids=["text", "cut", "html", "rests", "cut zip", "no member", "encrypted", "broken deflate", "bomb"],
)
def test_what_is_no_score_is_rejected(data, reason):
    with pytest.raises(RejectedFileError, match=f"^{reason}"):
        parse_musicxml(data)


def test_a_zip_archive_of_something_else_is_no_score():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("letter.txt", "Dear Anna Magdalena")
    with pytest.raises(RejectedFileError, match="invalid_score: not a compressed MusicXML archive: KeyError"):
        parse_musicxml(file.getvalue())


def read_without_music21(xml: bytes) -> dict[int, list[tuple[int, Fraction, Fraction]]]:
    """Part number -> pitch, onset and duration in quarters of each sounded note, ties joined."""
    parts = {}
    for number, part in enumerate(ElementTree.fromstring(xml).findall("part")):
        divisions, measure_start, found, open_ties = 1, Fraction(0), [], {}
        for measure in part.findall("measure"):
            now = end = onset = measure_start
            for element in measure:
                if element.tag == "attributes" and element.find("divisions") is not None:
                    divisions = int(element.findtext("divisions"))
                length = Fraction(int(element.findtext("duration", "0")), divisions)
                if element.tag == "backup":
                    now -= length
                elif element.tag == "forward":
                    now += length
                elif element.tag == "note":
                    if element.find("chord") is None:
                        onset, now = now, now + length
                    if (pitch := element.find("pitch")) is not None:
                        midi = 12 + 12 * int(pitch.findtext("octave")) + STEPS[pitch.findtext("step")]
                        midi += int(pitch.findtext("alter", "0"))
                        ties = {tie.get("type") for tie in element.findall("tie")}
                        if "stop" in ties and midi in open_ties:
                            found[open_ties[midi]][2] += length
                        else:
                            found.append([midi, onset, length])
                            open_ties[midi] = len(found) - 1
                        if "start" not in ties:
                            open_ties.pop(midi, None)
                end = max(end, now)
            measure_start = end
        parts[number] = sorted(tuple(row) for row in found)
    return parts


def assert_read_alike(path: Path) -> None:
    expected = read_without_music21(unpacked(path.read_bytes()))
    found = defaultdict(list)
    for n in parse_file(path).notes.to_pylist():
        onset, duration = (Fraction(n[name], TICKS_PER_QUARTER) for name in ("onset_tick", "duration_tick"))
        found[n["track"]].append((n["pitch"], onset, duration))
    assert {track: sorted(notes) for track, notes in found.items()} == expected, path.name


@pytest.mark.parametrize("name", ["bwv269", "bwv26.6", "bwv262", "bwv277", "bwv304", "bwv393"])
def test_chorales_are_read_as_a_second_reader_reads_them(name):
    assert_read_alike(BACH / f"{name}.mxl")
