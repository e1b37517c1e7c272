"""Statistics by block: what is measured again, what is not, and what is left when a run is cut off."""

import dataclasses
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpora import compare, folder_dataset, here, improvise, write_many, write_midi
from projects import PROJECT

from pianogen.errors import LakeError
from pianogen.ingest import ingest_dataset, retire_datasets
from pianogen.lake import Lake
from pianogen.settings import Settings
from pianogen.statistics.build import build_statistics, statistics_are_current, update_statistics
from pianogen.statistics.comparison import build_comparison, comparison_is_current

SQL = PROJECT / "warehouse"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return dataclasses.replace(here(tmp_path), sql=SQL)


def current(lake: Lake, table: str) -> list[dict]:
    return lake.read(table).to_pylist()


def bytes_of(lake: Lake, stage: str) -> dict[str, bytes]:
    folder = lake.root / "blocks" / stage
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_one_more_file_is_one_more_block_measured(lake, folder, settings):
    dataset = folder_dataset(write_many(folder, 600, 10))
    ingest_dataset(lake, dataset, settings)
    first = build_statistics(lake, "mine", settings)
    assert len(first.blocks) > 1
    assert len(current(lake, "performance_statistics")) == 600
    write_midi(folder / "new.mid", improvise(1000, 10))
    ingest_dataset(lake, dataset, settings)
    assert not statistics_are_current(lake, "mine")
    measured = []
    second = build_statistics(lake, "mine", settings, lambda done, total: measured.append((done, total)))
    assert statistics_are_current(lake, "mine")
    assert len(set(second.blocks) - set(first.blocks)) == measured[-1][1] <= 2
    assert len(current(lake, "performance_statistics")) == 601


def test_the_same_music_makes_the_same_bytes_whatever_the_number_of_workers(folder, settings, tmp_path):
    dataset = folder_dataset(write_many(folder, 300, 10))
    found = []
    for workers, backend in ((1, "threading"), (2, "processes")):
        lake = Lake(tmp_path / f"lake{workers}")
        ingest_dataset(lake, dataset, settings)
        update_statistics(lake, dataclasses.replace(settings, workers=workers, backend=backend))
        found.append({stage: bytes_of(lake, stage) for stage in ("statistics", "statistics_history", "comparison")})
    assert found[0] == found[1]
    assert all(found[0].values())


def test_nothing_is_measured_or_compared_twice(lake, folder, settings):
    compare(lake, [folder_dataset(write_many(folder, 20, 10))], settings)
    update_statistics(lake, settings)
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*.parquet")}
    manifests = lake.manifests()
    update_statistics(lake, settings)
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*.parquet")} == before
    assert lake.manifests() == manifests


def test_a_run_that_was_cut_off_ends_with_the_bytes_of_one_that_was_not(lake, folder, settings, tmp_path):
    dataset = folder_dataset(write_many(folder, 600, 10))
    ingest_dataset(lake, dataset, settings)
    update_statistics(lake, settings)
    whole = {stage: bytes_of(lake, stage) for stage in ("statistics", "statistics_history", "comparison")}
    cut = Lake(tmp_path / "cut")
    ingest_dataset(cut, dataset, settings)

    class KilledError(Exception): ...

    def kill(done: int, total: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        build_statistics(cut, "mine", settings, kill)
    assert cut.manifest("statistics", "mine") is None
    assert len(bytes_of(cut, "statistics")) == 2  # one block, whole
    update_statistics(cut, settings)
    assert {stage: bytes_of(cut, stage) for stage in whole} == whole


def test_statistics_of_a_dataset_that_was_not_ingested_say_what_to_do(lake, settings):
    with pytest.raises(LakeError, match="nothing from the stage 'ingest' of 'mine' yet; run it first"):
        build_statistics(lake, "mine", settings)
    with pytest.raises(LakeError, match="no statistics yet; run the stage `statistics` of a dataset first"):
        build_comparison(lake, SQL)
    update_statistics(lake, settings)  # of nothing there is nothing to do
    assert lake.manifests() == []


def test_a_damaged_block_is_named(lake, folder, settings):
    ingest_dataset(lake, folder_dataset(write_many(folder, 5, 10)), settings)
    (path,) = lake.paths("notes")
    path.write_bytes(b"no parquet")
    with pytest.raises(
        LakeError, match=r"notes\.parquet: cannot be read .*; remove the block's folder and ingest again"
    ):
        build_statistics(lake, "mine", settings)


def test_a_dataset_that_is_gone_leaves_the_statistics(lake, folder, settings, tmp_path):
    for name in ("mine", "yours"):
        ingest_dataset(lake, folder_dataset(write_many(tmp_path / name, 5, 10), name), settings)
    update_statistics(lake, settings)
    assert {row["dataset"] for row in current(lake, "performance_statistics")} == {"mine", "yours"}
    retire_datasets(lake, ["mine"])
    assert not comparison_is_current(lake, SQL)
    update_statistics(lake, settings)
    assert {row["dataset"] for row in current(lake, "performance_statistics")} == {"mine"}
    assert {row["dataset"] for row in current(lake, "statistics_history")} == {"mine"}
    block = lake.require("comparison").blocks[0]
    assert lake.read_block("comparison", block, "dataset_statistics")["dataset"].to_pylist() == ["mine"]


def test_a_dataset_without_a_performance_has_no_statistics_and_harms_nobody(lake, folder, settings):
    (folder / "broken.mid").write_bytes(b"no music")
    ingest_dataset(lake, folder_dataset(folder), settings)
    update_statistics(lake, settings)
    assert current(lake, "performance_statistics") == []
    assert lake.require("comparison").info["dataset_statistics"] == 0


def test_another_split_is_compared_anew_and_measured_no_more(lake, folder, settings):
    compare(lake, [folder_dataset(write_many(folder, 20, 10))], settings)
    update_statistics(lake, settings)
    statistics, comparison = lake.require("statistics", "mine"), lake.require("comparison")
    from pianogen.dedupe.clusters import find_clusters

    find_clusters(lake, ["mine"], settings.splits)
    update_statistics(lake, settings)
    assert lake.require("statistics", "mine") == statistics
    assert lake.require("comparison") != comparison


def test_a_view_that_is_read_makes_another_comparison_and_one_that_is_not_does_not(lake, folder, settings, tmp_path):
    ingest_dataset(lake, folder_dataset(write_many(folder, 5, 10)), settings)
    sql = Path(shutil.copytree(SQL, tmp_path / "sql"))
    settings = dataclasses.replace(settings, sql=sql)
    update_statistics(lake, settings)
    view = sql / "views" / "note_facts.sql"
    view.write_text(view.read_text() + "-- more\n")
    assert comparison_is_current(lake, sql)
    view = sql / "views" / "outliers.sql"
    view.write_text(view.read_text() + "-- more\n")
    assert not comparison_is_current(lake, sql)


def versions(lake: Lake) -> list[int]:
    return sorted({row["version"] for row in current(lake, "statistics_history")})


def test_each_version_of_a_dataset_is_remembered_once(lake, folder, settings):
    dataset = folder_dataset(write_many(folder, 5, 10))
    for _ in range(2):
        ingest_dataset(lake, dataset, settings)
        build_statistics(lake, "mine", settings)
    assert versions(lake) == [1]
    write_midi(folder / "new.mid", improvise(1000, 40))
    ingest_dataset(lake, dataset, settings)
    build_statistics(lake, "mine", settings)
    assert versions(lake) == [1, 2]
    found = {
        row["version"]: (row["num_performances"], row["mean"])
        for row in current(lake, "statistics_history")
        if row["measure"] == "num_notes"
    }
    assert found == {1: (5, 10.0), 2: (6, 15.0)}


def test_the_history_forgets_what_is_older_than_its_length(lake, folder, settings, monkeypatch):
    monkeypatch.setattr("pianogen.statistics.history.MAX_VERSIONS", 2)
    dataset = folder_dataset(folder)
    for seed in range(4):
        write_midi(folder / f"{seed}.mid", improvise(seed, 10))
        ingest_dataset(lake, dataset, settings)
        build_statistics(lake, "mine", settings)
    assert versions(lake) == [3, 4]


def test_every_column_of_the_tables_is_written_with_its_type(lake, folder, settings):
    ingest_dataset(lake, folder_dataset(write_many(folder, 5, 10)), settings)
    build_statistics(lake, "mine", settings)
    from pianogen.tables import SCHEMAS

    for table in ("performance_statistics", "histograms"):
        (path,) = lake.paths(table)
        assert pq.ParquetFile(path).schema_arrow.names == SCHEMAS[table].names
        assert lake.read(table).schema == SCHEMAS[table]
