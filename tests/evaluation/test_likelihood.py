import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sequences import sequences_of

from pianogen.evaluation.likelihood import Likelihood, choose_within, measure, score, scoring_windows
from pianogen.models import make_model
from pianogen.models.configs import Gpt2Config

VOCAB_SIZE = 20
CONTEXT_LENGTH = 16


class Uniform(torch.nn.Module):
    """Every token is as likely as any other."""

    def forward(self, input_ids, labels):
        return SimpleNamespace(nats=torch.full(input_ids.shape, math.log(VOCAB_SIZE)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Gpt2Config(context_length=CONTEXT_LENGTH, n_layer=2, n_head=2, n_embd=8, dropout=0.3)
    model = make_model(config, VOCAB_SIZE)
    # Sharper than at the start, so that a token scored in the wrong place shows.
    for parameter in model.parameters():
        parameter.data *= 2
    return model


def token_sequences(*lengths: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, VOCAB_SIZE, length).astype(np.uint16) for length in lengths]


@torch.inference_mode()
def nats_given_history(model, ids: np.ndarray, position: int, history: int) -> float:
    """-ln p of one token given the tokens just before it, by one forward pass of its own."""
    given = torch.from_numpy(ids[position - history : position].astype(np.int64))[None]
    return -model.eval()(input_ids=given).logits[0, -1].log_softmax(-1)[int(ids[position])].item()


@given(st.integers(0, 400), st.integers(2, 50), st.integers(1, 12))
def test_each_token_is_scored_once_with_half_a_context_of_history(num_targets, context_length, stride):
    context_length = max(context_length, 2 * stride)
    scored = []
    for start, end, skip in scoring_windows(num_targets, context_length, stride):
        assert 0 <= start < end <= num_targets
        assert start % stride == 0
        assert end - start <= context_length
        # Token t + 1 is predicted by tokens [start, t].
        for t in range(start + skip, end):
            assert start == 0 or t + 1 - start >= context_length / 2
            scored.append(t + 1)
    assert scored == list(range(1, num_targets + 1))


def test_a_sequence_within_the_context_is_scored_with_its_whole_history(model):
    sequences = token_sequences(2, 5, 17, 11)
    expected = [sum(nats_given_history(model, ids, i, i) for i in range(1, len(ids))) for ids in sequences]
    np.testing.assert_allclose(score(model, sequences, CONTEXT_LENGTH), expected, rtol=1e-5)


def test_a_long_sequence_is_scored_as_window_by_window(model):
    (ids,) = token_sequences(60)
    expected = 0.0
    for start, end, skip in scoring_windows(len(ids) - 1, CONTEXT_LENGTH):
        expected += sum(nats_given_history(model, ids, t + 1, t + 1 - start) for t in range(start + skip, end))
    assert score(model, [ids], CONTEXT_LENGTH)[0] == pytest.approx(expected, rel=1e-5)


def test_a_score_does_not_depend_on_what_else_is_scored(model):
    sequences = token_sequences(40, 3, 25, 90, 2)
    together = score(model, sequences, CONTEXT_LENGTH)
    alone = [score(model, [ids], CONTEXT_LENGTH)[0] for ids in sequences]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary_for_each_token():
    lengths = (2, 9, 33, 120)
    nats = score(Uniform(), token_sequences(*lengths), CONTEXT_LENGTH)
    np.testing.assert_allclose(nats, [(length - 1) * math.log(VOCAB_SIZE) for length in lengths], rtol=1e-6)


def test_scoring_switches_dropout_off_and_leaves_the_model_as_it_was(model):
    sequences = token_sequences(30)
    model.train()
    assert score(model, sequences, CONTEXT_LENGTH) == score(model, sequences, CONTEXT_LENGTH)
    assert model.training


def test_averages_are_sums_over_sums():
    found = measure(Uniform(), sequences_of(token_sequences(5, 11), ["a", "b"], [2, 3]), [0, 1], CONTEXT_LENGTH)
    assert (found.num_tokens, found.num_notes, found.num_performances) == (14, 5, 2)
    assert found.nll == pytest.approx(math.log(VOCAB_SIZE))
    assert found.bits_per_note == pytest.approx(14 * math.log2(VOCAB_SIZE) / 5)


def test_bits_per_note_without_notes_are_infinite():
    assert Likelihood(nats=1.0, num_tokens=1, num_notes=0, num_performances=1).bits_per_note == math.inf


def test_a_bounded_sample_takes_performances_by_id_and_at_least_one():
    sequences = sequences_of(token_sequences(10, 10, 10), ["c", "a", "b"])
    assert choose_within(sequences, 25) == [1, 2]
    assert choose_within(sequences, 1) == [1]
    assert choose_within(sequences, 1000) == [1, 2, 0]
