"""Pianist learns the chorales: a minute of the benchmark."""

import math

import pytest
import torch

from benchmarks import jsb
from benchmarks.jsb import HELD_OUT, mixture, pieces_of, prepare, settings_of, train

TRIVIAL = 0.762
"""Nats per token of a model that knows how often a voice stays, and how far it goes."""


def test_after_a_minute_it_knows_more_than_that_voices_stay(real_data, tmp_path):
    settings = settings_of(tmp_path, "standard")
    trained = train(prepare(real_data / "jsb", settings), settings, jsb.EXPERIMENT, seed=1, steps=60)
    for split, number in zip(HELD_OUT, (76, 77), strict=True):
        assert len(pieces_of(trained, split)) == number
        assert 0.3 < mixture([trained], split, [0])["nats"] < TRIVIAL


def test_a_mixture_is_the_mean_of_probabilities(monkeypatch):
    chorales = [torch.zeros(1, 8, dtype=torch.int64), torch.zeros(1, 4, dtype=torch.int64)]
    said = {("a", 0): 1.0, ("a", -1): None, ("b", 0): 3.0, ("b", -1): 2.0}

    def nats_of(one, ids, semitones):
        return said[one, semitones] and torch.full((ids.shape[1] // 4,), said[one, semitones], dtype=torch.float64)

    monkeypatch.setattr(jsb, "pieces_of", lambda one, split: chorales)
    monkeypatch.setattr(jsb, "nats_of", nats_of)
    mean = (math.exp(-1) + math.exp(-3) + math.exp(-2)) / 3
    assert mixture(["a", "b"], "test", [0, -1])["nats"] == pytest.approx(-math.log(mean) / 4)
    assert mixture(["a"], "test", [0])["nats"] == pytest.approx(1 / 4)
