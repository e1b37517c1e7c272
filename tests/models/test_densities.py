import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.generation.decoding import DecodingConfig, Draws
from pianogen.models.densities import (
    LAST_MS,
    LEAST_LOG_SCALE,
    MOST_LOG_SCALE,
    Mixture,
    bins_of,
    log_mass_with_zero,
    normal_nats,
)

LAST = 3000
"""A last bin that can be reached by counting."""
EXTREMES = st.sampled_from([-30.0, -3.0, 0.0, 4.0, 7.0, 20.0, 60.0])
SCALES = st.sampled_from([LEAST_LOG_SCALE, -5.0, -1.0, 0.0, MOST_LOG_SCALE])
MIXTURES = st.lists(st.tuples(st.floats(-5, 5), EXTREMES, SCALES), min_size=1, max_size=4)


def mixture_of(logistics: list[tuple[float, float, float]], *shape: int, grad: bool = False) -> Mixture:
    """A mixture of (logit of the weight, mean, ln of the scale), the same at each place of a shape."""
    columns = [torch.tensor(column).expand(*shape, -1).clone() for column in zip(*logistics, strict=True)]
    for column in columns:
        column.requires_grad_(grad)
    return Mixture(columns[0].log_softmax(dim=-1), columns[1], columns[2])


@settings(max_examples=30, deadline=None)
@given(MIXTURES, st.sampled_from([1, 10]), st.sampled_from([0, 1]))
def test_the_bins_of_a_mixture_sum_to_one(logistics, bin_ms, first):
    k = torch.arange(first, LAST + 1.0)
    mass = mixture_of(logistics, len(k)).log_mass(k, bin_ms, first, LAST).exp()
    assert (mass >= 0).all()
    assert mass.double().sum().item() == pytest.approx(1, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(MIXTURES, st.floats(-60, 60))
def test_with_a_gate_for_zero_they_still_do(logistics, zero):
    k = torch.arange(0, LAST + 1.0)
    mixture = mixture_of(logistics, len(k))
    inside = log_mass_with_zero(mixture, torch.full_like(k, zero), k, 10).exp().double().sum().item()
    beyond = torch.sigmoid(torch.tensor(-zero)).item() * (1 - mixture.log_mass(k, 10, 0).exp().double().sum().item())
    assert inside + beyond == pytest.approx(1, abs=1e-6)


def test_a_bin_holds_the_difference_of_the_distribution_function():
    weights, means, scales = [0.3, 0.7], [4.0, 6.5], [0.5, 0.05]

    def distribution(ms):
        parts = zip(weights, means, scales, strict=True)
        return sum(w / (1 + math.exp(-(math.log(ms) - m) / s)) for w, m, s in parts)

    logistics = [(math.log(w), m, math.log(s)) for w, m, s in zip(weights, means, scales, strict=True)]
    k = torch.tensor([1.0, 2.0, 5.0, 66.0, 70.0, 400.0])
    found = mixture_of(logistics, len(k)).log_mass(k, 10, first=0).exp()
    expected = [distribution((i + 0.5) * 10) - distribution((i - 0.5) * 10) for i in k.tolist()]
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(MIXTURES, st.sampled_from([0.0, 1.0, 3.0, 100.0, 1e5, float(LAST_MS), 4e9]), st.sampled_from([1, 10]))
def test_gradients_are_finite_however_far_off_a_time_is(logistics, ms, bin_ms):
    mixture = mixture_of(logistics, 1, grad=True)
    zero = torch.zeros(1, requires_grad=True)
    for mass in (
        log_mass_with_zero(mixture, zero, bins_of(torch.tensor([ms]), bin_ms, 0), bin_ms),
        mixture.log_mass(bins_of(torch.tensor([ms]), bin_ms, 1), bin_ms, first=1),
    ):
        assert torch.isfinite(mass).all()
        assert (mass <= 1e-5).all()
        grads = torch.autograd.grad(mass.sum(), [mixture.means, mixture.log_scales, mixture.log_weights])
        assert all(torch.isfinite(grad).all() for grad in grads)


@settings(max_examples=30, deadline=None)
@given(MIXTURES, st.sampled_from([0.0, 0.5, 1.0, 5.0]), st.integers(0, 100), st.sampled_from([0, 1]))
def test_no_time_below_the_first_bin_is_drawn_and_none_beyond_the_end_of_time(logistics, temperature, seed, first):
    draws = Draws(DecodingConfig(temperature=temperature), [torch.Generator().manual_seed(seed + i) for i in range(5)])
    k = mixture_of(logistics, 5).draw(draws, 10, first)
    assert ((first <= k) & (k <= LAST_MS // 10)).all()
    assert torch.equal(k, k.floor())


def test_times_are_drawn_with_the_mass_of_their_bins():
    logistics = [(0.0, math.log(30.0), math.log(0.3)), (1.0, math.log(400.0), math.log(0.1))]
    num = 8_000
    generator = torch.Generator().manual_seed(0)
    drawn = mixture_of(logistics, num).draw(Draws(DecodingConfig(), [generator] * num), 10, first=1)
    k = torch.arange(1.0, 61.0)
    expected = mixture_of(logistics, 60).log_mass(k, 10, first=1).exp()
    found = torch.stack([(drawn == one).float().mean() for one in k])
    assert (found - expected).abs().max() < 0.02
    assert (found - expected).abs().sum() < 0.15


def test_at_temperature_zero_it_is_the_middle_of_the_likeliest_logistic():
    logistics = [(0.0, math.log(30.0), 0.0), (1.0, math.log(400.0), 0.0)]
    draws = Draws(DecodingConfig(temperature=0), [torch.Generator().manual_seed(1)])
    assert mixture_of(logistics, 1).draw(draws, 10, first=0).tolist() == [40]


def test_bins_are_as_wide_as_each_other_and_half_a_bin_goes_up():
    assert bins_of(torch.tensor([0.0, 4.9, 5.0, 14.9, 15.0, 25.0, 35.0]), 10, 0).tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert bins_of(torch.tensor([1e12]), 10, 0).item() == pytest.approx(LAST_MS / 10)
    assert bins_of(torch.tensor([0.0, 3.0, 16.0]), 10, 1).tolist() == [1, 1, 2]


@pytest.mark.parametrize("weight, width", [(1.0, 0.01), (1.0, 1 / 127), (5000.0, 0.01), (30.0, 0.001)])
@pytest.mark.parametrize("mean", [0.0, -0.37, 1.2345])
def test_the_normal_of_a_squared_error_sums_to_one_over_whole_bins_and_negative_ones_have_their_share(
    weight, width, mean
):
    k = torch.arange(-20_000, 20_001, dtype=torch.float64)
    mass = (-normal_nats(mean - k * width, weight, width)).exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-6)
    below = mass[k < 0].sum().item()
    deviation = (1 / (2 * weight)) ** 0.5
    # A sum of bins is not quite an integral where they are wide.
    assert below == pytest.approx(0.5 * math.erfc((mean + width / 2) / deviation / 2**0.5), abs=0.01)
