import json
from dataclasses import replace
from pathlib import Path

import pytest
from builders import settings_in
from typer.testing import CliRunner

from pianogen import inventory
from pianogen.cli import app
from pianogen.errors import SettingsError
from pianogen.settings import FolderDataset, Settings

HEADER = "canonical_composer,canonical_title,split,year,midi_filename\n"


def with_maestro(folder: Path, num_here: int, num_named: int) -> Settings:
    """Settings in whose raw folder lies a part of MAESTRO."""
    music = folder / "raw" / "maestro_v3" / "2004"
    music.mkdir(parents=True)
    rows = [f"A,B,train,2004,2004/{i:02d}.midi\n" for i in range(num_named)]
    (music.parent / "maestro-v3.0.0.csv").write_text(HEADER + "".join(rows))
    for i in range(num_here):
        (music / f"{i:02d}.midi").write_bytes(b"")
    return settings_in(folder)


def row_of(settings: Settings, name: str) -> dict:
    return next(row for row in inventory.overview(settings).to_pylist() if row["dataset"] == name)


def command(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of `pianogen datasets` beside these settings' folders."""
    config = settings.root / "pianogen.toml"
    config.write_text('raw = "raw"\nlake = "lake"\n[datasets]\n')
    result = CliRunner().invoke(app, ["datasets", *arguments, "--config", str(config)], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_the_overview_tells_licence_size_and_what_is_here(tmp_path):
    settings = with_maestro(tmp_path, num_here=3, num_named=5)
    assert row_of(settings, "maestro_v3") == {
        "dataset": "maestro_v3",
        "title": "MAESTRO v3.0.0, competition performances on Disklaviers",
        "licence": "CC BY-NC-SA 4.0 (non-commercial)",
        "non_commercial": True,
        "download": "58.4 MB",
        "download_bytes": 58416533,
        "files_expected": 1276,
        "files_here": 3,
        "here": "3 of 1276 files",
        "performances": None,
        "rejections": None,
        "split": "auto",
        "parts": "all",
        "folder": str(tmp_path / "raw" / "maestro_v3"),
    }
    assert row_of(settings, "music21_bach")["here"] == "408 of 408 files"
    assert row_of(settings, "maestro_v2")["here"] == row_of(settings, "lakh_matched")["here"] == "not here"
    assert row_of(settings, "pop909")["download"] == "size not known"
    assert row_of(settings, "giantmidi")["here"].startswith("not here; only from a folder of yours, see https://github")


def test_a_folder_of_the_users_is_told_too_whatever_its_name_holds(tmp_path):
    (tmp_path / "a\x1b[31m").mkdir()
    (tmp_path / "a\x1b[31m" / "a.mid").write_bytes(b"")
    (tmp_path / "a_file").write_bytes(b"")
    mine = FolderDataset(name="mine", folder=tmp_path / "a\x1b[31m")
    broken = FolderDataset(name="broken", folder=tmp_path / "a_file")
    settings = replace(settings_in(tmp_path), folders=(mine, broken))
    row = row_of(settings, "mine")
    assert (row["here"], row["files_expected"], row["download"]) == ("1 file", None, "none")
    assert row["folder"].endswith("/a\\x1b[31m")
    row = row_of(settings, "broken")
    assert row["files_here"] is None
    assert "cannot be opened: Not a directory" in row["here"]


def test_one_dataset_is_described_with_facts_sources_and_missing_files(tmp_path):
    known = inventory.describe(with_maestro(tmp_path, num_here=3, num_named=5), "maestro_v3")
    assert known["missing"] == ["2004/03.midi", "2004/04.midi"]
    facts = {fact["name"]: fact for fact in known["facts"]}
    assert facts["splits"]["value"] == {"train": 962, "validation": 137, "test": 177}
    assert facts["splits"]["source"] == "counted in maestro-v3.0.0.csv"
    assert (facts["splits"]["verified"], facts["audio_zip_bytes"]["verified"]) == (True, False)
    assert known["advice"].startswith("pianogen download maestro_v3, or name your copy in pianogen.toml: [datasets.mae")


def test_where_nothing_names_the_files_none_is_called_missing(tmp_path):
    (tmp_path / "raw" / "lakh_clean" / "A").mkdir(parents=True)
    (tmp_path / "raw" / "lakh_clean" / "A" / "B.mid").write_bytes(b"")
    known = inventory.describe(settings_in(tmp_path), "lakh_clean")
    assert (known["missing"], known["here"]) == (None, "1 of 17252 files")
    with pytest.raises(SettingsError, match="dataset 'lahk' is not known"):
        inventory.describe(settings_in(tmp_path), "lahk")


def test_the_command_shows_the_first_missing_files_and_all_on_request(tmp_path):
    settings = with_maestro(tmp_path, num_here=1, num_named=40)
    code, said, _ = command(settings, "maestro_v3")
    assert code == 0
    assert "licence       CC BY-NC-SA 4.0 (non-commercial)" in said
    assert said.count("2004/") == 20
    assert "and 19 more; --missing lists all" in said
    code, said, _ = command(settings, "maestro_v3", "--missing")
    assert said.splitlines() == [f"2004/{i:02d}.midi" for i in range(1, 40)]
    code, said, _ = command(settings, "maestro_v3", "--json")
    assert len(json.loads(said)["missing"]) == 39


def test_the_command_says_where_nothing_names_the_missing_files(tmp_path):
    code, said, told = command(settings_in(tmp_path), "lakh_full", "--missing")
    assert (code, said) == (0, "")
    assert "not here; nothing names the missing ones" in told


def test_the_command_lists_every_dataset_in_each_form(tmp_path):
    settings = settings_in(tmp_path)
    code, said, _ = command(settings)
    assert code == 0
    assert "maestro_v3" in said
    rows = json.loads(command(settings, "--json")[1])
    assert rows == json.loads(command(settings, "--format", "json")[1])
    assert [row["dataset"] for row in rows][:3] == ["music21_bach", "maestro_v3", "maestro_v2"]
    lines = command(settings, "--format", "csv")[1].splitlines()
    assert lines[0].startswith("dataset,title,licence,non_commercial,download,download_bytes,")
    assert len(lines) == 1 + len(rows)
    assert command(settings, "jsb", "--format", "csv")[1].splitlines()[0] == "name,value,source,verified"


def test_all_missing_files_of_no_dataset_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="--missing needs the NAME of a dataset"):
        command(settings_in(tmp_path), "--missing")


def test_values_are_words():
    assert inventory.value_text({"train": 1234, "hours": 1.5}) == "train 1,234, hours 1.5"
    assert inventory.value_text("a") == "a"
