import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pianogen.generation.decoding import DecodingConfig, forbid, keep_top_k, keep_top_p, next_tokens

# Multiples of 1/8 are exact in fp32, so that ties are ties.
LOGITS = hnp.arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(2, 12)), elements=st.integers(-40, 40)).map(
    lambda eighths: torch.from_numpy(eighths / 8).float()
)


def kept(logits: torch.Tensor) -> list[set[int]]:
    return [{i for i, value in enumerate(row) if value > -np.inf} for row in logits.tolist()]


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


@given(LOGITS, st.integers(1, 15))
def test_top_k_keeps_the_k_most_likely_and_their_equals(logits, k):
    naive = [{i for i, v in enumerate(row) if sum(w > v for w in row) < k} for row in logits.tolist()]
    assert kept(keep_top_k(logits, k)) == naive


@given(LOGITS, st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_most_likely_that_reach_p(logits, p):
    for row, found in zip(logits.double().softmax(-1).tolist(), kept(keep_top_p(logits, p)), strict=True):
        order = sorted(range(len(row)), key=lambda i: -row[i])
        sums = np.cumsum([row[i] for i in order])
        if np.abs(sums - p).min() < 1e-6:
            continue  # fp32 may round to the other side
        count = int(np.searchsorted(sums, p)) + 1
        assert found == set(order[:count])


@given(LOGITS)
def test_filters_that_keep_all_change_nothing(logits):
    assert torch.equal(keep_top_k(logits, 0), logits)
    assert torch.equal(keep_top_p(logits, 1.0), logits)


@given(LOGITS)
def test_temperature_zero_takes_the_most_likely_token(logits):
    drawn = next_tokens(logits, DecodingConfig(temperature=0), generators(len(logits)))
    assert drawn.tolist() == [row.index(max(row)) for row in logits.tolist()]


@given(LOGITS, st.floats(0.1, 3), st.integers(0, 5), st.floats(0.1, 1), st.integers(0, 100))
def test_a_drawn_token_is_one_of_those_kept_and_never_a_forbidden_one(logits, temperature, top_k, top_p, seed):
    config = DecodingConfig(temperature=temperature, top_k=top_k, top_p=top_p)
    drawn = next_tokens(logits, config, generators(len(logits), seed), never=(0,))
    allowed = kept(keep_top_p(keep_top_k(forbid(logits, (0,)) / temperature, top_k), top_p))
    for token, choice in zip(drawn.tolist(), allowed, strict=True):
        assert token in choice
        assert token != 0


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax():
    logits = torch.tensor([[1.0, 2.0, 0.0]]).expand(20_000, 3)
    generator = torch.Generator().manual_seed(0)
    config = DecodingConfig(temperature=2.0)
    drawn = next_tokens(logits, config, [generator] * len(logits))
    expected = torch.tensor([0.5, 1.0, 0.0]).softmax(-1)
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / len(logits), expected, atol=0.015)


def test_the_seed_decides_a_sequence_whatever_stands_beside_it():
    logits = torch.zeros(2, 50)
    alone = next_tokens(logits[:1], DecodingConfig(), generators(1, seed=7))
    beside = next_tokens(logits, DecodingConfig(), generators(2, seed=7))
    assert beside[0] == alone[0]


def test_the_logits_given_are_not_changed():
    logits = torch.zeros(1, 4)
    next_tokens(logits, DecodingConfig(top_k=1), generators(1), never=(0,))
    assert torch.equal(logits, torch.zeros(1, 4))


@pytest.mark.parametrize("never", [(), (3, 4)])
def test_forbidden_tokens_have_no_probability(never):
    probs = forbid(torch.zeros(1, 5), never).softmax(-1)[0]
    assert probs.tolist() == pytest.approx([0 if i in never else 1 / (5 - len(never)) for i in range(5)])
