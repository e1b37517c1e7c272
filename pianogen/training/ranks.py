"""The processes that train one model together, each on a GPU of its own or on a CPU; one of them, as a rule.

The first one, rank 0, holds the run's lock, writes everything, and validates. What it decides, the others are told.
"""

import contextlib
import datetime
import os
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed

from pianogen.errors import TrainingError

PATIENCE = datetime.timedelta(hours=12)
"""How long one process waits for another, as for a validation; the end of one that dies is noticed at once."""
POLL_SEC = 0.2


class Ranks:
    """One process that trains alone.

    Where there are several, `from_first`, `any` and `sum` are called by all at the same point, and give all the same.
    """

    index = 0
    """Of this process."""
    local_index = 0
    """Of this process among those of its machine, which is the number of its GPU."""
    size = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes and validates."""
        return self.index == 0

    def begin(self) -> None:
        """By the first: let the others begin."""

    def told_to_begin(self) -> bool:
        """By the others: wait for the first; False when there is nothing to train."""
        return True

    def from_first(self, value: int) -> int:
        """What the first one gave."""
        return value

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether any process raised it."""
        return flags

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Over all processes."""
        return value


class ManyRanks(Ranks):
    """One of several processes that `torchrun` started, which have found each other."""

    def __init__(self) -> None:
        self.index, self.size = distributed.get_rank(), distributed.get_world_size()
        self.local_index = int(os.environ.get("LOCAL_RANK", self.index))
        self._has_begun = False

    def begin(self) -> None:
        """See `Ranks`."""
        self._has_begun = True
        self.from_first(1)

    def told_to_begin(self) -> bool:
        """See `Ranks`."""
        answer = torch.tensor(0)
        told: Any = distributed.broadcast(answer, src=0, async_op=True)
        # Asked again and again: a process that waits inside torch hears no signal.
        while not told.is_completed():
            time.sleep(POLL_SEC)
        return bool(answer)

    def end(self) -> None:
        """Where the first has not begun, the others need not wait."""
        if self.is_first and not self._has_begun:
            self.from_first(0)

    def from_first(self, value: int) -> int:
        """See `Ranks`."""
        shared = torch.tensor(value)
        distributed.broadcast(shared, src=0)
        return int(shared)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """See `Ranks`."""
        # Through the CPU, so that no GPU is waited for.
        shared = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in shared)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """See `Ranks`."""
        total = value.clone()
        distributed.all_reduce(total)
        return total


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """This process among those that `torchrun` started with it, or alone, for as long as the body lasts.

    Raises:
        TrainingError: the others were not found.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        # What the CPUs have to agree on must not wait for GPUs.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"WORLD_SIZE is set, but there are no others to train with ({error}); start with torchrun"
        ) from None
    ranks = ManyRanks()
    try:
        yield ranks
    finally:
        ranks.end()
        distributed.destroy_process_group()
