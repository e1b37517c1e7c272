"""`pianogen audit` and `pianogen dedupe FOLDER` as a stranger types them: no project, exit codes to rely on."""

import csv
import io
import json
from pathlib import Path

import pytest
from audits import PIECES, leaking_folders, write_split
from commands import pianogen, pianogen_in_a_process
from corpora import transposed, write_midi

COLUMNS = ["path_a", "path_b", "relation", "score", "semitones", "tempo_ratio", "coverage", "residual_sec"]


def in_a_line(text: str) -> str:
    return " ".join(text.split())


def test_a_split_that_leaks_is_told_and_ends_with_1(folder, tmp_path):
    leaking_folders(folder)
    words = ["--train", "train", "--test", "test", "--out", tmp_path / "out"]
    done = pianogen_in_a_process("audit", *words, cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 test files (50.0 %) has music in train." in done.stdout
    assert done.stdout.splitlines()[-1] == "leaks"
    assert "train: a.mid" in done.stdout
    assert str(tmp_path / "out" / "index.html") in done.stderr
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out" / "pairs.csv").read_text()))
    assert (row["path_a"], row["path_b"], row["semitones"], row["is_leak"]) == ("a.mid", "renamed.mid", "3", "True")
    assert sorted(path.name for path in folder.iterdir()) == ["test", "train"], "nothing is written beside the music"


def test_a_clean_split_ends_with_0_and_says_what_it_could_not_read(folder):
    write_split(folder, train={"a.mid": PIECES[0]}, test={"b.mid": PIECES[1]})
    (folder / "test" / "broken.mid").write_bytes(b"MThd")
    done = pianogen("audit", folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "clean"
    assert "None of 1 test file has music in train." in done.stdout
    assert "test: 1 file compared, 1 rejected" in done.stdout
    assert "test: test/broken.mid: truncated" in done.stdout


def test_everything_comes_as_json(folder):
    write_split(folder, all={"a.mid": PIECES[0], "b.mid": PIECES[0], "c.mid": PIECES[1]})
    (folder / "s.csv").write_text("file;set\na.mid;train\nb.mid;test\nnot here.mid;test\n")
    done = pianogen_in_a_process("audit", folder / "all", "--splits", folder / "s.csv", "--json", cwd=folder)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["leaks"] is True
    assert (told["missing"], told["without_split"]) == (["not here.mid"], ["c.mid"])
    assert [row["relation"] for row in told["pairs"]] == ["same_bytes"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "name two folders at least, as --train FOLDER --test FOLDER"),
        (["--train", "music"], "name two folders at least"),
        (["--train", "music", "--test", "nowhere"], "nowhere: no such folder; --test names the folder"),
        (["--train", "music", "--test", "music"], "its files would be in both"),
        (["music", "--train", "music"], "name either one FOLDER"),
        (["--splits", "s.csv"], "name the FOLDER that its paths begin in"),
        (["music", "--splits", "nowhere.csv"], "nowhere.csv: the splits cannot be read"),
        (["music"], "which file is in which split?"),
        (["--train", "music", "--test", "empty"], "only train; is a folder empty"),
        (["--train", "music", "--test", "junk"], "test: none of its 1 files is music that can be read"),
        (["--train", "music", "--test", "junk", "--out", "music"], "holds something else than an audit"),
        (["--bogus"], "No such option"),
    ],
)
def test_what_could_not_be_told_ends_with_2(tmp_path, arguments, says):
    write_midi(tmp_path / "music" / "a.mid", PIECES[0])
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "a.mid").write_bytes(b"")
    done = pianogen("audit", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in in_a_line(done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_settings_file_that_is_broken_does_not_matter(folder):
    write_split(folder, train={"a.mid": PIECES[0]}, test={"b.mid": PIECES[1]})
    (folder / "pianogen.toml").write_text("nonsense =")
    assert pianogen("audit", "--train", "train", "--test", "test", cwd=folder).returncode == 0


def write_hostile(folder: Path) -> None:
    write_midi(folder / "=1+1.mid", PIECES[0])
    write_midi(folder / 'b, "quoted"\n.mid', transposed(PIECES[0], -4), tempo_qpm=60)


def test_dedupe_writes_exactly_its_columns_and_no_formula(folder, tmp_path):
    write_hostile(folder)
    done = pianogen("dedupe", folder, "--out", tmp_path / "pairs.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reader = csv.DictReader(io.StringIO((tmp_path / "pairs.csv").read_text()))
    (row,) = reader
    assert reader.fieldnames == COLUMNS
    assert (row["path_a"], row["path_b"]) == ("'=1+1.mid", 'b, "quoted"\\x0a.mid')
    assert (row["relation"], row["semitones"], float(row["tempo_ratio"])) == ("edited_copy", "-4", 2.0)
    assert 0 < float(row["coverage"]) <= 1
    assert "2 files, 0 rejected, 1 pairs" in in_a_line(done.stderr)


def test_dedupe_shows_a_table_or_json_on_the_terminal(folder):
    write_hostile(folder)
    shown = pianogen("dedupe", folder, cwd=folder)
    assert shown.returncode == 0
    assert "edited_copy" in shown.stdout
    told = pianogen("dedupe", folder, "--json", cwd=folder)
    (row,) = json.loads(told.stdout)
    assert list(row) == COLUMNS
    assert row["path_a"] == "=1+1.mid"


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["nowhere"], 1, "nowhere: no such folder"),
        ([".", "--out", "."], 1, "--out names the CSV file to write"),
        (["--out", "pairs.csv"], 2, "write the pairs of a folder; name one"),
    ],
)
def test_dedupe_says_what_is_wrong_before_it_works(tmp_path, arguments, code, says):
    done = pianogen("dedupe", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert says in in_a_line(done.stderr.replace("│", " "))
    assert "Traceback" not in done.stderr
