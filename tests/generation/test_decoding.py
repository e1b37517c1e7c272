import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from pianogen.errors import SettingsError
from pianogen.generation.decoding import (
    DecodingConfig,
    forbid,
    forbid_repeated_ngrams,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    next_tokens,
    penalise_repetition,
)
from pianogen.training.experiment import GenerationConfig

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


SEEN = st.lists(st.integers(0, 5), min_size=1, max_size=20)


def logits_and_tokens(seed: int, rows: int, tokens: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)) * 3
    return logits, torch.tensor([tokens] * rows)


@given(st.integers(0, 99), SEEN, st.floats(0.5, 3))
def test_the_repetition_penalty_is_that_of_transformers(seed, tokens, penalty):
    logits, seen = logits_and_tokens(seed, 2, tokens)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    torch.testing.assert_close(penalise_repetition(logits, list(seen), penalty), expected)


@given(st.integers(0, 99), SEEN, st.floats(0.5, 3), st.integers(1, 25))
def test_a_penalty_with_a_window_sees_the_last_tokens_alone(seed, tokens, penalty, window):
    logits, seen = logits_and_tokens(seed, 2, tokens)
    expected = penalise_repetition(logits, [row[-window:] for row in seen], penalty)
    assert torch.equal(penalise_repetition(logits, list(seen), penalty, window), expected)


@given(st.integers(0, 99), SEEN, st.integers(1, 4))
def test_ngrams_are_forbidden_that_transformers_forbids(seed, tokens, size):
    logits, seen = logits_and_tokens(seed, 2, tokens)
    expected = NoRepeatNGramLogitsProcessor(size)(seen, logits.clone())
    if not (expected > -torch.inf).any():
        expected = logits  # transformers leaves nothing to be drawn
    assert torch.equal(forbid_repeated_ngrams(logits, list(seen), size), expected)


@given(SEEN, st.integers(1, 3), st.integers(0, 99))
def test_no_ngram_comes_twice_in_what_is_drawn(tokens, size, seed):
    config, drawn = DecodingConfig(no_repeat_ngram=size), list(tokens)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(12):
        held = {tuple(drawn[i : i + size]) for i in range(len(drawn) - size + 1)}
        (token,) = next_tokens(torch.zeros(1, 6), config, [generator], seen=[torch.tensor(drawn)]).tolist()
        drawn.append(token)
        run = tuple(drawn[-size:])
        # Where all six tokens would end a run that is held, any may.
        assert run not in held or all((*run[:-1], token) in held for token in range(6))


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_is_that_of_transformers(logits, min_p):
    assert torch.equal(keep_min_p(logits, min_p), MinPLogitsWarper(min_p)(None, logits))


@given(st.integers(0, 999), SEEN)
def test_all_together_leave_what_those_of_transformers_leave(seed, tokens):
    generator = np.random.default_rng(seed)
    logits, seen = logits_and_tokens(seed, 1, tokens)
    config = DecodingConfig(
        temperature=float(generator.uniform(0.3, 2)),
        top_k=int(generator.integers(2, 6)),
        top_p=float(generator.uniform(0.3, 0.99)),
        min_p=float(generator.uniform(0.01, 0.5)),
        repetition_penalty=float(generator.uniform(0.7, 2)),
        no_repeat_ngram=int(generator.integers(2, 4)),
    )
    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(config.repetition_penalty),
            NoRepeatNGramLogitsProcessor(config.no_repeat_ngram),
            TemperatureLogitsWarper(config.temperature),
            TopKLogitsWarper(config.top_k),
            TopPLogitsWarper(config.top_p),
            MinPLogitsWarper(config.min_p),
        ]
    )
    probs = processors(seen, logits.clone()).softmax(-1)
    if probs.isnan().any():
        return  # every token was forbidden
    expected = torch.multinomial(probs[0], 1, generator=torch.Generator().manual_seed(seed))
    drawn = next_tokens(logits, config, generators(1, seed), seen=list(seen))
    assert drawn.tolist() == expected.tolist()


def test_what_is_not_allowed_is_not_drawn():
    allowed = torch.tensor([[False, True, False, True], [False, False, True, False]])
    for seed in range(20):
        drawn = next_tokens(torch.zeros(2, 4), DecodingConfig(), generators(2, seed), allowed=allowed)
        assert drawn[0] in (1, 3)
        assert drawn[1] == 2
    # Even where it is the last that an n-gram leaves.
    config = DecodingConfig(no_repeat_ngram=1)
    seen = [torch.tensor([1, 3]), torch.tensor([2])]
    drawn = next_tokens(torch.zeros(2, 4), config, generators(2), allowed=allowed, seen=seen)
    assert drawn[0] in (1, 3)
    assert drawn[1] == 2


def test_the_settings_of_an_experiment_are_those_of_decoding():
    assert DecodingConfig.of(GenerationConfig()) == DecodingConfig()
    asked = {"temperature": 0.5, "top_k": 3, "top_p": 0.8, "min_p": 0.1, "repetition_penalty": 1.2}
    asked |= {"repetition_window": 9, "no_repeat_ngram": 4}
    assert DecodingConfig.of(GenerationConfig(**asked)) == DecodingConfig(**asked)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("min_p", -0.1, "min_p must lie in 0-1, found -0.1"),
        ("min_p", 1.5, "min_p must lie in 0-1, found 1.5"),
        ("repetition_penalty", 0.0, "repetition_penalty must be above 0, found 0.0"),
        ("repetition_penalty", float("inf"), "repetition_penalty must be above 0, found inf"),
        ("repetition_window", -1, "repetition_window must be 0 or more, found -1"),
        ("no_repeat_ngram", -2, "no_repeat_ngram must be 0 or more, found -2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(key, value, message):
    with pytest.raises(SettingsError, match=f"generation.{message}"):
        GenerationConfig(**{key: value})
