"""A publish leaves the warehouse whole at every moment, and keeps the one before."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest
from warehouses import INGEST, SQL, add_performance, write_run

from pianogen.errors import QueryError
from pianogen.lake import Lake
from pianogen.measured import COLUMNS, described
from pianogen.warehouse import COLUMN_COMMENTS, export_warehouse, publish_warehouse, query_warehouse
from pianogen.warehouse.publish import previous_path

# Kills a process of its own at every step that it takes in the warehouse's folder, one process after the other.
KILLED_AT_EACH_STEP = """
    import json, os, signal, sys
    from pathlib import Path

    from pianogen.lake import Lake
    from pianogen.warehouse import COLUMN_COMMENTS, export_warehouse, publish_warehouse, query_warehouse

    root, runs, sql, out, kept = map(Path, sys.argv[1:])
    STEPS = {"os.rename", "os.link", "os.remove"}

    def publish(step):
        steps = 0

        def count(event, arguments):
            nonlocal steps
            if event in STEPS and str(out.parent) in " ".join(map(str, arguments)):
                steps += 1
                if steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        publish_warehouse(Lake(root), runs, sql, out)

    def state():
        found = [query_warehouse(path, "select count(*) as n from notes")["n"][0].as_py() if path.exists() else None
                 for path in (out, out.with_name("pianogen.previous.duckdb"))]
        print(json.dumps(found), flush=True)

    def forked(call, *arguments):
        # In a child, as DuckDB's threads do not survive a fork.
        if (child := os.fork()) == 0:
            call(*arguments)
            sys.stdout.flush()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        for old in out.parent.iterdir():
            os.system(f"rm -rf '{old}'")
        os.system(f"cp -a '{kept}/.' '{out.parent}'")
        code = forked(publish, step)
        assert forked(state) == 0
    sys.exit(code)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0), (64, 0.5, 1.5), (67, 0.0, 0.25))
    return lake


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "pianogen.duckdb"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def num_notes(path: Path) -> int:
    return query_warehouse(path, "select count(*) as n from notes")["n"][0].as_py()


@pytest.mark.slow
def test_killed_at_any_step_the_warehouse_is_the_old_or_the_new_one_and_whole(lake, runs, out, tmp_path):
    (tmp_path / "sql" / "views").mkdir(parents=True)  # without views it is quicker
    publish_warehouse(lake, runs, tmp_path / "sql", out)
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, tmp_path / "sql", out)
    manifest = lake.require("ingest")
    add_performance(lake, "p3", (48, 0.0, 1.0), (50, 0.0, 1.0))
    lake.publish(INGEST, [*manifest.blocks[1:], "block-p3"])  # one block comes, one goes
    kept = tmp_path / "kept"
    shutil.copytree(out.parent, kept, copy_function=os.link)
    paths = map(str, (lake.root, runs, tmp_path / "sql", out, kept))
    command = [sys.executable, "-c", textwrap.dedent(KILLED_AT_EACH_STEP), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    states = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(states)) == [(4, 3), (4, 4), (3, 4)]
    assert len(states) > 10, states
    assert states[-1] == (3, 4)


def test_the_warehouse_before_the_last_build_is_kept(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    assert not previous_path(out).exists()
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, SQL, out)
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 3)
    publish_warehouse(lake, runs, SQL, out)  # nothing new
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 3)
    write_run(runs)
    publish_warehouse(lake, runs, SQL, out)
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 4)
    assert query_warehouse(previous_path(out), "from runs").num_rows == 0


def test_columns_of_tables_and_views_say_what_they_are_here_and_in_the_exported_file(lake, runs, out, monkeypatch):
    for table, column in (("performances", "title"), ("notes", "pitch"), ("hours_by_split", "num_notes")):
        monkeypatch.setitem(COLUMN_COMMENTS, table, {column: f"It's what {table} has.", "no_such_column": "nothing"})
    publish_warehouse(lake, runs, SQL, out)
    exported = out.with_name("exported.duckdb")
    export_warehouse(out, exported)
    for path in (out, exported):
        said = query_warehouse(path, "select table_name, column_name, comment from duckdb_columns()").to_pylist()
        assert {tuple(row.values()) for row in said if row["comment"] and row["comment"].startswith("It's")} == {
            ("hours_by_split", "num_notes", "It's what hours_by_split has."),
            ("notes", "pitch", "It's what notes has."),
            ("performances", "title", "It's what performances has."),
        }


def test_every_measure_of_a_performance_says_its_definition_and_its_unit(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    said = query_warehouse(
        out, "select column_name, comment from duckdb_columns() where table_name = 'performance_statistics'"
    ).to_pylist()
    assert {row["column_name"] for row in said} == set(COLUMNS)
    assert all(row["comment"] == described(COLUMNS[row["column_name"]]) for row in said)


def test_both_can_be_compared_in_one_shell(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, SQL, out)
    with duckdb.connect(out, read_only=True) as shell:
        shell.execute("attach ? as before (read_only)", [str(previous_path(out))])
        news = shell.sql("select pitch from notes except select pitch from before.notes")
        assert news.fetchall() == [(72,)]


@pytest.mark.parametrize("content", [b"", b"not a database", b"DUCK" * 5000])
def test_a_broken_warehouse_is_not_kept(lake, runs, out, content):
    publish_warehouse(lake, runs, SQL, out)
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, SQL, out)
    out.unlink()
    out.write_bytes(content)
    assert publish_warehouse(lake, runs, SQL, out)["built"]
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 3)


def test_a_database_of_somebody_else_is_kept(lake, runs, out):
    out.parent.mkdir()
    with duckdb.connect(out) as connection:
        connection.execute("create table mine as select 5 as x")
    publish_warehouse(lake, runs, SQL, out)
    assert query_warehouse(previous_path(out), "from mine").to_pylist() == [{"x": 5}]
    assert num_notes(out) == 3


def test_a_warehouse_that_is_gone_is_built_again_beside_its_previous_one(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, SQL, out)
    out.unlink()
    publish_warehouse(lake, runs, SQL, out)
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 3)


def test_where_nothing_can_be_linked_the_previous_one_is_copied(lake, runs, out, monkeypatch):
    publish_warehouse(lake, runs, SQL, out)
    add_performance(lake, "p1", (72, 0.0, 2.0))

    def refuse(*_arguments, **_more):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    publish_warehouse(lake, runs, SQL, out)
    assert (num_notes(out), num_notes(previous_path(out))) == (4, 3)


WRITER = """
    import os, sys
    import duckdb

    shell = duckdb.connect(sys.argv[1])
    print("open", flush=True)
    sys.stdin.readline()
    print(shell.sql("select count(*) from notes").fetchall()[0][0], flush=True)
    shell.execute("set wal_autocheckpoint = '1GB'")
    shell.execute("create table mine as select 1")
    os.kill(os.getpid(), 9)
"""


def test_a_shell_that_is_open_for_writing_delays_nobody_and_keeps_its_rows(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    with writer(out) as shell:
        add_performance(lake, "p1", (72, 0.0, 2.0))
        assert publish_warehouse(lake, runs, SQL, out)["built"]
        assert num_notes(out) == 4
        assert shell.communicate("go on\n")[0] == "3\n"


def test_what_a_killed_writer_left_does_not_shut_the_next_warehouse(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    with writer(out) as shell:
        shell.communicate("go on\n")
    log = out.with_name("pianogen.duckdb.wal")
    assert log.exists()
    add_performance(lake, "p1", (72, 0.0, 2.0))
    publish_warehouse(lake, runs, SQL, out)
    assert not log.exists()
    assert num_notes(out) == 4


def test_what_a_killed_writer_left_beside_a_newer_warehouse_is_mended_by_a_publish(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    with writer(out) as shell:
        add_performance(lake, "p1", (72, 0.0, 2.0))
        publish_warehouse(lake, runs, SQL, out)
        shell.communicate("go on\n")
    assert out.with_name("pianogen.duckdb.wal").exists()
    publish_warehouse(lake, runs, SQL, out)
    assert num_notes(out) == 4


def writer(out: Path) -> subprocess.Popen:
    """A shell in another process that has the warehouse open for writing, and writes and dies when told to go on."""
    shell = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == "open\n"
    return shell


def test_without_views_nothing_is_published(tmp_path):
    out = tmp_path / "warehouse" / "pianogen.duckdb"
    with pytest.raises(QueryError, match=r"sql/views: no such folder, so no view is defined; work in the project"):
        publish_warehouse(Lake(tmp_path / "lake"), tmp_path / "runs", tmp_path / "sql", out)
    assert list(tmp_path.iterdir()) == []
