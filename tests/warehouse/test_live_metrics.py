"""Metrics of trainings that still run: in SQL as they grow."""

import json
import shutil

import duckdb
import pytest
from warehouses import METRIC, SQL, add_performance, write_run

from pianogen.errors import LakeError
from pianogen.lake import Lake
from pianogen.warehouse import export_warehouse, publish_warehouse, query_warehouse
from pianogen.warehouse.live import READERS

NEW = {"bits_per_note": 7.5, "gradient_norm": 0.5, "learning_rate": 0.001, "remaining_sec": 60.0}
OF_A_SAMPLE = {"split": "sample", "sample": "prompted", "num_notes": 30, "duration_sec": 9.5, "file": "samples/a.mid"}


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    add_performance(lake, "p2", (60, 0.0, 1.0))
    return lake


@pytest.fixture
def sql(tmp_path):
    """The views that read metrics alone: a publish of all takes long."""
    folder = tmp_path / "sql" / "views"
    folder.mkdir(parents=True)
    for name in READERS:
        shutil.copy(SQL / "views" / f"{name}.sql", folder)
    return folder.parent


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "data" / "runs"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "warehouse" / "pianogen.duckdb"


def start_run(runs, run_id="going"):
    """A run that trains: its folder has no run.json."""
    folder = runs / "quick" / run_id
    folder.mkdir(parents=True)
    return folder


def write_lines(folder, *lines, end=""):
    text = "".join(json.dumps(METRIC | line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + end)


def steps(out, table="metrics"):
    rows = query_warehouse(out, f"select run_id, step from {table} order by all").to_pylist()
    return [(row["run_id"], row["step"]) for row in rows]


FINISHED = [("0123abcd", 5), ("0123abcd", 10)]


def test_lines_that_come_after_a_publish_are_seen_without_another(lake, runs, sql, out):
    write_run(runs)
    folder = start_run(runs)
    write_lines(folder, {"step": 1})
    assert publish_warehouse(lake, runs, sql, out)["built"]
    assert steps(out) == [*FINISHED, ("going", 1)]
    write_lines(folder, {"step": 1}, {"step": 2}, end='{"step": 3, "nl')
    assert steps(out) == [*FINISHED, ("going", 1), ("going", 2)]
    assert steps(out, "training_curves") == [*FINISHED, ("going", 1), ("going", 2)]
    assert steps(out, "trainings") == [("0123abcd", 10), ("going", 2)]
    # A resume cuts back; a run begins.
    write_lines(folder, {"step": 1})
    write_lines(start_run(runs, "new"), {"step": 7})
    assert steps(out) == [*FINISHED, ("going", 1), ("new", 7)]


def test_a_training_that_goes_on_is_no_reason_to_publish_again_and_its_end_is(lake, runs, sql, out):
    folder = start_run(runs, "0123abcd")
    write_lines(folder, {"step": 1})
    version = publish_warehouse(lake, runs, sql, out)["version"]
    write_lines(folder, {"step": 1}, {"step": 2})
    assert not publish_warehouse(lake, runs, sql, out)["built"]
    (folder / "metrics.jsonl").unlink()
    folder.rmdir()
    write_run(runs)
    assert steps(out) == FINISHED  # its end is seen before it is published
    assert publish_warehouse(lake, runs, sql, out)["version"] != version
    assert steps(out) == FINISHED


def test_any_client_sees_what_was_there_when_it_was_published(lake, runs, sql, out):
    folder = start_run(runs)
    write_lines(folder, {"step": 1})
    publish_warehouse(lake, runs, sql, out)
    write_lines(folder, {"step": 1}, {"step": 2})
    with duckdb.connect(out, read_only=True) as connection:
        assert connection.sql("select step from metrics").fetchall() == [(1,)]
        assert connection.sql("select step from training_curves").fetchall() == [(1,)]


def test_a_warehouse_that_was_moved_away_or_exported_keeps_what_it_has(lake, runs, sql, out, tmp_path):
    folder = start_run(runs)
    write_lines(folder, {"step": 1})
    publish_warehouse(lake, runs, sql, out)
    write_lines(folder, {"step": 1}, {"step": 2})
    far = tmp_path / "far" / "away" / "all.duckdb"
    far.parent.mkdir(parents=True)
    export_warehouse(out, far)
    assert steps(far) == [("going", 1)]
    assert steps(out) == [("going", 1), ("going", 2)]


def test_a_line_that_is_damaged_is_named(lake, runs, sql, out):
    folder = start_run(runs)
    publish_warehouse(lake, runs, sql, out)
    write_lines(folder, {"step": 1}, end="{'step'\n")
    with pytest.raises(LakeError, match=r"going/metrics\.jsonl:2: JSON expected"):
        steps(out)
    assert query_warehouse(out, "select count(*) as n from notes")["n"].to_pylist() == [1]


def test_old_lines_and_new_ones_are_rows_of_one_table(lake, runs, sql, out):
    write_lines(start_run(runs, "old"), {"step": 1})
    write_lines(start_run(runs, "new"), {"step": 1, **NEW}, {"step": 1, "nll": None, **OF_A_SAMPLE})
    publish_warehouse(lake, runs, sql, out)
    found = query_warehouse(out, f"select {', '.join(NEW)} from metrics where split = 'validation' order by run_id")
    assert found.to_pylist() == [NEW, dict.fromkeys(NEW)]
    (sample,) = query_warehouse(out, "select * from metrics where split = 'sample'").to_pylist()
    assert OF_A_SAMPLE.items() <= sample.items()


def test_a_curve_has_both_losses_of_a_step_and_the_best_so_far(lake, runs, sql, out):
    lines = []
    for step, (train, validation) in {10: (4.0, 3.5), 20: (3.0, 3.0), 30: (2.0, 3.2)}.items():
        lines += [
            {"step": step, "split": "train", "nll": train, "elapsed_sec": step, "learning_rate": 0.1},
            {"step": step, "nll": validation, "elapsed_sec": step + 1, **NEW, "remaining_sec": 40.0 - step},
        ]
    write_lines(start_run(runs), *lines, {"step": 30, "nll": None, "elapsed_sec": 35.0, **OF_A_SAMPLE})
    publish_warehouse(lake, runs, sql, out)
    curve = query_warehouse(
        out, "select step, train_nll, validation_nll, best_validation_nll, elapsed_sec from training_curves"
    )
    assert [tuple(row.values()) for row in curve.to_pylist()] == [
        (10, 4.0, 3.5, 3.5, 11.0),
        (20, 3.0, 3.0, 3.0, 21.0),
        (30, 2.0, 3.2, 3.0, 31.0),
    ]
    (state,) = query_warehouse(out, "from trainings").to_pylist()
    assert (state["is_finished"], state["step"], state["elapsed_sec"]) == (False, 30, 35.0)
    assert (state["train_nll"], state["validation_nll"], state["best_validation_nll"]) == (2.0, 3.2, 3.0)
    assert (state["remaining_sec"], state["newest_sample"]) == (10.0, "samples/a.mid")


def test_columns_say_what_they_are(lake, runs, sql, out):
    publish_warehouse(lake, runs, sql, out)
    asked = "select column_name, comment from duckdb_columns() where table_name = $table and comment is not null"
    for table in ("metrics", "training_curves", "trainings"):
        told = dict(query_warehouse(out, asked, {"table": table}).to_pandas().to_numpy().tolist())
        assert told["gradient_norm" if table != "trainings" else "newest_sample"]
        assert "Unit: seconds" in told["remaining_sec"]
