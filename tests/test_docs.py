"""What the documents tell a reader to type does what they say."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from projects import PROJECT, Project
from typer.testing import CliRunner

from pianogen.cli import app

TEXT = (PROJECT / "docs" / "warehouse.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def lines(language: str) -> list[str]:
    return [line for block in blocks(language) for line in block.splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A project whose warehouse lies where the document says, with a previous one."""
    made = Project(tmp_path_factory.mktemp("project"), num_scores=2)
    made.config.write_text(made.config.read_text().replace('"pianogen.duckdb"', '"warehouse/pianogen.duckdb"'))
    for number in (1, 2):
        (made.custom / f"tune {number}.mid").write_bytes((made.scores / "tune 00.mid").read_bytes())
        assert CliRunner().invoke(app, ["ingest", "--config", str(made.config)]).exit_code == 0
    assert (made.root / "warehouse" / "pianogen.previous.duckdb").exists()
    return made


@pytest.mark.parametrize("code", lines("python"))
def test_a_line_of_python_gives_rows(project, code):
    imported, _, asked = code.partition("; ")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{imported}; rows = {asked}; print(type(rows), len(rows))"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 4


def test_there_is_a_line_for_pandas_polars_and_arrow(project):
    results = [".df()", ".pl()", ".to_arrow_table()"]
    assert [result for result, code in zip(results, lines("python"), strict=True) if code.endswith(result)] == results


@pytest.mark.parametrize("command", lines("sh"))
def test_a_command_runs(project, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (name, *words) = shlex.split(command)
    assert name == "pianogen"
    result = CliRunner().invoke(app, [*words, "--config", str(project.config)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    named = [word for word in words if Path(word).suffix in (".csv", ".parquet", ".duckdb")]
    assert [path.name for path in tmp_path.iterdir()] == named


@pytest.mark.parametrize("script", blocks("sql"))
def test_a_script_runs(project, script, monkeypatch, tmp_path):
    moved = "set variable" in script
    monkeypatch.chdir(shutil.copytree(project.root, tmp_path / "moved") if moved else project.root)
    with duckdb.connect() as connection:
        assert connection.execute(script).fetchall()
