import itertools
import pickle

import numpy as np
import pytest
import torch
from sequences import sequences_of

from pianogen.augment import AugmentConfig
from pianogen.lake import Lake
from pianogen.shards import ShardSet
from pianogen.shards.examples import IGNORED, Batch, ExampleConfig, Examples, Loader, Mixture, attention_mask, batch_of
from pianogen.tokenizers.base import PAD_ID
from pianogen.training.loading import ExampleDataset, TorchLoader, Update, Updates

LENGTHS = (17, 30, 5, 9, 40)


def examples(view: str = "chunks", lengths=LENGTHS, context_length: int = 4, **options) -> Examples:
    """Of sequences whose tokens are all different: 100, 101, 102 …"""
    ends = np.cumsum(lengths)
    tokens = [np.arange(100 + end - n, 100 + end, dtype=np.uint16) for n, end in zip(lengths, ends, strict=True)]
    return Examples(sequences_of(tokens), ExampleConfig(view=view, context_length=context_length, **options))


def test_an_example_for_the_trainer_is_tokens_and_the_tokens_that_follow():
    dataset = ExampleDataset(examples(lengths=(5,)), num_examples=1)
    assert dataset[0]["input_ids"].tolist() == [100, 101, 102, 103]
    assert dataset[0]["labels"].tolist() == [101, 102, 103, 104]
    assert len(dataset) == 1


def test_a_short_sequence_is_padded_and_its_padding_not_counted():
    dataset = ExampleDataset(examples(lengths=(3,)), num_examples=1)
    assert dataset[0]["input_ids"].tolist() == [100, 101, PAD_ID, PAD_ID]
    assert dataset[0]["labels"].tolist() == [101, 102, IGNORED, IGNORED]


def test_a_row_of_numbers_is_one_target():
    rows = np.array([[0] * 4, [5, 0.5, 60, 100], [0] * 4], np.float32)
    dataset = ExampleDataset(Examples(sequences_of([rows]), ExampleConfig(context_length=3)), num_examples=1)
    assert dataset[0]["labels"].tolist() == [rows[1].tolist(), rows[2].tolist(), [IGNORED] * 4]
    assert dataset[0]["shift_labels"].tolist() == [5, 0, IGNORED]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("view", ["chunks", "packed"])
def test_torch_gets_the_same_batches_whatever_the_number_of_its_workers(view, num_workers):
    loader = TorchLoader(Loader(examples(view), batch_size=3, num_examples=20), num_workers=num_workers)
    expected = list(Loader(examples(view), batch_size=3, num_examples=20))
    found = list(loader)
    assert len(found) == len(expected) == 7
    for batch, wanted in zip(found, expected, strict=True):
        for name, values in zip(Batch._fields, wanted, strict=True):
            assert torch.equal(batch[name], torch.from_numpy(values))
    assert loader.state_dict()["consumed"] == 20


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_that_was_stopped_in_mid_epoch_goes_on_with_other_workers_and_ranks(num_workers):
    one = TorchLoader(Loader(examples(), batch_size=4), num_workers=num_workers)
    first = [batch["input_ids"] for batch in itertools.islice(one, 5)]
    # What was made ahead and not given does not count.
    state = one.state_dict()
    assert state["consumed"] == 20
    ranks = [Loader(examples(), batch_size=2, rank=rank, world_size=3) for rank in range(3)]
    rest = []
    for loader in ranks:
        loader.load_state_dict(state)
        batches = itertools.islice(TorchLoader(loader, num_workers=num_workers), 4)
        rest.append([batch["input_ids"] for batch in batches])
    assert {loader.state_dict()["consumed"] for loader in ranks} == {44}
    dealt = torch.stack([torch.stack(batches) for batches in rest])  # rank, batch, row, position
    found = torch.cat([*first, dealt.permute(1, 2, 0, 3).reshape(24, 4)])
    assert torch.equal(found, torch.from_numpy(batch_of(examples(), range(44)).input_ids))


def test_workers_that_are_spawned_open_the_shards_again(shared_lake):
    shards = ShardSet(Lake(shared_lake), "tiny")
    augment = AugmentConfig(velocity_scales=(1.0, 0.8), while_loading=True)
    config = ExampleConfig(context_length=32, augment=augment)
    source = Examples(shards.sequences("train"), config, shards.tokenizer)
    mixture = Mixture({"a": source, "b": source}, {"a": 2, "b": 1})
    sent = pickle.dumps(mixture)
    assert len(pickle.dumps(source.sequences)) < 1000
    loader = TorchLoader(Loader(mixture, 4, num_examples=8), num_workers=1, multiprocessing_context="spawn")
    expected = list(Loader(pickle.loads(sent), 4, num_examples=8))
    assert [batch["labels"].tolist() for batch in loader] == [batch.labels.tolist() for batch in expected]


def test_attention_under_the_mask_is_that_of_each_sequence_alone():
    batch = batch_of(examples("packed", lengths=(3, 4, 6, 2), context_length=12), [0])
    torch.manual_seed(0)
    vectors = torch.randn(1, 1, 12, 8, dtype=torch.float64)
    together = torch.nn.functional.scaled_dot_product_attention(
        vectors, vectors, vectors, attn_mask=torch.from_numpy(attention_mask(batch.sequence))[:, None]
    )[0, 0]
    for number in range(1, int(batch.sequence.max()) + 1):
        where = torch.from_numpy(batch.sequence[0] == number)
        own = vectors[0, 0][where][None, None]
        alone = torch.nn.functional.scaled_dot_product_attention(own, own, own, is_causal=True)[0, 0]
        assert torch.allclose(together[where], alone)
    assert batch.sequence.max() == 4


def targets(update: Update) -> list[int]:
    """Tokens that are counted, pass by pass and row by row; they are all different in an epoch."""
    return [int(label) for batch in update.batches for label in batch["labels"].flatten() if label != IGNORED]


def taken(updates: Updates, number: int) -> list[Update]:
    return list(itertools.islice(updates, number))


def test_updates_by_number_hold_the_examples_in_order_in_passes_of_a_batch():
    found = taken(Updates(examples(), 4, num_batches=3), 5)
    assert [update.end for update in found] == [12, 24, 36, 48, 60]
    for first, update in enumerate(found):
        assert [batch["input_ids"].shape for batch in update.batches] == [(4, 4)] * 3
        wanted = batch_of(examples(), range(12 * first, 12 * first + 12))
        assert torch.equal(torch.cat([batch["input_ids"] for batch in update.batches]), torch.from_numpy(wanted[0]))
        assert update.num_targets == len(targets(update)) == (wanted.labels != IGNORED).sum()


@pytest.mark.parametrize("goal, batch_size", [(1, 1), (11, 2), (37, 3), (98, 5)])
def test_updates_by_targets_have_as_many_as_asked_for_and_less_than_a_window_more(goal, batch_size):
    found = taken(Updates(examples(), batch_size, num_targets=goal), 40)
    assert all(goal <= update.num_targets < goal + 4 for update in found)
    for update in found:
        sizes = [len(batch["labels"]) for batch in update.batches]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
    together = [int(label) for k in range(found[-1].end) for label in batch_of(examples(), [k]).labels.flatten()]
    assert [label for update in found for label in targets(update)] == [one for one in together if one != IGNORED]


def test_an_update_by_targets_has_a_whole_batch_even_if_that_is_more():
    (update,) = taken(Updates(examples(), 6, num_targets=3), 1)
    assert [len(batch["labels"]) for batch in update.batches] == [6]


@pytest.mark.parametrize("length", [{"num_batches": 2}, {"num_targets": 50}])
def test_updates_go_on_from_where_one_ended(length):
    whole = taken(Updates(examples(), 3, **length), 8)
    rest = taken(Updates(examples(), 3, first=whole[4].end, **length), 3)
    assert [targets(update) for update in rest] == [targets(update) for update in whole[5:]]
    assert [update.end for update in rest] == [update.end for update in whole[5:]]


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("length", [{"num_batches": 2}, {"num_targets": 37}])
def test_ranks_share_the_updates_of_one_process(length, world_size):
    alone = taken(Updates(examples(), 4, **length), 20)
    ranks = [
        taken(Updates(examples(), 4, rank=rank, world_size=world_size, **length), 20) for rank in range(world_size)
    ]
    for update, *shares in zip(alone, *ranks, strict=True):
        assert {share.end for share in shares} == {update.end}
        assert sum(share.num_targets for share in shares) == update.num_targets
        assert sorted(label for share in shares for label in targets(share)) == sorted(targets(update))
        # They wait for each other in every pass.
        assert len({tuple(len(batch["labels"]) for batch in share.batches) for share in shares}) == 1
        assert len(shares[0].batches) == len(update.batches)


def test_a_process_that_makes_updates_ahead_makes_the_same():
    updates = Updates(examples(), 3, num_targets=30)
    ahead = torch.utils.data.DataLoader(updates, batch_size=None, num_workers=1)
    for found, wanted in zip(itertools.islice(ahead, 6), updates, strict=False):
        assert targets(found) == targets(wanted)
        assert (found.num_targets, found.end) == (wanted.num_targets, wanted.end)
