"""How sure a model is, chosen on the validation split."""

import dataclasses

import numpy as np
import pytest
import torch
from builders import settings_in, write_tiny_experiment
from corpora import improvise

from pianogen.errors import TrainingError
from pianogen.evaluation.likelihood import score
from pianogen.models import make_model
from pianogen.models.configs import GruConfig, PianistConfig
from pianogen.tokenizers.base import BOS_ID, EOS_ID, make_tokenizer
from pianogen.train import StopSignal, train_experiment
from pianogen.training.calibration import calibrate
from pianogen.training.experiment import load_experiment

TOKENIZER = make_tokenizer({"name": "jsb", "order": "SBAT"})
MUSIC = [np.concatenate(([BOS_ID], TOKENIZER.encode(improvise(seed, 120)), [EOS_ID])) for seed in range(5)]
CONTEXT = 256


@pytest.fixture
def too_sure():
    """A model that has learned by heart, and goes by its logits three times as much as it should."""
    torch.manual_seed(1)
    config = PianistConfig(context_length=CONTEXT, n_layer=1, n_head=2, n_embd=16, d_voice=16, dropout=0.0)
    model = make_model(config, len(TOKENIZER.vocab), TOKENIZER)
    with torch.no_grad():
        model.voices.out.mul_(3).add_(torch.randn_like(model.voices.out))
    return model.eval()


def test_it_becomes_less_sure_and_nothing_else_changes(too_sure):
    weights = {name: weight.detach().clone() for name, weight in too_sure.named_parameters()}
    trained = {name for name, weight in too_sure.named_parameters() if weight.requires_grad}
    before = score(too_sure, MUSIC, CONTEXT).sum()
    calibrate(too_sure, MUSIC, range(len(MUSIC)), CONTEXT)
    after = score(too_sure, MUSIC, CONTEXT).sum()
    assert after < 0.9 * before
    assert too_sure.voices.sureness.max() < -0.3
    changed = {name for name, weight in too_sure.named_parameters() if not torch.equal(weight, weights[name])}
    assert changed == {"voices.sureness", "voices.staying"}
    assert {name for name, weight in too_sure.named_parameters() if weight.requires_grad} == trained
    assert not trained & changed
    assert all(weight.grad is None for weight in too_sure.parameters())
    # Where no number is better than another, there is nothing left to gain.
    calibrate(too_sure, MUSIC, range(len(MUSIC)), CONTEXT)
    assert score(too_sure, MUSIC, CONTEXT).sum() == pytest.approx(after, rel=2e-3)


def test_only_the_chosen_sequences_count(too_sure):
    calibrate(too_sure, [*MUSIC, None], [0, 1], CONTEXT)
    chosen = [numbers.detach().clone() for numbers in too_sure.calibration]
    for numbers in too_sure.calibration:
        numbers.data.zero_()
    calibrate(too_sure, MUSIC[:2], [0, 1], CONTEXT)
    assert all(torch.equal(one, other) for one, other in zip(chosen, too_sure.calibration, strict=True))


def test_a_model_without_such_numbers_is_refused_before_it_trains(shared_lake, tmp_path):
    model = make_model(GruConfig(context_length=32, n_embd=8, n_hidden=8), 50)
    with pytest.raises(ValueError, match="without numbers to calibrate"):
        calibrate(model, MUSIC, [0], 32)
    config = load_experiment(write_tiny_experiment(tmp_path, steps=4, calibrate=True))
    settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake)
    with pytest.raises(TrainingError, match=r"training\.calibrate: gpt2 of remi has no numbers to choose"):
        train_experiment(config, settings, StopSignal())
