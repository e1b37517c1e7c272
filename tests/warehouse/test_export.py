"""One file that holds the whole warehouse."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from warehouses import SQL, add_performance, write_run

from pianogen.errors import QueryError
from pianogen.lake import Lake
from pianogen.warehouse import export_warehouse, open_warehouse, publish_warehouse, query_warehouse
from pianogen.warehouse.publish import previous_path

CONTENT = {
    "tables": "select table_name from duckdb_tables() where not internal order by 1",
    "views": "select view_name from duckdb_views() where not internal order by 1",
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    lake = Lake(tmp_path / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0), (64, 0.5, 1.5), (67, 0.0, 0.25))
    add_performance(lake, "p1", (72, 0.0, 2.0))
    write_run(tmp_path / "runs")
    out = tmp_path / "warehouse" / "pianogen.duckdb"
    publish_warehouse(lake, tmp_path / "runs", SQL, out)
    return out


def names(connection: duckdb.DuckDBPyConnection, what: str) -> list[str]:
    return [name for (name,) in connection.execute(CONTENT[what]).fetchall()]


def test_the_exported_file_holds_everything_and_needs_no_other(published, tmp_path):
    out = tmp_path / "sent" / "music.duckdb"
    size = export_warehouse(published, out)
    assert size == out.stat().st_size
    assert [path.name for path in out.parent.iterdir()] == ["music.duckdb"]
    (tmp_path / "far").mkdir()
    moved = out.rename(tmp_path / "far" / "x.duckdb")
    with open_warehouse(published) as connection:
        tables, views = names(connection, "tables"), names(connection, "views")
        linked = ["notes"]
        kept = {
            name: connection.sql(f"from {name}").to_arrow_table()
            for name in [*tables, *linked, "leaderboard", "hours_by_split"]
            if name != "linked_files"
        }
        comments = connection.sql("select comment from duckdb_views() where view_name = 'notes'").fetchall()
    shutil.rmtree(published.parent)
    shutil.rmtree(tmp_path / "lake")
    with duckdb.connect(moved, read_only=True) as connection:
        assert names(connection, "tables") == sorted([*tables, *linked])
        assert names(connection, "views") == [name for name in views if name not in linked]
        for name, rows in kept.items():
            assert connection.sql(f"from {name}").to_arrow_table().equals(rows), name
        found = connection.sql("select comment from duckdb_tables() where table_name = 'notes'").fetchall()
        assert found == comments
        uncommented = """
            select table_name from duckdb_tables() where comment is null
            union all select view_name from duckdb_views() where comment is null and not internal
        """
        assert connection.sql(uncommented).fetchall() == []
    assert query_warehouse(moved, "select count(*) as n from notes").to_pylist() == [{"n": 4}]


def test_rows_written_are_told(published, tmp_path):
    told = []
    export_warehouse(published, tmp_path / "x.duckdb", progress=lambda done, total: told.append((done, total)))
    done, total = told[-1]
    assert done == total > 4
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_that_is_there_is_replaced_only_when_told_to(published, tmp_path):
    out = tmp_path / "x.duckdb"
    out.write_text("mine")
    with pytest.raises(QueryError, match=r"x\.duckdb: there already; --force replaces it"):
        export_warehouse(published, out)
    assert out.read_text() == "mine"
    export_warehouse(published, out, force=True)
    assert query_warehouse(out, "select count(*) as n from notes").to_pylist() == [{"n": 4}]


def test_the_warehouse_is_never_exported_over_itself(published):
    for out in (published, previous_path(published)):
        with pytest.raises(QueryError, match="the warehouse itself; name another file"):
            export_warehouse(published, out, force=True)


def test_an_export_that_fails_leaves_nothing(published, tmp_path):
    (tmp_path / "warehouse" / "pianogen.parquet" / "notes" / "block-p1.parquet").unlink()
    with pytest.raises(QueryError, match=r"cannot be exported .*block-p1\.parquet"):
        export_warehouse(published, tmp_path / "sent" / "x.duckdb")
    assert list((tmp_path / "sent").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(published, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(QueryError, match=r"cannot be exported to .*file/x\.duckdb"):
        export_warehouse(published, tmp_path / "file" / "x.duckdb")
    (tmp_path / "folder").mkdir()
    with pytest.raises(QueryError, match=r"cannot be exported to .*folder"):
        export_warehouse(published, tmp_path / "folder", force=True)
    assert list((tmp_path / "folder").iterdir()) == []


def test_nothing_is_exported_before_the_first_publish(tmp_path):
    with pytest.raises(QueryError, match="no warehouse yet; `pianogen warehouse publish` builds it"):
        export_warehouse(tmp_path / "none.duckdb", tmp_path / "x.duckdb")


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from pianogen.warehouse import export_warehouse

    def killed(done, total):
        if done:
            os.kill(os.getpid(), signal.SIGKILL)

    export_warehouse(Path(sys.argv[1]), Path(sys.argv[2]), progress=killed)
"""


def test_a_killed_export_leaves_no_file_and_the_next_one_clears_up(published, tmp_path):
    out = tmp_path / "sent" / "x.duckdb"
    code = "\n".join(line.removeprefix("    ") for line in KILLED.splitlines())
    done = subprocess.run([sys.executable, "-c", code, str(published), str(out)], check=False)
    assert done.returncode == -9
    assert not out.exists()
    assert list(out.parent.iterdir()) != []
    export_warehouse(published, out)
    assert [path.name for path in out.parent.iterdir()] == ["x.duckdb"]
    assert json.dumps(query_warehouse(out, "select max(pitch) as p from notes").to_pylist()) == '[{"p": 72}]'
