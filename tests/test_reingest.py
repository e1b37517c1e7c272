"""Ingest again: what is gone is remembered, two at once do no harm, unchanged files are not trusted blindly."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders import midi_bytes, press
from filelock import FileLock
from ingests import files_below, folder_dataset, ingest_settings, start_ingest

from pianogen import ingest
from pianogen.catalogue import list_files
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return replace(ingest_settings(1), backend="threading")


def write(folder: Path, name: str, pitch: int) -> None:
    (folder / name).write_bytes(midi_bytes(press(pitch)))


def removed(lake: Lake) -> list[tuple[str, str]]:
    table = lake.read("removed_files")
    assert all(table["file_id"].to_pylist())
    return list(zip(table["path"].to_pylist(), table["cause"].to_pylist(), strict=True))


# Tombstones


def test_a_removed_file_leaves_a_tombstone_with_its_performance(folder, lake, settings):
    write(folder, "a.mid", 60)
    write(folder, "b.mid", 61)
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert removed(lake) == []
    files = lake.read("files").to_pylist()
    (performance_id,) = (row["performance_id"] for row in files if row["path"] == "a.mid")
    (folder / "a.mid").unlink()
    version = ingest_dataset(lake, folder_dataset(folder), settings).version
    assert lake.require("removed", "mine").info["num_removed"] == 1
    assert removed(lake) == [("a.mid", "removed")]
    assert lake.read("removed_files")["performance_id"].to_pylist() == [performance_id]
    assert performance_id not in lake.read("performances")["performance_id"].to_pylist()
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert removed(lake) == [("a.mid", "removed")]
    # The music is what it would be without a past, and so is everything made of it.
    other = Lake(lake.root.parent / "other")
    assert ingest_dataset(other, folder_dataset(folder), settings).version == version


def test_other_bytes_under_a_path_are_a_change_and_the_same_bytes_again_are_no_loss(folder, lake, settings):
    write(folder, "a.mid", 60)
    ingest_dataset(lake, folder_dataset(folder), settings)
    write(folder, "a.mid", 61)
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert removed(lake) == [("a.mid", "changed")]
    write(folder, "a.mid", 60)
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert lake.read("notes")["pitch"].to_pylist() == [60]
    assert [cause for _, cause in removed(lake)] == ["changed"]
    (folder / "a.mid").unlink()
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert removed(lake) == [("a.mid", "removed")] * 2


def test_a_rejected_file_that_goes_leaves_a_tombstone_without_a_performance(folder, lake, settings):
    (folder / "broken.mid").write_bytes(b"MThd")
    ingest_dataset(lake, folder_dataset(folder), settings)
    (folder / "broken.mid").unlink()
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert removed(lake) == [("broken.mid", "removed")]
    assert lake.read("removed_files")["performance_id"].to_pylist() == [None]


# Two at once


@pytest.mark.slow
def test_two_ingests_at_once_end_as_one(folder, lake, tmp_path):
    for i in range(300):
        write(folder, f"{i}.mid", 30 + i % 60)
    both = [start_ingest(folder, lake.root, workers=1) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    alone = Lake(tmp_path / "alone")
    ingest_dataset(alone, folder_dataset(folder), ingest_settings(1))
    assert files_below(lake.root) == files_below(alone.root)


@pytest.mark.slow
def test_the_lock_of_a_killed_ingest_holds_nobody_up(folder, lake):
    for i in range(300):
        write(folder, f"{i}.mid", 30 + i % 60)
    process = start_ingest(folder, lake.root, workers=1)
    lock = lake.root / "locks" / "ingest-mine.lock"
    deadline = time.monotonic() + 60
    while not lock.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    again = start_ingest(folder, lake.root, workers=1)
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert lake.require("ingest", "mine").info["num_performances"] == 300


# What is known of a file without reading it


def test_a_file_that_rested_is_read_once_and_any_change_is_seen(folder, lake, settings, monkeypatch):
    write(folder, "a.mid", 60)
    fresh, rested = list_files(folder_dataset(folder)), None
    assert fresh[0].stamp is None, "a file of this moment may change again within one step of the clock"
    deadline = time.monotonic() + 10
    while rested is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        rested = list_files(folder_dataset(folder))[0].stamp
    listed = list_files(folder_dataset(folder))
    status = (folder / "a.mid").stat()
    write(folder, "a.mid", 61)
    # The same size, and the time of its writing set back: the time of change tells nevertheless.
    os.utime(folder / "a.mid", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (folder / "a.mid").stat().st_size == status.st_size
    calls = []

    def list_as_it_was(dataset, settings):
        calls.append(dataset)
        return listed if len(calls) == 1 else list_files(dataset)

    monkeypatch.setattr(ingest, "list_files", list_as_it_was)
    ingest_dataset(lake, folder_dataset(folder), settings)
    assert len(calls) == 2
    assert lake.read("notes")["pitch"].to_pylist() == [61]


def test_blocks_of_large_files_hold_few_of_them(folder, lake, settings, monkeypatch):
    for i in range(20):
        write(folder, f"{i}.mid", 40 + i)
    size = (folder / "0.mid").stat().st_size
    assert len(ingest_dataset(lake, folder_dataset(folder), settings).blocks) == 1
    monkeypatch.setattr(ingest, "MAX_BLOCK_BYTES", 4 * size)
    other = Lake(lake.root.parent / "other")
    manifest = ingest_dataset(other, folder_dataset(folder), settings)
    held = [len(other.read_block("ingest", key, "performances")) for key in manifest.blocks]
    assert sum(held) == 20
    assert max(held) <= 4
    assert manifest.info == lake.require("ingest", "mine").info
    monkeypatch.setattr(ingest, "MAX_BLOCK_BYTES", size - 1)
    assert len(ingest_dataset(Lake(lake.root.parent / "third"), folder_dataset(folder), settings).blocks) == 20


def test_an_ingest_does_not_wait_for_that_of_another_dataset(folder, lake, settings):
    write(folder, "a.mid", 60)
    path = lake.root / "locks" / "ingest-another.lock"
    path.parent.mkdir(parents=True)
    with FileLock(path):
        assert ingest_dataset(lake, folder_dataset(folder), settings).info["num_files"] == 1
