"""The verdict, by pairs that the test writes into a lake, and by the music itself."""

import csv
import json
from pathlib import Path

import pytest
from audits import PIECES, leaking_folders, write_pairs, write_split
from corpora import here

from pianogen.audit.leaks import Audit, HeldOut, audit_split, judge
from pianogen.audit.page import facts, pairs_csv, sentence
from pianogen.audit.sources import Source, from_folder, from_folders
from pianogen.errors import SettingsError
from pianogen.settings import Settings

FILES = {"train/x": "2", "train/y": "4", "validation/x": "5", "test/x": "1", "test/y": "3", "test/z": None}


def pair(a: str, b: str, **evidence: object) -> dict:
    return {"performance_a": a, "performance_b": b, **evidence}


def test_a_pair_is_told_from_the_earlier_split_with_its_change_turned_round(lake):
    source = write_pairs(lake, FILES, [pair("1", "2", semitones=3, tempo_ratio=1.25)])
    (row,) = judge(lake, source).pairs.to_pylist()
    sides = [row[name] for name in ("split_a", "path_a", "title_a", "split_b", "path_b", "title_b")]
    assert sides == ["train", "train/x", "Title 2", "test", "test/x", "Title 1"]
    assert (row["semitones"], row["tempo_ratio"]) == (-3, 0.8)
    assert (row["coverage"], row["coverage_a"], row["coverage_b"]) == (0.8, 0.8, 0.7)
    assert (row["performance_a"], row["performance_b"]) == ("2", "1")


def test_the_sum_of_a_mirror_image_is_the_same_from_both_sides(lake):
    mirrored = {"semitones": 120, "is_mirrored": True, "tempo_ratio": None}
    source = write_pairs(lake, FILES, [pair("1", "2", **mirrored), pair("2", "3", **mirrored)])
    rows = judge(lake, source).pairs.to_pylist()
    assert [(row["semitones"], row["is_mirrored"], row["tempo_ratio"]) for row in rows] == [(120, True, None)] * 2


def test_files_are_counted_once_however_many_pairs_they_stand_in(lake):
    found = [pair("1", "2"), pair("1", "4"), pair("2", "5"), pair("1", "3")]
    audit = judge(lake, write_pairs(lake, FILES, found))
    assert audit.num_leaks == 3
    assert audit.held_out == (
        HeldOut("validation", "train", 1, 1),
        HeldOut("test", "train", 1, 2),
        HeldOut("test", "validation", 0, 2),
    )
    assert [sentence(one) for one in audit.held_out] == [
        "1 of 1 validation file (100.0 %) has music in train",
        "1 of 2 test files (50.0 %) has music in train",
        "None of 2 test files has music in validation",
    ]
    assert [(row["split_a"], row["split_b"], row["num_pairs"], row["is_leak"]) for row in audit.matrix] == [
        ("train", "validation", 1, True),
        ("train", "test", 2, True),
        ("test", "test", 1, False),
    ]
    assert [(count.split, count.num_files, count.num_read) for count in audit.counts] == [
        ("train", 2, 2),
        ("validation", 1, 1),
        ("test", 3, 2),
    ]
    assert [dict(row) for row in audit.rejections] == [
        {"split": "test", "path": "test/z", "reason": "no_notes", "detail": "-"}
    ]


def test_a_shared_melody_is_told_apart_and_counts_only_when_asked_for(lake):
    source = write_pairs(lake, FILES, [pair("1", "2", relation="shared_melody"), pair("2", "3", score=0.1)])
    apart, counted = judge(lake, source), judge(lake, source, counts_melodies=True)
    assert (apart.num_leaks, apart.num_melodies) == (1, 1)
    assert [(row["relation"], row["is_leak"]) for row in apart.pairs.to_pylist()] == [
        ("same_work", True),
        ("shared_melody", False),
    ]
    assert (counted.num_leaks, counted.num_melodies) == (2, 0)
    assert [one.num_leaked for one in apart.held_out] == [0, 1, 0]
    assert [one.num_leaked for one in counted.held_out] == [0, 2, 0]


def test_the_worst_pair_stands_first(lake):
    found = [
        pair("1", "2", score=0.9),
        pair("2", "3", score=0.2, relation="excerpt"),
        pair("1", "4", score=0.3, relation="excerpt"),
        pair("3", "4", relation="same_bytes", score=1.0),
        pair("2", "5", relation="shared_melody", score=1.0),
    ]
    rows = judge(lake, write_pairs(lake, FILES, found)).pairs.to_pylist()
    assert [(row["relation"], row["score"]) for row in rows] == [
        ("same_bytes", 1.0),
        ("excerpt", 0.3),
        ("excerpt", 0.2),
        ("same_work", 0.9),
        ("shared_melody", 1.0),
    ]


def test_no_cell_of_the_csv_begins_a_formula_and_hostile_names_come_back_whole(lake):
    names = {"train/-x": "2", '=cmd|"/c calc"!A0': "1", "@sum,\n": "3"}
    source = write_pairs(lake, names, [pair("1", "2"), pair("2", "3")])
    splits = {"train/-x": "train", '=cmd|"/c calc"!A0': "test", "@sum,\n": "+fold"}
    audit = judge(lake, Source(title="x", datasets=source.datasets, split_of={"listed": splits}))
    rows = list(csv.DictReader(pairs_csv(audit).splitlines(keepends=True)))
    assert {row["path_b"] for row in rows} == {"'" + '=cmd|"/c calc"!A0', "'@sum,\n"}
    assert {row["split_b"] for row in rows} == {"test", "'+fold"}
    assert all(float(row["semitones"]) == 0 for row in rows)
    told = {row["path_b"] for row in json.loads(json.dumps(facts(audit)))["pairs"]}
    assert told == {'=cmd|"/c calc"!A0', "@sum,\n"}, "JSON needs no such guard"


@pytest.mark.parametrize(
    "files, says",
    [
        ({}, "two splits are needed, found no file"),
        ({"train/x": "1"}, "two splits are needed, found only train"),
        ({"train/x": "1", "test/y": None, "test/z": None}, "test: none of its 2 files is music"),
    ],
)
def test_where_nothing_can_be_said_nothing_is_called_clean(lake, files, says):
    source = write_pairs(lake, files, [])
    with pytest.raises(SettingsError, match=says):
        judge(lake, source)


# From the music on


def test_a_transposed_copy_in_test_is_found_with_its_key(folder, tmp_path):
    audit = audit_split(leaking_folders(folder), here(tmp_path))
    (row,) = audit.pairs.to_pylist()
    assert (row["path_a"], row["path_b"], row["semitones"]) == ("a.mid", "renamed.mid", 3)
    assert audit.held_out == (HeldOut("test", "train", 1, 2),)


def test_a_split_without_common_music_is_clean(folder, tmp_path):
    write_split(folder, train={"a.mid": PIECES[0]}, test={"b.mid": PIECES[1]})
    audit = audit_split(from_folders({"train": folder / "train", "test": folder / "test"}), here(tmp_path))
    assert (audit.num_leaks, audit.pairs.num_rows) == (0, 0)


def test_workers_do_not_change_the_verdict(folder, tmp_path):
    source = leaking_folders(folder)

    def told(workers: int) -> tuple[dict, list]:
        settings = Settings(**{**vars(here(tmp_path)), "workers": workers, "backend": "processes"})
        audit = audit_split(source, settings, num_rolls=5)
        return facts(audit), [roll.matches.tolist() for roll in audit.rolls]

    assert told(1) == told(2)


def test_notes_of_the_worst_pairs_come_along_matched(folder, tmp_path):
    audit = audit_split(leaking_folders(folder), here(tmp_path), num_rolls=5)
    (roll,) = audit.rolls
    assert roll.is_aligned
    assert len(roll.matches) == len(roll.a.pitch) == 150
    assert (roll.b.pitch[roll.matches[:, 1]].astype(int) - roll.a.pitch[roll.matches[:, 0]] == 3).all()


def test_what_is_being_done_is_told(folder, tmp_path):
    told: list[str] = []
    audit_split(leaking_folders(folder), here(tmp_path), progress=lambda what, done, total: told.append(what))
    assert [what for what in dict.fromkeys(told) if what.startswith("files")] == [
        "files read of train",
        "files read of test",
    ]


# Sources


def splits_of(source: Source) -> dict[str, str]:
    return dict(next(iter(source.split_of.values())))


def scratch_in(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def test_a_table_of_splits_decides_and_what_it_leaves_out_is_told(folder, tmp_path):
    write_split(folder, year={"a.mid": PIECES[0], "b.mid": PIECES[0], "c.mid": PIECES[1], "d.mid": PIECES[2]})
    table = folder / "splits.csv"
    table.write_text("midi_filename,split\nyear/a.mid,train\nyear/b.mid,test\nyear/gone.mid,test\nyear/d.mid,\n")
    source = from_folder(folder, table, scratch_in(tmp_path))
    assert source.missing == ("year/gone.mid",)
    assert source.without_split == ("year/c.mid", "year/d.mid")
    audit = audit_split(source, here(tmp_path))
    (row,) = audit.pairs.to_pylist()
    assert (row["split_a"], row["path_a"], row["split_b"], row["path_b"]) == (
        "train",
        "year/a.mid",
        "test",
        "year/b.mid",
    )
    assert row["relation"] == "same_bytes"
    assert (audit.missing, audit.without_split) == (source.missing, source.without_split)


def test_folders_named_after_splits_need_no_table(folder, tmp_path):
    write_split(folder, Train={"a.mid": PIECES[0]}, val={"b.mid": PIECES[1]}, extra={"c.mid": PIECES[2]})
    source = from_folder(folder, None, scratch_in(tmp_path))
    assert splits_of(source) == {"Train/a.mid": "train", "val/b.mid": "validation"}
    assert source.without_split == ("extra/c.mid",)


CHORALE = [[60 + i % 7, 55 + i % 3, 52, 48 - i % 5] for i in range(64)]


def test_a_json_file_of_chorales_has_its_splits_in_it(tmp_path):
    file = tmp_path / "chorales.json"
    other = [[72 - i * 5 % 11, 64 - i % 4, 57 - i % 6, 45 + i % 8] for i in range(64)]
    up = [[pitch + 2 for pitch in step] for step in CHORALE]
    file.write_text(json.dumps({"train": [other, CHORALE], "valid": [[[60, 55, 52, 48]] * 8], "test": [up]}))
    audit = audit_split(from_folder(file, None, scratch_in(tmp_path)), here(tmp_path))
    assert [(count.split, count.num_read) for count in audit.counts] == [("train", 2), ("validation", 1), ("test", 1)]
    assert [(row["path_a"], row["path_b"], row["semitones"]) for row in audit.pairs.to_pylist()] == [
        ("train/001", "test/000", 2)
    ]


@pytest.mark.parametrize("broken", ["[1, 2]", "{", '{"train": 5}'])
def test_json_of_another_shape_is_refused(tmp_path, broken):
    file = tmp_path / "chorales.json"
    file.write_text(broken)
    with pytest.raises(SettingsError, match="a JSON file maps names of splits to chorales"):
        from_folder(file, None, scratch_in(tmp_path))


def test_a_folder_within_another_is_refused(folder):
    (folder / "test").mkdir()
    with pytest.raises(SettingsError, match="its files would be in both"):
        from_folders({"train": folder, "test": folder / "test"})
    with pytest.raises(SettingsError, match="its files would be in both"):
        from_folders({"train": folder, "test": folder})


def test_a_folder_of_which_nobody_says_the_splits_is_refused(folder, tmp_path):
    write_split(folder, train={"a.mid": PIECES[0]}, other={"b.mid": PIECES[1]})
    with pytest.raises(SettingsError, match=r"which file is in which split\? Name a table"):
        from_folder(folder, None, scratch_in(tmp_path))


def test_a_table_of_other_files_is_refused(folder, tmp_path):
    write_split(folder, train={"a.mid": PIECES[0]})
    table = tmp_path / "splits.csv"
    table.write_text("path,split\nx.mid,train\ny.mid,test\n")
    with pytest.raises(SettingsError, match=r"none of the 2 paths of splits\.csv is a file here with a split"):
        from_folder(folder, table, scratch_in(tmp_path))


# Real music


def leaks(audit: Audit) -> set[tuple[str, str]]:
    return {(row["path_a"], row["path_b"]) for row in audit.pairs.to_pylist() if row["is_leak"]}


@pytest.mark.slow
def test_the_standard_split_of_the_chorales_leaks_where_it_is_known_to(real_data, tmp_path):
    source = from_folder(real_data / "jsb" / "Jsb16thSeparated.json", None, scratch_in(tmp_path))
    audit = audit_split(source, here(tmp_path))
    assert [(count.split, count.num_read) for count in audit.counts] == [
        ("train", 229),
        ("validation", 76),
        ("test", 77),
    ]
    assert {("train/224", "valid/074"), ("train/142", "valid/058")} <= leaks(audit)
    assert sum(one.num_leaked for one in audit.held_out) >= 3


@pytest.mark.slow
def test_maestros_own_table_works_as_it_is(real_data, tmp_path):
    folder = real_data / "maestro"
    source = from_folder(folder, folder / "maestro-v3.0.0.csv", scratch_in(tmp_path))
    assert len(splits_of(source)) == 242
    assert len(source.missing) == 1276 - 242
    assert source.without_split == ("maestro-midi-sha256.csv",)
    audit = audit_split(source, here(tmp_path))
    assert {count.split for count in audit.counts} == {"train", "validation", "test"}
    assert "Ludwig van Beethoven" in " ".join(source.titles.values())


@pytest.mark.slow
def test_files_that_asap_took_from_maestro_are_found_under_their_other_names(real_data, tmp_path):
    source = from_folders({"train": real_data / "maestro", "test": real_data / "asap"})
    found = leaks(audit_split(source, here(tmp_path)))
    with (real_data / "known_pairs.csv").open(newline="") as file:
        copies = {
            (row["path_b"].removeprefix("maestro/"), row["path_a"].removeprefix("asap/"))
            for row in csv.DictReader(file)
            if row["relation"] in ("exact_copy", "excerpt_of")
            and row["path_a"].startswith("asap/")
            and row["path_b"].startswith("maestro/")
        }
    assert len(copies) > 20
    assert copies <= found
