"""Drawing tokens: prompts of any length, streams, constraints, tokens that are given."""

import numpy as np
import pytest
import torch

from pianogen.errors import GenerationError
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens, stream_tokens
from pianogen.models import make_model
from pianogen.models.configs import ContinuousConfig, Gpt2Config
from pianogen.models.incremental import WholeContext
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID

VOCAB_SIZE = 30
CONTEXT_LENGTH = 16
GREEDY = DecodingConfig(temperature=0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    config = Gpt2Config(context_length=CONTEXT_LENGTH, n_layer=2, n_head=2, n_embd=16, dropout=0.0)
    model = make_model(config, VOCAB_SIZE).eval()
    # Sharper than at the start, so that the history decides the next token.
    for parameter in model.parameters():
        parameter.data *= 2
    return model


def prompt_of(*token_ids: int) -> np.ndarray:
    return np.array([BOS_ID, *token_ids])


def continued(model, prompts, **changes):
    options = {"max_tokens": 40, "decoding": DecodingConfig(), "seeds": range(len(prompts))}
    return continue_tokens(model, prompts, context_length=CONTEXT_LENGTH, **{**options, **changes})


@torch.inference_mode()
def greedy_without_cache(model, prompt: np.ndarray, max_tokens: int) -> list[int]:
    """Each token from a forward pass of its own over the window that the module's header describes."""
    ids, first = prompt.tolist(), 0
    for _ in range(max_tokens):
        if len(ids) - first > CONTEXT_LENGTH:
            first = len(ids) - CONTEXT_LENGTH // 2
        logits = model(input_ids=torch.tensor([ids[first:]])).logits[0, -1]
        logits[[PAD_ID, BOS_ID]] = -torch.inf
        ids.append(int(logits.argmax()))
        if ids[-1] == EOS_ID:
            break
    return ids


@pytest.mark.parametrize("num_given", [0, 5, 15, 16, 40])
def test_the_cache_changes_nothing_before_and_after_the_context_is_full(model, num_given):
    given = prompt_of(*(3 + i * 7 % 27 for i in range(num_given)))
    (found,) = continued(model, [given], decoding=GREEDY)
    assert found.tolist() == greedy_without_cache(model, given, 40)


def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch(model):
    prompts = [prompt_of(5, 6, 7), prompt_of(*range(3, 12)), prompt_of()]
    together = continued(model, prompts, max_tokens=7)
    for i, prompt in enumerate(prompts):
        (alone,) = continued(model, [prompt], max_tokens=7, seeds=[i])
        assert together[i].tolist() == alone.tolist()


def test_a_continuation_begins_with_its_prompt_and_is_as_long_as_asked_or_ends_with_eos(model):
    prompts = [prompt_of(5, 6, 7), prompt_of(9)]
    for prompt, ids in zip(prompts, continued(model, prompts), strict=True):
        assert ids[: len(prompt)].tolist() == prompt.tolist()
        drawn = ids[len(prompt) :].tolist()
        assert len(drawn) == 40 or drawn[-1] == EOS_ID
        assert EOS_ID not in drawn[:-1]


def test_pad_and_bos_are_never_drawn_even_where_the_model_wants_them(model):
    class Wanted(WholeContext):
        def _read(self, ids):
            said = super()._read(ids).clone()
            said[:, [PAD_ID, BOS_ID]] = 1000.0
            return said

    class WantsPadding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def begin_state(self, num_rows):
            return Wanted(self.inner, num_rows)

    (ids,) = continued(WantsPadding(), [prompt_of()])
    assert not {PAD_ID, BOS_ID} & set(ids[1:].tolist())


def test_the_seed_decides_the_sample(model):
    one, same, other = (continued(model, [prompt_of()], seeds=[seed])[0].tolist() for seed in (4, 4, 5))
    assert one == same
    assert one != other


def test_a_stream_gives_the_tokens_of_the_whole_as_they_are_drawn(model):
    prompts = [prompt_of(5, 6, 7), prompt_of(*range(3, 12)), prompt_of()]
    options = {"max_tokens": 12, "decoding": DecodingConfig(), "seeds": range(3), "context_length": CONTEXT_LENGTH}
    calls = []
    stream = stream_tokens(model, prompts, before_token=lambda: calls.append(len(calls)), **options)
    first = [next(stream) for _ in range(3)]
    assert [which for which, _ in first] == [0, 1, 2]
    # Nothing is computed ahead of what was asked for.
    assert len(calls) == 1
    drawn = [*first, *stream]
    assert len(calls) == 12
    for i, (prompt, ids) in enumerate(zip(prompts, continue_tokens(model, prompts, **options), strict=True)):
        assert [token for which, token in drawn if which == i] == ids[len(prompt) :].tolist()


def test_a_sequence_that_ended_leaves_the_batch(model):
    sizes = []

    class Counted(WholeContext):
        def _read(self, ids):
            sizes.append(len(ids))
            return super()._read(ids)

    class Watched(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def begin_state(self, num_rows):
            return Counted(self.inner, num_rows)

    ends = [np.array([9, EOS_ID]), np.array([9, 9, 9, EOS_ID]), None]
    found = continued(Watched(), [prompt_of()] * 3, max_tokens=6, forced=ends, decoding=DecodingConfig(top_k=3))
    assert [ids[1 : 1 + len(end)].tolist() for ids, end in zip(found, ends[:2], strict=False)] == [[9, 2], [9, 9, 9, 2]]
    assert sizes[:3] == [3, 3, 2]
    assert sizes[4] == 1


def test_what_is_raised_before_a_token_ends_the_drawing(model):
    class CancelledError(Exception):
        pass

    left = iter(range(3))

    def before_token():
        if next(left, None) is None:
            raise CancelledError

    with pytest.raises(CancelledError):
        continued(model, [prompt_of()], before_token=before_token)


class Ascending:
    """A grammar: a token is above the one before, then the piece ends."""

    def __init__(self, first: int) -> None:
        self.last = first
        self.told: list[int] = []

    def allowed(self) -> np.ndarray:
        ids = np.arange(VOCAB_SIZE)
        return (ids > self.last) | (ids == EOS_ID) if self.last > 20 else ids > self.last

    def advance(self, token_id: int) -> None:
        self.told.append(token_id)
        self.last = token_id


@pytest.mark.parametrize("seed", range(5))
def test_a_constraint_decides_what_may_follow_and_is_told_what_does(model, seed):
    constraints = [Ascending(5), None, Ascending(8)]
    decoding = DecodingConfig(top_k=2, no_repeat_ngram=1)
    prompts = [prompt_of(5), prompt_of(4), prompt_of(8)]
    found = continued(model, prompts, constraints=constraints, seeds=[seed] * 3, decoding=decoding)
    for ids, constraint in ((found[0], constraints[0]), (found[2], constraints[2])):
        rising = ids[1:-1] if ids[-1] == EOS_ID else ids[1:]
        assert (np.diff(rising) > 0).all()
        assert rising[-1] > 20
        assert ids[-1] == EOS_ID or ids[-1] == VOCAB_SIZE - 1
        assert constraint.told == rising[1:].tolist()
    (alone,) = continued(model, [prompts[1]], seeds=[seed], decoding=decoding)
    assert found[1].tolist() == alone.tolist()


def test_a_constraint_that_allows_nothing_is_named(model):
    class Nothing(Ascending):
        def allowed(self):
            return torch.arange(VOCAB_SIZE) < 2  # PAD and BOS

    with pytest.raises(GenerationError, match=r"sequence 1: its constraint allows no token after 2 tokens .*\[1, 7\]"):
        continued(model, [prompt_of(), prompt_of(7)], constraints=[None, Nothing(5)])


@pytest.mark.parametrize("decoding", [GREEDY, DecodingConfig()])
def test_tokens_that_are_given_stand_where_they_were_given_and_others_answer_them(model, decoding):
    soprano = np.full(24, -1)
    soprano[::4] = [5, 7, 9, 11, 13, 15]
    given, free = continued(model, [prompt_of(5)] * 2, seeds=[1, 1], forced=[soprano, None], decoding=decoding)
    found = given[2:]
    assert found[:24:4].tolist() == soprano[::4].tolist()
    assert found[:24].tolist() != free[2:26].tolist()
    # What is drawn is what the model draws after the same tokens.
    again = soprano.copy()
    again[: len(found[:10])] = found[:10]
    (same,) = continued(model, [prompt_of(5)], seeds=[1], forced=[again], decoding=GREEDY)
    if decoding is GREEDY:
        assert same.tolist() == given.tolist()


def test_a_given_token_that_its_constraint_forbids_is_named(model):
    with pytest.raises(GenerationError, match="sequence 0: token 4 is forced after 3 tokens"):
        continued(model, [prompt_of(5)], forced=[np.array([9, 4])], constraints=[Ascending(5)])


def test_a_constraint_is_told_given_tokens_too(model):
    constraint = Ascending(5)
    (ids,) = continued(model, [prompt_of(5)], forced=[np.array([9, -1, 29])], constraints=[constraint], seeds=[3])
    assert ids[2] == 9
    assert ids[4] == 29
    assert constraint.told == ids[2 : 2 + len(constraint.told)].tolist()


@pytest.fixture(scope="module")
def row_model():
    torch.manual_seed(0)
    config = ContinuousConfig(context_length=16, n_layer=1, n_head=2, n_embd=16, dropout=0.0, num_components=4)
    return make_model(config, 0).eval()


def test_rows_of_numbers_are_given_as_well(row_model):
    prompt, note = np.zeros((1, 4), np.float32), np.array([100.0, 0.5, 60.0, 200.0], np.float32)
    forced = np.full((5, 4), np.nan, np.float32)
    forced[[0, 3]] = note
    (rows,) = continued(row_model, [prompt], forced=[forced], max_tokens=5, decoding=DecodingConfig())
    assert np.array_equal(rows[1], note)
    assert np.array_equal(rows[4], note)
    assert not np.array_equal(rows[2], note)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"decoding": DecodingConfig(repetition_penalty=1.2)},
            "of which none comes twice: leave out repetition",
        ),
        ({"constraints": [Ascending(5)]}, "have no ids to allow: leave out constraints"),
    ],
)
def test_what_needs_ids_is_refused_for_rows(row_model, changed, message):
    with pytest.raises(GenerationError, match=message):
        continued(row_model, [np.zeros((1, 4), np.float32)], **changed)


def test_nothing_is_drawn_of_no_prompts(model):
    assert continued(model, [], seeds=[]) == []
