"""Whether weights that a fine-tune begins with have seen what is held out of it."""

import shutil

import pyarrow as pa
import pytest

from pianogen.errors import ContaminationError
from pianogen.lake import Lake, Stage
from pianogen.shards import ShardSet
from pianogen.tables import SCHEMAS
from pianogen.training.seen import COMPARED, SAME_SPLIT, UNCHECKED, judge, performances_of, read_seen, write_seen

TRAIN = [f"{i:032x}" for i in range(8)]
VALIDATION = [f"{i:032x}" for i in (8, 9)]
TEST = [f"{i:032x}" for i in (10, 11, 12)]
"""Of `write_tiny_lake`."""
PAIR = {
    **dict.fromkeys(SCHEMAS["duplicate_pairs"].names),
    "performance_a": TRAIN[3],
    "performance_b": TEST[1],
    "relation": "edited_copy",
    "score": 0.93,
    "semitones": 5,
    "is_mirrored": False,
}


@pytest.fixture
def lake(shared_lake, tmp_path) -> Lake:
    return Lake(shutil.copytree(shared_lake, tmp_path / "lake"))


@pytest.fixture
def shards(lake) -> ShardSet:
    return ShardSet(lake, "tiny")


def parent(**changes) -> dict:
    return {"experiment": "base", "run_id": "0123", "split_version": "another", "certificate": "c", **changes}


def publish(lake: Lake, stage: str, rows: list[dict], **info) -> None:
    """Rows in place of what a stage said, which keeps its other words."""
    before = lake.require(stage)
    key = f"changed-{len(rows)}"
    lake.write_block(stage, key, {stage: pa.Table.from_pylist(rows, schema=SCHEMAS[stage])})
    kept = {name: value for name, value in before.info.items() if name not in info}
    lake.publish(Stage(name=stage, modules=("pianogen.tables",), tables=(stage,)), [key], info={**kept, **info})


def test_parents_of_the_same_split_saw_nothing_that_it_holds_out(lake, shards):
    same = parent(split_version=shards.info["split_version"])
    assert judge(lake, shards, [same, same], None, unchecked=False) == SAME_SPLIT
    for other in (parent(), parent(split_version=None), {**same, "certificate": None}):
        with pytest.raises(ContaminationError, match=r"what they were trained on is not written down"):
            judge(lake, shards, [other, same], None, unchecked=False)


def test_of_another_split_what_was_seen_is_compared_with_what_is_held_out(lake, shards):
    assert performances_of(shards, "train") == set(TRAIN)
    assert judge(lake, shards, [parent()], TRAIN, unchecked=False) == COMPARED


@pytest.mark.parametrize("unchecked", [False, True])
@pytest.mark.parametrize("leak, split", [(TEST[0], "test"), (VALIDATION[1], "validation")])
def test_a_performance_that_was_seen_and_is_held_out_now_is_named_and_no_setting_allows_it(
    lake, shards, leak, split, unchecked
):
    with pytest.raises(
        ContaminationError, match=rf"base \(run 0123\), which saw music .*\n  {leak} in {split} is what"
    ):
        judge(lake, shards, [parent()], [*TRAIN, leak], unchecked=unchecked)


def test_a_relation_of_what_was_seen_to_what_is_held_out_is_a_leak_with_its_evidence(lake, shards):
    publish(lake, "duplicate_pairs", [PAIR])
    said = (
        rf"tiny/{TEST[1]} in test is edited_copy of tiny/{TRAIN[3]} in what they saw \(transposed by \+5 .*score 0\.93"
    )
    with pytest.raises(ContaminationError, match=said):
        judge(lake, shards, [parent()], TRAIN, unchecked=True)
    # Of the others none is related.
    assert judge(lake, shards, [parent()], TRAIN[:3], unchecked=False) == COMPARED


def test_what_a_policy_lets_stand_apart_is_no_leak(lake, shards):
    publish(lake, "duplicate_pairs", [PAIR | {"relation": "same_work"}])
    with pytest.raises(ContaminationError, match="same_work"):
        judge(lake, shards, [parent()], TRAIN, unchecked=False)
    publish(lake, "splits", lake.read("splits").to_pylist(), policy={"group_works": False})
    assert judge(lake, shards, [parent()], TRAIN, unchecked=False) == COMPARED


def test_what_was_seen_of_a_cluster_is_the_same_music_as_what_is_held_out_of_it(lake, shards):
    rows = lake.read("splits").to_pylist()
    for row in rows:
        if row["performance_id"] in (TRAIN[2], TEST[2]):
            row["cluster_id"] = "one"
    publish(lake, "splits", rows)
    with pytest.raises(ContaminationError, match=rf"{TEST[2]} in test is the same music as {TRAIN[2]}, which they saw"):
        judge(lake, shards, [parent()], TRAIN, unchecked=False)
    publish(lake, "splits", rows, policy={"group_works": False})
    assert judge(lake, shards, [parent()], TRAIN, unchecked=False) == COMPARED


def test_what_cannot_be_known_is_refused_unless_the_experiment_says_so(lake, shards):
    gone = "f" * 32
    with pytest.raises(ContaminationError, match=rf"1 performances that they saw are no longer in the lake .*{gone}"):
        judge(lake, shards, [parent()], [*TRAIN, gone], unchecked=False)
    assert judge(lake, shards, [parent()], [*TRAIN, gone], unchecked=True) == UNCHECKED
    publish(lake, "splits", [row for row in lake.read("splits").to_pylist() if row["performance_id"] != TEST[0]])
    with pytest.raises(ContaminationError, match=rf"1 performances that are held out are no longer .*{TEST[0]}"):
        judge(lake, shards, [parent()], TRAIN, unchecked=False)
    lake.retire("fingerprints", "tiny")
    with pytest.raises(ContaminationError, match=r"performances of tiny changed since they were compared"):
        judge(lake, shards, [parent()], TRAIN, unchecked=False)
    with pytest.raises(ContaminationError, match=r"training\.fine_tune_unchecked: true; then lineage and leaderboard"):
        judge(lake, shards, [parent()], None, unchecked=False)
    assert judge(lake, shards, [parent()], None, unchecked=True) == UNCHECKED


def test_what_was_seen_is_written_once_and_believed_only_as_it_was_written(tmp_path):
    digest = write_seen(tmp_path, ["b", "a"])
    path = tmp_path / "trained_on.txt"
    assert path.read_text() == "a\nb\n"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert write_seen(tmp_path, {"a", "b"}) == digest
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert read_seen(tmp_path, digest) == {"a", "b"}
    assert read_seen(tmp_path, None) is None
    path.write_text("a\n")
    assert read_seen(tmp_path, digest) is None
    path.unlink()
    assert read_seen(tmp_path, digest) is None
