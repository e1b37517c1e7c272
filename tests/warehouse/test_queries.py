"""Named queries: what a file must say, and that each of ours answers."""

from pathlib import Path

import pytest
from projects import Project
from typer.testing import CliRunner
from warehouses import SQL

from pianogen.cli import app
from pianogen.errors import QueryError
from pianogen.warehouse import Parameter, find_query, list_queries, parse_value, query_warehouse

NAMES = sorted(path.stem for path in (SQL / "queries").glob("*.sql"))


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    project = Project(tmp_path_factory.mktemp("project"), num_scores=4)
    for name in ("one more.mid", "and again.mid"):
        (project.custom / name).write_bytes((project.scores / "tune 00.mid").read_bytes())
    (project.scores / "broken.mid").write_bytes(b"MThd")
    for command in ("ingest", "dedupe"):
        done = CliRunner().invoke(app, [command, "--config", str(project.config)], catch_exceptions=False)
        assert done.exit_code == 0
    return project.root / "pianogen.duckdb"


def write(folder: Path, name: str, text: str) -> Path:
    (folder / f"{name}.sql").write_text(text)
    return folder


# Ours


def test_there_are_queries_and_each_has_a_sentence_of_its_own():
    queries = list_queries(SQL / "queries")
    assert [query.name for query in queries] == NAMES
    assert len({query.sentence for query in queries}) == len(queries) >= 7


@pytest.mark.parametrize("name", NAMES)
def test_each_query_answers_with_its_defaults(published, name):
    query = find_query(SQL / "queries", name)
    rows = query_warehouse(published, query.sql, query.values({}), timeout=60)
    assert len(set(rows.schema.names)) == len(rows.schema.names)


@pytest.mark.parametrize(
    "name, given, column, expected",
    [
        ("shared_works", {}, "num_pairs", [2]),
        ("largest_clusters", {"num_rows": "1"}, "cluster_size", [3]),
        ("rejected_files", {}, "path", ["broken.mid"]),
        ("rejected_files", {"reason": "empty_file"}, "path", []),
        ("longest_performances", {"dataset": "scores", "num_rows": "2"}, "path", ["tune 00.mid", "tune 01.mid"]),
        ("find_music", {"words": "AGAIN"}, "path", ["and again.mid"]),
        ("columns", {"table": "tempos"}, "column_name", ["performance_id", "tick", "time_sec", "tempo_qpm"]),
    ],
)
def test_the_answers_are_right(published, name, given, column, expected):
    query = find_query(SQL / "queries", name)
    assert query_warehouse(published, query.sql, query.values(given))[column].to_pylist() == expected


# The header


def test_a_header_says_what_is_answered_and_taken(tmp_path):
    write(
        tmp_path,
        "loud",
        "-- Which notes are loud? The drums\n-- are left out.\n-- $least: a velocity, 1-127; default 100\n"
        "-- $dataset: its name, or null; default null\n-- $order: 'up' or 'down'; default 'it''s up'\n"
        "select 1 where $least > 1 and $dataset is null and $order = 'up';",
    )
    (query,) = list_queries(tmp_path)
    assert (query.name, query.sentence) == ("loud", "Which notes are loud?")
    assert query.parameters == (
        Parameter(name="least", text="a velocity, 1-127", default=100),
        Parameter(name="dataset", text="its name, or null", default=None),
        Parameter(name="order", text="'up' or 'down'", default="it's up"),
    )
    assert query.values({}) == {"least": 100, "dataset": None, "order": "it's up"}


@pytest.mark.parametrize(
    "text, says",
    [
        ("select 1", "must begin with a comment that says what it answers"),
        ("-- no sentence\nselect 1", "must begin with a comment that says what it answers"),
        ("-- What?\nselect $a", r"uses the parameters \['a'\], and its header tells of \[\]"),
        ("-- What?\n-- $a: one; default 1\nselect 1", r"uses the parameters \[\], and its header tells of \['a'\]"),
        ("-- What?\n-- $a: one\nselect $a", r"`-- \$name: what it is; default VALUE` expected"),
        ("-- What?\n-- $a: one; default maestro\nselect $a", "VALUE a number, 'text', true, false or null; found"),
        ('-- What?\n-- $a: one; default "maestro"\nselect $a', r"default VALUE` expected"),
        ("-- What?\n-- $a: one; default 'it's'\nselect $a", r"default VALUE` expected"),
        ("-- What?\n-- $a: one; default [1]\nselect $a", r"default VALUE` expected"),
        ("-- What?\n-- $a: one; default NaN\nselect $a", r"default VALUE` expected"),
        ("-- What?\n-- $a: one; default 1\n-- $a: one; default 2\nselect $a", r"tells of \['a', 'a'\]"),
        ("-- What?\nselec 1", "Parser Error"),
        ("-- What?\nselect 1; select 2", "one `select` expected"),
        ("-- What?\ndelete from notes", "one `select` expected"),
        ("-- What?\n", "one `select` expected"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_named_with_what_is_wrong(tmp_path, text, says):
    write(tmp_path, "odd", text)
    with pytest.raises(QueryError, match=rf"odd\.sql: .*{says}"):
        list_queries(tmp_path)
    with pytest.raises(QueryError, match=says):
        find_query(tmp_path, "odd")


def test_a_name_that_is_not_known_brings_those_near_it(tmp_path):
    write(tmp_path, "largest_clusters", "-- What?\nselect 1")
    with pytest.raises(QueryError, match=r"no query is named 'larges_cluster'; did you mean largest_clusters\?"):
        find_query(tmp_path, "larges_cluster")
    with pytest.raises(QueryError, match="no query is named 'xyz'; `pianogen sql --list` lists them"):
        find_query(tmp_path, "xyz")
    assert list_queries(tmp_path / "nowhere") == []


# Values


@pytest.mark.parametrize(
    "typed, value",
    [("5", 5), ("1.5", 1.5), ("true", True), ("null", None), ('"5"', "5"), ("maestro", "maestro"), ("", ""),
     ("[1]", "[1]"), ("1 2", "1 2"), ("-3", -3), ("NaN", "NaN")],
)  # fmt: skip
def test_a_typed_value_is_a_json_scalar_or_text(typed, value):
    assert parse_value(typed) == value
    assert type(parse_value(typed)) is type(value)


def test_a_value_is_of_the_kind_of_its_default(tmp_path):
    header = "-- What?\n-- $n: how many; default 1\n-- $s: text; default 'a'\n-- $b: whether; default false\n"
    write(tmp_path, "kinds", f"{header}-- $x: anything; default null\nselect $n, $s, $b, $x")
    query = find_query(tmp_path, "kinds")
    assert query.values({"s": "1790", "n": "2.5", "b": "true", "x": "7"}) == {"s": "1790", "n": 2.5, "b": True, "x": 7}
    assert query.values({"s": '"quoted"'})["s"] == "quoted"
    for given, says in (
        ({"n": "many"}, "n must be a number, found 'many'"),
        ({"n": "true"}, "n must be a number, found 'true'"),
        ({"b": "yes"}, "b must be true or false, found 'yes'"),
        ({"m": "1"}, "kinds: unknown parameter 'm'; it takes n, s, b, x"),
    ):
        with pytest.raises(QueryError, match=says):
            query.values(given)
