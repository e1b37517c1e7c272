"""The command `pianogen` on a small project, in the order in which a user would type it."""

import csv
import io
import json
import subprocess
import sys

import commands
import pytest
import symusic
from builders import scale
from projects import PROJECT, Project, tune
from typer.testing import CliRunner

from pianogen.cli import app
from pianogen.midi.render import midi_bytes


def pianogen(*arguments: object, project: Project | None = None) -> tuple[int, str]:
    """Exit code and standard output of a command that must not raise."""
    words = [str(argument) for argument in arguments]
    if project is not None:
        words += ["--config", str(project.config)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    return result.exit_code, result.stdout


COMMANDS = [
    "datasets",
    "download",
    "inspect",
    "ingest",
    "dedupe",
    "audit",
    "sql",
    "experiments",
    "tokenize",
    "tokenizers",
    "train",
    "evaluate",
    "export",
    "generate",
    "judge",
    "leaderboard",
    "report",
]


def test_the_commands_are_the_ones_that_the_documents_name():
    assert sorted(command.name or command.callback.__name__ for command in app.registered_commands) == sorted(COMMANDS)
    readme = (PROJECT / "README.md").read_text()
    assert [name for name in COMMANDS if name not in readme] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    code, said = pianogen(command, "--help")
    assert code == 0
    assert f"Example: pianogen {command}" in said


def test_inspect_tells_an_accepted_file_in_json(tmp_path):
    file = tmp_path / "a tune.mid"
    file.write_bytes(midi_bytes(scale(60, 16)))
    code, said = pianogen("inspect", file, "--json")
    facts = json.loads(said)
    assert code == 0
    assert facts["status"] == "accepted"
    assert facts["reason"] is None
    assert facts["num_notes"] == 16
    assert facts["duration_sec"] == 4.0
    assert facts["pitch_range"] == [60, 72]
    assert facts["warnings"] == []


def test_inspect_tells_a_rejected_file_and_exits_with_1(tmp_path):
    file = tmp_path / "broken.mid"
    file.write_bytes(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00")
    code, said = pianogen("inspect", file, "--json")
    facts = json.loads(said)
    assert code == 1
    assert (facts["status"], facts["reason"]) == ("rejected", "zero_division")
    assert "0 ticks" in facts["detail"]
    code, said = pianogen("inspect", file)
    assert code == 1
    assert "zero_division" in said


def test_inspect_of_a_file_that_is_not_there_is_a_rejection(tmp_path):
    code, said = pianogen("inspect", tmp_path / "nowhere.mid", "--json")
    assert code == 1
    assert json.loads(said)["reason"] == "unreadable"


def test_dedupe_writes_the_pairs_of_a_folder(tmp_path):
    folder = tmp_path / "music"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.mid").write_bytes(midi_bytes(tune(1)))
    (folder / "sub" / "copy.mid").write_bytes(midi_bytes(tune(1)))
    (folder / "two.mid").write_bytes(midi_bytes(tune(2)))
    (folder / "broken.mid").write_bytes(b"MThd")
    pairs = tmp_path / "pairs.csv"
    done = commands.pianogen("dedupe", folder, "--out", pairs, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(pairs.read_text()))
    assert (row["path_a"], row["path_b"], row["relation"]) == ("one.mid", "sub/copy.mid", "same_bytes")
    assert float(row["score"]) == 1
    assert "broken.mid: truncated" in done.stderr


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["dedupe", "/no/such/folder"], "no such folder"),
        (["ingest", "nope"], "dataset 'nope' is not known; known: music21_bach, maestro_v3,"),
        (["ingest", "lakh_full"], "lakh_full is not here (no file in"),
        (
            ["ingest", "lakh_full"],
            "pianogen download lakh_full, or name your copy in pianogen.toml: [datasets.lakh_full]",
        ),
        (["ingest", "giantmidi"], "it cannot be fetched from here, only read from a folder of yours: see https://"),
        (["tokenize", "nope"], "no such experiment file"),
        (["datasets", "--config", "nope.toml"], "no such settings file"),
    ],
)
def test_what_goes_wrong_is_one_line_that_says_what_to_do(arguments, says):
    done = commands.pianogen(*arguments, cwd=PROJECT)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.lstrip().startswith("error: ")
    assert says in " ".join(done.stderr.split())


def test_help_imports_nothing_heavy():
    heavy = ["pyarrow", "numpy", "numba", "duckdb", "torch", "music21", "requests", "rich.table"]
    code = f"import pianogen.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ingest_tells_what_was_rejected_and_removed_and_the_licence(tmp_path):
    project = Project(tmp_path, num_scores=2)
    (project.scores / "cut one.mid").write_bytes(b"MThd")
    (project.scores / "cut two.mid").write_bytes(b"MThd\0")
    (project.scores / "empty.mid").write_bytes(b"")
    text = project.config.read_text().replace('folder = "scores"', 'folder = "scores"\nlicence = "CC BY-NC 4.0"')
    project.config.write_text(text)
    code, said = pianogen("ingest", "scores", project=project)
    assert code == 0
    assert said.splitlines() == [
        "scores: 5 files, 2 performances, 3 rejections",
        "  rejected: 2 truncated",
        "  rejected: 1 empty_file",
        "  licence: CC BY-NC 4.0: no commercial use, nor of what is derived from it",
    ]
    (project.scores / "empty.mid").unlink()
    code, said = pianogen("ingest", "scores", project=project)
    assert "  removed or changed: 1 files of earlier ingests" in said
    query = "select path, cause from removed_files"
    assert pianogen("sql", query, "--format", "csv", project=project) == (0, "path,cause\nempty.mid,removed\n")


def test_ingest_shows_the_first_notes_on_metadata_and_counts_the_others(tmp_path):
    project = Project(tmp_path, num_scores=2)
    header = "canonical_composer,canonical_title,split,year,midi_filename\n"
    rows = [f"A,B,half,2004,{i}.midi\n" for i in range(2)]
    (project.scores / "maestro-v3.0.0.csv").write_text(header + "".join(rows))
    text = project.config.read_text().replace('folder = "scores"', 'folder = "scores"\nmetadata = "maestro"')
    project.config.write_text(text)
    code, said = pianogen("ingest", "scores", project=project)
    assert code == 0
    notes = [line for line in said.splitlines() if line.startswith("  metadata: ")]
    assert notes
    assert len(notes) <= 6


def test_a_dataset_that_is_here_no_more_is_not_read_as_one_that_lost_its_files(tmp_path):
    project = Project(tmp_path, num_scores=0)
    folder = tmp_path / "maestro"
    folder.mkdir()
    (folder / "a.midi").write_bytes(midi_bytes(tune(1)))
    project.config.write_text(f'{project.config.read_text()}[datasets.maestro_v3]\nfolder = "{folder}"\n')
    _, said = pianogen("ingest", project=project)
    assert "maestro_v3: 1 files, 1 performances" in said
    folder.rename(tmp_path / "unmounted")
    done = commands.pianogen_in_a_process("ingest", "--config", project.config, cwd=PROJECT)
    assert done.returncode == 1
    assert "maestro_v3 is not here" in " ".join(done.stderr.split())
    query = "select count(*) as n from performances"
    assert pianogen("sql", query, "--format", "csv", project=project) == (0, "n\n1\n")


@pytest.mark.slow
def test_the_whole_way_by_hand(tmp_path):
    project = Project(tmp_path)
    text = project.config.read_text().replace('folder = "scores"', 'folder = "scores"\nlicence = "CC BY-NC-SA 4.0"')
    project.config.write_text(text)
    code, said = pianogen("ingest", "--dry-run", project=project)
    assert (code, said.splitlines()) == (0, ["scores: 30 files, 30 to parse", "custom: 0 files, 0 to parse"])
    assert not project.lake.exists()
    code, said = pianogen("ingest", project=project)
    assert "scores: 30 files, 30 performances, 0 rejections" in said
    assert pianogen("ingest", "--dry-run", project=project)[1].startswith("scores: 30 files, 0 to parse")
    assert pianogen("sql", "select count(*) as n from files", "--format", "csv", project=project) == (0, "n\n30\n")
    code, said = pianogen("dedupe", project=project)
    assert "gate: passed, certificate" in said
    count = ("sql", "select count(*) > 0 as n from sequences", "--format", "csv")
    assert pianogen(*count, project=project) == (0, "n\nFalse\n")
    code, said = pianogen("tokenize", "tiny", project=project)
    assert "train: " in said
    assert pianogen(*count, project=project) == (0, "n\nTrue\n")
    code, said = pianogen("train", "tiny", project=project)
    assert "nats per validation token" in said
    code, said = pianogen("evaluate", "tiny", project=project)
    assert "bits_per_note" in said
    code, said = pianogen("leaderboard", "--format", "json", project=project)
    (row,) = json.loads(said)
    assert row["experiment"] == "tiny"
    assert (row["non_commercial"], row["non_commercial_licences"]) == (True, "scores: CC BY-NC-SA 4.0")
    assert row["licences"] == "custom: not stated + scores: CC BY-NC-SA 4.0"
    (folder,) = (tmp_path / "data" / "runs" / "tiny").iterdir()
    manifests = [project.lake / "manifests" / name for name in ("splits/all.json", "shards/tiny.json")]
    told = [json.loads(path.read_text())["info"] for path in manifests]
    told += [json.loads((folder / name).read_text()) for name in ("run.json", "best/lineage.json")]
    assert [one["non_commercial_datasets"] for one in told] == [["scores"]] * 4
    assert [one["licences"] for one in told] == [{"custom": "not stated", "scores": "CC BY-NC-SA 4.0"}] * 4
    code, said = pianogen("sql", "select count(*) as n from performances", "--format", "csv", project=project)
    assert said == "n\n30\n"
    code, said = pianogen("sql", "select 1 as one, null as none", "--format", "json", project=project)
    assert json.loads(said) == [{"one": 1, "none": None}]
    out = tmp_path / "next.mid"
    prompt = next(project.scores.iterdir())
    code, said = pianogen("generate", "--prompt", prompt, "--out", out, "--max-tokens", 40, project=project)
    assert code == 0
    assert symusic.Score(out).note_num() >= 60
    options = ("--prompt", prompt, "--out", out, "--max-tokens", 20, "--beams", 2, "--beam-groups", 2)
    code, said = pianogen("generate", *options, project=project)
    best, other, difference = said.splitlines()
    assert code == 0
    assert best.startswith(f"{out}: ")
    assert other.startswith(f"{tmp_path / 'next.2.mid'}: ")
    assert float(best.split("score ")[1].split(",")[0]) >= float(other.split("score ")[1].split(",")[0])
    assert difference.startswith("difference between them: ")
    assert symusic.Score(tmp_path / "next.2.mid").note_num() >= 60
    code, said = pianogen("report", project=project)
    page = tmp_path / "data" / "report" / "index.html"
    assert said.splitlines() == [str(page), str(tmp_path / "docs" / "data" / "README.md")]
    assert "non-commercial licence: CC BY-NC-SA 4.0 (scores)" in page.read_text()
