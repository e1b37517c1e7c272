"""`pianogen sql` and `pianogen warehouse`, as a user would type them."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from projects import PROJECT, Project
from typer.testing import CliRunner
from warehouses import SQL

from pianogen.cli import app
from pianogen.errors import QueryError


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"), num_scores=3)
    pianogen("ingest", project=made)
    return made


def pianogen(*words: object, project: Project) -> str:
    """Standard output of a command that must succeed."""
    result = CliRunner().invoke(
        app, [*map(str, words), "--config", str(project.config)], catch_exceptions=False, env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def in_a_process(*words: object, project: Project) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pianogen.cli", *map(str, words), "--config", str(project.config)]
    return subprocess.run(command, capture_output=True, cwd=PROJECT, timeout=60, check=False)


def refusal(*words: object, project: Project) -> str:
    with pytest.raises(QueryError) as refused:
        pianogen(*words, project=project)
    return str(refused.value)


NOTES = "select pitch, onset_sec, performance_id from notes order by performance_id, onset_sec, pitch"


@pytest.fixture(scope="module")
def rows(project) -> list[dict]:
    with duckdb.connect(project.root / "pianogen.duckdb", read_only=True) as connection:
        return connection.sql(NOTES).to_arrow_table().to_pylist()


# Formats


def test_csv_json_and_parquet_hold_every_row(project, rows, tmp_path):
    assert len(rows) > 200
    said = pianogen("sql", NOTES, "--format", "csv", project=project)
    assert [float(row["onset_sec"]) for row in csv.DictReader(io.StringIO(said))] == [r["onset_sec"] for r in rows]
    assert json.loads(pianogen("sql", NOTES, "--format", "json", project=project)) == rows
    sent = in_a_process("sql", NOTES, "--format", "parquet", project=project).stdout
    table = pq.read_table(io.BytesIO(sent))
    assert table.to_pylist() == rows
    assert table.schema.field("pitch").type == pa.uint8()


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".md", ".CSV"])
def test_the_name_of_a_file_says_its_format(project, rows, tmp_path, suffix):
    out = tmp_path / "folder" / f"notes{suffix}"
    assert pianogen("sql", NOTES, "--out", out, project=project) == ""
    data = out.read_bytes()
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    if suffix == ".parquet":
        assert pq.read_table(out).to_pylist() == rows
    elif suffix == ".json":
        assert json.loads(data) == rows
    else:
        assert len(data.decode().splitlines()) == len(rows) + (2 if suffix == ".md" else 1)


def test_a_format_that_is_named_goes_before_the_name_of_the_file(project, rows, tmp_path):
    pianogen("sql", NOTES, "--out", tmp_path / "notes.txt", "--format", "json", project=project)
    assert json.loads((tmp_path / "notes.txt").read_text()) == rows


def test_a_table_shows_the_first_rows_and_counts_all(project, rows):
    done = in_a_process("sql", NOTES, project=project)
    lines = done.stdout.decode().splitlines()
    assert sum(line.startswith("│") for line in lines) == 100
    assert lines[-1] == f"{len(rows)} rows"
    assert "The first 100 are shown; --format csv or --out FILE gives all of them." in done.stderr.decode()


def test_markdown_is_a_table_with_numbers_to_the_right(project):
    said = pianogen("sql", "select 'a' as word, 2 as two, null as nothing", "--format", "markdown", project=project)
    assert said == "| word | two | nothing |\n| --- | ---: | --- |\n| a | 2 |  |\n"


def test_values_that_json_has_no_kind_for(project):
    query = """
        select
            sum(num_notes) as whole, 1.5::decimal(4, 1) as decimal, 'nan'::double as nothing,
            ['inf'::double, 2] as nested, date '2020-02-03' as day, 'x'::blob as bytes, {'a': 'y'::blob} as inner
        from performances
    """
    (row,) = json.loads(pianogen("sql", query, "--format", "json", project=project))
    assert row == {
        "whole": 225,
        "decimal": 1.5,
        "nothing": None,
        "nested": [None, 2.0],
        "day": "2020-02-03",
        "bytes": "<1 bytes>",
        "inner": {"a": "<1 bytes>"},
    }


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_an_answer_without_rows_is_one_too(project, form):
    said = pianogen("sql", "select pitch from notes where false", "--format", form, project=project)
    expected = {"csv": "pitch\n", "json": "[]\n", "markdown": "| pitch |\n| ---: |\n"}
    assert said == expected.get(form, said)
    assert form != "table" or said.endswith("0 rows\n")


def test_two_columns_of_one_name_stay_two_or_are_refused(project, tmp_path):
    query = "select 1 as a, 2 as a"
    assert pianogen("sql", query, "--format", "csv", project=project) == "a,a\n1,2\n"
    for name in ("a.json", "a.parquet"):
        assert "two columns are named 'a'" in refusal("sql", query, "--out", tmp_path / name, project=project)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query, words, says",
    [
        (NOTES, ["--out", "/dev/null/x.csv"], "/dev/null/x.csv: cannot be written: "),
        (NOTES, ["--out", "{}/x.xyz"], "a name that ends in .csv, .json, .md, .parquet expected, or --format"),
        (NOTES, ["--out", "{}/x.csv", "--format", "table"], "a table is for the eye; write csv, json"),
        ("select interval 1 day as i", ["--out", "{}/x.parquet"], "Parquet does not hold a column of this kind"),
        ("select error('late') from range(10)", ["--out", "{}/x.csv"], "late"),
        ("from range(100_000_000_000)", ["--out", "{}/x.parquet", "--timeout", "0.5"], "stopped after 0.5 s"),
    ],
)
def test_a_file_that_cannot_be_written_is_not_there(project, tmp_path, query, words, says):
    assert says in refusal("sql", query, *(word.format(tmp_path) for word in words), project=project)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_enough_is_no_error(project):
    command = f"{sys.executable} -m pianogen.cli sql 'from range(10000000)' --format csv --config {project.config}"
    done = subprocess.run(f"{command} | head -2", shell=True, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.stdout == "range\n0\n"
    assert "Traceback" not in done.stderr


# Queries by name, parameters, time


def test_queries_are_listed_with_what_they_take(project):
    listed = json.loads(pianogen("sql", "--list", "--format", "json", project=project))
    assert [row["name"] for row in listed] == sorted(path.stem for path in (SQL / "queries").glob("*.sql"))
    (row,) = (row for row in listed if row["name"] == "longest_performances")
    assert row["answers"] == "Which performances are the longest?"
    assert "num_rows = 20: how many to list" in row["takes"]
    assert "longest_performances" in pianogen("sql", "--list", project=project)


def test_a_query_is_asked_by_its_name(project):
    words = ["longest_performances", "-p", "num_rows=2", "--param", "dataset=scores", "--format", "csv"]
    assert len(pianogen("sql", *words, project=project).splitlines()) == 3


def test_a_query_takes_typed_parameters(project):
    words = ["-p", "a=5", "-p", "b=1.5", "-p", "c=x=y", "-p", 'd="5"', "-p", "e=null", "-p", "f=true"]
    query = "select $a as a, $b as b, $c as c, $d as d, $e as e, $f as f"
    (row,) = json.loads(pianogen("sql", query, *words, "--format", "json", project=project))
    assert row == {"a": 5, "b": 1.5, "c": "x=y", "d": "5", "e": None, "f": True}


@pytest.mark.parametrize(
    "words, says",
    [
        (["longest_performance"], "did you mean longest_performances?"),
        (["notes"], '`pianogen sql "from notes"`'),
        (["../secret"], "Parser Error"),
        (["select 1", "-p", "x"], "--param x: NAME=VALUE expected"),
        (["longest_performances", "-p", "num_row=2"], "unknown parameter 'num_row'; it takes dataset, num_rows"),
        (
            ["soft_pedal"],
            "soft_pedal: no dataset 'maestro_v3' in the warehouse; there are scores (-p dataset=NAME names",
        ),
        (["soft_pedal", "-p", "dataset=all"], "soft_pedal: no dataset 'all' in the warehouse"),
        (["longest_performances", "-p", "dataset=score"], "no dataset 'score' in the warehouse"),
        (["select $x"], "no value for the parameter 'x'; this query takes x"),
        ([], "one of these expected: a query, the name of one, --list, --tables"),
        (["select 1", "--list"], "one of these expected"),
        (["select 1", "--timeout", "0.2"], None),
        (
            ["select count(*) from range(10000000000) a, range(10000000000) b", "--timeout", "0.2"],
            "stopped after 0.2 s",
        ),
        (["delete from runs"], "a query expected, found DELETE; the warehouse is read-only"),
    ],
)
def test_what_cannot_be_asked_says_what_to_do(project, words, says):
    if says is None:
        pianogen("sql", *words, project=project)
    else:
        assert says in refusal("sql", *words, project=project)


def test_tables_are_listed(project):
    listed = json.loads(pianogen("sql", "--tables", "--format", "json", project=project))
    assert {"name": "notes", "kind": "table", "num_rows": 225}.items() <= next(
        row for row in listed if row["name"] == "notes"
    ).items()


# Publish and export


def test_the_warehouse_is_published_by_hand(project):
    said = pianogen("warehouse", "publish", project=project)
    assert re.search(r"pianogen\.duckdb: up to date, \d+ tables, \d+ views, [\d.]+ MB, and [\d.]+ MB of Parquet", said)
    (project.root / "pianogen.duckdb").unlink()
    assert "pianogen.duckdb: published, " in pianogen("warehouse", "publish", project=project)


def test_the_warehouse_is_exported_as_one_file(project, tmp_path, rows):
    out = tmp_path / "music.duckdb"
    assert re.search(r"music\.duckdb: [\d.]+ MB", pianogen("warehouse", "export", out, project=project))
    with duckdb.connect(out, read_only=True) as connection:
        assert connection.sql(NOTES).to_arrow_table().to_pylist() == rows
    assert "there already" in refusal("warehouse", "export", out, project=project)
    pianogen("warehouse", "export", out, "--force", project=project)


@pytest.mark.parametrize("command", ["publish", "export"])
def test_help_shows_an_example(command):
    done = CliRunner().invoke(app, ["warehouse", command, "--help"], catch_exceptions=False)
    assert f"Example: pianogen warehouse {command}" in done.stdout


def test_a_settings_file_decides_where_the_queries_lie(tmp_path):
    made = Project(tmp_path / "own", num_scores=1)
    folder = tmp_path / "own" / "sql"
    (folder / "queries").mkdir(parents=True)
    shutil.copytree(SQL / "views", folder / "views")
    (folder / "queries" / "mine.sql").write_text("-- How many?\nselect count(*) as n from performances")
    made.config.write_text(made.config.read_text().replace(f'sql = "{SQL}"', 'sql = "sql"'))
    pianogen("ingest", project=made)
    assert pianogen("sql", "mine", "--format", "csv", project=made) == "n\n1\n"
