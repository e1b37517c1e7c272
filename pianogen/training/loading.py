"""Examples as torch takes them: a dataset of the whole training for HF Trainer, and batches made by workers."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from pianogen.shards.examples import Batch, Loader, Source, batch_of


class ExampleDataset(torch.utils.data.Dataset):
    """The examples of a whole training, in order; tokens stay in the memory-mapped shards.

    An example is a dict of int64 tensors of shape (context_length,): `input_ids`, and the token that follows each, as
    `labels` (`examples.IGNORED` past the end). Of a scheme without ids they are float32, with one dimension more.

    Args:
        source: the examples.
        num_examples: length of the training, in examples.
    """

    def __init__(self, source: Source, num_examples: int) -> None:
        self.source, self.num_examples = source, num_examples

    def __len__(self) -> int:
        """Examples of the whole training, not of one epoch."""
        return self.num_examples

    def __getitem__(self, k: int) -> dict[str, torch.Tensor]:
        """The k-th example."""
        batch = batch_of(self.source, [k])
        targets = torch.from_numpy(batch.labels[0])
        # `shift_labels` tells the HF Trainer that labels are aligned with inputs; it counts these.
        return {"input_ids": torch.from_numpy(batch.input_ids[0]), "labels": targets, "shift_labels": targets}


class TorchLoader:
    """A loader's batches as tensors, made ahead by worker processes; whatever their number, the same ones.

    Args:
        loader: says which; its `consumed` counts the batches that were given, not those that are made ahead.
        num_workers: processes; 0: this one.
        options: of `torch.utils.data.DataLoader`, such as `pin_memory` and `prefetch_factor`.
    """

    def __init__(self, loader: Loader, num_workers: int = 0, **options: Any) -> None:
        self.loader, self.num_workers, self.options = loader, num_workers, options

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches from where the loader is: the fields of `Batch`, as tensors."""
        batches = torch.utils.data.DataLoader(
            _Batches(self.loader),
            batch_size=None,
            sampler=_Places(self.loader),
            num_workers=self.num_workers,
            **self.options,
        )
        for batch in batches:
            self.loader.consumed = self.loader.after(self.loader.consumed)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """See `Loader`."""
        return self.loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Loader`."""
        self.loader.load_state_dict(state)


class _Batches(torch.utils.data.Dataset):
    """Batches by the number of examples before them."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getitem__(self, consumed: int) -> dict[str, torch.Tensor]:
        batch = batch_of(self.loader.source, self.loader.numbers(consumed))
        return {name: torch.from_numpy(values) for name, values in zip(Batch._fields, batch, strict=True)}


class _Places(torch.utils.data.Sampler[int]):
    """Where each batch to come begins."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[int]:
        at = self.loader.consumed
        while self.loader.num_examples is None or at < self.loader.num_examples:
            yield at
            at = self.loader.after(at)
