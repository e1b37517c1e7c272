"""Queries of anyone: parameters, a time limit, rows as they come."""

import time
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
from warehouses import SQL, add_performance

from pianogen.errors import QueryError
from pianogen.lake import Lake
from pianogen.warehouse import list_tables, open_warehouse, publish_warehouse, query_warehouse, stream_query

ENDLESS = "select count(*) from range(10_000_000_000) as a, range(10_000_000_000) as b where hash(a, b) = 1"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("asking")
    lake = Lake(folder / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0), (64, 0.5, 1.5), (67, 0.0, 0.25))
    publish_warehouse(lake, folder / "runs", SQL, folder / "pianogen.duckdb")
    return folder / "pianogen.duckdb"


@pytest.mark.parametrize(
    "sql, parameters, expected",
    [
        ("select pitch from notes where pitch > $low order by 1", {"low": 60}, [(64,), (67,)]),
        ("select $a as a, $b as b, $c is null as c", {"a": "it's", "b": 1.5, "c": None}, [("it's", 1.5, True)]),
        ("select count(*) from notes where performance_id = $id or $id is null", {"id": None}, [(3,)]),
        ("with n as (from notes where pitch = $p) from (select count(*) from n)", {"p": 64}, [(1,)]),
        ("from notes select pitch order by pitch limit $n", {"n": 1}, [(60,)]),
        ("explain select $a", {"a": 1}, None),
        ("select 1 as same, 2 as same", {}, [(1, 2)]),
    ],
)
def test_a_query_takes_parameters_by_name(published, sql, parameters, expected):
    table = query_warehouse(published, sql, parameters)
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert rows == expected or (expected is None and rows)


@pytest.mark.parametrize(
    "sql, parameters, says",
    [
        ("select $a", {}, "no value for the parameter 'a'; this query takes a"),
        ("select $a, $b", {"a": 1}, "no value for the parameter 'b'; this query takes a, b"),
        ("select $a", {"a": 1, "c": 2}, "unknown parameter 'c'; this query takes a"),
        ("select 1", {"a": 1}, "unknown parameter 'a'; this query takes none"),
        ("select pitch from notes where pitch > $low", {"low": "high"}, "Conversion Error"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(published, sql, parameters, says):
    with pytest.raises(QueryError, match=says):
        query_warehouse(published, sql, parameters)


@pytest.mark.parametrize("sql", [ENDLESS, f"explain analyze {ENDLESS}", f"with x as ({ENDLESS}) from x"])
def test_a_query_that_takes_too_long_is_stopped(published, sql):
    begin = time.monotonic()
    with pytest.raises(QueryError, match=r"stopped after 0\.3 s, the time it was given"):
        query_warehouse(published, sql, timeout=0.3)
    assert time.monotonic() - begin < 10


def test_a_query_is_stopped_among_its_rows(published):
    with (
        stream_query(published, "from range(100_000_000_000)", timeout=1) as answer,
        pytest.raises(QueryError, match="stopped after 1 s"),
    ):
        for _ in answer.batches:
            pass


def test_only_the_time_of_the_query_counts(published):
    with stream_query(published, "from range(200_000)", timeout=1) as answer:
        num_rows = 0
        for batch in answer.batches:
            num_rows += batch.num_rows
            time.sleep(0.4)
    assert num_rows == 200_000


def test_a_quick_query_has_time_enough(published):
    assert query_warehouse(published, "select count(*) as n from notes", timeout=60).to_pylist() == [{"n": 3}]


def test_rows_come_before_all_of_them_are_computed(published):
    with stream_query(published, "from range(100_000_000_000)") as answer:
        assert answer.schema.names == ["range"]
        (first, second) = islice(answer.batches, 2)
    assert first["range"][0].as_py() == 0
    assert second["range"][0].as_py() == first.num_rows


def test_an_answer_without_rows_has_columns(published):
    with stream_query(published, "select pitch, onset_sec from notes where false") as answer:
        assert pa.schema(answer.schema).types == [pa.uint8(), pa.float64()]
        assert sum(batch.num_rows for batch in answer.batches) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "with x as (copy (select 1) to '{file}') from x",
        "with x as (copy (select 1) to '{file}' (return_files true)) select 1",
        "copy (pivot notes on pitch using count(*)) to '{file}'",
        "explain analyze copy (select 1) to '{file}'",
        "explain analyze with x as (copy (select 1) to '{file}') from x",
        "create table memory.main.made as pivot notes on pitch using count(*)",
        "with x as (insert into performances by name select 'p' as performance_id returning 1) from x",
        "explain explain select 1",
        "explain",
    ],
)
def test_a_query_that_writes_is_refused(published, tmp_path, sql):
    with pytest.raises(QueryError):
        query_warehouse(published, sql.format(file=tmp_path / "made.csv"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "explain select * from notes",
        "explain analyze select * from notes",
        "-- why\nexplain /* how */ (format json) select * from notes",
        "explain (select 1)",
        "explain analyze pivot notes on pitch using count(*)",
        "; select 1; -- that is all",
        "select 'copy notes to x' as copy, 'insert' as \"insert\"",
        "select * from notes as a inner join notes as b on a.onset_sec <= b.onset_sec and a.offset_sec > b.onset_sec",
    ],
)
def test_a_query_that_reads_is_not_mistaken_for_one_that_writes(published, sql):
    assert query_warehouse(published, sql).num_rows > 0


def test_tables_are_listed_with_rows_and_comments(published):
    listed = {row["name"]: row for row in list_tables(published).to_pylist()}
    assert (listed["notes"]["kind"], listed["notes"]["num_rows"]) == ("table", 3)
    assert (listed["performances"]["kind"], listed["performances"]["num_rows"]) == ("table", 1)
    assert (listed["hours_by_split"]["kind"], listed["hours_by_split"]["num_rows"]) == ("view", None)
    assert [name for name, row in listed.items() if not row["comment"]] == []
    with open_warehouse(published) as connection:
        assert len(listed) == len(connection.sql("show tables").fetchall())
