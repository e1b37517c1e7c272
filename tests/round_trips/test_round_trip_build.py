"""Round trips by block: what is measured again, what is not, and what test music cannot change."""

import dataclasses
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from builders import figure, settings_in, write_lake
from corpora import folder_dataset, here, improvise, write_many, write_midi

from pianogen.errors import ContaminationError, LakeError, SettingsError
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.round_trips import build
from pianogen.round_trips.build import measure_round_trips
from pianogen.round_trips.tokenizers import BUILT_IN, measured_tokenizers
from pianogen.settings import Settings, load_settings
from pianogen.splits import STAGE as SPLITS
from pianogen.tables import SCHEMAS

TWO = {"jsb": {"name": "jsb"}, "words": {"name": "note_chord"}}
"""One that learns, and one that does not."""


@pytest.fixture(scope="module")
def ingested(tmp_path_factory) -> Path:
    """A folder with a lake of several blocks, all of it train, and the music beside it."""
    root = tmp_path_factory.mktemp("ingested")
    ingest_dataset(Lake(root / "lake"), folder_dataset(write_many(root / "music", 400, 10)), here(root))
    split(Lake(root / "lake"))
    return root


@pytest.fixture
def root(ingested, tmp_path) -> Path:
    """The same, for one test to change."""
    return shutil.copytree(ingested, tmp_path / "copy")


def split(lake: Lake) -> None:
    """What has no split yet is test, if anything has one, else train."""
    known = dict(zip(*lake.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))
    other = "test" if known else "train"
    rows = [
        {"performance_id": i, "dataset": "mine", "cluster_id": i, "split": known.get(i, other), "reason": "cluster"}
        for i in lake.read("performances", ["performance_id"])["performance_id"].to_pylist()
    ]
    lake.write_block("splits", other, {"splits": pa.Table.from_pylist(rows, SCHEMAS["splits"])})
    lake.publish(SPLITS, [other])


def bytes_of(lake: Lake) -> dict[str, bytes]:
    folder = lake.root / "blocks" / "round_trips"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def lake_of(root: Path, *, held_out: int = 0, trained: int = 0) -> Lake:
    """Eight performances to train on, two of each kind held out; seeds of either may differ."""
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    music = {
        f"{i:032x}": (split, figure(i + (trained if split == "train" else held_out), 48 + i, 60))
        for i, split in enumerate(splits)
    }
    return write_lake(root, music)


def test_every_tokenizer_has_a_row_of_every_performance(tmp_path):
    lake = lake_of(tmp_path / "lake")
    manifests = measure_round_trips(lake, settings_in(tmp_path))
    assert [manifest.partition for manifest in manifests] == list(BUILT_IN)
    rows = lake.read("round_trips").to_pylist()
    assert len(rows) == 12 * len(BUILT_IN) == len({(row["tokenizer"], row["performance_id"]) for row in rows})
    assert all(row["num_notes"] == 60 for row in rows)
    versions = {row["tokenizer"]: row["tokenizer_version"] for row in rows}
    assert versions == {manifest.partition: manifest.info["version"] for manifest in manifests}


def test_one_more_file_is_one_more_block_for_each_tokenizer(root):
    lake, settings = Lake(root / "lake"), here(root)
    before = {manifest.partition: manifest for manifest in measure_round_trips(lake, settings, TWO)}
    assert len(before["jsb"].blocks) > 1
    write_midi(root / "music" / "new.mid", improvise(1000, 10))
    ingest_dataset(lake, folder_dataset(root / "music"), settings)
    with pytest.raises(ContaminationError, match="1 performances of mine have no split"):
        measure_round_trips(lake, settings, TWO)
    split(lake)
    told = []
    after = measure_round_trips(lake, settings, TWO, lambda done, total: told.append((done, total)))
    for manifest in after:
        assert len(set(manifest.blocks) - set(before[manifest.partition].blocks)) == told[-1][1] <= 2
        assert manifest.info["version"] == before[manifest.partition].info["version"], "the new file is test music"
        assert manifest.info["num_performances"] == 401
    assert lake.read("round_trips").num_rows == 2 * 401


def test_what_is_measured_is_not_measured_twice_and_what_was_cut_off_is_finished(root, tmp_path, monkeypatch):
    lake, cut, settings = Lake(root / "lake"), Lake(shutil.copytree(root / "lake", tmp_path / "cut")), here(root)
    measure_round_trips(lake, settings, TWO)
    whole, manifests = bytes_of(lake), lake.manifests("round_trips")
    measure, done = build._measure_block, []

    def die(task: build._Task) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(task)
        measure(task)

    monkeypatch.setattr(build, "_measure_block", die)
    with pytest.raises(KeyboardInterrupt):
        measure_round_trips(cut, settings, TWO)
    assert cut.manifests("round_trips") == []
    assert 0 < len(bytes_of(cut)) < len(whole)
    monkeypatch.setattr(build, "_measure_block", measure)
    measure_round_trips(cut, dataclasses.replace(settings, workers=2), TWO)
    assert bytes_of(cut) == whole
    monkeypatch.setattr(build, "_measure_block", None)
    assert measure_round_trips(cut, settings, TWO) == manifests


def test_test_music_changes_nothing_that_is_learned(tmp_path):
    def learned(name: str, **seeds: int) -> str:
        lake = lake_of(tmp_path / name / "lake", **seeds)
        return measure_round_trips(lake, settings_in(tmp_path / name), TWO)[1].info["version"]

    version = learned("a")
    assert learned("b", held_out=100) == version
    assert learned("c", trained=100) != version


def test_a_tokenizer_that_is_asked_for_no_more_is_retired(tmp_path):
    lake, settings = lake_of(tmp_path / "lake"), settings_in(tmp_path)
    measure_round_trips(lake, settings, TWO)
    measure_round_trips(lake, settings, {"jsb": TWO["jsb"]})
    assert set(lake.read("round_trips")["tokenizer"].to_pylist()) == {"jsb"}


def test_without_a_split_there_is_nothing_to_learn_from(lake, tmp_path):
    with pytest.raises(LakeError, match="'splits'"):
        measure_round_trips(lake, settings_in(tmp_path))


def settings_with(folder: Path, text: str) -> Settings:
    path = folder / "pianogen.toml"
    path.write_text(text)
    return load_settings(path)


def test_the_settings_name_tokenizers_beside_the_built_in_ones(tmp_path):
    text = '[tokenizers]\ncraykh = false\n[tokenizers.fine]\nname = "remi"\npositions_per_quarter = 24\n'
    chosen = measured_tokenizers(settings_with(tmp_path, text))
    assert list(chosen) == [*(name for name in BUILT_IN if name != "craykh"), "fine"]
    assert chosen["fine"] == {"name": "remi", "positions_per_quarter": 24}
    assert measured_tokenizers(settings_with(tmp_path, "")) == BUILT_IN


@pytest.mark.parametrize(
    "text, said",
    [
        ("tokenizers = 3", r"\[tokenizers.NAME\] tables expected, found 3"),
        ("[tokenizers.a]\nvocab_size = 3", r'\[tokenizers.a\]: needs name = "SCHEME"'),
        ("[tokenizers]\nremi = true", r"\[tokenizers.remi\]: needs name"),
        ('[tokenizers."a b"]\nname = "remi"', r"\[tokenizers.a b\]: a tokenizer's name has only"),
        ("[tokenizers]\nnope = false", "nope = false: no such tokenizer; there are remi, "),
        ('[tokenizers.a]\nname = "nope"', r"\[tokenizers.a\]: tokenizer 'nope' is not known"),
        ('[tokenizers.a]\nname = "remi"\npedals = true', r"\[tokenizers.a\]: tokenizer remi: "),
        (
            '[tokenizers.a]\nname = "remi"\nnum_velocities = 900',
            r"\[tokenizers.a\]: tokenizer remi: num_velocities must be",
        ),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said):
        measured_tokenizers(settings_with(tmp_path, text))
