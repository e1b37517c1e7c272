"""Every target of every sequence, once an epoch, and never one that follows from another sequence."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from builders import notes
from corpora import improvise
from hypothesis import given
from hypothesis import strategies as st
from sequences import sequences_of

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError, ShardError
from pianogen.midi.blocks import music_block
from pianogen.shards.examples import (
    IGNORED,
    PADDING,
    ExampleConfig,
    Examples,
    Loader,
    Mixture,
    attention_mask,
    batch_of,
)
from pianogen.shards.rows import augmented_rows, framed, require_told
from pianogen.shards.views import chunks
from pianogen.tokenizers.base import BOS_ID, EOS_ID, Tokenizer, make_tokenizer

REMI = make_tokenizer({"name": "remi"})
PERFORMANCE = make_tokenizer({"name": "performance"})
lengths_of = st.lists(st.integers(0, 60), min_size=1, max_size=8).filter(lambda lengths: max(lengths) > 1)


def numbered(lengths: list[int]):
    """Sequences whose tokens are all different."""
    ends = np.cumsum(lengths)
    return sequences_of([np.arange(end - n, end, dtype=np.uint16) for n, end in zip(lengths, ends, strict=True)])


def encoded(coder: Tokenizer = REMI, num: int = 4):
    music = [coder.encode(improvise(seed, 40 + 20 * seed)) for seed in range(num)]
    return sequences_of([np.concatenate(([BOS_ID], ids, [EOS_ID])).astype(coder.dtype) for ids in music])


@given(lengths_of, st.integers(1, 40))
def test_chunks_cover_every_target_and_stay_inside_their_sequence(lengths, context_length):
    spans = chunks(np.array(lengths), context_length)
    for i, length in enumerate(lengths):
        own = [(s, e) for n, s, e in zip(*spans, strict=True) if n == i]
        assert {t for s, e in own for t in range(s + 1, e)} == set(range(1, length))
        assert len(own) == -(-max(length - 1, 0) // context_length)
        assert all(e - s == min(context_length + 1, length) for s, e in own)


@given(lengths_of, st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_packed_rows_hold_every_target_once_and_all_but_one_are_full(lengths, context_length, shuffle, epoch):
    config = ExampleConfig(view="packed", context_length=context_length, shuffle=shuffle)
    examples = Examples(numbered(lengths), config)
    ends = np.cumsum(lengths)
    every = {t for n, end in zip(lengths, ends, strict=True) for t in range(end - n + 1, end)}
    num = examples.num_per_epoch
    batch = batch_of(examples, range(epoch * num, (epoch + 1) * num))
    found = batch.labels[batch.sequence != PADDING].tolist()
    assert Counter(found) == Counter(every)
    assert sorted((batch.sequence == PADDING).sum(axis=1).tolist())[:-1] == [0] * (num - 1)
    # What is to be predicted follows what was read, in the same sequence.
    real = batch.sequence != PADDING
    assert np.array_equal(batch.input_ids[real] + 1, batch.labels[real])
    assert (batch.labels[~real] == IGNORED).all()


@given(lengths_of, st.integers(1, 30))
def test_no_position_sees_another_piece_or_what_is_to_come(lengths, context_length):
    batch = batch_of(Examples(numbered(lengths), ExampleConfig(view="packed", context_length=context_length)), [0])
    mask = attention_mask(batch.sequence)[0]
    sequence = np.searchsorted(np.cumsum(lengths), batch.input_ids[0], side="right")
    for q, k in zip(*np.nonzero(mask), strict=True):
        assert k <= q
        if q != k:
            assert sequence[q] == sequence[k]
            assert batch.sequence[0, q] != PADDING
    # And what it may see it sees: everything before it in its span.
    assert np.array_equal(mask.sum(axis=1), np.where(batch.sequence[0] == PADDING, 1, batch.positions[0] + 1))


def test_whole_sequences_are_padded_to_the_longest_of_their_batch():
    batch = batch_of(Examples(numbered([3, 6]), ExampleConfig(view="sequences", shuffle=False)), [0, 1])
    assert batch.input_ids.tolist() == [[0, 1, 0, 0, 0], [3, 4, 5, 6, 7]]
    assert batch.labels.tolist() == [[1, 2, IGNORED, IGNORED, IGNORED], [4, 5, 6, 7, 8]]
    assert batch.sequence.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize("context_length", [8, 64])
def test_rows_of_bars_begin_with_a_bar_and_hold_every_target(context_length):
    sequences = encoded()
    config = ExampleConfig(view="bars", context_length=context_length, shuffle=False)
    examples = Examples(sequences, config, REMI)
    is_bar = np.array([token.startswith("Bar") for token in REMI.vocab])
    found, begun = Counter(), []
    for k in range(examples.num_per_epoch):
        (span,) = examples.row(k)
        assert 2 <= len(span) <= context_length + 1
        begun.append(is_bar[span[0]] or span[0] == BOS_ID)
        found.update(span[1:].tolist())
    assert found == Counter(token for i in range(len(sequences)) for token in sequences[i][1:].tolist())
    # With room for a bar every row begins with one.
    assert all(begun) == (context_length == 64)


def test_bars_of_four_voices_are_four_quarters_and_a_scheme_without_bars_says_so():
    jsb = make_tokenizer({"name": "jsb"})
    ids = np.concatenate(([BOS_ID], jsb.encode(notes(*[(i, 60, 1) for i in range(9)])), [EOS_ID]))
    assert jsb.bar_starts(ids).tolist() == [1, 65, 129]
    with pytest.raises(ShardError, match="tokenizer craykh tells no bars; take the view `chunks`"):
        Examples(numbered([9]), ExampleConfig(view="bars", context_length=4), make_tokenizer({"name": "craykh"}))


@pytest.mark.parametrize("view", ["sequences", "chunks", "bars", "packed"])
def test_every_epoch_takes_every_example_in_an_order_of_its_own_that_the_seed_decides(view):
    def rows(seed: int, numbers) -> list:
        config = ExampleConfig(view=view, context_length=None if view == "sequences" else 16, seed=seed)
        source = Examples(encoded(num=6), config, REMI)
        return [[span.tolist() for span in source.row(k)] for k in numbers(source.num_per_epoch)]

    first, second = rows(5, lambda num: range(num)), rows(5, lambda num: range(num, 2 * num))
    assert first != second
    assert rows(5, lambda num: range(num)) == first != rows(6, lambda num: range(num))
    # The 7th example is the same, whatever was read before.
    assert rows(5, lambda num: [num + 5]) == second[5:6]
    if view != "packed":
        assert sorted(first) == sorted(second)


@pytest.mark.parametrize("view", ["sequences", "chunks", "bars", "packed"])
def test_sequences_without_a_token_to_predict_make_no_example(view):
    def source(*sequences: list[int]) -> Examples:
        tokens = [np.array(one, np.uint16) for one in sequences]
        context_length = None if view == "sequences" else 4
        config = ExampleConfig(view=view, context_length=context_length, shuffle=False)
        return Examples(sequences_of(tokens), config, REMI)

    bar = REMI.vocab.index("Bar_None")
    whole = [BOS_ID, bar, 20, bar, 21, EOS_ID]
    sparse, dense = source([], whole, [7], [], whole), source(whole, whole)
    assert sparse.num_per_epoch == dense.num_per_epoch
    found, expected = (batch_of(one, range(one.num_per_epoch)) for one in (sparse, dense))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    with pytest.raises(ShardError, match="no sequence has a token to predict"):
        source([], [7])


# Copies that are drawn while loading


@pytest.mark.parametrize("view", ["chunks", "packed"])
def test_transpositions_while_loading_are_those_of_the_sequences(view):
    augment = AugmentConfig(semitones=(-3, 0, 2), while_loading=True)
    config = ExampleConfig(view=view, context_length=16, augment=augment, shuffle=False)
    sequences = encoded()
    plain = Examples(sequences, replace(config, augment=None))
    drawn = Examples(sequences, config, REMI)
    heard = set()
    for k in range(3 * drawn.num_per_epoch):
        for own, copy in zip(plain.row(k), drawn.row(k), strict=True):
            moved = {s for s in (-3, 0, 2) if np.array_equal(REMI.transpose(own, s), copy)}
            assert moved
            heard |= moved if len(moved) == 1 else set()
    assert heard == {-3, 0, 2}


@pytest.mark.parametrize("view", ["sequences", "chunks", "packed"])
def test_transpositions_while_loading_are_those_of_shards_with_octaves_in_chords(view):
    coder = make_tokenizer({"name": "note_chord", "vocab": "all"})
    music = notes((0, 48, 1), (0, 60, 1), (2, 64, 1), (3, 67, 1), (3, 79, 1))
    stored = [
        rows.tokens[k].tolist()
        for rows in augmented_rows(coder, music_block([music]), AugmentConfig(semitones=(-3, 0, 2)))
        for k in range(len(rows.tokens))
    ]
    augment = AugmentConfig(semitones=(-3, 0, 2), while_loading=True)
    config = ExampleConfig(view=view, context_length=None if view == "sequences" else 8, augment=augment)
    examples = Examples(sequences_of([np.array(stored[1], coder.dtype)]), config, coder)
    drawn = [examples.row(k)[0].tolist() for k in range(20)]
    assert sorted(stored) == sorted([list(one) for one in set(map(tuple, drawn))])


@pytest.mark.parametrize("scheme", [{"name": "remi"}, {"name": "continuous"}], ids=str)
def test_other_copies_are_made_of_what_the_sequence_says(scheme):
    coder = make_tokenizer(scheme)
    music = improvise(3, 60)
    ids = coder.encode(music)
    whole = framed(coder, ids)
    augment = AugmentConfig(semitones=(0,), velocity_scales=(1.0, 0.5), while_loading=True)
    examples = Examples(sequences_of([whole]), ExampleConfig(view="sequences", augment=augment), coder)
    softer = coder.encode(replace(music, velocity=np.rint(coder.decode(ids).velocity * 0.5).astype(np.uint8)))
    found = {coder.decode(examples.row(k)[0]).velocity.tobytes() for k in range(12)}
    assert found == {coder.decode(ids).velocity.tobytes(), coder.decode(softer).velocity.tobytes()}


def test_rows_of_numbers_begin_and_end_with_zeros_and_what_follows_the_end_is_not_counted():
    coder = make_tokenizer({"name": "continuous"})
    rows = coder.encode(improvise(3, 6))
    augment = AugmentConfig(semitones=(0, 1), while_loading=True)
    config = ExampleConfig(context_length=len(rows) + 3, augment=augment)
    examples = Examples(sequences_of([framed(coder, rows)]), config, coder)
    found = set()
    for k in range(8):
        batch = batch_of(examples, [k])
        moved = batch.labels[0, : len(rows)] - rows
        assert (moved[:, [0, 1, 3]] == 0).all()
        (semitones,) = set(moved[:, 2].tolist())
        found.add(semitones)
        assert (batch.labels[0, len(rows)] == 0).all()
        assert (batch.labels[0, len(rows) + 1 :] == IGNORED).all()
        assert (batch.input_ids[0, 0] == 0).all()
        assert (batch.input_ids[0, 1 : len(rows) + 1] == batch.labels[0, : len(rows)]).all()
    assert found == {0, 1}


def test_chunks_of_a_stretched_copy_are_its_own_and_come_again_with_their_number():
    augment = AugmentConfig(semitones=(0, 1), stretches=(1.0, 1.5), jitters_ms=(0.0, 5.0), while_loading=True)
    config = ExampleConfig(context_length=24, augment=augment)
    one, other = (Examples(encoded(PERFORMANCE), config, PERFORMANCE) for _ in range(2))
    rows = [one.row(k)[0] for k in range(3 * one.num_per_epoch)]
    assert all(2 <= len(row) <= 25 and row.dtype == PERFORMANCE.dtype for row in rows)
    assert all(np.array_equal(other.row(k)[0], rows[k]) for k in reversed(range(len(rows))))


def test_a_copy_that_has_more_chunks_than_the_original_shows_each_of_them_as_often():
    augment = AugmentConfig(semitones=(0,), stretches=(1.0, 3.0), while_loading=True)
    coder = make_tokenizer({"name": "performance", "max_shift_ms": 100})
    examples = Examples(encoded(coder, num=1), ExampleConfig(context_length=24, augment=augment), coder)
    num = examples.num_per_epoch
    shown = Counter()
    num_copies = 0
    for epoch in range(300):
        if examples._variation(epoch, 0).stretch != 1:
            rows = [examples.row(k)[0].tolist() for k in range(epoch * num, (epoch + 1) * num)]
            assert len(set(map(tuple, rows))) == num
            shown.update(map(tuple, rows))
            num_copies += 1
    assert len(shown) > num
    assert sum(row[-1] == EOS_ID for row in shown) == 1
    expected = num_copies * num / len(shown)
    assert all(0.5 * expected < count < 1.5 * expected for count in shown.values())


def test_packed_rows_refuse_copies_of_another_length():
    augment = AugmentConfig(stretches=(1.0, 1.5), while_loading=True)
    with pytest.raises(ShardError, match="packed rows need sequences that keep their length"):
        Examples(encoded(), ExampleConfig(view="packed", context_length=8, augment=augment), PERFORMANCE)


@pytest.mark.parametrize(
    ("scheme", "options", "untold"),
    [
        ({"name": "remi"}, {"stretches": (1.0, 1.1)}, "stretches"),
        ({"name": "tsd"}, {"jitters_ms": (0.0, 8.0), "pedals": ("kept", "sounded")}, "jitters_ms, pedals"),
        ({"name": "craykh"}, {"velocity_shifts": (0, 8), "stretches": (1.0, 1.1)}, "velocity_shifts"),
        ({"name": "remi", "tempos": True, "pedal": True}, {"stretches": (1.0, 1.1), "pedals": ("kept", "removed")}, ""),
        ({"name": "performance"}, {"stretches": (1.0, 1.1), "jitters_ms": (0.0, 8.0)}, ""),
        ({"name": "remi"}, {"octaves": (-1, 0), "velocity_scales": (1.0, 0.8)}, ""),
    ],
)
def test_copies_that_tokens_do_not_tell_are_not_drawn_while_loading(scheme, options, untold):
    augment = AugmentConfig(**options, while_loading=True)
    if untold:
        with pytest.raises(SettingsError, match=f"do not tell what {untold} would change; leave"):
            require_told(make_tokenizer(scheme), augment)
    else:
        require_told(make_tokenizer(scheme), augment)


# Mixtures and loaders


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 0.001, "b": 0.999}])
def test_a_mixture_holds_as_many_examples_of_each_source_as_weights_say_and_each_in_its_order(weights):
    sources = {
        name: Examples(numbered([30, 20]), ExampleConfig(context_length=4, seed=i)) for i, name in enumerate("ab")
    }
    mixture = Mixture(sources, weights, seed=1)
    turns = [mixture.turn(k) for k in range(3 * Mixture.CYCLE)]
    for i, name in enumerate("ab"):
        numbers = [number for source, number in turns if source == i]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) == pytest.approx(len(turns) * weights[name] / sum(weights.values()), abs=3)
    assert all(np.array_equal(mixture.row(k)[0], sources["ab"[s]].row(n)[0]) for k, (s, n) in enumerate(turns[:50]))
    # Anywhere in a cycle both are there, not one after the other.
    if weights["a"] == 1.0:
        assert 350 < sum(source for source, _ in turns[5000:6000]) < 650


def test_mixtures_that_cannot_be_meant_are_refused():
    source = Examples(numbered([30]), ExampleConfig(context_length=4))
    with pytest.raises(ShardError, match="weights of a, c for examples of a, b: name the same"):
        Mixture({"a": source, "b": source}, {"a": 1, "c": 1})
    with pytest.raises(ShardError, match="weights must be above 0"):
        Mixture({"a": source}, {"a": 0})
    with pytest.raises(ShardError, match="the weight of b is less than one in 16,384"):
        Mixture({"a": source, "b": source}, {"a": 1, "b": 1e-6})


def test_a_state_of_other_examples_is_refused():
    one = Loader(Examples(numbered([30]), ExampleConfig(context_length=4)), batch_size=2)
    other = Loader(Examples(numbered([30]), ExampleConfig(context_length=5)), batch_size=2)
    next(one)
    with pytest.raises(ShardError, match="this state of a loader is of other examples"):
        other.load_state_dict(one.state_dict())
    with pytest.raises(ShardError, match=r"no state of a loader, which has identity and consumed: found \['step'\]"):
        other.load_state_dict({"step": 3})


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 40))
def test_all_ranks_together_get_every_example_once(world_size, batch_size, num_examples):
    source = Examples(numbered([90, 30]), ExampleConfig(context_length=3))
    loaders = [
        Loader(source, batch_size, rank=r, world_size=world_size, num_examples=num_examples) for r in range(world_size)
    ]
    rows = sorted(row.tolist() for loader in loaders for batch in loader for row in batch.input_ids)
    assert rows == sorted(row.tolist() for row in batch_of(source, range(num_examples)).input_ids)
    assert {loader.consumed for loader in loaders} == {num_examples}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"view": "lines"}, "view must be one of sequences, chunks, crops, bars, packed, found 'lines'"),
        ({}, "the view chunks needs a context_length of 1 or more: None"),
        ({"view": "bars", "context_length": 4}, "bars and augmentation need the tokenizer"),
        ({"view": "sequences", "context_length": 4}, "the view sequences has no context_length, found 4; take chunks"),
        ({"context_length": 4, "seed": -1}, "seed must be 0 or more, found -1"),
    ],
)
def test_examples_that_cannot_be_cut_are_refused(config, message):
    with pytest.raises(ShardError, match=message):
        Examples(numbered([30]), ExampleConfig(**config))
