from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from corpora import compare, curate, folder_dataset, here, improvise, transposed, write_midi
from hypothesis import given
from hypothesis import strategies as st

from pianogen.catalogue import Dataset
from pianogen.dedupe.clusters import cluster_rows, find_clusters
from pianogen.errors import LakeError, SettingsError
from pianogen.lake import Lake
from pianogen.splits import SplitConfig, assign_splits, split_of_cluster, split_rows

IDS = [f"{i:02d}" for i in range(12)]
HALVES = SplitConfig(validation_fraction=0.3, test_fraction=0.3)

policies = st.fixed_dictionaries({name: st.sampled_from(["auto", "train", "validation", "test"]) for name in "xyz"})
datasets_of = st.fixed_dictionaries({i: st.sampled_from("xyz") for i in IDS})
graphs = st.lists(st.sampled_from(list(combinations(IDS, 2))), max_size=14)


def datasets(policies: dict[str, str]) -> list[Dataset]:
    return [Dataset(name=name, title=name, folder=Path(name), split=split) for name, split in policies.items()]


def split(dataset_of, pairs, policies, config=HALVES) -> dict[str, str]:
    clusters = cluster_rows(dataset_of, pairs, list(policies))
    rows = split_rows(clusters, dataset_of, pairs, datasets(policies), config)
    assert [row["performance_id"] for row in rows] == sorted(dataset_of)
    return {row["performance_id"]: row["split"] for row in rows}


@given(datasets_of, graphs)
def test_a_cluster_lies_in_one_split(dataset_of, pairs):
    found = split(dataset_of, pairs, dict.fromkeys("xyz", "auto"))
    assert all(found[a] == found[b] for a, b in pairs)


@given(datasets_of, graphs, policies)
def test_a_pinned_dataset_stays_whole_and_only_pairs_with_it_can_span_splits(dataset_of, pairs, policies):
    found = split(dataset_of, pairs, policies)
    for performance_id, dataset in dataset_of.items():
        if policies[dataset] != "auto":
            assert found[performance_id] == policies[dataset]
    for a, b in pairs:
        if policies[dataset_of[a]] == policies[dataset_of[b]] == "auto":
            assert found[a] == found[b]


@given(datasets_of, graphs, policies)
def test_pinned_performances_move_no_others_even_where_they_join_two_clusters(dataset_of, pairs, policies):
    free = {i: dataset for i, dataset in dataset_of.items() if policies[dataset] == "auto"}
    between_free = [(a, b) for a, b in pairs if a in free and b in free]
    found = split(dataset_of, pairs, policies)
    assert {i: found[i] for i in free} == split(free, between_free, policies)


@given(datasets_of, graphs)
def test_a_cluster_of_two_splits_always_has_a_pair_across_them_for_the_gate_to_find(dataset_of, pairs):
    policies = {"x": "auto", "y": "auto", "z": "train"}
    found = split(dataset_of, pairs, policies)
    for row in cluster_rows(dataset_of, pairs, "xyz"):
        if found[row["performance_id"]] != found[row["cluster_id"]]:
            assert any(found[a] != found[b] for a, b in pairs)


@given(graphs, st.lists(st.sampled_from(IDS), max_size=5))
def test_a_later_dataset_moves_nothing_of_an_earlier_one(pairs, resembled):
    before = split(dict.fromkeys(IDS, "x"), pairs, {"x": "auto"})
    new = {f"!{i}": at for i, at in enumerate(resembled)}
    after = split(
        {**dict.fromkeys(IDS, "x"), **dict.fromkeys(new, "y")},
        [*pairs, *((at, i) for i, at in new.items())],
        {"x": "auto", "y": "auto"},
    )
    assert {i: after[i] for i in IDS} == before
    assert all(after[i] == before[at] for i, at in new.items())


def test_shares_are_about_those_asked_for_over_five_thousand_clusters():
    config = SplitConfig(validation_fraction=0.05, test_fraction=0.2)
    counts = Counter(split_of_cluster(f"{i:032x}", config) for i in range(5000))
    # Four standard deviations.
    assert counts["test"] == pytest.approx(1000, abs=113)
    assert counts["validation"] == pytest.approx(250, abs=62)
    assert counts.total() == 5000


def test_another_salt_redraws_every_split():
    names = [f"{i:032x}" for i in range(5000)]
    old, new = ({n for n in names if split_of_cluster(n, SplitConfig(salt=salt)) == "test"} for salt in ("v1", "v2"))
    # Drawn anew, a tenth of a tenth is in both.
    assert 20 < len(old & new) < 90


def test_a_larger_test_share_only_adds_to_test():
    names = [f"{i:032x}" for i in range(2000)]
    small, large = SplitConfig(test_fraction=0.1), SplitConfig(test_fraction=0.2)
    assert all(split_of_cluster(n, large) == "test" for n in names if split_of_cluster(n, small) == "test")


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_no_train_are_refused(validation, test):
    with pytest.raises(SettingsError, match=f"found {validation} and {test}"):
        SplitConfig(validation_fraction=validation, test_fraction=test)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Thirty pieces, and a folder with copies of the first two."""
    folder = tmp_path_factory.mktemp("music")
    for seed in range(30):
        write_midi(folder / "pieces" / f"{seed}.mid", improvise(seed, 40))
    for seed in range(2):
        write_midi(folder / "copies" / f"{seed}.mid", transposed(improvise(seed, 40), 1))
    return folder


def splits_of(lake: Lake) -> dict[str, str]:
    return dict(zip(*lake.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))


def test_every_performance_of_the_lake_has_one_split_and_the_manifest_counts_them(folder, tmp_path):
    lake = Lake(tmp_path)
    manifest = curate(
        lake, [folder_dataset(folder / "pieces"), folder_dataset(folder / "copies", "copies")], here(tmp_path)
    )
    rows = lake.read("splits").to_pylist()
    assert [row["performance_id"] for row in rows] == sorted(lake.read("performances")["performance_id"].to_pylist())
    assert manifest.info["num_performances"] == {
        name: sum(row["split"] == name for row in rows) for name in ("train", "validation", "test")
    }
    assert {row["reason"] for row in rows} == {"cluster"}
    assert lake.read("contamination").num_rows == 0


def test_adding_a_pinned_dataset_leaves_every_other_split(folder, tmp_path):
    lake, settings = Lake(tmp_path), here(tmp_path)
    pieces = folder_dataset(folder / "pieces")
    curate(lake, [pieces], settings)
    before = splits_of(lake)
    manifest = curate(lake, [pieces, folder_dataset(folder / "copies", "copies", split="train")], settings)
    after = splits_of(lake)
    assert {i: after[i] for i in before} == before
    assert [after[i] for i in after.keys() - before.keys()] == ["train", "train"]
    assert manifest.info["pinned"] == {"copies": "train"}


def test_the_same_input_gives_the_same_version_and_another_salt_another(folder, tmp_path):
    lake, datasets = Lake(tmp_path), [folder_dataset(folder / "pieces")]
    first = curate(lake, datasets, here(tmp_path))
    assert assign_splits(lake, datasets).version == first.version
    assert assign_splits(lake, datasets, SplitConfig(salt="v2")).version != first.version
    assert assign_splits(lake, [replace(datasets[0], split="test")]).version != first.version


def test_clusters_of_other_performances_are_refused_with_the_remedy(folder, tmp_path):
    lake, settings = Lake(tmp_path), here(tmp_path)
    pieces, copies = folder_dataset(folder / "pieces"), folder_dataset(folder / "copies", "copies")
    compare(lake, [pieces], settings)
    find_clusters(lake, ["mine"])
    compare(lake, [copies], settings)
    with pytest.raises(LakeError, match="run the stage 'clusters' again"):
        assign_splits(lake, [pieces, copies])
