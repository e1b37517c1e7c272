import math

import numpy as np
import pytest
from worlds import World

from pianogen.evaluation.scores import RESAMPLES, Run, drawn_counts, score_runs


def run(name, rows, group=None, contaminated=()):
    """A run that gave each performance (bits, whole bits, notes, seconds); without groups each is one of its own."""
    names = sorted(rows)
    return Run(
        name,
        f"{name}-id",
        np.array(names),
        np.array([(group or {}).get(key, key) for key in names]),
        np.array([key in contaminated for key in names]),
        np.array([rows[key] for key in names], float),
    )


def scores_of(one):
    return {(row["part"], row["measure"]): row for row in score_runs([one])["scores"]}


def pairs_of(a, b):
    return {(row["part"], row["measure"]): row for row in score_runs([a, b])["paired_scores"]}


THREE = {"a": (10, 20, 5, 2), "b": (30, 30, 10, 8), "c": (8, 16, 1, 1)}


def test_scores_are_sums_over_sums():
    found = scores_of(run("x", THREE))
    assert found["all", "bits_per_note"]["value"] == pytest.approx(48 / 16)
    assert found["all", "whole_bits_per_note"]["value"] == pytest.approx(66 / 16)
    assert found["all", "bits_per_second"]["value"] == pytest.approx(48 / 11)
    row = found["all", "bits_per_note"]
    assert (row["num_performances"], row["num_groups"]) == (3, 3)
    # Of three groups some draw is all of the easiest, and some all of the hardest.
    assert (row["low"], row["high"]) == (pytest.approx(2.0, abs=0.2), pytest.approx(8.0))


def test_what_is_contaminated_stands_beside_what_is_clean():
    found = scores_of(run("x", THREE, contaminated="b"))
    assert found["clean", "bits_per_note"]["value"] == pytest.approx(18 / 6)
    contaminated = found["contaminated", "bits_per_note"]
    assert contaminated["value"] == pytest.approx(3.0)
    assert (contaminated["low"], contaminated["high"]) == (None, None), "one group says nothing of others"
    assert ("contaminated", "bits_per_note") not in scores_of(run("x", THREE))


def test_the_same_music_is_drawn_together():
    rows = {f"{name}{copy}": THREE[name] for name in THREE for copy in range(4)}
    together = {key: key[0] for key in rows}
    narrow, wide = (scores_of(run("x", rows, group))["all", "bits_per_note"] for group in (None, together))
    assert (narrow["num_groups"], wide["num_groups"]) == (12, 3)
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_of_two_runs_the_one_that_is_better_on_all_music_is_better_for_sure():
    b = run("b", {key: (row[0] + 1, row[1] + 1, *row[2:]) for key, row in THREE.items()})
    found = pairs_of(run("a", THREE), b)
    row = found["all", "bits_per_note"]
    assert row["probability_a_is_better"] == 1.0
    assert row["difference"] == pytest.approx(-3 / 16)
    assert row["low"] <= row["difference"] <= row["high"] < 0
    backwards = pairs_of(b, run("a", THREE))["all", "bits_per_note"]
    assert backwards["probability_a_is_better"] == 0.0
    assert (backwards["low"], backwards["high"]) == (-row["high"], -row["low"])


def test_of_two_that_are_alike_neither_is_better():
    row = pairs_of(run("a", THREE), run("b", THREE))["all", "bits_per_note"]
    assert (row["difference"], row["probability_a_is_better"]) == (0.0, 0.5)


def test_two_runs_are_compared_on_what_both_were_scored_on():
    fewer = {key: THREE[key] for key in "ab"}
    row = pairs_of(run("a", THREE), run("b", fewer))["all", "bits_per_note"]
    assert (row["value_a"], row["num_performances"]) == (pytest.approx(40 / 15), 2)
    assert not pairs_of(run("a", THREE), run("b", {"z": (1, 1, 1, 1)}))


def test_pairing_sees_what_two_intervals_do_not():
    """Pieces differ by far more than the runs do; on each of them the one is a little better."""
    rng = np.random.default_rng(0)
    bits = rng.gamma(2, 100, 60)
    rows = {str(i): (b, b, 50, 20) for i, b in enumerate(bits)}
    better = {key: (row[0] - rng.uniform(0, 2), *row[1:]) for key, row in rows.items()}
    a, b = (scores_of(run("x", one))["all", "bits_per_note"] for one in (better, rows))
    assert a["high"] > b["low"]
    assert pairs_of(run("a", better), run("b", rows))["all", "bits_per_note"]["high"] < 0


def test_no_notes_are_no_score():
    assert not scores_of(run("x", {"a": (3, 3, 0, 0)}))
    # A group without notes may be all that is drawn.
    found = scores_of(run("x", {"a": (3, 3, 0, 0), "b": (4, 4, 2, 1)}))
    assert math.isfinite(found["all", "bits_per_note"]["high"])


def test_draws_are_the_same_every_time_and_each_draws_as_many_groups_as_there_are():
    first, again = (np.concatenate(list(drawn_counts(7))) for _ in range(2))
    assert (first == again).all()
    assert first.shape == (RESAMPLES, 7)
    assert (first.sum(axis=1) == 7).all()
    assert (first @ np.arange(7.0) / 7).mean() == pytest.approx(3.0, abs=0.05)


def test_intervals_hold_the_true_entropy_as_often_as_they_say():
    """Of pieces of a world whose law is known, scored by who knows it, 19 of 20 intervals should hold its entropy."""
    world = World()
    notes = np.array([len(piece) for piece in world.pieces])
    true = float(world.probability @ world.nats / (world.probability @ notes)) / math.log(2)
    held, trials = 0, 200
    for seed in range(trials):
        drawn = np.random.default_rng(seed).choice(len(notes), 60, p=world.probability)
        rows = {str(i): (world.nats[k] / math.log(2), 0.0, notes[k], 1.0) for i, k in enumerate(drawn)}
        row = scores_of(run("x", rows))["all", "bits_per_note"]
        held += row["low"] <= true <= row["high"]
    assert held / trials == pytest.approx(0.95, abs=0.04)
