"""A model that reads token by token says what it says of all tokens at once."""

import numpy as np
import pytest
import torch
from architectures import (
    LENGTH,
    SCHEMES,
    VARIANTS,
    VOCAB_SIZE,
    config_of,
    continuous_of,
    first_read,
    made_pianist,
    some_ids,
    some_music,
    some_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import GenerationError
from pianogen.models import make_model
from pianogen.models.contexts import Contexts
from pianogen.models.incremental import WholeContext
from pianogen.models.repeats import RunningRepeats, find_repeats
from pianogen.models.steps_seen import what_is_seen, what_is_seen_next
from pianogen.models.token_facts import Grid
from pianogen.tokenizers.base import make_tokenizer

NUM_ROWS = 3
KINDS = [*VARIANTS, "mixture", "study", *SCHEMES]


def made(kind: str):
    """A model, and tokens (B, T) that fill its context."""
    if kind in SCHEMES:
        tokenizer = make_tokenizer(SCHEMES[kind])
        ids = some_music(tokenizer, NUM_ROWS, 129)
        # Sixteen steps again, so that repeats have something to offer; the third row has none.
        ids[:2, 65:] = ids[:2, 1:65]
        return made_pianist(tokenizer, context_length=129), ids
    if kind in ("mixture", "study"):
        return continuous_of(kind), some_rows(NUM_ROWS)
    torch.manual_seed(0)
    return make_model(config_of(kind), VOCAB_SIZE).eval(), some_ids(NUM_ROWS)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@torch.inference_mode()
def whole(model, ids: torch.Tensor) -> torch.Tensor:
    return model(input_ids=ids).logits


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_token_by_token_it_is_that_of_all_tokens(kind):
    model, ids = made(kind)
    state, expected = model.begin_state(NUM_ROWS), whole(model, ids)
    for t in range(ids.shape[1]):
        assert_same(state.read(ids[:, t : t + 1]), expected[:, t])


@pytest.mark.parametrize("first", [1, 4, 13])
def test_pieces_of_any_length_are_read_at_one_go(kind, first):
    model, ids = made(kind)
    state, expected = model.begin_state(NUM_ROWS), whole(model, ids)
    begin, sizes = 0, [first, 1, 2, 1, 5]
    for size in [*sizes, ids.shape[1] - sum(sizes)]:
        begin += size
        assert_same(state.read(ids[:, begin - size : begin]), expected[:, begin - 1])


def ragged(model, ids: torch.Tensor, lengths: list[int]):
    """A state whose rows have read so many tokens; a row may have read none."""
    state = model.begin_state(len(ids))
    for row, length in enumerate(lengths):
        alone = model.begin_state(1)
        if length:
            alone.read(ids[row : row + 1, :length])
        state.put([row], alone)
    return state


def follow(state, ids, expected, lengths, num, size=1) -> None:
    """Read `num` tokens of each row from its own place on."""
    for i in range(0, num, size):
        tokens = torch.stack([row[n + i : n + i + size] for row, n in zip(ids, lengths, strict=True)])
        told = torch.stack([row[n + i + size - 1] for row, n in zip(expected, lengths, strict=True)])
        assert_same(state.read(tokens), told)


@pytest.mark.parametrize("lengths", [[9, 2, 6], [1, 0, 11], [4, 4, 5]])
@pytest.mark.parametrize("size", [1, 3])
def test_rows_have_their_own_lengths(kind, lengths, size):
    model, ids = made(kind)
    follow(ragged(model, ids, lengths), ids, whole(model, ids), lengths, 12, size)


def test_rows_are_reordered_repeated_and_dropped(kind):
    model, ids = made(kind)
    expected, lengths = whole(model, ids), [7, 3, 5]
    state = ragged(model, ids, lengths)
    follow(state, ids, expected, lengths, 2)
    lengths = [n + 2 for n in lengths]
    for rows in ([2, 1, 0, 0], [3, 0], [1, 0, 1], [0, 2, 2], [1]):
        state.select(rows)
        ids, expected, lengths = ids[rows], expected[rows], [lengths[row] for row in rows]
        follow(state, ids, expected, lengths, 2)
        lengths = [n + 2 for n in lengths]


def test_copies_of_a_row_go_their_own_ways(kind):
    model, ids = made(kind)
    state = model.begin_state(1)
    state.read(ids[:1, :8])
    state.select([0, 0, 0])
    # Each goes on with another row's tokens.
    mixed = torch.cat((ids[:1, :8].expand(3, 8, *ids.shape[2:]), ids[:, 8:]), dim=1)
    follow(state, mixed, whole(model, mixed), [8, 8, 8], 12)


def test_a_row_can_be_begun_anew(kind):
    model, ids = made(kind)
    state, expected = ragged(model, ids, [12, 12, 12]), whole(model, ids)
    fresh = model.begin_state(1)
    fresh.read(ids[1:2, :4])
    state.put([1], fresh)
    follow(state, ids, expected, [12, 4, 12], 4)


def test_a_model_without_a_state_of_its_own_reads_all_anew():
    model, ids = made("gpt2")
    state, expected = WholeContext(model, NUM_ROWS), whole(model, ids)
    follow(state, ids, expected, [0, 0, 0], LENGTH)
    lengths = [3, 8, 5]
    state = WholeContext(model, NUM_ROWS)
    for row, length in enumerate(lengths):
        alone = WholeContext(model, 1)
        alone.read(ids[row : row + 1, :length])
        state.put([row], alone)
    state.select([2, 0])
    follow(state, ids[[2, 0]], expected[[2, 0]], [5, 3], 6)


@pytest.mark.parametrize("name", ["gpt2", "encoder", "music_transformer", "encoder_attention of all", "mixture"])
def test_a_full_context_takes_no_more(name):
    model, ids = made(name)
    state = model.begin_state(NUM_ROWS)
    state.read(ids[:, :-1])
    with pytest.raises(ValueError, match="a context of 24 tokens has no room for 2 after 23"):
        state.read(ids[:, :2])


def test_a_model_that_is_training_does_not_read():
    model, _ = made("gpt2")
    with pytest.raises(ValueError, match=r"call model\.eval\(\)"):
        model.train().begin_state(1)


@pytest.mark.parametrize("lengths", [[9, 2, 24], [24, 23, 1]])
def test_beyond_the_context_the_newer_half_is_read_anew(kind, lengths):
    model, ids = made(kind)
    if kind in SCHEMES:
        lengths = [5 * length for length in lengths]
    context_length, stride = model.settings.context_length if kind != "gpt2" else LENGTH, getattr(model, "stride", 1)
    longer = torch.cat((ids, ids[:, 1:], ids[:, 1:]), dim=1)
    contexts = Contexts(model, [row[:length] for row, length in zip(longer, lengths, strict=True)], context_length)
    rows = list(range(NUM_ROWS))
    for i in range(context_length + 3):
        for said, row in zip(contexts.said, rows, strict=True):
            tokens = longer[row, : lengths[row] + i]
            window = tokens[first_read(len(tokens), context_length, stride) :]
            if i % 5 == 0 or len(window) < context_length // 2 + 3:
                assert_same(said, whole(model, window[None])[0, -1])
        if i == 7:
            contexts.select([2, 0])
            rows = [2, 0]
        contexts.append(torch.stack([longer[row, lengths[row] + i] for row in rows]))


@pytest.mark.parametrize("length", [25, 40, 47])
def test_of_a_prompt_longer_than_the_context_the_newer_half_is_read(length):
    model, _ = made("gpt2")
    prompt = some_ids(1, length)
    contexts = Contexts(model, list(prompt), LENGTH)
    assert_same(contexts.said, whole(model, prompt[:, -LENGTH // 2 :])[:, -1])


def test_a_context_without_a_whole_bar_does_not_go_on():
    model, ids = made("jsb")
    contexts = Contexts(model, [ids[0, :32]], 32)
    with pytest.raises(GenerationError, match="context of 32, which holds no whole unit of 64 tokens"):
        contexts.append(ids[0, 32:33])


def test_contexts_of_two_tokens_can_be_read():
    torch.manual_seed(0)
    model, ids = make_model(config_of("gpt2", context_length=2), VOCAB_SIZE).eval(), some_ids(2, 9)
    contexts = Contexts(model, list(ids[:, :1]), 2)
    for t in range(1, 9):
        contexts.append(ids[:, t])
        window = ids[:, first_read(t + 1, 2, 1) : t + 1]
        assert_same(contexts.said, whole(model, window)[:, -1])


@settings(max_examples=60)
@given(st.integers(1, 24), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), st.integers(0, 999))
def test_repeats_that_are_carried_on_are_those_of_all_places(num_places, num_features, beat, highest, seed):
    generator = np.random.default_rng(seed)
    features = torch.from_numpy(generator.integers(0, highest + 1, (2, num_places, num_features)))
    expected = find_repeats(torch.cat((features, torch.zeros_like(features[:, :1])), 1), beat)
    running = RunningRepeats(2, num_features, num_places + 1, features.device, beat)
    while min(running.lengths) < num_places:
        counts = [int(generator.integers(0, num_places - length + 1)) for length in running.lengths]
        more = torch.full((2, max(1, *counts), num_features), -1)
        for row, (length, count) in enumerate(zip(running.lengths, counts, strict=True)):
            more[row, :count] = features[row, length : length + count]
        running.read(more, counts)
        found = running.longest()
        for row, length in enumerate(running.lengths):
            assert found.lag[row].tolist() == expected.lag[row, length].tolist()
            assert found.length[row].tolist() == expected.length[row, length].tolist()


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_what_the_next_step_sees_is_what_it_sees_among_all(seed, begins):
    grid = Grid(3, 20, 2, beats_per_bar=2)
    generator = np.random.default_rng(seed)
    # Notes that are held, and rests. A row for each number of steps.
    symbols = torch.from_numpy(generator.integers(0, 20, (1, 40, 3)).repeat(1 + seed % 3, 1)[:, :40])
    repeats, start = find_repeats(symbols, 2), torch.tensor([begins])
    lengths = torch.arange(40)
    next_repeats = type(repeats)(*(x[0, lengths] for x in repeats))
    found = what_is_seen_next(symbols.expand(40, -1, -1), lengths, start.expand(40), grid, next_repeats)
    for one, all_of_it in zip(flat(found), flat(what_is_seen(symbols, start, grid)), strict=True):
        torch.testing.assert_close(one[:, 0], all_of_it[0])


def flat(seen) -> list[torch.Tensor]:
    return [x for part in seen for x in (part if isinstance(part, tuple) else (part,))]
