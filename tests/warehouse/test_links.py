"""Bulk tables lie beside the database, and are found wherever the folder goes."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warehouses import INGEST, SQL, add_performance

from pianogen.errors import LakeError, QueryError
from pianogen.lake import Lake, Stage
from pianogen.tables import SCHEMAS
from pianogen.warehouse import LINKED, open_warehouse, publish_warehouse, query_warehouse
from pianogen.warehouse.publish import previous_path

ODD_NAMES = ["with space", 'it\'s "quoted"', "musique très bien 🎹", "[a]*", "{b}, c", "percent%20"]

ASK = """
import json, sys
import duckdb

path, how = sys.argv[1:3]
if how == "open":
    connection = duckdb.connect(path)
elif how == "open_read_only":
    connection = duckdb.connect(path, read_only=True)
elif how == "open_with_own_temporary_folder":
    connection = duckdb.connect(path, read_only=True, config={"temp_directory": "mine/pianogen.tmp"})
else:
    connection = duckdb.connect(sys.argv[3]) if len(sys.argv) > 3 else duckdb.connect()
    if how == "attach_told":
        connection.execute("set variable pianogen_warehouse = ?", [sys.argv[4]])
    connection.execute("attach ? as music (read_only)", [path])
    connection.execute("use music")
asked = "select pitch from notes order by all", "select count(*) from note_facts"
print(json.dumps([connection.sql(query).fetchall() for query in asked]))
"""
EXPECTED = [[[60], [64], [67], [72]], [[4]]]


def ask(cwd: Path, path: Path | str, how: str, *more: object) -> object:
    """What a client in a process of its own reads, working in `cwd`."""
    command = [sys.executable, "-c", ASK, str(path), how, *map(str, more)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0), (64, 0.5, 1.5), (67, 0.0, 0.25))
    add_performance(lake, "p1", (72, 0.0, 2.0))
    return lake


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "pianogen.duckdb"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def publish(lake: Lake, out: Path) -> dict:
    return publish_warehouse(lake, lake.root.parent / "runs", SQL, out)


def files(out: Path) -> list[str]:
    folder = out.with_suffix(".parquet")
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*"))


# Where they lie


def test_bulk_tables_are_links_to_the_lake_and_the_rest_is_copied(lake, out):
    done = publish(lake, out)
    assert files(out) == ["notes/block-p1.parquet", "notes/block-p2.parquet"]
    for path in lake.paths("notes"):
        assert (out.parent / "pianogen.parquet" / "notes" / f"{path.parent.name}.parquet").samefile(path)
    assert done["linked_bytes"] == sum(path.stat().st_size for path in lake.paths("notes"))
    assert done["num_rows"]["notes"] == 4
    linked = query_warehouse(out, "select table_name, path, num_rows from linked_files").to_pylist()
    assert linked == [
        {"table_name": "notes", "path": f"pianogen.parquet/notes/block-{name}.parquet", "num_rows": rows}
        for name, rows in (("p2", 3), ("p1", 1))
    ]


def test_linked_tables_have_the_types_of_the_lake(tmp_path, out):
    lake = Lake(tmp_path / "lake")
    rows = {}
    for name in sorted(set(LINKED) & set(SCHEMAS)):
        one = [pa.array(["x" if field.type == pa.string() else 1]).cast(field.type) for field in SCHEMAS[name]]
        rows[name] = pa.table(one, schema=SCHEMAS[name])
    lake.write_block("ingest", "block", rows)
    lake.publish(Stage(name="ingest", modules=("pianogen.tables",), tables=tuple(rows)), ["block"])
    publish(lake, out)
    assert files(out) == [f"{name}/block.parquet" for name in rows]
    for name in rows:
        found = query_warehouse(out, f"from {name}").schema
        assert (found.names, found.types) == (SCHEMAS[name].names, SCHEMAS[name].types)


def test_a_lake_on_another_file_system_is_copied_from(lake, out, monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    publish(lake, out)
    names = [out.parent / "pianogen.parquet" / name for name in files(out)]
    assert [name.stat().st_nlink for name in names] == [1, 1]
    assert ask(out.parent, out, "open") == EXPECTED
    before = [name.stat().st_ino for name in names]
    add_performance(lake, "p3", (48, 0.0, 1.0))
    assert publish(lake, out)["built"]
    assert [name.stat().st_ino for name in names] == before  # copied once


def test_links_that_were_removed_are_there_again_after_a_publish_that_builds_nothing(lake, out):
    publish(lake, out)
    shutil.rmtree(out.parent / "pianogen.parquet")
    assert not publish(lake, out)["built"]
    assert ask(out.parent, out, "open") == EXPECTED


def test_a_query_on_links_that_were_removed_says_how_to_get_them_back(lake, out):
    publish(lake, out)
    shutil.rmtree(out.parent / "pianogen.parquet")
    with pytest.raises(QueryError, match=r"block-p2\.parquet: no such file; `pianogen warehouse publish` links"):
        query_warehouse(out, "from notes")
    assert query_warehouse(out, "from performances").num_rows == 2


def test_a_block_that_was_made_anew_is_linked_anew(lake, out):
    publish(lake, out)
    (block, *_) = lake.paths("notes")
    data = block.read_bytes()
    block.unlink()
    block.write_bytes(data)
    publish(lake, out)
    assert (out.parent / "pianogen.parquet" / "notes" / "block-p2.parquet").samefile(block)


def test_what_the_lake_has_dropped_goes_when_no_kept_database_names_it(lake, out):
    publish(lake, out)
    manifest = lake.require("ingest")
    lake.publish(INGEST, [manifest.blocks[1]])
    publish(lake, out)
    shutil.rmtree(lake.block_path("ingest", manifest.blocks[0]))
    publish(lake, out)
    assert len(files(out)) == 2  # the previous database names it
    add_performance(lake, "p3", (48, 0.0, 1.0))
    publish(lake, out)
    assert files(out) == ["notes/block-p1.parquet", "notes/block-p3.parquet"]


def test_a_shell_that_opened_an_older_warehouse_finds_its_rows(lake, out):
    publish(lake, out)
    with duckdb.connect(out, read_only=True) as shell:
        manifest = lake.require("ingest")
        for kept in (manifest.blocks[1:], manifest.blocks[:1], manifest.blocks[1:]):
            lake.publish(INGEST, kept)
            publish(lake, out)
        assert shell.sql("select count(*) from notes").fetchall() == [(4,)]


def test_what_a_killed_publisher_left_among_the_links_goes(lake, out):
    publish(lake, out)
    left = out.parent / "pianogen.parquet" / "notes" / ".block-p9.parquet.new"
    os.link(lake.paths("notes")[0], left)
    publish(lake, out)
    assert not left.exists()


def test_blocks_of_other_columns_are_named(lake, out):
    schema = SCHEMAS["notes"].remove(0)
    path = lake.paths("notes")[1]
    pq.write_table(schema.empty_table(), path)
    with pytest.raises(LakeError, match=r"block-p1/notes\.parquet: its columns .* are not those of the other blocks"):
        publish(lake, out)


# From where they are read


@pytest.mark.parametrize("how", ["open", "open_read_only", "open_with_own_temporary_folder", "attach"])
def test_it_opens_from_any_directory_by_any_path(lake, out, elsewhere, how):
    publish(lake, out)
    for cwd in (elsewhere, out.parent, out.parent / "pianogen.parquet"):
        assert ask(cwd, out, how) == EXPECTED
        assert ask(cwd, os.path.relpath(out, cwd), how) == EXPECTED


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_may_have_any_name(lake, tmp_path, elsewhere, name):
    out = tmp_path / name / "pianogen.duckdb"
    publish(lake, out)
    for how in ("open_read_only", "attach"):
        assert ask(elsewhere, out, how) == EXPECTED
    assert query_warehouse(out, "select count(*) as n from notes").to_pylist() == [{"n": 4}]
    moved = tmp_path / f"{name} moved"
    out.parent.rename(moved)
    assert ask(elsewhere, moved / out.name, "open_read_only") == EXPECTED
    assert query_warehouse(moved / out.name, "select count(*) as n from notes").to_pylist() == [{"n": 4}]


@pytest.mark.parametrize("name", ["what?", "back\\slash"])
def test_a_folder_that_duckdb_cannot_use_is_named(lake, tmp_path, name):
    with pytest.raises(QueryError, match=r"DuckDB keeps no database under a path with \? or \\ in it"):
        publish(lake, tmp_path / name / "pianogen.duckdb")
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["it's.duckdb", "two words.duckdb", "no_suffix", "dots.in.it.db", "é🎹.duckdb"])
def test_a_database_may_have_any_name(lake, tmp_path, elsewhere, name):
    out = tmp_path / "warehouse" / name
    publish(lake, out)
    assert ask(elsewhere, out, "open_read_only") == EXPECTED
    out.parent.rename(tmp_path / "moved")
    assert ask(elsewhere, tmp_path / "moved" / name, "open_read_only") == EXPECTED


def test_a_moved_folder_opens_without_lake_and_old_place(lake, out, elsewhere):
    publish(lake, out)
    moved = elsewhere / "moved"
    out.parent.rename(moved)
    shutil.rmtree(lake.root)
    for how in ("open", "open_read_only"):
        assert ask(elsewhere, "moved/pianogen.duckdb", how) == EXPECTED
        assert ask(moved, "pianogen.duckdb", how) == EXPECTED
    assert ask(elsewhere, moved / "pianogen.duckdb", "attach_told", ":memory:", moved) == EXPECTED
    assert "No files found" in " ".join(ask(elsewhere, moved / "pianogen.duckdb", "attach"))
    with open_warehouse(moved / "pianogen.duckdb") as connection:
        assert connection.sql("select count(*) from notes").fetchall() == [(4,)]


def test_a_copied_folder_reads_its_own_files(lake, out, elsewhere):
    publish(lake, out)
    shutil.copytree(out.parent, elsewhere / "copy")
    shutil.rmtree(out.parent)
    assert ask(elsewhere, "copy/pianogen.duckdb", "open") == EXPECTED


def test_a_database_under_another_name_beside_the_files_opens(lake, out, elsewhere):
    publish(lake, out)
    shutil.copy(out, out.with_name("mine.duckdb"))
    shutil.copy(out, out.with_name("pianogen copy.duckdb"))
    for how in ("open_read_only", "attach"):
        assert ask(elsewhere, out.with_name("mine.duckdb"), how) == EXPECTED
        assert ask(elsewhere, out.with_name("pianogen copy.duckdb"), how) == EXPECTED
    moved = elsewhere / "moved"
    out.parent.rename(moved)
    assert ask(elsewhere, moved / "pianogen copy.duckdb", "open_read_only") == EXPECTED


def test_it_is_attached_to_a_database_of_the_user(lake, out, elsewhere):
    publish(lake, out)
    assert ask(elsewhere, out, "attach", elsewhere / "analysis.duckdb") == EXPECTED


def test_a_link_to_the_database_opens(lake, out, elsewhere):
    publish(lake, out)
    (elsewhere / "music.duckdb").symlink_to(out)
    assert ask(elsewhere, "music.duckdb", "open_read_only") == EXPECTED
    with open_warehouse(elsewhere / "music.duckdb") as connection:
        assert connection.sql("select count(*) from notes").fetchall() == [(4,)]


def test_a_moved_warehouse_is_published_where_it_is_now(lake, out, elsewhere):
    publish(lake, out)
    moved = elsewhere / "moved"
    out.parent.rename(moved)
    assert publish(lake, moved / out.name)["built"]
    assert not publish(lake, moved / out.name)["built"]
    assert ask(elsewhere, moved / out.name, "attach") == EXPECTED


def test_the_previous_database_reads_its_own_rows(lake, out, elsewhere):
    publish(lake, out)
    add_performance(lake, "p3", (48, 0.0, 1.0))
    publish(lake, out)
    assert ask(elsewhere, previous_path(out), "open_read_only") == EXPECTED
    assert ask(elsewhere, previous_path(out), "attach") == EXPECTED
    assert ask(elsewhere, previous_path(out), "attach", out) == EXPECTED


# What a reader of ours may do


@pytest.mark.parametrize("options", ["", "(use_tmp_file false)"])
def test_no_query_writes_into_a_linked_file(lake, out, options):
    publish(lake, out)
    (block, *_) = lake.paths("notes")
    before = block.read_bytes()
    copy = f"copy (select 1) to '{out.parent}/pianogen.parquet/notes/block-p2.parquet' {options}"
    pivoted = copy.replace("select 1", "pivot notes on pitch using count(*)")
    for sql in (
        copy,
        pivoted,
        f"with x as ({copy}) from x",
        f"explain analyze {copy}",
        f"explain /* a */ analyze -- b\n (format json) {copy}",
        f"explain (analyze, format json) with x as ({copy}) from x",
        f"explain analyze {pivoted}",
    ):
        with pytest.raises(Exception, match=r"read-only|Permission Error|syntax error"):
            query_warehouse(out, sql)
        assert block.read_bytes() == before
    assert files(out) == ["notes/block-p1.parquet", "notes/block-p2.parquet"]


def test_a_reader_opens_no_file_beside_the_linked_ones(lake, out, tmp_path):
    publish(lake, out)
    pq.write_table(pa.table({"secret": [1]}), tmp_path / "secret.parquet")
    shutil.copy(tmp_path / "secret.parquet", out.parent / "pianogen.parquet" / "notes" / "more.parquet")
    with open_warehouse(out) as connection:
        assert connection.sql("select count(*) from notes").fetchall() == [(4,)]
        for path in (tmp_path / "secret.parquet", out.parent / "pianogen.parquet" / "notes" / "more.parquet",
                     out.parent / "pianogen.parquet" / ".." / ".." / "secret.parquet"):  # fmt: skip
            with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
                connection.execute(f"from read_parquet('{path}')")
            with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
                connection.execute(f"copy (select 1) to '{path}'")
