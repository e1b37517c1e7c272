import contextlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pianogen.errors import TrainingError
from pianogen.training.averaging import WeightAverage


class Tied(nn.Module):
    """A weight that stands at two places, and batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.again = self.first


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_an_average_is_that_of_all_updates_with_weights_that_fade():
    model, decay = Tied(), 0.5
    average = WeightAverage(model, decay)
    expected = weights_of(model)
    for step in range(1, 9):
        with torch.no_grad():
            for value in (*model.parameters(), model.norm.running_mean):
                value.add_(torch.randn_like(value))
        model.norm.num_batches_tracked += 1
        now = min(decay, (1 + step) / (10 + step))
        expected = {
            name: now * expected[name] + (1 - now) * value if value.is_floating_point() else value
            for name, value in model.state_dict().items()
        }
        average.update(step)
    assert now == decay > (1 + 1) / (10 + 1)
    with average.in_place():
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, expected[name])


def test_weights_come_back_bit_for_bit_even_after_an_error():
    model = Tied()
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.first.weight.mul_(1 / 3)
    before = weights_of(model)
    with contextlib.suppress(KeyboardInterrupt), average.in_place():
        assert not torch.equal(model.first.weight, before["first.weight"])
        raise KeyboardInterrupt
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_file_of_other_weights_is_named(tmp_path):
    average = WeightAverage(Tied(), 0.9)
    with pytest.raises(TrainingError, match=r"average\.safetensors: not the average .* and train again"):
        average.load(tmp_path / "average.safetensors")
    save_file({"other": torch.ones(2)}, tmp_path / "average.safetensors")
    with pytest.raises(TrainingError, match=r"average\.safetensors: not the average of this model's weights \('first"):
        average.load(tmp_path / "average.safetensors")
