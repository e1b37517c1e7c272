from itertools import combinations

import pytest
from corpora import compare, folder_dataset, here, improvise, transposed, write_midi
from hypothesis import given
from hypothesis import strategies as st

from pianogen.dedupe.clusters import cluster_rows, find_clusters
from pianogen.errors import LakeError
from pianogen.ingest import retire_datasets
from pianogen.lake import Lake

IDS = [f"{i:02d}" for i in range(12)]
ORDER = ["first", "second", "third"]

datasets_of = st.fixed_dictionaries({i: st.sampled_from([*ORDER, "not_named"]) for i in IDS})
graphs = st.lists(st.sampled_from(list(combinations(IDS, 2))), max_size=14)


def cluster_of(dataset_of, pairs) -> dict[str, str]:
    return {row["performance_id"]: row["cluster_id"] for row in cluster_rows(dataset_of, pairs, ORDER)}


def reachable(start: str, pairs) -> set[str]:
    """By walking, not by union-find."""
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for pair in pairs:
            if here in pair:
                todo += [i for i in pair if i not in found]
                found |= set(pair)
    return found


@given(datasets_of, graphs)
def test_a_cluster_is_all_that_pairs_reach(dataset_of, pairs):
    found = cluster_of(dataset_of, pairs)
    for performance_id in IDS:
        members = {i for i in IDS if found[i] == found[performance_id]}
        assert members == reachable(performance_id, pairs)


@given(datasets_of, graphs)
def test_each_cluster_has_one_representative_which_names_it_and_is_of_its_earliest_dataset(dataset_of, pairs):
    rank = {name: i for i, name in enumerate([*ORDER, "not_named"])}
    rows = cluster_rows(dataset_of, pairs, ORDER)
    for cluster_id in {row["cluster_id"] for row in rows}:
        members = [row for row in rows if row["cluster_id"] == cluster_id]
        assert [row["performance_id"] for row in members if row["is_representative"]] == [cluster_id]
        assert {row["cluster_size"] for row in members} == {len(members)}
        earliest = min(rank[dataset_of[row["performance_id"]]] for row in members)
        assert cluster_id == min(
            row["performance_id"] for row in members if rank[dataset_of[row["performance_id"]]] == earliest
        )


@given(datasets_of, graphs, st.randoms(use_true_random=False))
def test_neither_the_order_of_pairs_nor_of_performances_matters(dataset_of, pairs, random):
    shuffled = {i: dataset_of[i] for i in random.sample(IDS, len(IDS))}
    turned = [pair[::-1] for pair in random.sample(pairs, len(pairs))]
    assert cluster_rows(shuffled, turned, ORDER) == cluster_rows(dataset_of, pairs, ORDER)


@given(graphs, st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 3)), max_size=6))
def test_a_later_dataset_renames_no_cluster_of_an_earlier_one(pairs, links):
    # Each later performance resembles one cluster at most; smaller ids than all before.
    before = cluster_of(dict.fromkeys(IDS, "first"), pairs)
    later = {f"!{i}": at for at, i in links}
    after = cluster_of(
        {**dict.fromkeys(IDS, "first"), **dict.fromkeys(later, "second")},
        [*pairs, *((at, new) for new, at in later.items())],
    )
    assert {i: after[i] for i in IDS} == before


@given(graphs, st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)))
def test_a_later_performance_that_joins_two_clusters_leaves_one_of_their_names(pairs, ends):
    before = cluster_of(dict.fromkeys(IDS, "first"), pairs)
    after = cluster_of({**dict.fromkeys(IDS, "first"), "!": "second"}, [*pairs, *((end, "!") for end in ends)])
    names = {before[end] for end in ends}
    for performance_id in IDS:
        if before[performance_id] in names:
            assert after[performance_id] == min(names)
        else:
            assert after[performance_id] == before[performance_id]


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Two datasets: three pieces, and a transposed one of them."""
    for seed in range(3):
        write_midi(tmp_path / "old" / f"{seed}.mid", improvise(seed, 60))
    write_midi(tmp_path / "new" / "moved.mid", transposed(improvise(1, 60), 4))
    lake = Lake(tmp_path / "lake")
    datasets = [folder_dataset(tmp_path / name, name) for name in ("old", "new")]
    compare(lake, datasets, here(tmp_path))
    return lake


def test_every_performance_of_the_lake_has_a_cluster(lake):
    info = find_clusters(lake, ["old", "new"]).info
    rows = lake.read("clusters").to_pylist()
    assert info == {"num_clusters": 3, "largest": 2}
    assert [row["performance_id"] for row in rows] == sorted(lake.read("performances")["performance_id"].to_pylist())
    assert sorted(row["cluster_size"] for row in rows) == [1, 1, 2, 2]


def test_the_order_of_the_datasets_decides_who_represents(lake):
    dataset_of = dict(zip(*lake.read("performances", ["performance_id", "dataset"]).to_pydict().values(), strict=True))
    for order in (["old", "new"], ["new", "old"]):
        find_clusters(lake, order)
        pair = [row for row in lake.read("clusters").to_pylist() if row["cluster_size"] == 2]
        assert [dataset_of[row["performance_id"]] for row in pair if row["is_representative"]] == order[:1]


def test_pairs_of_performances_that_are_gone_are_refused_with_the_remedy(lake):
    retire_datasets(lake, ["old"])
    with pytest.raises(LakeError, match="run the stage 'duplicate_pairs' again"):
        find_clusters(lake, ["old"])


def test_an_empty_lake_has_no_clusters(tmp_path):
    lake = Lake(tmp_path)
    compare(lake, [], here(tmp_path))
    assert find_clusters(lake, []).info == {"num_clusters": 0, "largest": 0}
