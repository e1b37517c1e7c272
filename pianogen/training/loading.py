"""Examples as torch takes them: update by update for the trainer, one by one, and in batches made by workers."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from pianogen.shards.examples import IGNORED, PADDING, Batch, Loader, Source, batch_of


class Update(NamedTuple):
    """What one process reads for one update of the weights."""

    batches: list[dict[str, torch.Tensor]]
    """A forward pass each: `input_ids` and `labels`, shape (num_rows, num_positions)."""
    num_targets: int
    """Of these batches."""
    end: int
    """Examples of the training that all processes have taken after it."""


class Updates(torch.utils.data.IterableDataset):
    """Updates of a training, one after the other, without end; what they hold is the same for any number of processes.

    By number, an update takes `num_batches` batches. By targets, it takes examples until it has `num_targets`, and no
    fewer than a batch: less than one example too many. How many those are is known when they are read, since copies
    drawn while loading differ in length; so where an update begins is told by the one before it, and a checkpoint
    keeps that number. (HF Trainer's own accumulation takes a fixed number of batches, and finds its place again by
    reading what it skips.) Each process then reads the rows of all to count them.

    Examples of an update are dealt out to as few forward passes as hold them, as evenly as can be, and those of a pass
    to the processes one by one. A process that has none for its last row repeats one that is not counted.

    Args:
        source: the examples.
        batch_size: examples of one forward pass of all processes together; a multiple of `world_size`.
        num_batches: forward passes of an update.
        num_targets: of an update, in place of `num_batches`; 0: by number.
        first: examples that were taken before.
        rank: this process,
        world_size: of so many.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        *,
        num_batches: int = 1,
        num_targets: int = 0,
        first: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.source, self.batch_size, self.first = source, batch_size, first
        self.num_batches, self.num_targets = num_batches, num_targets
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[Update]:
        """From `first` on."""
        first = self.first
        while True:
            update = self.update(first)
            yield update
            first = update.end

    def update(self, first: int) -> Update:
        """The update that begins with an example."""
        end = self._end(first)
        num_batches = -(-(end - first) // self.batch_size)
        passes = [self._own(numbers) for numbers in np.array_split(np.arange(first, end), num_batches)]
        batches = [
            {"input_ids": torch.from_numpy(one.input_ids), "labels": torch.from_numpy(one.labels)} for one in passes
        ]
        return Update(batches, sum(int(np.count_nonzero(one.sequence)) for one in passes), end)

    def _end(self, first: int) -> int:
        if not self.num_targets:
            return first + self.num_batches * self.batch_size
        end, counted = first, 0
        while counted < self.num_targets or end - first < self.batch_size:
            counted += sum(len(span) - 1 for span in self.source.row(end))
            end += 1
        return end

    def _own(self, numbers: np.ndarray) -> Batch:
        """This process's rows of a forward pass; as many as the others have."""
        own = numbers[self.rank :: self.world_size]
        if len(own) * self.world_size >= len(numbers):
            return batch_of(self.source, own)
        batch = batch_of(self.source, [*own, numbers[-1]])
        batch.labels[-1], batch.sequence[-1] = IGNORED, PADDING
        return batch


class ExampleDataset(torch.utils.data.Dataset):
    """The examples of a whole training, in order; tokens stay in the memory-mapped shards.

    An example is a dict of int64 tensors of shape (context_length,): `input_ids`, and the token that follows each, as
    `labels` (`examples.IGNORED` past the end). Of a scheme without ids they are float32, with one dimension more.
    `shift_labels` has one number for each target.

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
        counted = targets if targets.ndim == 1 else targets[:, 0]
        return {"input_ids": torch.from_numpy(batch.input_ids[0]), "labels": targets, "shift_labels": counted}


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
