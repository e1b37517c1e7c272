"""Text inside files, and their names, are data: nothing that shows them obeys them."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from builders import event, midi_bytes, press
from projects import Project
from typer.testing import CliRunner

from pianogen.cli import app

TEXTS = [
    "</script><script>alert(1)</script>",
    "two\nlines",
    'it\'s a "quote"',
    "'; drop table notes; --",
    "=1+1",
    "@SUM(A1)",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnihtyreve",
    "\x9b2J",
    "[bold]rich[/bold]",
    "🎹, très bien",
]
SHOWN = [
    "</script><script>alert(1)</script>",
    "two\nlines",
    'it\'s a "quote"',
    "'; drop table notes; --",
    "'=1+1",
    "'@SUM(A1)",
    "\\x1b[31mred\\x1b]0;title\\x07",
    "\\u202egnihtyreve",
    "\\u009b2J",
    "[bold]rich[/bold]",
    "🎹, très bien",
]
"""The same in CSV."""


def named(text: str) -> bytes:
    data = text.encode()
    return event(0, 0xFF, 3, len(data), *data) + press(60)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("foreign"), num_scores=0)
    (made.custom / "named.mid").write_bytes(midi_bytes(*map(named, TEXTS)))
    for name in ("=1+1.mid", "-rf.mid", "new\nline.mid", "\x1b[31m.mid", "<script>.mid"):
        (made.custom / name).write_bytes(b"MThd")
    Path(os.fsdecode(os.fsencode(made.custom) + b"/\xff.mid")).write_bytes(b"MThd")
    run("ingest", "--config", made.config)
    return made


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def steers(text: str) -> list[str]:
    """What a terminal might obey."""
    return [c for c in text if not c.isprintable() and c != "\n"]


NAMES = "select name from parts order by track"


def test_text_of_a_file_reaches_the_tables_as_it_is(project):
    assert [
        row["name"] for row in json.loads(run("sql", NAMES, "--format", "json", "--config", project.config))
    ] == TEXTS


@pytest.mark.parametrize("query", [NAMES, "select * from files", "select * from rejections", "select * from parts"])
@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_no_text_steers_a_terminal(project, query, form):
    said = run("sql", query, "--format", form, "--config", project.config)
    assert steers(said) == []
    assert "script>" in said or form == "table" or (form == "markdown" and "script&#62;" in said)


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_text_that_became_the_name_of_a_column_steers_nothing_either(project, form):
    query = "pivot (from parts) on name using count(*)"
    assert steers(run("sql", query, "--format", form, "--config", project.config)) == []


MARKED = [
    "<img src=x onerror=alert(1)>",
    "[here](https://example.com)",
    "![x](https://example.com/x.png)",
    "a | b",
    "`code` *bold* _slanted_ ~~gone~~ maestro_v3",
    "$x$ @everyone &amp; \\",
    "https://example.com",
    "two\nlines",
]


def test_markdown_shows_text_as_it_is(project):
    query = "select unnest($texts) as text, 1.5 as number"
    said = run("sql", query.replace("$texts", str(MARKED).replace('"', "'")), "--format", "markdown",
               "--config", project.config)  # fmt: skip
    header, line, *rows = said.splitlines()
    assert (header, line) == ("| text | number |", "| --- | ---: |")
    assert rows == [
        "| &#60;img src=x onerror=alert(1)&#62; | 1.5 |",
        "| &#91;here&#93;(https&#58;//example.com) | 1.5 |",
        "| !&#91;x&#93;(https&#58;//example.com/x.png) | 1.5 |",
        "| a &#124; b | 1.5 |",
        "| &#96;code&#96; &#42;bold&#42; &#95;slanted&#95; &#126;&#126;gone&#126;&#126; maestro_v3 | 1.5 |",
        "| $x$ &#64;everyone &#38;amp; &#92;&#92; | 1.5 |",
        "| https&#58;//example.com | 1.5 |",
        "| two&#92;nlines | 1.5 |",
    ]


def test_text_in_csv_is_no_formula_and_lines_stay_in_their_cell(project):
    said = run("sql", NAMES, "--format", "csv", "--config", project.config)
    assert [row["name"] for row in csv.DictReader(io.StringIO(said))] == SHOWN
    said = run("sql", "select path from rejections", "--format", "csv", "--config", project.config)
    assert {row["path"] for row in csv.DictReader(io.StringIO(said))} == {
        "'=1+1.mid", "'-rf.mid", "new\\x0aline.mid", "\\x1b[31m.mid", "<script>.mid", "\\xff.mid",
    }  # fmt: skip


def test_numbers_in_csv_stay_numbers(project):
    assert run("sql", "select -1 as a, -2.5 as b", "--format", "csv", "--config", project.config) == "a,b\n-1,-2.5\n"


def test_inspect_steers_no_terminal(project):
    said = run("inspect", project.custom / "named.mid")
    assert steers(said) == []
    assert "\\x1b[31mred" in said
    facts = json.loads(run("inspect", project.custom / "named.mid", "--json"))
    assert [part["name"] for part in facts["parts"]] == TEXTS
