import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from builders import event, midi_bytes, press
from hypothesis import given, settings
from hypothesis import strategies as st
from ingests import READY, files_below, folder_dataset, ingest_settings, start_ingest

from pianogen.errors import LakeError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, Stage, code_version, content_blocks, write_table
from pianogen.tables import SCHEMAS, empty

STAGE = Stage(name="clusters", modules=("pianogen.lake",), tables=("clusters",))


def clusters(*ids: str) -> pa.Table:
    rows = [{"performance_id": i, "cluster_id": i, "is_representative": True, "cluster_size": 1} for i in ids]
    return pa.Table.from_pylist(rows, SCHEMAS["clusters"])


# Keys


def test_a_key_depends_on_inputs_settings_code_packages_and_tables(tmp_path, monkeypatch):
    (tmp_path / "stage_a.py").write_text("def f(x):\n    return x + 1\n")
    (tmp_path / "stage_b.py").write_text("def f(x):\n    return x + 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    stage = Stage(name="s", modules=("stage_a",), tables=("clusters",))
    keys = [
        stage.key(["a"]),
        stage.key(["b"]),
        stage.key(["a"], {"target": 64}),
        replace(stage, modules=("stage_b",)).key(["a"]),
        replace(stage, packages=("pyarrow",)).key(["a"]),
        replace(stage, tables=("splits",)).key(["a"]),
        replace(stage, name="t").key(["a"]),
    ]
    assert len(set(keys)) == len(keys)
    assert stage.key(["a"]) == keys[0]


def test_comments_and_docstrings_are_no_part_of_the_code_version(tmp_path, monkeypatch):
    (tmp_path / "bare.py").write_text("def f(x):\n    return x + 1\n")
    (tmp_path / "told.py").write_text('"""What f does."""\n\ndef f(x):\n    """One more."""\n    return x + 1  # yes\n')
    (tmp_path / "changed.py").write_text("def f(x):\n    return x - 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert code_version(("bare",)) == code_version(("told",))
    assert code_version(("bare",)) != code_version(("changed",))


def test_a_module_without_source_cannot_be_versioned():
    with pytest.raises(LakeError, match="no_such_module has no source"):
        code_version(("no_such_module",))


# Blocks


def test_a_block_appears_whole_or_not_at_all(tmp_path):
    lake = Lake(tmp_path)

    def fail_in_the_middle() -> None:
        with lake.new_block("clusters", "k") as folder:
            (folder / "clusters.parquet").write_bytes(b"half")
            assert not lake.has_block("clusters", "k")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle()
    assert not lake.has_block("clusters", "k")
    assert list((tmp_path / "tmp").iterdir()) == []
    lake.write_block("clusters", "k", {"clusters": clusters("a")})
    assert lake.read_block("clusters", "k", "clusters").equals(clusters("a"))


def test_two_writers_of_one_block_both_succeed(tmp_path):
    lake = Lake(tmp_path)
    with lake.new_block("clusters", "k") as first, lake.new_block("clusters", "k") as second:
        for folder in (first, second):
            write_table(clusters("a"), folder / "clusters.parquet")
    assert lake.read_block("clusters", "k", "clusters").equals(clusters("a"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_threads_that_write_at_once_leave_the_umask_as_it_was(tmp_path):
    before = os.umask(0o027)
    try:
        threads = [
            threading.Thread(target=Lake(tmp_path).write_block, args=("clusters", f"{i}", {"clusters": clusters("a")}))
            for i in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
        modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "blocks/clusters").iterdir()}
        assert modes == {0o750}
    finally:
        os.umask(before)


def test_temporary_folders_of_the_dead_are_removed_and_of_the_living_kept(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from pianogen.lake import Lake\n"
        "with Lake(Path(sys.argv[1])).new_block('clusters', 'k') as folder:\n"
        "    (folder / 'half').write_text('half'); print(folder.name, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    dead, living = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        names = [process.stdout.readline().strip() for process in (dead, living)]
        dead.kill()
        dead.wait()
        assert sorted(path.name for path in (tmp_path / "tmp").iterdir()) == sorted(names)
        other_host = tmp_path / "tmp" / f"another-host-{dead.pid}-0123"
        other_host.mkdir()
        Lake(tmp_path).write_file(tmp_path / "note", b"written")
        assert sorted(path.name for path in (tmp_path / "tmp").iterdir()) == sorted([names[1], other_host.name])
        assert (tmp_path / "tmp" / names[1] / "half").is_file()
    finally:
        for process in (dead, living):
            process.kill()
            process.communicate()


def test_a_missing_block_is_named_when_it_is_published_or_read(tmp_path):
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match=r"blocks/clusters/gone: cannot publish a block that is not there"):
        lake.publish(STAGE, ["gone"])
    assert lake.manifest("clusters") is None
    with pytest.raises(LakeError, match=r"gone/clusters.parquet: no such block; run the stage 'clusters' again"):
        lake.read_block("clusters", "gone", "clusters")
    lake.write_block("clusters", "here", {"clusters": clusters("a")})
    lake.publish(STAGE, ["here"])
    (tmp_path / "blocks/clusters/here/clusters.parquet").unlink()
    with pytest.raises(LakeError, match=r"table 'clusters' in .*here"):
        lake.read("clusters")


# Tables


def test_wrong_columns_and_values_are_refused(tmp_path):
    path = tmp_path / "clusters.parquet"
    with pytest.raises(LakeError, match=r"clusters: columns \['cluster_id'\] found, \['performance_id', "):
        write_table(clusters("a").select(["cluster_id"]), path, SCHEMAS["clusters"])
    wide = clusters("a").set_column(3, "cluster_size", pa.array([2**32]))
    with pytest.raises(LakeError, match=r"clusters: .*4294967296"):
        write_table(wide, path, SCHEMAS["clusters"])
    assert not path.exists()


@pytest.mark.parametrize("table", sorted(SCHEMAS))
def test_every_table_comes_back_with_its_schema_written_or_not(tmp_path, table):
    lake = Lake(tmp_path)
    assert lake.read(table).schema == SCHEMAS[table]
    stage = Stage(name="any", modules=("pianogen.tables",), tables=(table,))
    lake.write_block("any", "k", {table: empty(table)})
    lake.publish(stage, ["k"])
    assert lake.read(table).schema.equals(SCHEMAS[table])
    first = SCHEMAS[table].names[0]
    assert lake.read(table, [first]).column_names == [first]


def test_rows_stand_in_the_order_of_partitions_and_blocks(tmp_path):
    lake = Lake(tmp_path)
    for key in ("x", "y", "z"):
        lake.write_block("clusters", key, {"clusters": clusters(f"{key}1", f"{key}0")})
    lake.publish(STAGE, ["z", "x"], partition="b")
    lake.publish(STAGE, ["y"], partition="a")
    expected = ["y1", "y0", "z1", "z0", "x1", "x0"]
    assert lake.read("clusters", ["performance_id"])["performance_id"].to_pylist() == expected
    with lake.connect(["clusters"]) as db:
        assert db.sql("select performance_id from clusters").fetchall() == [(i,) for i in expected]
    assert lake.retire("clusters", "b")
    assert not lake.retire("clusters", "b")
    assert lake.read("clusters").num_rows == 2


@pytest.mark.parametrize("name", ["with space", "it's", 'a "b"', "[brackets]", "st*r", "a?b", "{x,y}", "a=1", "é🎹"])
def test_a_lake_may_have_any_name(tmp_path, name):
    lake = Lake(tmp_path / name)
    lake.write_block("clusters", "k", {"clusters": clusters("a")})
    lake.publish(STAGE, ["k"])
    with lake.connect() as db:
        # No column comes from the folders' names.
        assert db.sql("from clusters").columns == SCHEMAS["clusters"].names
        assert db.sql("from clusters").fetchall() == [tuple(row.values()) for row in clusters("a").to_pylist()]
        assert db.sql("select count(*) from notes").fetchall() == [(0,)]
    assert lake.read("clusters").equals(clusters("a"))
    assert [m.blocks for m in lake.manifests()] == [("k",)]


def test_a_manifest_version_follows_its_content(tmp_path):
    lake = Lake(tmp_path)
    for key in ("x", "y"):
        lake.write_block("clusters", key, {"clusters": clusters(key)})
    first = lake.publish(STAGE, ["x"], info={"num": 1})
    assert lake.publish(STAGE, ["x"], info={"num": 1}).version == first.version
    assert lake.manifest("clusters") == first
    others = [lake.publish(STAGE, ["x", "y"]), lake.publish(STAGE, ["x"], info={"num": 2})]
    assert len({first.version, *(other.version for other in others)}) == 3


def test_a_broken_manifest_says_which_file_to_delete(tmp_path):
    lake = Lake(tmp_path)
    lake.write_block("clusters", "k", {"clusters": clusters("a")})
    lake.publish(STAGE, ["k"])
    (tmp_path / "manifests/clusters/all.json").write_text("{")
    with pytest.raises(LakeError, match=r"clusters/all.json: not a manifest .*; delete it"):
        lake.manifest("clusters")


def test_a_stage_that_never_ran_is_named(tmp_path):
    with pytest.raises(LakeError, match="nothing from the stage 'clusters' of 'all' yet; run it first"):
        Lake(tmp_path).require("clusters")


# Cutting ids into blocks


def hex_ids(count: int, seed: int = 0) -> list[str]:
    return [f"{int(value):016x}" for value in np.random.default_rng(seed).integers(0, 2**63, count)]


@given(st.lists(st.text("0123456789abcdef", min_size=1, max_size=6)), st.integers(1, 8), st.randoms())
def test_blocks_hold_each_id_once_whatever_the_order(ids, target, rng):
    blocks = content_blocks(ids, target=target)
    assert [i for block in blocks for i in block] == sorted(set(ids))
    assert all(0 < len(block) <= 4 * target for block in blocks)
    shuffled = list(ids)
    rng.shuffle(shuffled)
    assert content_blocks(shuffled, target=target) == blocks


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(2, 16), st.integers(0, 2**63 - 1))
def test_one_more_id_leaves_every_block_but_those_at_its_place(seed, count, target, new):
    ids = hex_ids(count, seed)
    new = f"{new:016x}"
    before, after = content_blocks(ids, target=target), content_blocks([*ids, new], target=target)
    gone = [block for block in before if block not in after]
    come = [block for block in after if block not in before]
    # What changed is one run of neighbours, and it holds the new id.
    assert [i for block in come for i in block] == sorted(
        {*(i for block in gone for i in block), new} - (set(ids) & {new})
    )
    assert len(gone) <= 4
    assert len(come) <= 5


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 60), st.integers(0, 2**63 - 1))
def test_blocks_are_of_limited_size_and_still_only_neighbours_change(seed, count, max_size, new):
    ids = hex_ids(count, seed)

    def size_of(i: str) -> int:
        return int(i[-1], 16)

    before = content_blocks(ids, target=8, size_of=size_of, max_size=max_size)
    assert [i for block in before for i in block] == sorted(ids)
    assert all(len(block) == 1 or sum(map(size_of, block)) <= max_size for block in before)
    after = content_blocks([*ids, f"{new:016x}"], target=8, size_of=size_of, max_size=max_size)
    kept = [i for block in after if block in before for i in block]
    # A new id reaches no further than the stretch that it falls in, and its neighbour.
    assert len(ids) - len(kept) <= 2 * max(map(len, content_blocks(ids, target=8)))


def test_a_thousand_more_ids_change_about_one_block_each():
    ids = hex_ids(20_000)
    blocks = {tuple(block) for block in content_blocks(ids)}
    changed = [len({tuple(b) for b in content_blocks([*ids, new])} - blocks) for new in hex_ids(40, seed=1)]
    assert np.mean(changed) < 1.2
    assert 48 < 20_000 / len(blocks) < 72


def test_a_stretch_without_edges_is_cut_at_ids_of_its_own_choice():
    ids, target = sorted(hex_ids(3000)), 32
    edges = {block[-1] for block in content_blocks(ids, target=target)}
    without = [i for i in ids if i not in edges]
    blocks = content_blocks(without, target=target)
    assert max(map(len, blocks)) <= 4 * target
    later = content_blocks(without[1:], target=target)
    assert len([block for block in later if block not in blocks]) <= 3


# Writers that are killed, and writers at once


def write_folder(folder: Path, num_files: int) -> Path:
    folder.mkdir()
    for i in range(num_files):
        melody = b"".join(press(40 + (i * step) % 50, 60 + i, velocity=1 + i % 127) for step in range(1, 9))
        (folder / f"{i}.mid").write_bytes(midi_bytes(event(0, 0xB0, 64, 127) + melody))
    (folder / "broken.mid").write_bytes(b"MThd")
    return folder


def count_paths(folder: Path) -> int:
    """Number of paths below a folder in which others come and go."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


def finish(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_the_lake_has_the_bytes_of_an_undisturbed_run(tmp_path):
    folder = write_folder(tmp_path / "music", 350)
    ingest_dataset(Lake(tmp_path / "undisturbed"), folder_dataset(folder), ingest_settings(1))
    expected = files_below(tmp_path / "undisturbed")
    rng = random.Random(2)
    num_cut_short = 0
    for moment, workers in enumerate([1, 2, 1]):
        lake = tmp_path / f"lake{moment}"
        # A number of paths that the lake holds when it is hit; the whole has about as many.
        threshold = rng.randrange(1, len(expected))
        process = start_ingest(folder, lake, workers)
        while process.poll() is None and count_paths(lake) < threshold:
            time.sleep(0.002)
        # A closed terminal kills the group; `kill -9` of one process leaves its workers to find out, within a second.
        (os.killpg if moment % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
        num_cut_short += files_below(lake).keys() != expected.keys()
        time.sleep(1.5)
        ingest_dataset(Lake(lake), folder_dataset(folder), ingest_settings(1))
        assert files_below(lake) == expected, f"killed at {threshold} paths with {workers} workers"
        assert list((lake / "tmp").iterdir()) == []
    assert num_cut_short >= 2


@pytest.mark.slow
def test_two_whole_ingests_at_once_and_any_number_of_workers_give_the_same_bytes(tmp_path):
    folder = write_folder(tmp_path / "music", 1200)
    processes = [start_ingest(folder, tmp_path / "shared", workers) for workers in (1, 2)]
    for process in processes:
        assert process.stdout.readline().strip() == READY
        finish(process)
    for workers in (1, 2):
        ingest_dataset(Lake(tmp_path / f"{workers}"), folder_dataset(folder), ingest_settings(workers))
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2") == files_below(tmp_path / "shared")
    assert len(list((tmp_path / "1/blocks/ingest").iterdir())) > 2
    assert list((tmp_path / "shared/tmp").iterdir()) == []
