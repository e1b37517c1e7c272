"""Files of votes into the lake, and what they come to in SQL."""

import json
import math

import duckdb
import pytest
from listening_tests import votes_of, write_page, write_votes
from warehouses import SQL

from pianogen.errors import ListeningError
from pianogen.lake import Lake
from pianogen.listening.votes import Imported, import_votes
from pianogen.tables import empty
from pianogen.views import apply_views


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    _, key, path = write_page(folder, pairs=10, repeats=2)
    return key, path


def test_a_vote_becomes_the_set_that_was_preferred(drawn, tmp_path):
    key, path = drawn
    lake = Lake(tmp_path / "lake")
    done = import_votes(lake, path, [write_votes(tmp_path / "votes.json", votes_of(key, "b"))])
    assert done == Imported(num_files=1, num_new=12, num_known=0)
    rows = lake.read("listening_votes").to_pylist()
    assert {row["preferred"] for row in rows} == {"b"}
    assert {row["is_swapped"] for row in rows} == {True, False}
    assert sum(row["repeat_of"] is not None for row in rows) == 2
    assert all(row["sample_a"].startswith("human") and row["sample_b"].startswith("model") for row in rows)


def test_the_same_votes_again_change_nothing(drawn, tmp_path):
    key, path = drawn
    lake = Lake(tmp_path / "lake")
    file = write_votes(tmp_path / "votes.json", votes_of(key, "a"))
    import_votes(lake, path, [file])
    manifest = lake.require("listening", key["test"])
    files = sorted(lake.root.rglob("*"))
    assert import_votes(lake, path, [file, file]) == Imported(num_files=1, num_new=0, num_known=12)
    assert lake.require("listening", key["test"]) == manifest
    assert sorted(lake.root.rglob("*")) == files


def test_votes_come_in_parts_and_in_any_order(drawn, tmp_path):
    key, path = drawn
    whole = [votes_of(key, "a", "1" * 16), votes_of(key, "none", "2" * 16)]
    half = {**whole[0], "votes": whole[0]["votes"][:3]}
    one, two, part = (write_votes(tmp_path / f"{i}.json", votes) for i, votes in enumerate([*whole, half]))
    together, apart = Lake(tmp_path / "together"), Lake(tmp_path / "apart")
    import_votes(together, path, [one, two])
    for file in (two, part, one):
        import_votes(apart, path, [file])
    assert apart.read("listening_votes").equals(together.read("listening_votes"))
    assert apart.require("listening", key["test"]).blocks == together.require("listening", key["test"]).blocks


def test_another_vote_of_the_same_listener_is_refused_and_nothing_is_taken(drawn, tmp_path):
    key, path = drawn
    lake = Lake(tmp_path / "lake")
    import_votes(lake, path, [write_votes(tmp_path / "one.json", votes_of(key, "a"))])
    before = lake.read("listening_votes")
    new = write_votes(tmp_path / "new.json", votes_of(key, "a", "3" * 16))
    changed = write_votes(tmp_path / "changed.json", votes_of(key, "b"))
    with pytest.raises(ListeningError, match=r"changed\.json: pair 1 has another vote"):
        import_votes(lake, path, [new, changed])
    assert lake.read("listening_votes").equals(before)


WRONG = {
    "nothing": (lambda votes: None, "not a file of the format"),
    "a list": (lambda votes: [votes], "not a file of the format"),
    "another format": (lambda votes: votes | {"format": "x"}, "not a file of the format"),
    "another version": (lambda votes: votes | {"version": 2}, "version 2 of"),
    "another test": (lambda votes: votes | {"test": "f" * 16}, "votes on the test 'f+', and the key is of"),
    "no listener": (lambda votes: votes | {"listener": "../../x"}, "the listener must be 16 hexadecimal digits"),
    "no votes": (lambda votes: votes | {"votes": []}, "a list of votes expected"),
    "no pair": (lambda votes: votes | {"votes": [{"pair": 99, "vote": "A"}]}, "must name one of 12 pairs"),
    "a pair that is true": (lambda votes: votes | {"votes": [{"pair": True, "vote": "A"}]}, "must name one of 12"),
    "no choice": (lambda votes: votes | {"votes": [{"pair": 1, "vote": "C"}]}, "A, B or none"),
    "a list of numbers": (lambda votes: votes | {"votes": [1, 2]}, "A, B or none: 1"),
    "one pair twice": (lambda votes: votes | {"votes": [{"pair": 1, "vote": "A"}] * 2}, "two votes on pair 1"),
}


@pytest.mark.parametrize("change, says", WRONG.values(), ids=WRONG)
def test_a_file_that_is_no_votes_of_this_test_is_named(drawn, tmp_path, change, says):
    key, path = drawn
    file = write_votes(tmp_path / "odd.json", change(votes_of(key, "a")))
    with pytest.raises(ListeningError, match=rf"odd\.json: .*{says}"):
        import_votes(Lake(tmp_path / "lake"), path, [file])


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[" * 100_000, b"{" + b" " * 2**21], ids=["empty", "bytes", "deep", "long"]
)
def test_bytes_that_are_no_json_are_named(drawn, tmp_path, data):
    (tmp_path / "odd.json").write_bytes(data)
    with pytest.raises(ListeningError, match=r"odd\.json"):
        import_votes(Lake(tmp_path / "lake"), drawn[1], [tmp_path / "odd.json"])
    with pytest.raises(ListeningError, match=r"gone\.json: No such file"):
        import_votes(Lake(tmp_path / "lake"), drawn[1], [tmp_path / "gone.json"])


def test_votes_are_no_key(drawn, tmp_path):
    key, path = drawn
    file = write_votes(tmp_path / "votes.json", votes_of(key, "a"))
    with pytest.raises(ListeningError, match=r"votes\.json: not a file of the format 'pianogen listening key'"):
        import_votes(Lake(tmp_path / "lake"), file, [file])
    broken = write_votes(tmp_path / "key.json", json.loads(path.read_text()) | {"pairs": [{"pair": 1}]})
    with pytest.raises(ListeningError, match=r"key\.json: not a whole key"):
        import_votes(Lake(tmp_path / "lake"), broken, [file])


# What they come to


def results(*votes: tuple) -> list[dict]:
    """Rows of the view of (listener, pair, repeat_of, set_a, set_b, preferred)."""
    with duckdb.connect() as connection:
        connection.register("none_yet", empty("listening_votes"))
        connection.execute("create table listening_votes as select * from none_yet")
        for listener, pair, repeat_of, set_a, set_b, preferred in votes:
            connection.execute(
                "insert into listening_votes by name select 't' as test_id, 'which?' as question, ? as listener, "
                "? as pair, ? as repeat_of, ? as set_a, ? as set_b, ? as preferred",
                [listener, pair, repeat_of, set_a, set_b, preferred],
            )
        apply_views(connection, SQL / "views", ["listening_results"])
        return connection.sql("from listening_results").to_arrow_table().to_pylist()


def many(wins_a: int, wins_b: int, ties: int = 0) -> list[tuple]:
    preferred = ["a"] * wins_a + ["b"] * wins_b + ["none"] * ties
    return [("l", i, None, "X", "Y", one) for i, one in enumerate(preferred, start=1)]


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p: both tails of a fair coin, in whole numbers."""
    n, k = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def wilson(wins: int, n: int) -> tuple[float, float]:
    """The shares at which the score test of 95 % just holds: roots of (p - wins/n)^2 = z^2 p (1 - p) / n."""
    z2 = 1.959963984540054**2
    a, b, c = n + z2, -(2 * wins + z2), wins**2 / n
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.mark.parametrize("wins, losses, ties", [(7, 3, 0), (3, 7, 5), (10, 0, 0), (1, 0, 0), (5, 5, 2), (620, 480, 9)])
def test_share_interval_and_p_are_those_of_the_closed_forms(wins, losses, ties):
    (row,) = results(*many(wins, losses, ties))
    assert (row["wins_a"], row["wins_b"], row["ties"], row["num_votes"]) == (wins, losses, ties, wins + losses + ties)
    assert row["share_a"] == pytest.approx(wins / (wins + losses))
    assert row["p_value"] == pytest.approx(sign_test(wins, losses), rel=1e-9)
    assert (row["share_a_low"], row["share_a_high"]) == pytest.approx(wilson(wins, wins + losses), rel=1e-9)


def test_published_values_of_the_sign_test_and_the_interval():
    (row,) = results(*many(9, 1))
    assert row["p_value"] == pytest.approx(22 / 1024), "2 (1 + 10) / 2^10"
    assert row["share_a_low"] == pytest.approx(0.5958, abs=1e-4)
    assert row["share_a_high"] == pytest.approx(0.9821, abs=1e-4)


def test_ties_alone_say_nothing_of_a_preference():
    (row,) = results(*many(0, 0, 4))
    assert (row["ties"], row["num_votes"]) == (4, 4)
    assert {row[name] for name in ("share_a", "share_a_low", "share_a_high", "p_value")} == {None}


def test_sets_are_the_same_whichever_way_round_they_were_compared():
    (row,) = results(("l", 1, None, "X", "Y", "a"), ("m", 1, None, "Y", "X", "b"), ("m", 2, None, "Y", "X", "a"))
    assert (row["set_a"], row["set_b"], row["wins_a"], row["wins_b"]) == ("X", "Y", 2, 1)
    assert row["num_listeners"] == 2


def test_repeats_count_for_consistency_alone():
    (row,) = results(
        ("l", 1, None, "X", "Y", "a"), ("l", 2, None, "X", "Y", "none"), ("l", 3, None, "X", "Y", "b"),
        ("l", 4, 1, "X", "Y", "a"), ("l", 5, 2, "X", "Y", "b"), ("l", 6, 3, "X", "Y", "b"),
        ("m", 4, 1, "X", "Y", "b"),
    )  # fmt: skip
    assert (row["num_votes"], row["wins_a"], row["wins_b"], row["ties"]) == (3, 1, 1, 1)
    assert row["num_repeated"] == 3, "m has not voted on the first of the two"
    assert row["consistency"] == pytest.approx(2 / 3)


def test_no_votes_are_no_rows():
    assert results() == []
