"""What is told of duplicates: rows of the views, arranged to be looked at."""

import duckdb
import pytest
from report_rows import leaking

from pianogen.report import same_music


@pytest.fixture
def rows(new_warehouse):
    with duckdb.connect(str(new_warehouse(**leaking(num_pairs=2))), read_only=True) as connection:
        return same_music.read(connection, list(same_music.QUERIES))


def pair(split_a: str, dataset_a: str, split_b: str, dataset_b: str, relation: str, num_pairs: int) -> dict:
    ends = {"split_a": split_a, "dataset_a": dataset_a, "split_b": split_b, "dataset_b": dataset_b}
    return {"standing": "ours", **ends, "relation": relation, "num_pairs": num_pairs}


def test_the_matrix_is_a_triangle_of_places_by_split_then_dataset():
    found = same_music.matrix(
        [
            pair("test", "a", "train", "b", "same_work", 3),
            pair("test", "a", "train", "b", "shared_melody", 2),
            # From the other side, as the view may turn it.
            pair("train", "b", "train", "a", "same_bytes", 20),
            pair("validation", "a", "test", "b", "shared_melody", 1),
            {**pair("train", "a", "test", "a", "same_work", 99), "standing": "published"},
        ],
        "ours",
    )
    places = [("train", "a"), ("train", "b"), ("validation", "a"), ("test", "a"), ("test", "b")]
    assert found["places"] == places
    assert found["splits"] == [("train", 2), ("validation", 1), ("test", 2)]
    assert [place for place, _ in found["lines"]] == places
    assert [len(cells) for _, cells in found["lines"]] == [1, 2, 3, 4, 5]
    assert [[cell["num_pairs"] for cell in cells] for _, cells in found["lines"]] == [
        [0], [20, 0], [0, 0, 0], [0, 3, 0, 0], [0, 0, 1, 0, 0],
    ]  # fmt: skip
    kinds = {cell["text"]: cell["kind"] for _, cells in found["lines"] for cell in cells if cell["text"]}
    assert kinds == {
        "a train and b train: 20 same_bytes": "within heat3",
        "b train and a test: 3 same_work, 2 shared_melody": "leak",
        "a validation and b test: 1 shared_melody": "melody",
    }
    assert (found["num_leaks"], found["num_melodies"]) == (3, 3)


def test_a_matrix_without_pairs_has_no_places():
    assert same_music.matrix([], "published")["places"] == []


def test_each_split_stands_beside_its_published_one(rows):
    found = same_music.side_by_side(rows["leakage"], rows["agreement"])
    assert [(row["dataset"], row["split"]) for row in found] == [
        ("jsb", "train"), ("jsb", "validation"), ("jsb", "test"),
    ]  # fmt: skip
    train, _, test = found
    assert [train[standing]["num_performances"] for standing in same_music.STANDINGS] == [3, 1]
    assert train["ours"]["train"] is None
    assert [test[standing]["train"]["num_leaking"] for standing in same_music.STANDINGS] == [2, 0]


def test_tiers_add_up_to_the_performances(rows):
    found = same_music.tiers(rows["removed"], rows["clusters"])
    assert [(row["dataset"], row["num_left"]) for row in found] == [("asap", 0), ("jsb", 4)]
    for row in found:
        assert sum(row["num_removed"].values()) + row["num_left"] == row["num_performances"]


def test_what_two_datasets_share_is_one_row_by_relation(rows):
    assert same_music.sharing_by_datasets(rows["sharing"]) == [
        {"dataset_a": "asap", "dataset_b": "jsb", "num_pairs": {"same_bytes": 2}}
    ]


def test_a_few_pairs_of_each_relation_stand_for_the_others(new_warehouse):
    with duckdb.connect(str(new_warehouse(**leaking(num_pairs=9))), read_only=True) as connection:
        found = same_music.read(connection, ["examples", "copies"])
    assert [row["relation"] for row in found["examples"]] == [
        *["same_bytes"] * same_music.PER_RELATION, *["edited_copy"] * same_music.PER_RELATION, "shared_melody",
    ]  # fmt: skip
    assert {row["num_all"] for row in found["copies"]} == {9}
