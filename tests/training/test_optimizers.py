"""Muon and AdamW as one optimizer."""

import copy

import pytest
import torch
from torch import nn

from pianogen.models import make_model
from pianogen.models.configs import CONFIGS
from pianogen.training.optimizers import MuonAndAdamW, inner_matrices

VOCAB_SIZE = 40


def small() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Embedding(VOCAB_SIZE, 8), nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, VOCAB_SIZE))


def both(model: nn.Module, **changed) -> MuonAndAdamW:
    options = {"learning_rate": 0.01, "weight_decay": 0.5, "betas": (0.9, 0.99), "eps": 1e-8, **changed}
    decayed = {name for name, weight in model.named_parameters() if weight.ndim > 1}
    return MuonAndAdamW(model, decayed, vocab_size=VOCAB_SIZE, **options)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    ids = torch.randint(VOCAB_SIZE, (4, 6), generator=torch.Generator().manual_seed(seed))
    nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()


def test_embeddings_and_logits_are_adamws():
    assert inner_matrices(small(), VOCAB_SIZE) == {"1.weight"}
    model = make_model(CONFIGS["gpt2"](context_length=16, n_layer=1, n_head=2, n_embd=8), VOCAB_SIZE)
    parts = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert inner_matrices(model, VOCAB_SIZE) == {f"transformer.h.0.{part}.weight" for part in parts}


def test_every_weight_moves_once_and_by_its_own():
    model, alone = small(), small()
    matrices, before = [alone[1].weight], copy.deepcopy(model.state_dict())
    others = [weight for weight in alone.parameters() if weight is not matrices[0]]
    groups = [
        {"params": [weight for weight in others if weight.ndim > 1], "weight_decay": 0.5},
        {"params": [weight for weight in others if weight.ndim == 1], "weight_decay": 0.0},
    ]
    separate = [
        torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99), eps=1e-8, fused=True),
        torch.optim.Muon(matrices, lr=0.01, weight_decay=0.5, adjust_lr_fn="match_rms_adamw"),
    ]
    optimizer = both(model)
    for seed in range(3):
        step(model, optimizer, seed)
        ids = torch.randint(VOCAB_SIZE, (4, 6), generator=torch.Generator().manual_seed(seed))
        nn.functional.cross_entropy(alone(ids).flatten(0, 1), ids.flatten()).backward()
        for one in separate:
            one.step()
        alone.zero_grad()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, alone.state_dict()[name], rtol=0, atol=0)
        assert not torch.equal(weight, before[name])


def test_a_schedule_is_heard_by_both_also_after_loading():
    model = small()
    optimizer = both(model)
    step(model, optimizer, 1)
    other_model = small()
    other_model.load_state_dict(model.state_dict())
    other = both(other_model)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one in (optimizer, other):
        schedule = torch.optim.lr_scheduler.LambdaLR(one, lambda step: 0.5**step)
        one.step()
        schedule.step()
        assert [group["lr"] for part in one.parts for group in part.param_groups] == [0.005] * 3
    for name in (2, 3):
        step(model, optimizer, name)
        step(other_model, other, name)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other_model.state_dict()[name])


@pytest.mark.parametrize("frozen", ["1.weight", "0.weight"])
def test_frozen_weights_stay(frozen):
    model = small()
    model.get_parameter(frozen).requires_grad_(False)
    before = model.get_parameter(frozen).clone()
    step(model, both(model), 1)
    assert torch.equal(model.get_parameter(frozen), before)
