import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from builders import midi_bytes, press
from ingests import counts, files_below, folder_dataset, ingest_settings, reasons, write

from pianogen import ingest
from pianogen.errors import LakeError, RejectedFileError
from pianogen.ingest import files_to_parse, ingest_dataset, retire_datasets
from pianogen.lake import Lake
from pianogen.reading import EVENT_TABLES, parse_bytes

IN_THIS_PROCESS = replace(ingest_settings(1), backend="threading")


def run(folder: Path, lake: Lake) -> dict:
    """Info of the manifest after an ingest."""
    return ingest_dataset(lake, folder_dataset(folder), IN_THIS_PROCESS).info


def performance_of(lake: Lake) -> dict[str, str]:
    files = lake.read("files")
    return dict(zip(files["path"].to_pylist(), files["performance_id"].to_pylist(), strict=True))


def blocks_and_times(lake: Lake) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (lake.root / "blocks/ingest").glob("*")}


# What becomes of each file


def test_files_that_cannot_be_read_or_named_stop_nothing(folder, lake):
    write(folder, "a b.mid", "it's.mid", 'a "b".mid', "-rf.mid", "🎹.mid", "new\nline.mid", "folder.mid/in.mid")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.mid")).write_bytes(midi_bytes(press(61)))
    os.mkfifo(folder / "pipe.mid")
    (folder / "dangling.mid").symlink_to("nowhere")
    (folder / "loop.mid").symlink_to("loop.mid")
    (folder / "loop").symlink_to(folder)
    (folder / "notes.txt").write_text("buy strings")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "music_without_suffix").write_bytes(midi_bytes(press(62)))
    (folder / "SHOUTED.MID").write_bytes(b"MThd")
    assert counts(run(folder, lake)) == (15, 9, 6)
    assert reasons(lake) == {
        "pipe.mid": "unreadable",
        "dangling.mid": "unreadable",
        "loop.mid": "unreadable",
        "notes.txt": "not_music",
        "empty.txt": "not_music",
        "SHOUTED.MID": "truncated",
    }
    assert performance_of(lake)["\\xff.mid"]
    assert performance_of(lake)["new\\x0aline.mid"]
    assert set(lake.read("rejections")["stage"].to_pylist()) == {"read", "parse"}


@pytest.mark.parametrize("name", ["a.mid", "a.mxl", "a.musicxml", "a.xml"])
def test_an_empty_file_is_called_empty(name):
    with pytest.raises(RejectedFileError, match="empty_file: 0 bytes"):
        parse_bytes(b"", name)


def test_a_link_out_of_the_folder_is_told_and_not_followed(folder, lake):
    write(folder.parent, "elsewhere/secret.mid", pitch=61)
    write(folder, "a.mid")
    (folder / "link.mid").symlink_to(folder.parent / "elsewhere/secret.mid")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    assert counts(run(folder, lake)) == (3, 1, 2)
    assert reasons(lake) == {"link.mid": "unreadable", "linked": "unreadable"}
    assert lake.read("notes")["pitch"].to_pylist() == [60]


def test_an_empty_and_a_missing_folder_are_a_dataset_of_no_files(folder, lake):
    assert counts(run(folder, lake)) == (0, 0, 0)
    assert counts(run(folder / "missing", lake)) == (0, 0, 0)
    assert all(lake.read(table).num_rows == 0 for table in ("files", "rejections", "performances", *EVENT_TABLES))


def test_every_table_holds_the_rows_of_the_same_performances(folder, lake):
    write(folder, "a.mid", "b.mid")
    run(folder, lake)
    ids = set(lake.read("performances")["performance_id"].to_pylist())
    assert set(performance_of(lake).values()) == ids
    assert set(lake.read("notes")["performance_id"].to_pylist()) == ids
    assert set(lake.read("tempos")["performance_id"].to_pylist()) == ids


# What a change costs


def test_files_of_the_same_bytes_are_two_performances(folder, lake):
    write(folder, "a.mid")
    shutil.copy(folder / "a.mid", folder / "b.mid")
    assert counts(run(folder, lake)) == (2, 2, 0)
    both = performance_of(lake)
    assert len(set(both.values())) == 2
    assert len(set(lake.read("files")["file_id"].to_pylist())) == 1
    notes = lake.read("notes")
    one, other = (notes.filter(pc.field("performance_id") == i).drop("performance_id") for i in both.values())
    assert one.equals(other)
    (folder / "a.mid").unlink()
    assert counts(run(folder, lake)) == (1, 1, 0)
    assert performance_of(lake) == {"b.mid": both["a.mid"]}


def test_a_second_run_parses_nothing(folder, lake):
    write(folder, *(f"{i}.mid" for i in range(200)))
    (folder / "broken.mid").write_bytes(b"MThd")
    assert files_to_parse(lake, folder_dataset(folder)) == (201, 201)
    run(folder, lake)
    before = files_below(lake.root), blocks_and_times(lake)
    assert files_to_parse(lake, folder_dataset(folder)) == (201, 0)
    run(folder, lake)
    assert (files_below(lake.root), blocks_and_times(lake)) == before


def test_moving_a_file_keeps_its_performance_and_parses_nothing(folder, lake):
    write(folder, "a.mid", "b.mid", "deep/c.mid")
    run(folder, lake)
    before, parsed = performance_of(lake), blocks_and_times(lake)
    (folder / "a.mid").rename(folder / "deep/moved.mid")
    assert counts(run(folder, lake)) == (3, 3, 0)
    assert blocks_and_times(lake) == parsed
    assert performance_of(lake) == {
        "b.mid": before["b.mid"],
        "deep/c.mid": before["deep/c.mid"],
        "deep/moved.mid": before["a.mid"],
    }


def test_removing_a_file_removes_it_from_every_current_table(folder, lake):
    write(folder, "a.mid", "b.mid")
    (folder / "broken.mid").write_bytes(b"MThd")
    run(folder, lake)
    gone = performance_of(lake)["a.mid"]
    for name in ("a.mid", "broken.mid"):
        (folder / name).unlink()
    assert counts(run(folder, lake)) == (1, 1, 0)
    assert reasons(lake) == {}
    assert list(performance_of(lake)) == ["b.mid"]
    for table in ("performances", "notes", "tempos"):
        assert gone not in lake.read(table)["performance_id"].to_pylist()


def test_one_more_file_is_one_more_block_or_two_at_an_edge(folder, lake, monkeypatch):
    monkeypatch.setattr(ingest, "FILES_PER_BLOCK", 128)
    write(folder, *(f"{i}.mid" for i in range(800)))
    run(folder, lake)
    before = blocks_and_times(lake)
    assert len(before) > 2
    write(folder, "one_more.mid", pitch=61)
    assert files_to_parse(lake, folder_dataset(folder))[1] < 801
    run(folder, lake)
    after = blocks_and_times(lake)
    assert 1 <= len(after.keys() - before.keys()) <= 2
    assert {name: after[name] for name in before} == before


def test_a_changed_file_is_another_performance(folder, lake):
    write(folder, "a.mid")
    run(folder, lake)
    before = performance_of(lake)["a.mid"]
    write(folder, "a.mid", pitch=72)
    run(folder, lake)
    assert performance_of(lake)["a.mid"] != before
    assert lake.read("notes")["pitch"].to_pylist() == [72]


def test_the_dataset_version_is_that_of_the_bytes_wherever_they_lie(folder, tmp_path, lake):
    write(folder, "a.mid", "b.mid")
    version = run(folder, lake)["dataset_version"]
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy/a.mid").rename(tmp_path / "copy/z.mid")
    assert run(tmp_path / "copy", Lake(tmp_path / "other"))["dataset_version"] == version
    write(folder, "c.mid", pitch=61)
    assert run(folder, lake)["dataset_version"] != version


def test_the_lake_does_not_know_where_the_files_lie(folder, tmp_path, lake):
    write(folder, "a.mid", "b.mid")
    run(folder, lake)
    shutil.copytree(folder, tmp_path / "elsewhere")
    run(tmp_path / "elsewhere", Lake(tmp_path / "other"))
    assert files_below(lake.root) == files_below(tmp_path / "other")
    assert not any(str(tmp_path).encode() in data for data in files_below(lake.root).values())


def test_a_dataset_that_is_no_longer_at_hand_leaves_the_current_tables(folder, lake):
    write(folder, "a.mid")
    run(folder, lake)
    ingest_dataset(lake, replace(folder_dataset(folder), name="kept"), IN_THIS_PROCESS)
    assert retire_datasets(lake, ["kept"]) == ["mine"]
    assert retire_datasets(lake, ["kept"]) == []
    assert lake.read("files")["dataset"].to_pylist() == ["kept"]
    assert lake.read("performances")["dataset"].to_pylist() == ["kept"]


# Files that change


def change_after_listing(monkeypatch, path: Path, times: int) -> None:
    """Write other music to `path` each time that the folder has just been listed."""
    left = [times]

    def list_then_change(dataset, settings, _list=ingest.list_files):
        files = _list(dataset)
        if left[0]:
            left[0] -= 1
            path.write_bytes(midi_bytes(press(80 + left[0])))
        return files

    monkeypatch.setattr(ingest, "list_files", list_then_change)


def test_a_file_that_changes_while_it_is_read_is_read_again(folder, lake, monkeypatch):
    write(folder, "a.mid", "b.mid")
    change_after_listing(monkeypatch, folder / "a.mid", times=2)
    assert counts(run(folder, lake)) == (2, 2, 0)
    assert sorted(lake.read("notes")["pitch"].to_pylist()) == [60, 80]


def test_a_file_that_vanishes_while_it_is_read_is_gone_and_costs_no_other(folder, lake, monkeypatch):
    write(folder, "a.mid", "b.mid")

    def list_then_lose(dataset, settings, _list=ingest.list_files):
        files = _list(dataset)
        (folder / "a.mid").unlink(missing_ok=True)
        return files

    monkeypatch.setattr(ingest, "list_files", list_then_lose)
    assert counts(run(folder, lake)) == (1, 1, 0)
    assert list(performance_of(lake)) == ["b.mid"]


def test_files_that_never_rest_are_an_error_and_leave_the_tables_as_they_were(folder, lake, monkeypatch):
    write(folder, "a.mid")
    run(folder, lake)
    change_after_listing(monkeypatch, folder / "a.mid", times=99)
    (folder / "b.mid").write_bytes(midi_bytes(press(50)))
    with pytest.raises(LakeError, match="music: files kept changing while they were read; try again"):
        run(folder, lake)
    assert lake.read("notes")["pitch"].to_pylist() == [60]


def test_progress_is_told_in_files(folder, lake, monkeypatch):
    monkeypatch.setattr(ingest, "FILES_PER_BLOCK", 128)
    write(folder, *(f"{i}.mid" for i in range(800)))
    told = []
    ingest_dataset(lake, folder_dataset(folder), IN_THIS_PROCESS, lambda *progress: told.append(progress))
    assert told[-1] == (800, 800)
    assert told == sorted(told)
    assert len(told) > 1


# The starter data


@pytest.mark.slow
def test_chorales_become_performances_with_four_voices_apart(tmp_path, lake):
    from pianogen.catalogue import find_dataset

    dataset = replace(find_dataset(ingest_settings(1), "music21_bach"), pattern="bwv26[6-9].mxl")
    info = ingest_dataset(lake, dataset, ingest_settings(2)).info
    assert counts(info) == (4, 4, 0)
    notes = lake.read("notes")
    voices = pa.table(notes).group_by(["performance_id", "track"]).aggregate([("pitch", "mean")]).to_pylist()
    assert Counter(row["track"] for row in voices) == {0: 4, 1: 4, 2: 4, 3: 4}
    for performance_id in {row["performance_id"] for row in voices}:
        of_one = sorted((row["track"], row["pitch_mean"]) for row in voices if row["performance_id"] == performance_id)
        means = [mean for _, mean in of_one]
        assert means == sorted(means, reverse=True), "soprano, alto, tenor, bass from the top"
    assert set(lake.read("performances")["format"].to_pylist()) == {"musicxml"}
