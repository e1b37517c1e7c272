"""What an audit writes: whole, escaped, the same bytes for the same music."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from audits import leaking_folders, write_pairs
from builders import event, midi_bytes, press
from corpora import here

from pianogen.audit.leaks import Audit, audit_split, judge
from pianogen.audit.page import CSV_COLUMNS, MAX_LISTED, require_writable, write_audit
from pianogen.audit.sources import Source, from_folders
from pianogen.errors import SettingsError
from pianogen.lake import Lake

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">[[data]]'


def page_data(page: Path) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="audit">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(found)


def rolls_data(out: Path, name: str) -> dict:
    text = (out / "rolls" / f"{name}.js").read_text()
    match = re.fullmatch(r'pianogenData\("([^"]+)",(\{.*\})\);\n', text)
    assert match is not None
    assert match[1] == name
    return json.loads(match[2])


def of_pairs(lake: Lake, num_pairs: int = 1, title: str = "listed") -> Audit:
    files: dict[str, str | None] = {f"train/{i}": f"a{i}" for i in range(num_pairs)}
    source = write_pairs(lake, {**files, f"test/{HOSTILE}": "b"}, [
        {"performance_a": f"a{i}", "performance_b": "b"} for i in range(num_pairs)
    ])  # fmt: skip
    return judge(lake, Source(title=title, datasets=source.datasets, split_of=source.split_of))


def test_the_folder_holds_page_table_json_and_the_notes_of_the_pairs(folder, tmp_path):
    audit = audit_split(leaking_folders(folder), here(tmp_path), num_rolls=5)
    out = tmp_path / "out"
    assert write_audit(audit, out) == out / "index.html"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == [
        "audit.json", "index.html", "pairs.csv", "rolls", "rolls/notes-0.js", "rolls/notes-1.js", "rolls/pair-0.js",
    ]  # fmt: skip
    told = json.loads((out / "audit.json").read_text())
    assert (told["leaks"], told["num_leaks"], told["held_out"][0]["share"]) == (True, 1, 0.5)
    assert (out / "pairs.csv").read_text().splitlines()[0] == ",".join(CSV_COLUMNS)
    pair, notes = rolls_data(out, "pair-0"), rolls_data(out, "notes-0")
    assert pair["matched_a"] == pair["matched_b"] == list(range(150))
    (roll,) = audit.rolls
    assert np.abs(np.cumsum(notes["onset"]) / 1000 - roll.a.onset_sec).max() <= 0.0005
    assert notes["pitch"] == roll.a.pitch.tolist()


def test_what_the_pedal_holds_comes_with_the_notes(folder, tmp_path):
    sustain = event(0, 0xB0, 64, 127)
    music = midi_bytes(sustain + b"".join(press(48 + (7 * i) % 40, 240) for i in range(120)) + event(480, 0xB0, 64, 0))
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        (folder / split / "a.mid").write_bytes(music)
    source = from_folders({split: folder / split for split in ("train", "test")})
    out = tmp_path / "out"
    write_audit(audit_split(source, here(tmp_path), num_rolls=1), out)
    held = rolls_data(out, "notes-0")["held"]
    assert held[0] == 119 * 250 + 500, "from its note-off to the lift"
    assert held[-1] == 500


def test_the_same_music_gives_the_same_bytes(folder, tmp_path):
    source = leaking_folders(folder)

    def written(name: str) -> dict[str, bytes]:
        out = write_audit(audit_split(source, here(tmp_path), num_rolls=5), tmp_path / name).parent
        return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    assert written("one") == written("two")


def test_names_from_files_stay_text(lake, tmp_path):
    page = write_audit(of_pairs(lake, title=HOSTILE), tmp_path / "out")
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img" not in text
    assert HOSTILE.replace("[[data]]", "") not in text
    data = page_data(page)
    assert dict(zip(data["pair_columns"], data["pairs"][0], strict=True))["path_b"] == f"test/{HOSTILE}"


def test_of_very_many_pairs_the_page_lists_the_worst_and_the_table_all(lake, tmp_path):
    page = write_audit(of_pairs(lake, MAX_LISTED + 10), tmp_path / "out")
    data = page_data(page)
    assert (len(data["pairs"]), data["num_pairs"]) == (MAX_LISTED, MAX_LISTED + 10)
    assert len((tmp_path / "out" / "pairs.csv").read_text().splitlines()) == 1 + MAX_LISTED + 10


def test_an_earlier_audit_is_replaced_whole_and_nothing_else_is(lake, tmp_path):
    audit, out = of_pairs(lake), tmp_path / "out"
    write_audit(audit, out)
    (out / "rolls" / "pair-7.js").write_text("old")
    write_audit(audit, out)
    assert list((out / "rolls").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []
    other = tmp_path / "mine"
    other.mkdir()
    (other / "index.html").write_text("<p>mine")
    with pytest.raises(SettingsError, match="holds something else than an audit"):
        write_audit(audit, other)
    assert (other / "index.html").read_text() == "<p>mine"
    with pytest.raises(SettingsError, match="this is a file"):
        require_writable(other / "index.html")
