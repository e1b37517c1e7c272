import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from builders import scale, settings_in
from warehouses import METRIC, RUN, SQL, add_performance, write_run

from pianogen.catalogue import Dataset
from pianogen.errors import LakeError, QueryError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.midi.render import midi_bytes
from pianogen.tables import SCHEMAS
from pianogen.views import apply_views, header
from pianogen.warehouse import COMMENTS, open_warehouse, publish_warehouse, query_warehouse, read_runs, run_check


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0), (64, 0.5, 1.5), (67, 0.0, 0.25))
    add_performance(lake, "p1", (72, 0.0, 2.0))
    return lake


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "pianogen.duckdb"


def column(out: Path, sql: str) -> list:
    return query_warehouse(out, sql).column(0).to_pylist()


BESIDE = ["pianogen.duckdb", "pianogen.duckdb.lock", "pianogen.parquet"]


def names_beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


# Publishing


def test_the_warehouse_of_an_empty_lake_has_every_table_typed_and_every_view(tmp_path, runs, out):
    done = publish_warehouse(Lake(tmp_path / "nothing"), runs, SQL, out)
    assert done["built"]
    own = {"runs", "metrics", "shards", "manifests", "linked_files"}
    shipped = {"meta", "reference_results"}
    assert set(done["num_rows"]) == {*SCHEMAS, *own, *shipped}
    assert {n for t, n in done["num_rows"].items() if t not in shipped} == {0}
    assert done["num_rows"]["reference_results"] > 16
    assert done["num_views"] == len(list((SQL / "views").glob("*.sql")))
    assert query_warehouse(out, "select onset_sec, pitch from notes").schema.types == [pa.float64(), pa.uint8()]
    assert query_warehouse(out, "from leaderboard").num_rows == 0


def test_rows_of_the_lake_are_copied_in_the_order_of_its_blocks(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    assert query_warehouse(out, "from notes").to_pylist() == lake.read("notes").to_pylist()
    assert column(out, "select performance_id from performances") == ["p2", "p1"]


def test_a_warehouse_outlives_its_lake(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    shutil.rmtree(lake.root)
    assert column(out, "select num_notes from performances order by all") == [1, 3]
    assert column(out, "select count(*) from note_facts") == [4]


def test_the_warehouse_says_which_versions_it_was_built_from(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    assert query_warehouse(out, "from manifests").to_pylist() == [
        {"stage": "ingest", "partition": "all", "version": lake.require("ingest").version, "num_blocks": 2}
    ]


def test_every_table_and_view_of_the_warehouse_has_a_comment(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    comments = """
        select table_name as name, comment from duckdb_tables()
        union all select view_name as name, comment from duckdb_views() where not internal
    """
    found = dict(query_warehouse(out, comments).select(["name", "comment"]).to_pandas().to_numpy().tolist())
    assert [name for name, comment in found.items() if not comment] == []
    assert found["notes"] == COMMENTS["notes"]
    assert found["hours_by_split"] == (
        "How much music each split holds, by dataset; what is left out is in split_moves_by_reason. "
        "Grain: split, dataset. Units: hours played, counts; notes without drums."
    )


def test_a_second_publish_builds_nothing_and_says_the_same(lake, runs, out):
    first = publish_warehouse(lake, runs, SQL, out)
    before = out.stat()
    second = publish_warehouse(lake, runs, SQL, out)
    assert (first["built"], second["built"]) == (True, False)
    assert first | {"built": False} == second
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_new_music_a_new_run_and_a_changed_view_each_build_it_again(lake, runs, out, tmp_path):
    sql = tmp_path / "sql"
    (sql / "views").mkdir(parents=True)
    (sql / "views" / "loudest.sql").write_text(
        "create or replace view loudest as select max(velocity) as v from notes;"
    )

    def built() -> bool:
        return publish_warehouse(lake, runs, sql, out)["built"]

    assert (built(), built()) == (True, False)
    add_performance(lake, "p3", (48, 0.0, 1.0))
    assert (built(), built()) == (True, False)
    folder = write_run(runs)
    assert (built(), built()) == (True, False)
    (folder / "metrics.jsonl").write_text(json.dumps(METRIC | {"nll": 9.0}) + "\n")
    assert (built(), built()) == (True, False)
    (sql / "views" / "loudest.sql").write_text(
        "create or replace view loudest as select min(velocity) as v from notes;"
    )
    assert (built(), built()) == (True, False)


@pytest.mark.parametrize("content", [b"", b"not a database", b"DUCK" * 5000])
def test_a_broken_warehouse_is_built_again(lake, runs, out, content):
    out.parent.mkdir()
    out.write_bytes(content)
    assert publish_warehouse(lake, runs, SQL, out)["built"]
    assert column(out, "select count(*) from notes") == [4]


def test_a_database_of_someone_else_is_replaced(lake, runs, out):
    out.parent.mkdir()
    with duckdb.connect(out) as connection:
        connection.execute("create table meta as select 'x' as version where false")
    assert publish_warehouse(lake, runs, SQL, out)["built"]


def test_a_build_that_fails_leaves_the_old_warehouse_and_nothing_beside_it(lake, runs, out, tmp_path):
    publish_warehouse(lake, runs, SQL, out)
    sql = tmp_path / "sql"
    (sql / "views").mkdir(parents=True)
    (sql / "views" / "wrong.sql").write_text("create or replace view wrong as from no_such_table;")
    with pytest.raises(QueryError, match=r"wrong\.sql: .*no_such_table does not exist"):
        publish_warehouse(lake, runs, sql, out)
    assert column(out, "select count(*) from notes") == [4]
    assert names_beside(out) == BESIDE


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-20])])
def test_a_block_that_is_gone_or_cut_short_is_named(lake, runs, out, damage):
    damage(lake.paths("notes")[0])
    with pytest.raises(LakeError, match=r"run the stage of this file again: .*block-p2/notes\.parquet"):
        publish_warehouse(lake, runs, SQL, out)
    assert not out.exists()


def test_names_out_of_files_stay_data(tmp_path, runs, out):
    folder = tmp_path / "music"
    names = ["it's; drop table files;--.mid", 'say "x".mid', "two\nlines.mid", "=1+1.mid", "</script>.mid", "é 🎹.mid"]
    folder.mkdir()
    for name in names:
        title = name.replace(".mid", "").encode()
        track = b"\x00\xff\x03" + bytes([len(title)]) + title + b"\x00\x90\x3c\x40\x60\x80\x3c\x00\x00\xff\x2f\x00"
        header = b"MThd" + (6).to_bytes(4) + b"\x00\x00\x00\x01\x01\xe0"
        (folder / name.replace("/", "∕")).write_bytes(header + b"MTrk" + len(track).to_bytes(4) + track)
    (folder / "'); delete from notes;--.mid").write_bytes(b"MThd")
    lake = Lake(tmp_path / "lake")
    ingest_dataset(
        lake, Dataset(name="evil", title="evil", folder=folder, licence='it\'s "ours"'), settings_in(tmp_path)
    )
    publish_warehouse(lake, runs, SQL, out)
    described = query_warehouse(out, "select path, licence from performances_with_sources").to_pylist()
    assert {row["path"] for row in described} == {name.replace("/", "∕").replace("\n", r"\x0a") for name in names}
    assert {row["licence"] for row in described} == {'it\'s "ours"'}
    assert column(out, "select name from parts where name like '%script%'") == ["</script>"]
    assert column(out, "select path from rejections") == ["'); delete from notes;--.mid"]
    assert column(out, "select count(*) from sources") == [len(names) + 1]
    for check in (SQL / "checks" / "performances").glob("*.sql"):
        with open_warehouse(out) as connection:
            assert run_check(connection, check.read_text()).num_rows == 0


def test_tables_that_ingest_writes_are_published(tmp_path, runs, out):
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "a.mid").write_bytes(midi_bytes(scale(60, 16)))
    (folder / "gone.mid").write_bytes(midi_bytes(scale(50, 16)))
    lake, dataset = Lake(tmp_path / "lake"), Dataset(name="mine", title="mine", folder=folder, licence="CC0")
    ingest_dataset(lake, dataset, settings_in(tmp_path))
    (folder / "gone.mid").unlink()
    ingest_dataset(lake, dataset, settings_in(tmp_path))
    publish_warehouse(lake, runs, SQL, out)
    assert query_warehouse(out, "select path, cause from removed_files").to_pylist() == [
        {"path": "gone.mid", "cause": "removed"}
    ]
    assert column(out, "select path from sources") == ["a.mid"]
    assert column(out, "select num_notes from parts") == [16]
    assert column(out, "select num_messages from message_kinds where kind = 'note_on'") == [16]
    assert column(out, "select channel from controls") == []
    assert column(out, "select channel from pedal_presses") == []
    assert column(out, "select linked_path from links") == []


# Several processes

READER = """
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1], read_only=True)
    count = lambda: connection.sql("select count(*) from notes").fetchall()[0][0]
    print(count(), flush=True)
    sys.stdin.readline()
    print(count(), connection.sql("select count(*) from note_facts").fetchall()[0][0], flush=True)
"""


def test_a_reader_in_another_process_keeps_the_old_warehouse_and_delays_nobody(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(READER), str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "4\n"
        add_performance(lake, "p3", (48, 0.0, 1.0))
        assert publish_warehouse(lake, runs, SQL, out)["built"]
        assert column(out, "select count(*) from notes") == [5]
        print("go on", file=reader.stdin, flush=True)
        assert reader.stdout.readline() == "4 4\n"
    assert reader.returncode == 0


def test_a_reader_in_this_process_keeps_the_old_warehouse_while_a_new_one_sees_the_new(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    with open_warehouse(out) as old:
        add_performance(lake, "p3", (48, 0.0, 1.0))
        publish_warehouse(lake, runs, SQL, out)
        assert column(out, "select count(*) from notes") == [5]
        assert old.sql("select count(*) from notes").fetchall() == [(4,)]


def publish_and_tell(arguments: tuple[Path, Path, Path]) -> bool:
    root, runs, out = arguments
    return publish_warehouse(Lake(root), runs, SQL, out)["built"]


def test_of_publishers_at_once_one_builds_and_all_succeed(lake, runs, out):
    arguments = (lake.root, runs, out)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        others = pool.map_async(publish_and_tell, [arguments] * 2)
        with ThreadPoolExecutor(2) as threads:
            built = [*threads.map(publish_and_tell, [arguments] * 2), *others.get(timeout=120)]
    assert sorted(built) == [False, False, False, True]
    assert column(out, "select count(*) from notes") == [4]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from pianogen.lake import Lake
    from pianogen.warehouse import publish

    def killed(connection, *_):
        connection.execute("create table half_written as select * from range(1000)")
        os.kill(os.getpid(), signal.SIGKILL)

    publish.apply_views = killed
    publish.publish_warehouse(Lake(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
"""


def test_a_publisher_killed_while_building_harms_nothing_and_the_next_one_clears_up(lake, runs, out):
    publish_warehouse(lake, runs, SQL, out)
    add_performance(lake, "p3", (48, 0.0, 1.0))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), *map(str, (lake.root, runs, SQL, out))]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert column(out, "select count(*) from notes") == [4]
    assert (out.parent / "pianogen.duckdb.new").exists()
    assert publish_warehouse(lake, runs, SQL, out)["built"]
    assert column(out, "select count(*) from notes") == [5]
    assert names_beside(out) == sorted([*BESIDE, "pianogen.previous.duckdb"])


# Runs


def test_finished_runs_and_their_metrics_are_tables(lake, runs, out):
    write_run(runs)
    write_run(runs, run_id="still_training", status="running")
    publish_warehouse(lake, runs, SQL, out)
    (run,) = query_warehouse(out, "from runs").to_pylist()
    assert run == RUN | {
        "dataset_versions": [("a", "1111"), ("b", "2222")],
        "licences": [("a", "CC0"), ("b", "CC BY-NC 4.0")],
        "validation_nll": 2.0,
    }
    metrics = query_warehouse(
        out, "select run_id, step, split, nll, learning_rate from metrics where run_id <> 'still_training'"
    ).to_pylist()
    assert metrics == [
        {"run_id": "0123abcd", "step": 5, "split": "train", "nll": 3.5, "learning_rate": 0.001},
        {"run_id": "0123abcd", "step": 10, "split": "validation", "nll": 3.5, "learning_rate": None},
    ]


def test_a_key_that_a_run_lacks_is_null_and_one_that_is_not_known_is_left_out(runs):
    folder = write_run(runs)
    fields = {name: value for name, value in RUN.items() if name != "certificate"} | {"mood": "good"}
    (folder / "run.json").write_text(json.dumps(fields))
    (folder / "metrics.jsonl").unlink()
    found, metrics = read_runs(runs)
    assert found["certificate"].to_pylist() == [None]
    assert "mood" not in found.column_names
    assert metrics.num_rows == 0


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("run.json", "{", r"run\.json: JSON expected"),
        ("run.json", "[]", r"run\.json: a JSON object expected, found \[\]"),
        ("run.json", json.dumps(RUN | {"steps": "many"}), r"run\.json: steps must be int64"),
        ("run.json", json.dumps(RUN | {"dataset_versions": "new"}), r"run\.json: dataset_versions must be map"),
        ("metrics.jsonl", json.dumps(METRIC) + "\n{'step'", r"metrics\.jsonl:2: JSON expected"),
        ("metrics.jsonl", json.dumps(METRIC | {"nll": "low"}), r"metrics\.jsonl: nll must be double"),
    ],
)
def test_a_run_that_cannot_be_read_is_named_with_what_is_wrong(runs, name, text, message):
    (write_run(runs) / name).write_text(text)
    with pytest.raises(LakeError, match=message):
        read_runs(runs)


# Reading


@pytest.fixture
def published(lake, runs, out) -> Path:
    publish_warehouse(lake, runs, SQL, out)
    return out


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from notes",
        "select count(*) from notes;",
        "-- how many\nselect count(*) from notes -- notes",
        "with n as (from notes) select count(*) from n",
        "from (describe notes)",
        "describe notes",
        "show tables",
        "summarize notes",
        "explain select * from notes",
        "values (1)",
        "pivot (select dataset, num_notes from performances) on dataset using sum(num_notes)",
        "select 1 as same, 2 as same",
    ],
)
def test_a_query_of_any_form_has_rows(published, sql):
    assert query_warehouse(published, sql).num_rows > 0


def test_rows_come_in_the_order_the_query_asks_for(published):
    assert column(published, "select performance_id from performances order by 1") == ["p1", "p2"]
    assert column(published, "select performance_id from performances order by 1 desc") == ["p2", "p1"]


@pytest.mark.parametrize(
    "sql, found",
    [
        ("delete from notes", "DELETE"),
        ("insert into notes by name select 1 as pitch", "INSERT"),
        ("update notes set pitch = 1", "UPDATE"),
        ("drop table notes", "DROP"),
        ("create table memory.main.mine as select 1", "CREATE"),
        ("set threads = 1", "SET"),
        ("attach 'other.duckdb'", "ATTACH"),
        ("copy notes to 'notes.csv'", "COPY"),
        ("install httpfs", "LOAD"),
    ],
)
def test_a_statement_that_is_no_query_is_refused(published, sql, found):
    with pytest.raises(QueryError, match=f"a query expected, found {found}"):
        query_warehouse(published, sql)


@pytest.mark.parametrize("sql, num", [("", 0), ("-- nothing", 0), ("select 1; select 2", 2)])
def test_anything_but_one_statement_is_refused(published, sql, num):
    with pytest.raises(QueryError, match=f"one query expected, found {num} statements"):
        query_warehouse(published, sql)


def test_a_write_inside_an_open_warehouse_is_refused_and_changes_no_byte(published):
    before = published.read_bytes()
    with (
        open_warehouse(published) as connection,
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        connection.execute("create table mine as select 1")
    assert published.read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "from read_csv('{secret}')",
        "from read_text('{secret}')",
        "from '{secret}'",
        "from glob('{folder}/*')",
        "from read_parquet('https://example.com/x.parquet')",
        "explain analyze copy (select 1) to '{folder}/made.csv'",
    ],
)
def test_a_query_can_neither_read_nor_write_other_files(published, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    with pytest.raises(QueryError):
        query_warehouse(published, sql.format(secret=secret, folder=tmp_path))
    assert not (tmp_path / "made.csv").exists()


def test_what_a_query_may_do_cannot_be_widened(published):
    with open_warehouse(published) as connection:
        for setting in ("enable_external_access = true", "python_enable_replacements = true"):
            with pytest.raises(duckdb.Error, match=r"locked|disabled"):
                connection.execute(f"set {setting}")


def test_a_table_name_never_means_a_variable_of_the_caller(published):
    mine = pa.table({"x": [1]})
    assert mine.num_rows == 1
    with open_warehouse(published) as connection, pytest.raises(QueryError, match="mine does not exist"):
        run_check(connection, "from mine")


def test_a_query_before_the_first_publish_says_what_to_do(out):
    with pytest.raises(QueryError, match=r"pianogen\.duckdb: no warehouse yet; .*make run"):
        query_warehouse(out, "select 1")


def test_a_query_on_a_broken_warehouse_names_the_file(out):
    out.parent.mkdir()
    out.write_bytes(b"not a database")
    with pytest.raises(QueryError, match=r"pianogen\.duckdb: the warehouse cannot be read: .*"):
        query_warehouse(out, "select 1")


def test_an_error_in_a_query_is_told_in_the_words_of_duckdb(published):
    with pytest.raises(QueryError, match="Catalog Error: Table with name note does not exist"):
        query_warehouse(published, "from note")
    with pytest.raises(QueryError, match="Parser Error"):
        query_warehouse(published, "selec 1")
    with pytest.raises(QueryError, match="Conversion Error"):
        query_warehouse(published, "select 'x'::integer")


# View files


@pytest.mark.parametrize(
    "files, message",
    [
        ({"a": "create view a as from b;", "b": "create view b as from nothing;"}, r"b\.sql: .*nothing does not exist"),
        ({"a": "create view a as from b;", "b": "create view b as from a;"}, r"a\.sql: .*b does not exist"),
        ({"a": "create view a as selec 1;"}, r"a\.sql: Parser Error"),
        ({"a": "create view a as select nothing from (select 1 as x);"}, r"a\.sql: Binder Error"),
        ({"a": "create view other as select 1 as x;"}, r"a\.sql: must create a view named a"),
    ],
)
def test_a_view_that_cannot_be_created_is_named_with_the_reason(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    with duckdb.connect() as connection, pytest.raises(QueryError, match=message):
        apply_views(connection, tmp_path)


def test_a_view_asked_for_by_name_must_have_a_file(tmp_path):
    with duckdb.connect() as connection, pytest.raises(QueryError, match=r"a\.sql: no such view file"):
        apply_views(connection, tmp_path, ["a"])


def test_a_header_ends_where_the_file_says_what_it_reads():
    assert header("-- One.\n-- Grain: x.  Units: y.\n-- Reads: z.\n-- More.\nselect 1") == "One. Grain: x. Units: y."
    assert header("-- One.\n--\n-- More.\nselect 1") == "One."
    assert header("select 1 -- One.") == ""


def test_a_warehouse_in_the_working_directory_needs_no_folder(lake, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish_warehouse(lake, runs, SQL, Path("here.duckdb"))
    assert column(Path("here.duckdb"), "select count(*) from notes") == [4]
    assert (tmp_path / "here.duckdb").is_file()
