from itertools import pairwise

import pytest
from corpora import compare, folder_dataset, here, improvise, transposed, write_midi
from grouping import IDS, UNHURRIED, clique, pair_lists, part, reachable, whole_pairs
from hypothesis import given
from hypothesis import strategies as st

from pianogen.dedupe.clusters import cluster_rows, find_clusters
from pianogen.dedupe.groups import TIERS, Pair
from pianogen.errors import LakeError
from pianogen.ingest import retire_datasets
from pianogen.lake import Lake
from pianogen.settings import SplitPolicy

ORDER = ["first", "second", "third"]
FEW = IDS[:6]

datasets_of = st.fixed_dictionaries({i: st.sampled_from([*ORDER, "not_named"]) for i in IDS})


def cluster_of(dataset_of, pairs) -> dict[str, str]:
    return {row["performance_id"]: row["cluster_id"] for row in cluster_rows(dataset_of, pairs, ORDER)}


def clusters(pairs, *alone: str) -> list[set[str]]:
    """Sets of ids of one dataset, in the order of their names."""
    ids = {i for pair in pairs for i in pair[:2]} | set(alone)
    found = cluster_of(dict.fromkeys(ids, "first"), pairs)
    return [{i for i in ids if found[i] == name} for name in sorted(set(found.values()))]


def row_of(pairs, performance_id: str, published=None, dataset_of=None) -> dict:
    ids = {i for pair in pairs for i in pair[:2]}
    rows = cluster_rows(dataset_of or dict.fromkeys(ids, "first"), pairs, ORDER, published)
    return next(row for row in rows if row["performance_id"] == performance_id)


def representative(pairs, published=None, dataset_of=None) -> list[str]:
    ids = {i for pair in pairs for i in pair[:2]}
    rows = cluster_rows(dataset_of or dict.fromkeys(ids, "first"), pairs, ORDER, published)
    return [row["performance_id"] for row in rows if row["is_representative"]]


# Any pairs


@UNHURRIED
@given(datasets_of, pair_lists())
def test_a_cluster_never_reaches_further_than_pairs_do(dataset_of, pairs):
    found = cluster_of(dataset_of, pairs)
    for performance_id in IDS:
        assert {i for i in IDS if found[i] == found[performance_id]} <= reachable(performance_id, pairs)


@UNHURRIED
@given(datasets_of, pair_lists())
def test_each_cluster_hangs_together_by_pairs_of_its_own(dataset_of, pairs):
    found = cluster_of(dataset_of, pairs)
    inside = [pair for pair in pairs if found[pair.a] == found[pair.b]]
    for performance_id in IDS:
        assert {i for i in IDS if found[i] == found[performance_id]} == reachable(performance_id, inside)


@UNHURRIED
@given(datasets_of, pair_lists())
def test_each_cluster_has_one_representative_and_is_named_after_the_smallest_id_of_its_earliest_dataset(
    dataset_of, pairs
):
    rank = {name: i for i, name in enumerate([*ORDER, "not_named"])}
    rows = cluster_rows(dataset_of, pairs, ORDER)
    assert [row["performance_id"] for row in rows] == IDS
    for cluster_id in {row["cluster_id"] for row in rows}:
        members = [row for row in rows if row["cluster_id"] == cluster_id]
        assert sum(row["is_representative"] for row in members) == 1
        assert {row["cluster_size"] for row in members} == {len(members)}
        assert cluster_id == min((rank[dataset_of[i["performance_id"]]], i["performance_id"]) for i in members)[1]


@UNHURRIED
@given(datasets_of, pair_lists(), st.randoms(use_true_random=False))
def test_neither_the_order_of_pairs_nor_of_performances_matters(dataset_of, pairs, random):
    shuffled = {i: dataset_of[i] for i in random.sample(IDS, len(IDS))}
    mixed = random.sample(pairs, len(pairs))
    assert cluster_rows(shuffled, mixed, ORDER) == cluster_rows(dataset_of, pairs, ORDER)


@UNHURRIED
@given(datasets_of, pair_lists())
def test_all_but_the_one_that_names_a_cluster_are_absorbed_by_the_strictest_tier_that_reaches_an_earlier_one(
    dataset_of, pairs
):
    rows = cluster_rows(dataset_of, pairs, ORDER)
    found = {row["performance_id"]: row["cluster_id"] for row in rows}
    inside = [pair for pair in pairs if found[pair.a] == found[pair.b]]
    rank = {name: i for i, name in enumerate([*ORDER, "not_named"])}
    for row in rows:
        i = row["performance_id"]
        reached = [
            tier
            for tier in range(len(TIERS))
            if any(
                (rank[dataset_of[j]], j) < (rank[dataset_of[i]], i)
                for j in reachable(i, [p for p in inside if TIERS.index(p.relation) <= tier])
            )
        ]
        assert row["absorbed_by"] == (TIERS[reached[0]] if reached else None)
        assert (row["absorbed_by"] is None) == (i == row["cluster_id"])


# Whole pairs


@UNHURRIED
@given(whole_pairs(IDS[:8]))
def test_a_small_cluster_is_all_that_whole_pairs_reach(pairs):
    found = cluster_of(dict.fromkeys(IDS[:8], "first"), pairs)
    for performance_id in IDS[:8]:
        members = {i for i in found if found[i] == found[performance_id]}
        assert members == reachable(performance_id, pairs)


@UNHURRIED
@given(whole_pairs(FEW), st.lists(st.sampled_from(FEW), max_size=2))
def test_a_later_dataset_renames_no_cluster_of_an_earlier_one(pairs, resembled):
    # Each later performance resembles one cluster at most; smaller ids than all before.
    before = cluster_of(dict.fromkeys(FEW, "first"), pairs)
    later = {f"!{i}": at for i, at in enumerate(resembled)}
    after = cluster_of(
        {**dict.fromkeys(FEW, "first"), **dict.fromkeys(later, "second")},
        [*pairs, *(Pair(new, at) for new, at in later.items())],
    )
    assert {i: after[i] for i in FEW} == before


@UNHURRIED
@given(whole_pairs(FEW), st.tuples(st.sampled_from(FEW), st.sampled_from(FEW)))
def test_a_later_performance_that_joins_two_clusters_leaves_one_of_their_names(pairs, ends):
    before = cluster_of(dict.fromkeys(FEW, "first"), pairs)
    after = cluster_of({**dict.fromkeys(FEW, "first"), "!": "second"}, [*pairs, *(Pair("!", i) for i in set(ends))])
    names = {before[end] for end in ends}
    for performance_id in FEW:
        if before[performance_id] in names:
            assert after[performance_id] == min(names)
        else:
            assert after[performance_id] == before[performance_id]


# Chains


def test_a_medley_stands_with_the_part_it_shares_most_with_and_joins_nothing():
    waltzes, tangos = ["w1", "w2", "w3"], ["t1", "t2"]
    held = [part("medley", i, 0.3) for i in waltzes] + [part("medley", i, 0.5) for i in tangos]
    assert clusters([*clique(waltzes), *clique(tangos), *held]) == [{"medley", *tangos}, set(waltzes)]


@pytest.mark.parametrize("relation", ["excerpt", "same_work"])
def test_a_medley_of_single_files_joins_only_one_of_them(relation):
    held = [part("m", name, share, relation) for name, share in (("a", 0.2), ("b", 0.4), ("c", 0.3))]
    assert clusters(held) == [{"a"}, {"b", "m"}, {"c"}]


def test_several_medleys_that_share_a_part_stand_with_it():
    held = [part("m1", "a", 0.5), part("m2", "a", 0.4), part("m1", "b", 0.3), part("m2", "c", 0.3)]
    assert clusters(held) == [{"a", "m1", "m2"}, {"b"}, {"c"}]


def test_halves_put_together_do_not_chain():
    held = [part("both", "one", 0.5), part("both", "two", 0.5)]
    assert len(clusters(held)) == 2


def test_repeats_left_out_do_not_part_a_work():
    # Of a work with and without repeats the alignment covers one pass: less than half of both.
    without, repeated = ["n1", "n2"], ["r1", "r2"]
    across = [Pair(i, j, "same_work", 0.4, 0.48, 0.36) for i in without for j in repeated]
    assert clusters([*clique(without), *clique(repeated), *across]) == [{*without, *repeated}]


def test_excerpts_stand_with_the_work_that_several_play():
    sonata = ["s1", "s2", "s3"]
    excerpts = [part(i, excerpt, 0.1) for excerpt in ("e1", "e2", "e3") for i in sonata]
    assert clusters([*clique(sonata), *excerpts]) == [{"e1", "e2", "e3", *sonata}]


def test_an_excerpt_in_two_formats_is_one_rendition_and_stands_with_the_work_as_well():
    sonata, copies = ["s1", "s2"], clique(["e1", "e2"], "same_notes", 1.0)
    held = [part(i, excerpt, 0.2) for i in sonata for excerpt in ("e1", "e2")]
    assert clusters([*clique(sonata), *copies, *held]) == [{"e1", "e2", "s1", "s2"}]


def test_a_work_in_parts_that_are_works_of_their_own_stays_apart_from_them():
    whole, first, second = ["s1", "s2"], ["a1", "a2"], ["b1", "b2"]
    held = [part(i, j, 0.4) for i in whole for j in (*first, *second)]
    assert clusters([*clique(whole), *clique(first), *clique(second), *held]) == [set(first), set(second), set(whole)]


def test_one_false_pair_does_not_join_two_works_of_many_performances():
    haydn, liszt = [f"h{i}" for i in range(6)], [f"l{i}" for i in range(6)]
    assert clusters([*clique(haydn), *clique(liszt), Pair("h3", "l4", "same_work", 0.1, 0.7, 0.7)]) == [
        set(haydn),
        set(liszt),
    ]


def test_a_pair_that_was_missed_does_not_part_a_work_of_many_performances():
    ids = [f"p{i:02d}" for i in range(12)]
    medoid = "p05"
    pairs = [
        pair._replace(coverage_a=1.0, coverage_b=1.0) if medoid in pair[:2] else pair
        for pair in clique(ids)
        if pair[:2] != ("p02", medoid)
    ]
    assert clusters(pairs) == [set(ids)]


def test_a_long_chain_is_cut_where_it_leaves_a_medoid():
    ids = [f"p{i:02d}" for i in range(30)]
    found = clusters([Pair(a, b, "same_work", 0.6, 0.6, 0.6) for a, b in pairwise(ids)])
    assert max(map(len, found)) <= 5
    assert sum(map(len, found)) == 30


# Who represents


def test_the_most_complete_represents_whatever_its_id():
    pairs = [part("z", "a", 0.4), part("z", "b", 0.4), Pair("a", "b", "edited_copy", 1.0, 1.0, 1.0)]
    assert representative(pairs) == ["z"]
    assert row_of(pairs, "z")["completeness"] == 1
    assert row_of(pairs, "a")["completeness"] == pytest.approx(0.7)


def test_among_equals_published_test_goes_before_validation_before_train_before_the_earlier_dataset():
    pairs = clique("abcd")
    dataset_of = {"a": "second", "b": "second", "c": "second", "d": "first"}
    published = {"a": "train", "b": "validation", "c": "test"}
    for expected in "cba":
        assert representative(pairs, published, dataset_of) == [expected]
        del published[expected]
    assert representative(pairs, published, dataset_of) == ["d"]
    assert representative(pairs, published, {**dataset_of, "c": "first"}) == ["c"]


def test_a_hair_of_coverage_does_not_outweigh_the_published_split():
    pairs = [Pair("a", "b", "same_work", 0.5, 0.97, 0.96)]
    assert representative(pairs, {"a": "train", "b": "test"}) == ["b"]


def test_a_member_names_the_one_it_is_nearest_to_with_the_evidence():
    pairs = [Pair("a", "b", "same_work", 0.9, 0.9, 0.8), Pair("b", "c", "edited_copy", 0.7, 0.6, 0.7)]
    row = row_of(pairs, "b")
    assert {name: row[f"nearest_{name}"] for name in ("id", "relation", "score", "coverage")} == {
        "id": "c",
        "relation": "edited_copy",
        "score": 0.7,
        "coverage": 0.6,
    }
    (alone,) = cluster_rows({"x": "first"}, [], ORDER)
    assert (alone["nearest_id"], alone["nearest_relation"], alone["completeness"]) == (None, None, 1.0)


# The stage


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
    assert info == {"num_clusters": 3, "largest": 2, "num_pairs_cut": 0}
    assert [row["performance_id"] for row in rows] == sorted(lake.read("performances")["performance_id"].to_pylist())
    assert sorted(row["cluster_size"] for row in rows) == [1, 1, 2, 2]


def test_the_order_of_the_datasets_decides_between_equals(lake):
    dataset_of = dict(zip(*lake.read("performances", ["performance_id", "dataset"]).to_pydict().values(), strict=True))
    for order in (["old", "new"], ["new", "old"]):
        find_clusters(lake, order)
        pair = [row for row in lake.read("clusters").to_pylist() if row["cluster_size"] == 2]
        assert [dataset_of[row["performance_id"]] for row in pair if row["is_representative"]] == order[:1]
        assert {dataset_of[row["cluster_id"]] for row in pair} == set(order[:1])


def test_shared_melodies_join_on_request_alone(lake):
    (key,) = lake.require("duplicate_pairs").blocks
    table = lake.read_block("duplicate_pairs", key, "duplicate_pairs")
    at = table.schema.get_field_index("relation")
    path = lake.block_path("duplicate_pairs", key) / "duplicate_pairs.parquet"
    path.unlink()
    path.parent.rmdir()
    lake.write_block(
        "duplicate_pairs", key, {"duplicate_pairs": table.set_column(at, "relation", [["shared_melody"] * len(table)])}
    )
    order = ["old", "new"]
    assert find_clusters(lake, order).info["num_clusters"] == 4
    assert find_clusters(lake, order, SplitPolicy(group_shared_melodies=True)).info["num_clusters"] == 3


def test_pairs_of_performances_that_are_gone_are_refused_with_the_remedy(lake):
    retire_datasets(lake, ["old"])
    with pytest.raises(LakeError, match="run the stage 'duplicate_pairs' again"):
        find_clusters(lake, ["old"])


def test_an_empty_lake_has_no_clusters(tmp_path):
    lake = Lake(tmp_path)
    compare(lake, [], here(tmp_path))
    assert find_clusters(lake, []).info == {"num_clusters": 0, "largest": 0, "num_pairs_cut": 0}
