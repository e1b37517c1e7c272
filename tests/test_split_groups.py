from collections import Counter
from dataclasses import replace

import pytest
from grouping import IDS, UNHURRIED, clique, pair_lists, part, reachable
from hypothesis import given
from hypothesis import strategies as st

from pianogen.dedupe.clusters import cluster_rows
from pianogen.dedupe.groups import COPIES, TIERS, Pair, clustering_relations, splitting_relations
from pianogen.dedupe.relations import RELATIONS
from pianogen.settings import SplitPolicy
from pianogen.split_groups import LEFT_OUT, REASONS, SIDES, Music, place, split_of_group
from pianogen.split_moves import moves_from_earlier
from pianogen.splits import giant_groups

HALVES = SplitPolicy(validation_fraction=0.3, test_fraction=0.3)
AUTO = dict.fromkeys("xyz", "auto")

datasets_of = st.fixed_dictionaries({i: st.sampled_from("xyz") for i in IDS})
pins = st.fixed_dictionaries({name: st.sampled_from(["auto", "auto", *SIDES]) for name in "xyz"})
# Dataset x publishes a split of all of its music, y of some, z none.
published_of = st.fixed_dictionaries({i: st.sampled_from([*SIDES, None]) for i in IDS})
earlier_of = st.dictionaries(st.sampled_from(IDS), st.sampled_from([*IDS, "gone"]), max_size=8)
policies = st.builds(
    SplitPolicy,
    validation_fraction=st.just(0.3),
    test_fraction=st.just(0.3),
    published=st.sampled_from(["keep", "ignore"]),
    keep=st.sampled_from(["all", "one"]),
    earlier=st.sampled_from(["keep", "ignore"]),
    group_works=st.booleans(),
    group_shared_melodies=st.booleans(),
    max_group=st.sampled_from([0, 2, 5]),
)


def music_of(dataset_of, pairs, pins=AUTO, published=None, earlier=None, policy=HALVES) -> Music:
    by_dataset = {"x": SIDES, "y": (*SIDES, None), "z": ()}
    said = {i: s for i, s in (published or {}).items() if s and s in by_dataset[dataset_of[i]]}
    clustered = [pair for pair in pairs if pair.relation in clustering_relations(policy)]
    rows = cluster_rows(dataset_of, clustered, list("xyz"), said)
    return Music(
        dataset_of=dataset_of,
        cluster_of={row["performance_id"]: row["cluster_id"] for row in rows},
        pairs=[pair for pair in pairs if pair.relation in splitting_relations(policy)],
        dataset_order=list("xyz"),
        pinned={name: split for name, split in pins.items() if split != "auto"},
        published=said,
        completeness={row["performance_id"]: row["completeness"] for row in rows},
        earlier=earlier or {},
    )


def splits(dataset_of, pairs, policy=HALVES, **known) -> dict[str, str]:
    return {i: where.split for i, where in place(music_of(dataset_of, pairs, policy=policy, **known), policy).items()}


def of_one_dataset(ids) -> dict[str, str]:
    return dict.fromkeys(sorted(ids), "x")


def name_in(split: str, among=IDS, policy=HALVES) -> str:
    """The first name that is drawn into a split."""
    return next(i for i in among if split_of_group(i, policy) == split)


def test_tiers_are_the_relations_that_pairs_can_have():
    assert TIERS == RELATIONS
    assert clustering_relations(SplitPolicy()) == splitting_relations(SplitPolicy()) == set(RELATIONS[:-1])
    assert splitting_relations(SplitPolicy(group_works=False)) == {*COPIES, "excerpt"}
    assert splitting_relations(SplitPolicy(group_shared_melodies=True)) == set(RELATIONS)


# Whatever the music and the policy


@UNHURRIED
@given(datasets_of, pair_lists(relations=TIERS), pins, published_of, earlier_of, policies)
def test_no_pair_that_the_policy_joins_stands_in_two_splits(dataset_of, pairs, pins, published, earlier, policy):
    music = music_of(dataset_of, pairs, pins, published, earlier, policy)
    found = place(music, policy)
    assert found.keys() == dataset_of.keys()
    assert {where.reason for where in found.values()} <= set(REASONS)
    for pair in music.pairs:
        if not {music.dataset_of[pair.a], music.dataset_of[pair.b]} & music.pinned.keys():
            assert LEFT_OUT in (sides := {found[pair.a].split, found[pair.b].split}) or len(sides) == 1


@UNHURRIED
@given(datasets_of, pair_lists(relations=TIERS), published_of, earlier_of, policies)
def test_published_test_sets_are_exactly_the_published_and_validation_sets_lose_only_twins_of_test(
    dataset_of, pairs, published, earlier, policy
):
    policy = replace(policy, published="keep")
    music = music_of(dataset_of, pairs, published=published, earlier=earlier, policy=policy)
    found = place(music, policy)
    for i, split in music.published.items():
        if split == "test":
            assert (found[i].split, found[i].reason) == ("test", "published")
        if split == "validation" and found[i].split != "validation":
            assert found[i].split == LEFT_OUT
            assert found[i].reason == "twin"
            assert music.published[found[i].because_of] == "test"
    publishing = {dataset_of[i] for i in music.published}
    for i, where in found.items():
        if dataset_of[i] in publishing and where.split in ("test", "validation"):
            assert music.published.get(i) == where.split


@UNHURRIED
@given(datasets_of, pair_lists(), published_of, earlier_of, policies)
def test_a_performance_left_out_or_moved_as_a_twin_names_one_of_its_group(
    dataset_of, pairs, published, earlier, policy
):
    music = music_of(dataset_of, pairs, published=published, earlier=earlier, policy=policy)
    kinds = {frozenset(pair[:2]): pair.relation for pair in music.pairs}
    for i, where in place(music, policy).items():
        if where.reason in ("twin", "duplicate", "bridge"):
            assert where.because_of in reachable(i, music.pairs) - {i}
            assert where.relation == kinds.get(frozenset([i, where.because_of]))
        else:
            assert where.because_of is None


@UNHURRIED
@given(datasets_of, pair_lists(), pins, published_of, earlier_of, policies, st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_does_not_matter(dataset_of, pairs, pins, published, earlier, policy, random):
    mixed = {i: dataset_of[i] for i in random.sample(IDS, len(IDS))}
    turned = dict(reversed(earlier.items()))
    one = place(music_of(dataset_of, pairs, pins, published, earlier, policy), policy)
    other = place(
        music_of(mixed, random.sample(pairs, len(pairs)), pins, published, turned, policy),
        policy,
    )
    assert one == other


@UNHURRIED
@given(datasets_of, pair_lists(), pins)
def test_a_pinned_dataset_stays_whole_and_moves_no_others_even_where_it_joins_two_groups(dataset_of, pairs, pins):
    found = splits(dataset_of, pairs, pins=pins)
    for i, dataset in dataset_of.items():
        if pins[dataset] != "auto":
            assert found[i] == pins[dataset]
    free = {i: dataset for i, dataset in dataset_of.items() if pins[dataset] == "auto"}
    between_free = [pair for pair in pairs if pair.a in free and pair.b in free]
    assert {i: found[i] for i in free} == splits(free, between_free)


# What comes later


@UNHURRIED
@given(pair_lists(), st.lists(st.sampled_from(IDS), max_size=5))
def test_a_later_dataset_moves_nothing_of_an_earlier_one(pairs, resembled):
    before = splits(of_one_dataset(IDS), pairs)
    new = {f"!{i}": at for i, at in enumerate(resembled)}
    after = splits(
        {**of_one_dataset(IDS), **dict.fromkeys(new, "y")},
        [*pairs, *(Pair(i, at) for i, at in new.items())],
    )
    assert {i: after[i] for i in IDS} == before
    assert all(after[i] == before[at] for i, at in new.items())


@UNHURRIED
@given(datasets_of, pair_lists(), st.sampled_from("xyz"), st.lists(st.sampled_from(IDS), max_size=3, unique=True))
def test_one_more_performance_moves_others_only_where_it_joins_groups_and_then_the_fewer(
    dataset_of, pairs, dataset, resembled
):
    first = place(music_of(dataset_of, pairs), HALVES)
    earlier = {i: where.drawn_by for i, where in first.items()}
    # Its id is the smallest: in the earliest dataset it would name every group it enters.
    more = {**dataset_of, "!": dataset}
    with_it = [*pairs, *(Pair("!", i) for i in resembled)]
    after = place(music_of(more, with_it, earlier=earlier), HALVES)
    touched = [i for i in IDS if first[i].group in {first[at].group for at in resembled}]
    moved = [i for i in IDS if after[i].split != first[i].split]
    assert set(moved) <= set(touched)
    sizes = Counter(first[i].group for i in touched)
    if len(sizes) < 2:
        assert not moved
    else:
        assert len(moved) <= len(touched) - max(sizes.values())


@UNHURRIED
@given(datasets_of, pair_lists(), st.sampled_from(IDS))
def test_what_goes_moves_nothing_not_even_the_one_that_named_the_group(dataset_of, pairs, gone):
    first = place(music_of(dataset_of, pairs), HALVES)
    earlier = {i: where.drawn_by for i, where in first.items()}
    left = {i: dataset for i, dataset in dataset_of.items() if i != gone}
    after = place(music_of(left, [pair for pair in pairs if gone not in pair[:2]], earlier=earlier), HALVES)
    assert {i: after[i].split for i in left} == {i: first[i].split for i in left}


@UNHURRIED
@given(datasets_of, pair_lists(), earlier_of)
def test_without_earlier_names_or_by_a_policy_that_ignores_them_all_is_as_in_a_new_lake(dataset_of, pairs, earlier):
    ignoring = replace(HALVES, earlier="ignore")
    new = place(music_of(dataset_of, pairs), HALVES)
    assert place(music_of(dataset_of, pairs, earlier=earlier), ignoring) == new
    assert all(where.drawn_by == where.group for where in new.values())
    # Placed again after itself, nothing changes either.
    again = {i: where.drawn_by for i, where in new.items()}
    assert place(music_of(dataset_of, pairs, earlier=again), HALVES) == new


# Published splits


def test_the_twins_of_a_published_test_piece_leave_train_and_validation_and_others_join_it():
    dataset_of = {"p1": "x", "p2": "x", "p3": "x", "p4": "y", "p5": "z", "p6": "y"}
    published = {"p1": "test", "p2": "validation", "p3": "train", "p6": "train"}
    pairs = [Pair("p1", "p2"), Pair("p1", "p3", "excerpt"), Pair("p3", "p4"), Pair("p1", "p5", "same_notes")]
    found = place(music_of(dataset_of, pairs, published=published), HALVES)
    assert {i: (w.split, w.reason, w.because_of, w.relation) for i, w in found.items()} == {
        "p1": ("test", "published", None, None),
        "p2": ("none", "twin", "p1", "same_work"),
        "p3": ("none", "twin", "p1", "excerpt"),
        # Of a dataset that publishes a split without it: to move it in would change the published set.
        "p4": ("none", "twin", "p1", None),
        "p5": ("test", "twin", "p1", "same_notes"),
        "p6": ("train", "published", None, None),
    }


def test_music_that_a_dataset_with_published_splits_did_not_publish_counts_as_its_train():
    extra = name_in("test")
    dataset_of = {extra: "y", "published": "y", "other": "z"}
    found = splits(dataset_of, [Pair(extra, "other")], published={"published": "test"})
    assert found == {extra: "train", "published": "test", "other": "train"}


def test_music_like_published_train_goes_to_train_whatever_its_draw():
    new = name_in("test")
    dataset_of = {new: "z", "published": "x"}
    found = place(music_of(dataset_of, [Pair(new, "published")], published={"published": "train"}), HALVES)
    assert (found[new].split, found[new].reason) == ("train", "twin")


def test_published_splits_that_are_ignored_are_drawn_like_all_others():
    dataset_of = of_one_dataset(IDS)
    published = dict.fromkeys(IDS, "test")
    ignoring = replace(HALVES, published="ignore")
    assert splits(dataset_of, [], ignoring, published=published) == {i: split_of_group(i, HALVES) for i in IDS}


# One of each


def test_of_copies_the_most_complete_is_kept_and_the_others_name_it():
    pairs = [*clique("abc", "edited_copy", 1.0), part("longer", "a", 0.6, "edited_copy"), Pair("a", "d")]
    policy = replace(HALVES, keep="one")
    ids = {"a", "b", "c", "d", "longer"}
    found = place(music_of(of_one_dataset(ids), pairs, policy=policy), policy)
    kept = [i for i in ids if found[i].split != LEFT_OUT]
    assert sorted(kept) == ["a", "d"]
    assert {(found[i].reason, found[i].because_of) for i in ids - {"a", "d"}} == {("duplicate", "a")}


def test_held_out_published_copies_all_stay():
    published = {"a": "test", "b": "test", "c": None, "d": None}
    dataset_of = {"a": "x", "b": "x", "c": "z", "d": "z"}
    policy = replace(HALVES, keep="one")
    found = splits(dataset_of, clique("abcd", "same_bytes", 1.0), policy, published=published)
    assert found == {"a": "test", "b": "test", "c": LEFT_OUT, "d": LEFT_OUT}


# Large groups


def test_a_large_group_is_broken_into_its_clusters_by_leaving_out_what_joins_them():
    works = {letter: [f"{letter}{i}" for i in range(3)] for letter in "abc"}
    pairs = [pair for ids in works.values() for pair in clique(ids)]
    pairs += [part("medley", i, 0.3) for ids in works.values() for i in ids]
    dataset_of = of_one_dataset({i for pair in pairs for i in pair[:2]})
    whole = place(music_of(dataset_of, pairs), HALVES)
    assert len({where.group for where in whole.values()}) == 1
    policy = replace(HALVES, max_group=9)
    broken = place(music_of(dataset_of, pairs, policy=policy), policy)
    assert [i for i, where in broken.items() if where.reason == "bridge"] == ["medley"]
    assert broken["medley"].split == LEFT_OUT
    assert {where.group for i, where in broken.items() if i != "medley"} == {"a0", "b0", "c0"}
    assert place(music_of(dataset_of, pairs, policy=policy), replace(policy, max_group=10)) == whole


def test_a_published_medley_in_test_is_never_left_out_and_keeps_its_parts_on_its_side():
    pairs = [*clique(["a1", "a2"]), *clique(["b1", "b2"]), *(part("m", i, 0.4) for i in ("a1", "a2", "b1", "b2"))]
    dataset_of = {**dict.fromkeys(["a1", "a2", "b1", "b2"], "z"), "m": "x"}
    policy = replace(HALVES, max_group=1)
    found = place(music_of(dataset_of, pairs, published={"m": "test"}, policy=policy), policy)
    assert found["m"].split == "test"
    for i in dataset_of:
        assert found[i].split in ("test", LEFT_OUT) or not any(set(p[:2]) == {i, "m"} for p in pairs)


# The draw


def test_shares_are_about_those_asked_for_over_five_thousand_groups():
    policy = SplitPolicy(validation_fraction=0.05, test_fraction=0.2)
    counts = Counter(split_of_group(f"{i:032x}", policy) for i in range(5000))
    # Four standard deviations.
    assert counts["test"] == pytest.approx(1000, abs=113)
    assert counts["validation"] == pytest.approx(250, abs=62)
    assert counts.total() == 5000


def test_another_salt_redraws_every_split():
    names = [f"{i:032x}" for i in range(5000)]
    old, new = ({n for n in names if split_of_group(n, SplitPolicy(salt=salt)) == "test"} for salt in ("v1", "v2"))
    # Drawn anew, a tenth of a tenth is in both.
    assert 20 < len(old & new) < 90


def test_a_larger_test_share_only_adds_to_test():
    names = [f"{i:032x}" for i in range(2000)]
    small, large = SplitPolicy(test_fraction=0.1), SplitPolicy(test_fraction=0.2)
    assert all(split_of_group(n, large) == "test" for n in names if split_of_group(n, small) == "test")


def test_what_joins_two_groups_names_the_newcomer_and_what_was_parted_names_none():
    def row(group: str, split: str) -> dict:
        return {"split_group": group, "split": split}

    names = {split: name_in(split) for split in SIDES}
    music = music_of(of_one_dataset([*names.values(), "!"]), [Pair("!", names["test"]), Pair("!", names["train"])])
    music = replace(music, earlier={names["train"]: names["train"], names["test"]: names["test"]})
    found = place(music, HALVES)
    before = {name: row(name, split) for split, name in names.items()}
    (moved,) = moves_from_earlier(found, music, before, is_same_policy=True)
    loser = next(i for i in (names["test"], names["train"]) if found[i].split != before[i]["split"])
    assert (moved["performance_id"], moved["reason"], moved["because_of"]) == (loser, "joined", "!")
    assert (moved["from_split"], moved["to_split"]) == (before[loser]["split"], found[loser].split)
    other = SIDES[(SIDES.index("validation") + 1) % 3]
    before[names["validation"]] = row(names["validation"], other)
    two = {move["performance_id"]: move for move in moves_from_earlier(found, music, before, is_same_policy=True)}
    assert two.keys() == {loser, names["validation"]}
    assert (two[names["validation"]]["reason"], two[names["validation"]]["because_of"]) == ("parted", None)
    by_policy = moves_from_earlier(found, music, before, is_same_policy=False)
    assert {move["reason"] for move in by_policy} == {"policy"}


def test_a_group_that_holds_a_large_share_of_the_notes_is_told_with_what_joins_it():
    works = {f"w{n}": [f"w{n}-{i}" for i in range(10)] for n in range(6)}
    pairs = [pair for ids in works.values() for pair in clique(ids)]
    pairs += [part("medley", i, 0.2) for ids in works.values() for i in ids]
    alone = [f"alone {i:03d}" for i in range(100)]
    music = music_of(of_one_dataset([*(i for ids in works.values() for i in ids), "medley", *alone]), pairs)
    num_notes = dict.fromkeys(music.dataset_of, 100)
    (giant,) = giant_groups(place(music, HALVES), music, num_notes)
    assert (giant["num_performances"], giant["num_clusters"], giant["bridges"]) == (61, 6, ["medley"])
    assert giant["note_share"] == pytest.approx(61 / 161, abs=1e-4)
    # A large share of much music only, and only where there is enough of it.
    assert giant_groups(place(music, HALVES), music, num_notes | dict.fromkeys(alone, 10_000)) == []
    few = music_of(of_one_dataset(["a", "b"]), [Pair("a", "b")])
    assert giant_groups(place(few, HALVES), few, {"a": 1, "b": 1}) == []
