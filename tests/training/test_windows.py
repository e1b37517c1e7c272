import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pianogen.shards import Sequences
from pianogen.tokenizers.base import PAD_ID
from pianogen.training.windows import IGNORED, WindowDataset, cut_windows


def sequences_of(*lengths: int) -> Sequences:
    """Sequences whose tokens are all different: 100, 101, 102 …"""
    values = np.arange(100, 100 + sum(lengths), dtype=np.uint16)
    ends = np.cumsum(lengths)
    return Sequences(
        performance_ids=tuple(f"{i:02x}" for i in range(len(lengths))),
        semitones=np.zeros(len(lengths), np.int8),
        num_notes=np.ones(len(lengths), np.int32),
        _values=(values,),
        _starts=tuple((0, int(end - length), int(end)) for length, end in zip(lengths, ends, strict=True)),
    )


@given(st.lists(st.integers(2, 200), min_size=1, max_size=8), st.integers(2, 40))
def test_windows_cover_every_target_and_stay_inside_their_sequence(lengths, context_length):
    windows = cut_windows(np.array(lengths), context_length)
    for i, length in enumerate(lengths):
        starts = windows.start[windows.sequence == i]
        covered = {t for s in starts for t in range(s + 1, min(s + context_length, length - 1) + 1)}
        assert covered == set(range(1, length))
        assert len(starts) == -(-(length - 1) // context_length)
        assert all(s == 0 or s + context_length + 1 <= length for s in starts)


def test_an_example_is_tokens_and_the_tokens_that_follow():
    dataset = WindowDataset(sequences_of(5), context_length=4, num_examples=1, seed=0)
    assert dataset[0]["input_ids"].tolist() == [100, 101, 102, 103]
    assert dataset[0]["labels"].tolist() == [101, 102, 103, 104]


def test_a_short_sequence_is_padded_and_its_padding_not_counted():
    dataset = WindowDataset(sequences_of(3), context_length=4, num_examples=1, seed=0)
    assert dataset[0]["input_ids"].tolist() == [100, 101, PAD_ID, PAD_ID]
    assert dataset[0]["labels"].tolist() == [101, 102, IGNORED, IGNORED]


def test_every_epoch_takes_each_window_once_in_an_order_of_its_own():
    dataset = WindowDataset(sequences_of(17, 17, 17), context_length=4, num_examples=24, seed=3)
    first = [int(dataset[k]["labels"][0]) for k in range(12)]
    second = [int(dataset[k]["labels"][0]) for k in range(12, 24)]
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 12
    assert first != second


def test_the_same_seed_gives_the_same_examples_from_any_starting_point():
    one = WindowDataset(sequences_of(30, 30), context_length=4, num_examples=40, seed=5)
    other = WindowDataset(sequences_of(30, 30), context_length=4, num_examples=40, seed=5)
    last = [one[k]["labels"].tolist() for k in range(40)][33]
    assert other[33]["labels"].tolist() == last
    elsewhere = WindowDataset(sequences_of(30, 30), context_length=4, num_examples=40, seed=6)
    assert [one[k]["labels"].tolist() for k in range(16)] != [elsewhere[k]["labels"].tolist() for k in range(16)]
