"""The broken files of the real data, each with the verdict that docs/ingest.md justifies."""

import csv
import re
import time

from ingests import counts, folder_dataset, ingest_settings, reasons
from projects import PROJECT

from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.midi.parse import WARNINGS
from pianogen.reading import REASONS

LAKH = {
    "0/09cb404457f00bb8ef3492df48fceb3f": "not_midi",
    "1/153301137aa15a28b87efb0dc5f84876": "not_midi",
    "1/193697ca2abcef9447924a1d38c370e4": "invalid_bytes",
    "1/1a788a5b1c377497b765f2a883b0d405": "invalid_bytes",
    "3/3f8edf44b140f6f62446f5e6b98fdb07": None,
    "4/408cc41309896762473442629f574226": "invalid_bytes",
    "4/425eaadcd706efbd3e506338de9e44e8": "invalid_bytes",
    "4/4435688187410d2f036d34255deaa522": "invalid_bytes",
    "4/4fbc61c893e0f94e5e760323dc109d97": "invalid_bytes",
    "5/5ad65950e782cb1af00fb3da433b96ed": "invalid_bytes",
    "6/6b23d62a3693b84d6afafd62d6659d8a": "invalid_bytes",
    "8/8445f46a95b8590cb469dd5b7f689c9c": None,
    "a/aa111322767e4b56e75a79c3fcaed210": None,
    "a/ab570ee50799ebd8d2efde1b74b8861b": None,
    "d/d323d28f759040423b503522d2674e8a": None,
    "d/d488997fb10d2cfc08f0c0659834ed23": "invalid_bytes",
    "e/e219b44355651bdbb7eb19a221056960": "invalid_bytes",
    "e/e6f0596983429cbd1b693abd655d71b6": "invalid_bytes",
    "f/f405900fe143f315fb9b43c1e9f72275": None,
    "f/f92627301e385f98e4184e190d9717ce": "invalid_bytes",
}
EXPECTED = {f"lmd_full/{name}.mid": reason for name, reason in LAKH.items()} | {
    "jazz-soft/test-2-tracks-type-0.mid": None,
    "jazz-soft/test-2-tracks-type-2.mid": None,
    "jazz-soft/test-c-major-scale.mid": None,
    "jazz-soft/test-corrupt-file-extra-byte.mid": None,
    "jazz-soft/test-corrupt-file-missing-byte.mid": "truncated",
    "jazz-soft/test-empty-file.mid": "empty_file",
    "jazz-soft/test-empty.mid": "no_notes",
    "jazz-soft/test-illegal-message-all.mid": "invalid_bytes",
    "jazz-soft/test-illegal-message-f1-xx.mid": None,
    "jazz-soft/test-illegal-message-f4.mid": "invalid_bytes",
    "jazz-soft/test-illegal-message-f5.mid": "invalid_bytes",
    "jazz-soft/test-illegal-message-f8.mid": None,
    "jazz-soft/test-illegal-message-fe.mid": None,
    "jazz-soft/test-karaoke-kar.mid": None,
    "jazz-soft/test-non-midi-track.mid": None,
    "jazz-soft/test-not-a-midi-file.mid": "not_midi",
    "jazz-soft/test-running-status-metaevent.mid": None,
    "jazz-soft/test-running-status-sysex.mid": None,
    "jazz-soft/test-silence-end-of-track.mid": "no_notes",
    "jazz-soft/test-smpte-offset.mid": None,
    "jazz-soft/test-track-length.mid": None,
    "jazz-soft/test-vlq-2-byte.mid": None,
    "jazz-soft/test-vlq-4-byte.mid": None,
    "miditok/ValueError_Control168.mid": "invalid_bytes",
    "miditok/empty.mid": "no_notes",
    "midly/Clementi.mid": None,
    "midly/Levels.mid": None,
    "midly/PiDamaged.mid": "truncated",
    "midly/SysExTest.mid": "no_notes",
    "music21/test05.mid": None,
    "music21/test13.mid": None,
    "music21/test15.mid": None,
    "music21/test16.mid": None,
    "music21/test19.mid": None,
    "symusic/1.midi": None,
    "symusic/Issue104_Bizarre_Love_Triangle2.mid": "invalid_bytes",
    "symusic/RunTimeError_unexpected_EOF.mid": None,
    "symusic/issue90.mid": None,
    "parser_results.csv": "not_music",
}
OTHER_NOTES = {"jazz-soft/test-running-status-sysex.mid": 8}
"""Where symusic reads other notes than we do: it takes the status from a system exclusive message, and loses half."""


def test_every_corrupt_file_is_a_performance_or_a_rejection_with_the_reason_that_fits(real_data, tmp_path):
    lake = Lake(tmp_path / "lake")
    began = time.monotonic()
    info = ingest_dataset(lake, folder_dataset(real_data / "corrupt"), ingest_settings(1)).info
    assert time.monotonic() - began < 10, "all of them in the time that one may take"
    files = lake.read("files").select(["path", "performance_id"]).to_pylist()
    found = {row["path"]: None for row in files} | reasons(lake)
    assert counts(info)[0] == len(found) == info["num_performances"] + info["num_rejections"]
    assert found == EXPECTED
    assert set(found.values()) - {None} <= set(REASONS)

    with (real_data / "corrupt/parser_results.csv").open(newline="") as file:
        results = {row["path"].removeprefix("corrupt/"): row for row in csv.DictReader(file)}
    for path, row in results.items():
        # What symusic refuses is broken; what it reads we read too, when there are notes in it.
        if row["symusic_0.6.0"] != "ok":
            assert found[path] in ("truncated", "invalid_bytes", "not_midi", "empty_file"), path
        else:
            assert found[path] == (None if int(row["notes_by_symusic"]) else "no_notes"), path
    performances = lake.read("performances").select(["performance_id", "num_notes", "num_drum_notes"]).to_pylist()
    num_notes = {row["performance_id"]: row["num_notes"] + row["num_drum_notes"] for row in performances}
    for path, performance_id in (tuple(row.values()) for row in files):
        if performance_id:
            assert num_notes[performance_id] == OTHER_NOTES.get(path, int(results[path]["notes_by_symusic"] or 0)), path
    assert all(detail for detail in lake.read("rejections")["detail"].to_pylist())


def test_the_document_has_every_reason_and_every_warning():
    document = (PROJECT / "docs/ingest.md").read_text()
    rejected, accepted = (document.split(f"## {title}")[1].split("## ")[0] for title in ("Rejected", "Accepted with"))
    assert re.findall(r"^\| `(\w+)`", rejected, re.MULTILINE) == list(REASONS)
    warnings = [words(1).split(":")[0] for words in WARNINGS.values()]
    assert re.findall(r"^\| `(\w+)`", accepted, re.MULTILINE)[: len(warnings)] == warnings
    in_sources = {
        name
        for module in ("midi/parse", "midi/parsed", "musicxml")
        for name in re.findall(r'append\(f?"(\w+): ', (PROJECT / f"pianogen/{module}.py").read_text())
    }
    assert {name for name in in_sources if f"`{name}`" not in accepted} == set()
    assert {"other_instruments", "grace_notes"} <= in_sources
