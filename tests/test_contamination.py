import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from builders import write_tiny_lake
from corpora import AUGMENT, curate, folder_dataset, here, improvise, transposed, write_midi

from pianogen.catalogue import Dataset
from pianogen.contamination import describe, require_clean
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.errors import ContaminationError, LakeError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, Manifest
from pianogen.midi.columns import NoteColumns, from_table
from pianogen.shards import build_shards
from pianogen.splits import assign_splits

CHORALES = Dataset(
    name="chorales",
    title="Some Bach chorales of music21",
    folder=Path(find_spec("music21").submodule_search_locations[0], "corpus/bach"),
    pattern="bwv4*.mxl",
)


@pytest.fixture(scope="module")
def chorales(tmp_path_factory) -> Path:
    """Root of a lake with chorales and splits; tests copy it."""
    root = tmp_path_factory.mktemp("chorales") / "lake"
    curate(Lake(root), [CHORALES], here(root.parent))
    return root


@pytest.fixture
def lake(chorales, tmp_path) -> Lake:
    return Lake(shutil.copytree(chorales, tmp_path / "lake"))


def custom(tmp_path: Path, split: str = "train") -> Dataset:
    (tmp_path / "custom").mkdir(exist_ok=True)
    return folder_dataset(tmp_path / "custom", "custom", split)


def shards(lake: Lake) -> Manifest:
    return build_shards(lake, here(lake.root.parent), name="mine", tokenizer={"name": "remi"}, augment=AUGMENT)


def chorale_in_test(lake: Lake) -> tuple[str, NoteColumns, float]:
    """Path, notes and tempo of the first chorale in test that is like no other."""
    with lake.connect() as connection:
        found = connection.sql("""
            select path, performance_id, ticks_per_quarter, tempo_qpm
            from files
            inner join splits using (performance_id)
            inner join clusters using (performance_id)
            inner join performances using (performance_id)
            inner join tempos using (performance_id)
            where split = 'test' and cluster_size = 1 and tick = 0
            order by path limit 1
        """).fetchall()
        path, performance_id, ticks, tempo_qpm = found[0]
        notes = connection.sql("select * from notes where performance_id = $id", params={"id": performance_id})
        return path, from_table(notes.to_arrow_table(), ticks), tempo_qpm


def test_a_transposed_sped_up_copy_of_a_test_chorale_in_custom_fails_the_gate_which_names_both_files(lake, tmp_path):
    pinned = custom(tmp_path)
    curate(lake, [CHORALES, pinned], here(tmp_path))
    clean = require_clean(lake)
    path, notes, tempo_qpm = chorale_in_test(lake)

    copy = write_midi(tmp_path / "custom/my song.mid", transposed(notes, 3), tempo_qpm=tempo_qpm * 1.25)
    curate(lake, [CHORALES, pinned], here(tmp_path))
    with pytest.raises(ContaminationError) as refused:
        require_clean(lake)
    said = str(refused.value)
    assert f"chorales/{path} in test" in said
    assert "custom/my song.mid in train" in said
    assert re.search(r"transposed by [+-]3 semitones", said)
    assert re.search(r"(0\.80|1\.25) times as long", said)
    (row,) = lake.read("contamination").to_pylist()
    assert {row["path_a"], row["path_b"]} == {path, "my song.mid"}

    with pytest.raises(ContaminationError) as refused_shards:
        shards(lake)
    assert str(refused_shards.value) == said
    assert lake.manifest("shards", "mine") is None

    # Following the music it copies, the file goes to test.
    follows = custom(tmp_path, split="auto")
    curate(lake, [CHORALES, follows], here(tmp_path))
    assert require_clean(lake) != clean
    split_of = {row["dataset"]: row["split"] for row in lake.read("splits").to_pylist() if row["dataset"] == "custom"}
    assert split_of == {"custom": "test"}

    copy.unlink()
    curate(lake, [CHORALES, pinned], here(tmp_path))
    assert require_clean(lake) == clean
    assert shards(lake).info["split_certificate"] == clean


@pytest.mark.parametrize("change", ["excerpt", "few_notes_less", "played_unevenly"])
def test_less_than_a_copy_fails_the_gate_too(lake, tmp_path, change):
    _, notes, tempo_qpm = chorale_in_test(lake)
    rng = np.random.default_rng(0)
    changed: Callable[[], NoteColumns] = {
        "excerpt": lambda: notes.take(notes.onset_tick < notes.end_tick // 2),
        "few_notes_less": lambda: notes.take(rng.random(len(notes)) > 0.05),
        "played_unevenly": lambda: replace(
            notes, duration_tick=(notes.duration_tick * rng.uniform(0.5, 1, len(notes))).astype("int32")
        ),
    }[change]
    write_midi(tmp_path / "custom/song.mid", transposed(changed(), -2), tempo_qpm=tempo_qpm * 0.9)
    curate(lake, [CHORALES, custom(tmp_path)], here(tmp_path))
    with pytest.raises(ContaminationError, match=r"custom/song\.mid in train"):
        require_clean(lake)


def test_music_of_ones_own_passes(lake, tmp_path):
    for seed in range(3):
        write_midi(tmp_path / "custom" / f"{seed}.mid", improvise(seed, 200))
    curate(lake, [CHORALES, custom(tmp_path)], here(tmp_path))
    require_clean(lake)
    counts = shards(lake).info["counts"]
    assert counts["train"]["num_performances"] == 3 + sum(
        row["split"] == "train" and row["dataset"] == "chorales" for row in lake.read("splits").to_pylist()
    )


def test_more_than_twenty_pairs_are_counted_and_twenty_shown(tmp_path):
    lake = Lake(tmp_path / "lake")
    for seed in range(25):
        write_midi(tmp_path / "a" / f"{seed}.mid", improvise(seed, 30))
        write_midi(tmp_path / "b" / f"{seed}.mid", improvise(seed, 30))
    pinned = [folder_dataset(tmp_path / "a", "a", "train"), folder_dataset(tmp_path / "b", "b", "test")]
    curate(lake, pinned, here(tmp_path))
    with pytest.raises(ContaminationError, match=r"^25 duplicate pairs stand in two splits") as refused:
        require_clean(lake)
    assert str(refused.value).count("is same_bytes of") == 20
    assert "… and 5 more" in str(refused.value)


def manifest_path(lake: Lake, stage: str, partition: str = "all") -> Path:
    return lake.root / "manifests" / stage / f"{partition}.json"


def test_a_lake_without_splits_or_without_a_report_is_refused(tmp_path):
    lake = write_tiny_lake(tmp_path)
    manifest_path(lake, "contamination").unlink()
    with pytest.raises(LakeError, match="nothing from the stage 'contamination'"):
        require_clean(lake)
    manifest_path(lake, "splits").unlink()
    with pytest.raises(LakeError, match="nothing from the stage 'splits'"):
        require_clean(lake)


def test_a_report_of_another_split_is_refused(tmp_path):
    lake = write_tiny_lake(tmp_path)
    require_clean(lake)
    path = manifest_path(lake, "splits")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "info": {"config": "edited by hand"}}))
    with pytest.raises(ContaminationError, match="belongs to another split; run the stage 'splits' again"):
        require_clean(lake)


def contaminated_lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    for seed in range(30):
        write_midi(tmp_path / "a" / f"{seed}.mid", improvise(seed, 40))
    write_midi(tmp_path / "b/copy.mid", transposed(improvise(0, 40), 3))
    pinned = [folder_dataset(tmp_path / "a", "a", "train"), folder_dataset(tmp_path / "b", "b", "test")]
    curate(lake, pinned, here(tmp_path))
    with pytest.raises(ContaminationError, match=r"b/copy\.mid in test"):
        require_clean(lake)
    return lake


def test_a_report_that_was_emptied_by_hand_cleans_nothing(tmp_path):
    lake = contaminated_lake(tmp_path)
    path = manifest_path(lake, "contamination")
    fields = json.loads(path.read_text())
    fields["blocks"], fields["info"]["num_pairs"] = [], 0
    path.write_text(json.dumps(fields))
    with pytest.raises(ContaminationError, match=r"b/copy\.mid in test"):
        require_clean(lake)


def test_a_manifest_that_is_not_json_is_named(tmp_path):
    lake = write_tiny_lake(tmp_path)
    manifest_path(lake, "contamination").write_text("clean, I promise")
    with pytest.raises(LakeError, match=r"contamination/all\.json: not a manifest"):
        require_clean(lake)


def test_music_that_came_after_the_pairs_were_found_is_refused_until_every_stage_has_seen_it(tmp_path):
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    for seed in range(40):
        write_midi(tmp_path / "old" / f"{seed}.mid", improvise(seed, 40))
    old = folder_dataset(tmp_path / "old", "old")
    new = folder_dataset(tmp_path / "new", "new", "train")
    curate(lake, [old], settings)
    require_clean(lake)
    test_ids = [row["performance_id"] for row in lake.read("splits").to_pylist() if row["split"] == "test"]
    path_of = {row["performance_id"]: row["path"] for row in lake.read("files").to_pylist()}
    seed = int(Path(path_of[test_ids[0]]).stem)
    write_midi(tmp_path / "new/copy.mid", transposed(improvise(seed, 40), 1))

    def refuse(message: str) -> None:
        with pytest.raises(ContaminationError, match=message):
            require_clean(lake)
        with pytest.raises(ContaminationError, match=message):
            shards(lake)

    ingest_dataset(lake, new, settings)
    refuse("performances of new changed since they were compared")
    # Clusters and splits alone know of the new performance, and think it resembles nothing.
    find_clusters(lake, ["old", "new"])
    assign_splits(lake, [old, new])
    refuse("performances of new changed since they were compared")
    fingerprint_dataset(lake, "new", settings)
    refuse("performances of new, old changed since they were compared")
    find_duplicate_pairs(lake)
    refuse(r"new/copy\.mid in train")


def test_shards_refuse_a_split_that_leaves_a_performance_out(tmp_path):
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    for seed in range(40):
        write_midi(tmp_path / "music" / f"{seed}.mid", improvise(seed, 40))
    music = folder_dataset(tmp_path / "music")
    curate(lake, [music], settings)
    shards(lake)
    write_midi(tmp_path / "music/new.mid", improvise(1000, 40))
    ingest_dataset(lake, music, settings)
    fingerprint_dataset(lake, "mine", settings)
    find_duplicate_pairs(lake)
    with pytest.raises(ContaminationError, match=r"1 performances? of mine ha.* no split .*pianogen dedupe"):
        shards(lake)
    find_clusters(lake, ["mine"])
    assign_splits(lake, [music])
    assert sum(split["num_performances"] for split in shards(lake).info["counts"].values()) == 41


def test_a_pair_without_a_known_tempo_ratio_is_described_without_one():
    row = {
        "dataset_a": "a", "path_a": "x.mid", "split_a": "train",
        "dataset_b": "b", "path_b": "y.mid", "split_b": "test",
        "relation": "same_work", "score": 0.25, "coverage": 0.8, "residual_sec": None, "num_anchors": 0,
        "semitones": 0, "is_mirrored": False, "tempo_ratio": None,
    }  # fmt: skip
    assert describe(row) == "b/y.mid in test is same_work of a/x.mid in train, score 0.25, coverage 0.80"
    assert describe({**row, "semitones": -3, "tempo_ratio": 1.25, "residual_sec": 0.0123, "num_anchors": 40}) == (
        "b/y.mid in test is same_work of a/x.mid in train (transposed by -3 semitones, 1.25 times as long), "
        "score 0.25, coverage 0.80, residual 0.012 s, 40 anchors"
    )
    # The number is a sum of pitches then, not an interval.
    assert "(mirrored on the keyboard), score" in describe({**row, "semitones": 127, "is_mirrored": True})
