"""Beam search against every continuation there is."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import GenerationError, SettingsError
from pianogen.generation.beams import BeamConfig, beam_search, edit_distance, mean_distance
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens
from pianogen.models import make_model
from pianogen.models.configs import ContinuousConfig, Gpt2Config
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID

VOCAB_SIZE = 6
CONTEXT_LENGTH = 8


def made(seed: int, end: float = 0.0, vocab_size: int = VOCAB_SIZE):
    """A model that is sure of something; `end` is added to how likely EOS is."""
    torch.manual_seed(seed)
    config = Gpt2Config(context_length=CONTEXT_LENGTH, n_layer=2, n_head=2, n_embd=16, dropout=0.0)
    model = make_model(config, vocab_size).eval()
    for parameter in model.parameters():
        parameter.data *= 3
    # An output of its own, with a number for each token.
    model.lm_head = torch.nn.Linear(16, vocab_size)
    with torch.no_grad():
        model.lm_head.bias[EOS_ID] += end
    return model


def searched(model, prompts, num_beams, **changes):
    names = ("num_groups", "diversity", "length_penalty")
    beams = BeamConfig(num_beams=num_beams, **{name: changes.pop(name) for name in names if name in changes})
    return beam_search(model, prompts, **{"max_tokens": 4, "context_length": CONTEXT_LENGTH, "beams": beams, **changes})


@torch.inference_mode()
def log_prob_of(model, tokens: np.ndarray, num_given: int) -> float:
    """By one forward pass over all; of sequences within the context."""
    nats = model(input_ids=torch.from_numpy(tokens[None, :-1]), labels=torch.from_numpy(tokens[None, 1:])).nats[0]
    return -float(nats[num_given - 1 :].double().sum())


def every_continuation(model, prompt: np.ndarray, length: int, penalty: float, allowed=lambda tokens: True):
    """(score, tokens) of all that end within a length, or are as long; the best first."""
    found = []
    for size in range(1, length + 1):
        for tokens in itertools.product(range(EOS_ID, VOCAB_SIZE), repeat=size):
            if EOS_ID in tokens[:-1] or (size < length and tokens[-1] != EOS_ID) or not allowed(tokens):
                continue
            whole = np.concatenate((prompt, tokens))
            found.append((log_prob_of(model, whole, len(prompt)) / size**penalty, whole.tolist()))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("end", [-30.0, 0.0, 2.0])
@pytest.mark.parametrize("penalty", [0.0, 1.0, -0.5])
def test_a_search_that_is_wide_enough_finds_the_best_of_all(seed, end, penalty):
    model, prompt = made(seed, end), np.array([BOS_ID, 4])
    expected = every_continuation(model, prompt, 4, penalty)
    (found,) = searched(model, [prompt], 4**4, length_penalty=penalty)
    assert len(found) == min(4**4, len(expected))
    scores = [one.score for one in found]
    np.testing.assert_allclose(scores, [score for score, _ in expected[: len(found)]], rtol=1e-4, atol=1e-5)
    by_tokens = {tuple(tokens): score for score, tokens in expected}
    for one in found:
        assert one.score == pytest.approx(by_tokens[tuple(one.tokens)], rel=1e-4)
        assert one.is_ended == (one.tokens[-1] == EOS_ID)
    assert len({tuple(one.tokens) for one in found}) == len(found)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_of_five_tokens_finds_the_best_of_all(seed):
    model, prompt = made(seed, 1.0), np.array([BOS_ID])
    expected = every_continuation(model, prompt, 5, 1.0)
    (found,) = searched(model, [prompt], 400, max_tokens=5)
    assert [one.tokens.tolist() for one in found[:3]] == [tokens for _, tokens in expected[:3]]


@settings(max_examples=25)
@given(st.integers(0, 50), st.sampled_from([-30.0, 0.0, 3.0]), st.integers(1, 14), st.sampled_from([0.0, 1.0, 2.0]))
def test_a_search_of_one_beam_takes_the_likeliest_token_each_time(seed, end, max_tokens, penalty):
    model, prompts = made(seed, end), [np.array([BOS_ID, 3, 5]), np.array([BOS_ID])]
    greedy = continue_tokens(
        model,
        prompts,
        max_tokens=max_tokens,
        decoding=DecodingConfig(temperature=0),
        seeds=[0, 0],
        context_length=CONTEXT_LENGTH,
    )
    found = searched(model, prompts, 1, max_tokens=max_tokens, length_penalty=penalty)
    assert [[one.tokens.tolist() for one in each] for each in found] == [[ids.tolist()] for ids in greedy]


@settings(max_examples=25)
@given(
    st.integers(0, 50), st.integers(1, 6), st.integers(1, 5), st.sampled_from([0.0, 2.0]), st.sampled_from([0.0, 0.7])
)
def test_scores_are_the_models_own_nats_of_the_sequence(seed, num_beams, max_tokens, end, penalty):
    model, prompts = made(seed, end), [np.array([BOS_ID, 3, 5]), np.array([BOS_ID])]
    for prompt, found in zip(
        prompts, searched(model, prompts, num_beams, max_tokens=max_tokens, length_penalty=penalty), strict=True
    ):
        assert 1 <= len(found) <= num_beams
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        for one in found:
            length = len(one.tokens) - len(prompt)
            assert one.log_prob == pytest.approx(log_prob_of(model, one.tokens, len(prompt)), rel=1e-4, abs=1e-5)
            assert one.score == pytest.approx(one.log_prob / length**penalty)
            assert one.tokens[: len(prompt)].tolist() == prompt.tolist()
            assert not {PAD_ID, BOS_ID} & set(one.tokens[len(prompt) :].tolist())
            assert one.is_ended or length == max_tokens


@pytest.mark.parametrize("seed", range(5))
def test_prompts_that_are_searched_together_find_what_they_find_alone(seed):
    model = made(seed, 0.5)
    prompts = [np.array([BOS_ID, 3, 5]), np.array([BOS_ID]), np.array([BOS_ID, 4, 4, 3, 5, 3, 3])]
    together = searched(model, prompts, 3, max_tokens=12)
    for prompt, found in zip(prompts, together, strict=True):
        (alone,) = searched(model, [prompt], 3, max_tokens=12)
        assert [one.tokens.tolist() for one in alone] == [one.tokens.tolist() for one in found]


def test_a_search_ends_when_no_beam_can_win():
    model, steps = made(0, 12.0), []
    (found,) = searched(
        model, [np.array([BOS_ID])], 2, max_tokens=100, length_penalty=0.0, before_token=lambda: steps.append(1)
    )
    # The end is all but certain at once; the second best is told by its own end.
    assert all(one.is_ended for one in found)
    assert len(steps) < 5


@torch.inference_mode()
def plain_search(model, prompt: np.ndarray, width: int, length: int, penalty: float) -> list[list[int]]:
    """The search by its definition, each hypothesis read anew; it goes on to the last token whatever was found."""
    going, found = [((), 0.0)], []
    for _ in range(length):
        candidates = []
        for tokens, total in going:
            ids = torch.from_numpy(np.concatenate((prompt, tokens)).astype(np.int64))[None]
            log_probs = model(input_ids=ids).logits[0, -1].double().log_softmax(-1).tolist()
            candidates += [(total + log_probs[token], (*tokens, token)) for token in range(EOS_ID, VOCAB_SIZE)]
        candidates.sort(reverse=True)
        found += [each for each in candidates[:width] if each[1][-1] == EOS_ID]
        going = [(tokens, total) for total, tokens in candidates if tokens[-1] != EOS_ID][:width]
    found += [(total, tokens) for tokens, total in going]
    found.sort(key=lambda each: -each[0] / len(each[1]) ** penalty)
    return [[*prompt.tolist(), *tokens] for _, tokens in found[:width]]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5])
def test_a_search_finds_what_one_finds_that_never_ends_early(seed, width, penalty):
    model, prompt = made(seed, 1.5), np.array([BOS_ID, 5])
    (found,) = searched(model, [prompt], width, max_tokens=6, length_penalty=penalty)
    assert [one.tokens.tolist() for one in found] == plain_search(model, prompt, width, 6, penalty)


class Rising:
    """A grammar: no token is below the one before; the end may come after a 5."""

    def __init__(self) -> None:
        self.last = 3

    def allowed(self) -> np.ndarray:
        ids = np.arange(VOCAB_SIZE)
        return (ids >= self.last) | ((ids == EOS_ID) & (self.last == 5))

    def advance(self, token_id: int) -> None:
        assert self.allowed()[token_id]
        self.last = token_id


def is_rising(tokens) -> bool:
    rising = [token for token in tokens if token != EOS_ID]
    return rising == sorted(rising) and (EOS_ID not in tokens or rising[-1:] == [5])


@pytest.mark.parametrize("seed", range(4))
def test_a_constrained_search_finds_the_best_of_what_is_allowed(seed):
    model, prompt = made(seed, 1.0), np.array([BOS_ID])
    expected = every_continuation(model, prompt, 4, 1.0, is_rising)
    (found,) = searched(model, [prompt], 64, constraints=[Rising()])
    assert [one.tokens.tolist() for one in found] == [tokens for _, tokens in expected]
    (narrow,) = searched(model, [prompt], 2, constraints=[Rising()])
    assert all(is_rising(one.tokens[1:]) for one in narrow)


def test_a_constraint_that_leaves_nothing_is_named():
    class Nothing(Rising):
        def allowed(self):
            return np.zeros(VOCAB_SIZE, bool)

    with pytest.raises(GenerationError, match="prompt 1: its constraint leaves no continuation"):
        searched(made(0), [np.array([BOS_ID])] * 2, 2, constraints=[None, Nothing()])


@pytest.mark.parametrize("seed", range(4))
def test_groups_without_diversity_find_the_same_and_with_it_other_continuations(seed):
    model, prompt = made(seed, -30.0, vocab_size=20), np.array([BOS_ID, 7])
    options = {"max_tokens": 12, "num_groups": 4}
    (same,) = searched(model, [prompt], 4, diversity=0.0, **options)
    (other,) = searched(model, [prompt], 4, diversity=5.0, **options)
    (plain,) = searched(model, [prompt], 4, max_tokens=12)
    continuations = [[one.tokens[2:] for one in found] for found in (same, other, plain)]
    assert mean_distance(continuations[0]) == 0
    assert mean_distance(continuations[1]) > mean_distance(continuations[2])
    # The first group is not pushed away by anybody, and all are scored by the model alone.
    (greedy,) = searched(model, [prompt], 1, max_tokens=12)
    assert greedy[0].tokens.tolist() in [one.tokens.tolist() for one in other]
    for one in same:
        assert one.log_prob == pytest.approx(greedy[0].log_prob)


@torch.inference_mode()
def test_a_group_chooses_by_log_probability_less_what_earlier_groups_chose():
    model, prompt = made(1, -30.0), np.array([BOS_ID])
    log_probs = model(input_ids=torch.from_numpy(prompt[None])).logits[0, -1].log_softmax(-1)
    chosen, expected = torch.zeros(VOCAB_SIZE), []
    log_probs[[PAD_ID, BOS_ID]] = -torch.inf
    for _ in range(3):
        token = int((log_probs - 1.5 * chosen).argmax())
        expected.append(token)
        chosen[token] += 1
    (found,) = searched(model, [prompt], 3, num_groups=3, diversity=1.5, max_tokens=1)
    assert sorted(int(one.tokens[1]) for one in found) == sorted(expected)


def test_a_model_that_draws_rows_is_refused():
    model = make_model(ContinuousConfig(context_length=8, n_layer=1, n_head=2, n_embd=16), 0).eval()
    with pytest.raises(GenerationError, match="this model draws rows of numbers: draw samples, or take a model of ids"):
        searched(model, [np.zeros((1, 4), np.float32)], 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_beams": 0}, "found 0 beams, 1 groups"),
        ({"num_beams": 4, "num_groups": 3}, "found 4 beams, 3 groups"),
        ({"diversity": -1.0}, "diversity must be 0 or more, found -1.0"),
        ({"length_penalty": float("nan")}, "length penalty must be a number, found nan"),
    ],
)
def test_beams_that_cannot_be_are_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        BeamConfig(**changed)


def plain_distance(a, b) -> int:
    if not len(a) or not len(b):
        return len(a) + len(b)
    if a[-1] == b[-1]:
        return plain_distance(a[:-1], b[:-1])
    return 1 + min(plain_distance(a[:-1], b), plain_distance(a, b[:-1]), plain_distance(a[:-1], b[:-1]))


TOKENS = st.lists(st.integers(0, 3), max_size=5).map(lambda tokens: np.array(tokens, np.int64))


@given(TOKENS, TOKENS)
def test_edits_are_counted_as_by_their_definition(a, b):
    assert edit_distance(a, b) == plain_distance(a, b)


def test_the_difference_of_sequences_is_the_mean_over_pairs():
    a, b, c = np.array([1, 2, 3, 4]), np.array([1, 2, 3]), np.array([9, 9, 9, 9])
    assert mean_distance([a, b, c]) == pytest.approx((1 / 4 + 1 + 1) / 3)
    assert mean_distance([a, a]) == 0
    assert mean_distance([a]) == 0
