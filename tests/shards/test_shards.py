import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import corpora
import numpy as np
import pyarrow as pa
import pytest
from builders import figure, notes, scale, write_lake, write_tiny_lake
from corpora import AUGMENT, curate, folder_dataset, here, improvise, shard, write_many, write_midi
from ingests import files_below

from pianogen.augment import AugmentConfig
from pianogen.errors import ContaminationError, SettingsError, ShardError
from pianogen.lake import Lake, Manifest
from pianogen.midi.columns import from_table
from pianogen.shards import SPLITS, ShardSet, build_shards, plan_shards
from pianogen.tokenizers.base import BOS_ID, EOS_ID, make_tokenizer


def build(lake: Lake, **options) -> Manifest:
    chosen = {"name": "tiny", "tokenizer": {"name": "remi"}, "augment": AUGMENT, **options}
    return build_shards(lake, here(lake.root.parent), **chosen)


def finished(lake: Lake) -> dict[str, bytes]:
    """Every file of the lake but those that a killed process left aside."""
    return {name: data for name, data in files_below(lake.root).items() if not name.startswith("tmp/")}


def shard_path(lake: Lake, entry: dict) -> Path:
    return lake.block_path("shards", entry["block"]) / "sequences.arrow"


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Path:
    """Root of a lake of 400 short pieces in several blocks, ready for shards; tests copy it."""
    folder = write_many(tmp_path_factory.mktemp("many"))
    root = tmp_path_factory.mktemp("curated") / "lake"
    curate(Lake(root), [folder_dataset(folder)], here(root.parent))
    return root


@pytest.fixture
def lake(curated, tmp_path) -> Lake:
    return Lake(shutil.copytree(curated, tmp_path / "lake"))


def test_sequences_are_the_encoded_notes_between_bos_and_eos(lake):
    manifest = shard(lake)
    coder = make_tokenizer({"name": "remi"})
    source = lake.read("notes")
    ids = np.array(source["performance_id"].to_pylist())
    for split in SPLITS:
        sequences = ShardSet(lake, "mine").sequences(split)
        assert len(sequences) == manifest.info["counts"][split]["num_sequences"] > 0
        for i in range(0, len(sequences), 17):
            columns = from_table(source.filter(pa.array(ids == sequences.performance_ids[i])), 480)
            expected = coder.transpose(coder.encode(columns), int(sequences.semitones[i]))
            assert sequences[i].tolist() == [BOS_ID, *expected.tolist(), EOS_ID]
            assert sequences[i].dtype == np.uint16
            assert sequences.num_notes[i] == len(columns)
            assert sequences.lengths()[i] == len(sequences[i])


def test_each_performance_is_in_the_shards_of_its_split_and_train_alone_is_transposed(lake):
    shard(lake)
    split_of = dict(zip(*lake.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))
    for split in SPLITS:
        sequences = ShardSet(lake, "mine").sequences(split)
        wanted = (-1, 0, 1) if split == "train" else (0,)
        found = Counter(zip(sequences.performance_ids, sequences.semitones.tolist(), strict=True))
        expected = [(name, s) for name, where in split_of.items() if where == split for s in wanted]
        assert found == Counter(expected)


def test_transpositions_that_leave_the_piano_are_left_out(tmp_path):
    edges = {
        "1" * 32: ("train", notes(*[(i, 21 + i, 1) for i in range(10)])),
        "2" * 32: ("train", notes(*[(i, 99 + i, 1) for i in range(10)])),
        "3" * 32: ("train", notes((0, 15, 1), *[(i, 60 + i, 1) for i in range(10)])),
        "4" * 32: ("validation", figure(1, 60, 20)),
        "5" * 32: ("test", figure(2, 60, 20)),
    }
    lake = write_lake(tmp_path / "lake", edges)
    manifest = build(lake, augment=AugmentConfig(semitones=(-2, -1, 0, 1)))
    sequences = ShardSet(lake, "tiny").sequences("train")
    found = Counter(zip((i[0] for i in sequences.performance_ids), sequences.semitones.tolist(), strict=True))
    # A note that the piano does not have is no reason against a transposition: it has no token.
    assert sorted(found) == [("1", 0), ("1", 1), ("2", -2), ("2", -1), ("2", 0), *(("3", s) for s in (-2, -1, 0, 1))]
    assert manifest.info["counts"]["train"]["num_notes"] == 10 * 2 + 10 * 3 + 11 * 4


def test_counts_in_the_manifest_are_those_of_the_files(lake):
    manifest = shard(lake)
    shard_set, totals = ShardSet(lake, "mine"), Counter()
    assert [entry["shard"] for entry in manifest.info["shards"]] == list(range(len(manifest.info["shards"])))
    for entry in manifest.info["shards"]:
        data = shard_path(lake, entry).read_bytes()
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        counted = {
            "num_sequences": table.num_rows,
            "num_tokens": sum(len(ids) for ids in table["token_ids"].to_pylist()),
            "num_notes": sum(table["num_notes"].to_pylist()),
            "num_performances": len(set(table["performance_id"].to_pylist())),
            "num_identical": 0,
        }
        assert {name: entry[name] for name in counted} == counted
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        totals.update({(entry["split"], name): n for name, n in counted.items()})
    counts = manifest.info["counts"]
    assert {(split, name): n for split in SPLITS for name, n in counts[split].items()} == totals
    assert sum(counts[split]["num_performances"] for split in SPLITS) == 400
    assert shard_set.info["tokenizer"]["num_ids"] == len(shard_set.tokenizer.vocab)
    assert shard_set.info["split_version"] == lake.require("splits").version
    assert shard_set.info["dataset_versions"] == {"mine": lake.require("ingest", "mine").info["dataset_version"]}


def test_building_twice_writes_nothing_and_building_anew_gives_the_same_bytes(lake, curated, tmp_path):
    shard(lake)
    before = {name: (lake.root / "blocks" / name).stat().st_mtime_ns for name in files_below(lake.root / "blocks")}
    bytes_before = finished(lake)
    shard(lake)
    assert finished(lake) == bytes_before
    assert {name: (lake.root / "blocks" / name).stat().st_mtime_ns for name in before} == before
    again = Lake(shutil.copytree(curated, tmp_path / "again" / "lake"))
    shard(again)
    assert finished(again) == bytes_before


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(lake, curated, tmp_path):
    shard(lake)
    by_two = Lake(shutil.copytree(curated, tmp_path / "two" / "lake"))
    shard(by_two, workers=2)
    assert finished(by_two) == finished(lake)


@pytest.mark.slow
@pytest.mark.parametrize("num_shards", [0, 1, 3])
def test_a_build_that_was_killed_is_finished_to_the_same_bytes(lake, curated, tmp_path, num_shards):
    shard(lake)
    killed = Lake(shutil.copytree(curated, tmp_path / "killed" / "lake"))
    process = subprocess.Popen(
        [sys.executable, corpora.__file__, str(killed.root)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline().strip() == corpora.READY
    blocks, end = killed.root / "blocks" / "shards", time.monotonic() + 60
    while len(list(blocks.glob("*"))) < num_shards:
        assert time.monotonic() < end
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert killed.manifest("shards", "mine") is None
    shard(killed)
    assert finished(killed) == finished(lake)


@pytest.mark.slow
def test_one_more_file_adds_or_changes_one_shard(tmp_path):
    folder = write_many(tmp_path / "many")
    lake, datasets = Lake(tmp_path / "lake"), [folder_dataset(folder)]
    curate(lake, datasets, here(tmp_path))
    before = Counter(entry["sha256"] for entry in shard(lake).info["shards"])
    assert before.total() > 4
    for seed in range(1000, 1004):
        write_midi(folder / f"new_{seed}.mid", improvise(seed, 30))
        curate(lake, datasets, here(tmp_path))
        after = Counter(entry["sha256"] for entry in shard(lake).info["shards"])
        assert (after - before).total() == 1
        assert (before - after).total() <= 1
        before = after


def test_a_flipped_byte_is_noticed(lake):
    manifest = shard(lake)
    ShardSet(lake, "mine").verify()
    path = shard_path(lake, manifest.info["shards"][1])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ShardError, match=r"shard_00001 .*SHA-256 [0-9a-f]{12}… found, manifest says .*build the shards"
    ):
        ShardSet(lake, "mine").verify()


def test_a_shard_that_is_gone_is_named(lake):
    entry = shard(lake).info["shards"][0]
    shutil.rmtree(shard_path(lake, entry).parent)
    with pytest.raises(ShardError, match=rf"{entry['block']}.*build the shards again"):
        ShardSet(lake, "mine").verify()
    with pytest.raises(ShardError, match=rf"{entry['block']}.*not a readable shard"):
        ShardSet(lake, "mine").sequences("train")
    # As the message says.
    shard(lake)
    ShardSet(lake, "mine").verify()


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_shard_is_named_with_the_remedy(lake, kept):
    path = shard_path(lake, shard(lake).info["shards"][0])
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    with pytest.raises(
        ShardError, match=rf"{path}: not a readable shard .*delete its folder and build the shards again"
    ):
        ShardSet(lake, "mine").sequences("train")
    with pytest.raises(ShardError, match="delete its folder"):
        shard(lake)
    shutil.rmtree(path.parent)
    shard(lake)
    assert path.read_bytes() == data


def test_sequences_are_read_without_a_copy(lake):
    shard(lake)
    sequences = ShardSet(lake, "mine").sequences("train")
    whole = sequences[0].base
    assert whole is not None
    assert not sequences[0].flags.owndata
    assert not sequences[0].flags.writeable
    assert np.shares_memory(sequences[0], sequences.values[0])


def test_a_dataset_that_is_not_there_is_named(tmp_path):
    lake = write_tiny_lake(tmp_path / "lake")
    with pytest.raises(SettingsError, match=r"dataset 'nope' is not in the lake, which has tiny; ingest it"):
        build(lake, datasets=["tiny", "nope"])
    assert lake.manifest("shards", "tiny") is None


def test_the_datasets_asked_for_are_taken_and_no_others(tmp_path):
    lake = Lake(tmp_path / "lake")
    for name, first in (("one", 0), ("two", 40)):
        for seed in range(first, first + 40):
            write_midi(tmp_path / name / f"{seed}.mid", improvise(seed, 30))
    curate(lake, [folder_dataset(tmp_path / name, name) for name in ("one", "two")], here(tmp_path))
    dataset_of = dict(zip(*lake.read("performances", ["performance_id", "dataset"]).to_pydict().values(), strict=True))
    info = build(lake, datasets=["two"]).info
    assert info["datasets"] == ["two"]
    assert set(info["dataset_versions"]) == {"two"}
    for split in SPLITS:
        ids = ShardSet(lake, "tiny").sequences(split).performance_ids
        assert {dataset_of[i] for i in ids} == {"two"}
    assert build(lake).info["datasets"] == ["one", "two"]
    with pytest.raises(ShardError, match="split must be one of train, validation, test, found 'valid'"):
        ShardSet(lake, "tiny").sequences("valid")


def test_a_split_without_music_is_refused(tmp_path):
    lake = write_lake(tmp_path / "lake", {"1" * 32: ("train", scale(60, 20)), "2" * 32: ("test", scale(60, 20))})
    with pytest.raises(ShardError, match="no music in validation of all datasets; add performances"):
        build(lake)
    with pytest.raises(ShardError, match="no music in validation of all datasets; add performances"):
        plan_shards(lake, tokenizer={"name": "remi"}, augment=AugmentConfig())
    assert not lake.block_path("shards", "").exists()


def test_music_that_the_tokens_hold_in_two_splits_is_refused(tmp_path):
    """The split is said to be clean; the shards are asked themselves, transpositions and all."""
    music = {
        "1" * 32: ("train", figure(1, 60, 60)),
        "2" * 32: ("train", figure(2, 60, 60)),
        "3" * 32: ("validation", figure(3, 60, 60)),
        "4" * 32: ("test", figure(2, 63, 70)),
    }
    lake = write_lake(tmp_path / "lake", music)
    with pytest.raises(ContaminationError, match="decoded from the tokens of the shards, 1 pair") as caught:
        build(lake)
    assert "2" * 32 in str(caught.value)
    assert "4" * 32 in str(caught.value)
    assert lake.manifest("shards", "tiny") is None
    assert list((lake.root / "tmp").iterdir()) == []


def test_shards_of_another_tokenizer_version_are_refused(lake):
    shard(lake)
    path = lake.root / "manifests/shards/mine.json"
    fields = json.loads(path.read_text())
    fields["info"]["tokenizer"]["version"] = "0" * 16
    path.write_text(json.dumps(fields))
    with pytest.raises(ShardError, match="shards of 'mine' were made by another version of the tokenizer"):
        ShardSet(lake, "mine")


def test_another_tokenizer_or_augmentation_is_another_version(tmp_path):
    lake = write_tiny_lake(tmp_path / "lake")
    versions = {
        build(lake).version,
        build(lake, augment=AugmentConfig(semitones=(0,))).version,
        build(lake, tokenizer={"name": "remi", "num_velocities": 8}).version,
    }
    assert len(versions) == 3
    assert build(lake).version in versions


def test_a_leak_on_purpose_puts_test_music_into_train_and_has_no_certificate(lake):
    honest = build(lake)
    leaky = build(lake, leak=0.6)
    shards = ShardSet(lake, leaky.partition)
    train, test = (set(shards.sequences(split).performance_ids) for split in ("train", "test"))
    assert honest.info["certificate"]
    assert "leak" not in honest.info
    assert leaky.info["certificate"] is None
    assert leaky.info["leak"] == 0.6
    assert leaky.info["split_certificate"] == honest.info["split_certificate"]
    leaked = train & test
    assert 0 < len(leaked) < len(test)
    # The same groups every time, and those of a smaller share among them.
    assert build(lake, leak=0.6).version == leaky.version
    build(lake, leak=0.3)
    fewer = set(ShardSet(lake, leaky.partition).sequences("train").performance_ids) & test
    assert fewer < leaked
