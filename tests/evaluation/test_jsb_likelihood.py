"""Pianist learns the chorales: a minute of the benchmark, and how it scores."""

import functools
import math
from types import SimpleNamespace

import pytest
import torch

from benchmarks import jsb, jsb_scores
from benchmarks.jsb import HELD_OUT, prepare, settings_of, train
from benchmarks.jsb_scores import BEAT, mixture, nats_learning_on, nats_of, pieces_of
from pianogen.models import make_model
from pianogen.models.configs import PianistConfig
from pianogen.tokenizers.base import make_tokenizer
from pianogen.tokenizers.jsb import REST_ID

TRIVIAL = 0.762
"""Nats per token of a model that knows how often a voice stays, and how far it goes."""


def test_after_a_minute_it_knows_more_than_that_voices_stay(real_data, tmp_path):
    settings = settings_of(tmp_path, "standard")
    trained = train(prepare(real_data / "jsb", settings), settings, jsb.EXPERIMENT, seed=1, steps=60)
    for split, number in zip(HELD_OUT, (76, 77), strict=True):
        assert len(pieces_of(trained, split)) == number
        assert 0.3 < mixture([trained], split, [nats_of])["nats"] < TRIVIAL


def test_a_mixture_is_the_mean_of_probabilities(monkeypatch):
    chorales = [torch.zeros(1, 8, dtype=torch.int64), torch.zeros(1, 4, dtype=torch.int64)]
    said = {("a", 0): 1.0, ("a", -1): None, ("b", 0): 3.0, ("b", -1): 2.0}

    def nats(one, ids, semitones):
        return said[one, semitones] and torch.full((ids.shape[1] // 4,), said[one, semitones], dtype=torch.float64)

    here, lower = (functools.partial(nats, semitones=semitones) for semitones in (0, -1))
    monkeypatch.setattr(jsb_scores, "pieces_of", lambda one, split: chorales)
    mean = (math.exp(-1) + math.exp(-3) + math.exp(-2)) / 3
    assert mixture(["a", "b"], "test", [here, lower])["nats"] == pytest.approx(-math.log(mean) / 4)
    assert mixture(["a"], "test", [here])["nats"] == pytest.approx(1 / 4)


@pytest.fixture
def untrained():
    """A model of random weights."""
    tokenizer = make_tokenizer({"name": "jsb", "order": "SBAT", "lowest_pitch": 36, "highest_pitch": 81})
    torch.manual_seed(1)
    config = PianistConfig(context_length=256, n_layer=1, n_gru=1, n_head=2, n_embd=32, d_voice=48)
    return SimpleNamespace(model=make_model(config, len(tokenizer.vocab), tokenizer).eval())


def chord_held_for(num_steps: int) -> torch.Tensor:
    return torch.tensor([40, 20, 30, 25]).add(REST_ID).repeat(num_steps)[None]


def test_who_learns_on_knows_what_is_before_and_nothing_later(untrained, monkeypatch):
    ids = chord_held_for(30)
    static, learning = nats_of(untrained, ids), nats_learning_on(untrained, ids)
    torch.testing.assert_close(learning[:BEAT], static[:BEAT])
    assert (learning[BEAT:] < static[BEAT:]).all(), "what goes on as before becomes likelier"
    later = ids.clone()
    later[0, 4 * 21] += 3
    torch.testing.assert_close(nats_learning_on(untrained, later)[:21], learning[:21], rtol=0, atol=0)
    # What was learned of a chorale is forgotten with the next.
    torch.testing.assert_close(nats_learning_on(untrained, ids), learning, rtol=0, atol=0)
    monkeypatch.setattr(jsb_scores, "LEARNING_RATE", 0.0)
    torch.testing.assert_close(nats_learning_on(untrained, ids), static)
