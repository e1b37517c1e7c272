"""Reading sequences token by token: what a model keeps of what it has read, so as not to read it again.

`model.begin_state(num_rows)` gives a `State`. Its `read` takes the next tokens of each row and says what follows them;
rows may have different lengths. `select` repeats, reorders and drops rows; `put` lets rows of another state in. A model
that has no state of its own reads everything anew each time (`WholeContext`).

B rows, T tokens, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import nn

LEAST_CAPACITY = 64
"""Positions that a buffer has room for at first; one that is full is copied into one of twice the size."""


class Rows:
    """Something of each of several sequences: attributes that are tensors, or tuples of them, have a row for each.

    So have attributes that are `Rows`. What a subclass keeps in another way it selects and puts by itself.
    """

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; one may stand there several times."""
        for name, value in vars(self).items():
            if isinstance(value, Rows):
                value.select(rows)
            elif isinstance(value, torch.Tensor | tuple):
                setattr(self, name, mapped(lambda x: x[list(rows)], value))

    def put(self, rows: Sequence[int], other: Self) -> None:
        """Let these rows be those of `other`, one after the other."""
        for name, value in vars(self).items():
            if isinstance(value, Rows):
                value.put(rows, getattr(other, name))
            elif isinstance(value, torch.Tensor | tuple):
                setattr(self, name, mapped(lambda x, y: _replaced(x, rows, y), value, getattr(other, name)))


def _replaced(value: torch.Tensor, rows: Sequence[int], others: torch.Tensor) -> torch.Tensor:
    return value.index_copy(0, torch.tensor(rows, device=value.device), others)


def mapped(change: Callable[..., torch.Tensor], value: Any, *others: Any) -> Any:
    """A tensor, or the tensors of a tuple and of those in it, changed; with those at the same places of others."""
    if isinstance(value, torch.Tensor):
        return change(value, *others)
    parts = (mapped(change, *each) for each in zip(value, *others, strict=True))
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def last_of(new: Any, counts: Sequence[int], before: Any) -> Any:
    """Of each row what stands at the last of its new places; where it has none, what was before.

    Args:
        new: (B, N, ...), or a tuple of such.
        counts: new places of each row, 0-N.
        before: (B, 1, ...), or a tuple of such.

    Returns:
        As `before`.
    """
    if min(counts) == max(counts) > 0:
        return mapped(lambda x: x[:, counts[0] - 1 : counts[0]], new)

    def chosen(new: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        num = torch.tensor(counts, device=new.device)
        last = new[torch.arange(len(new), device=new.device), (num - 1).clamp(min=0)]
        return torch.where((num > 0).view(-1, *[1] * last.ndim), last[:, None], before)

    return mapped(chosen, new, before)


def places_of(value: Any, first: Sequence[int], num: int) -> Any:
    """So many places of a tensor (B, S, ...), or of a tuple of such, from the first of each row on.

    In place of those that it does not have stands its last one.
    """

    def chosen(x: torch.Tensor) -> torch.Tensor:
        if min(first) == max(first) <= x.shape[1] - num:
            return x[:, first[0] : first[0] + num]
        row = torch.arange(len(x), device=x.device)[:, None]
        return x[row, places_after(first, num, x.device).clamp(max=x.shape[1] - 1)]

    return mapped(chosen, value)


class State(Rows, ABC):
    """What a model keeps of B sequences that it reads; a row that has read nothing has the length 0.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        if model.training:
            raise ValueError("a model that is training drops values at random; call model.eval() before it reads")

    @torch.inference_mode()
    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """What the model says of what follows the last token of each row: logits, or states of a model with `draw`.

        Args:
            ids: the next tokens of each row, (B, T), one at least; or rows of numbers, (B, T, width).

        Returns:
            (B, V).

        Raises:
            ValueError: a row has no room for them in its context.
        """
        return self._read(ids)

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        """See `Rows`."""
        super().select(rows)

    @torch.inference_mode()
    def put(self, rows: Sequence[int], other: Self) -> None:
        """See `Rows`; both states are of one model."""
        super().put(rows, other)

    @abstractmethod
    def _read(self, ids: torch.Tensor) -> torch.Tensor: ...


class History(Rows):
    """Tokens that rows have read: ids, or rows of numbers.

    Args:
        num_rows: B.
    """

    def __init__(self, num_rows: int) -> None:
        self.lengths = [0] * num_rows
        self._tokens: torch.Tensor | None = None

    @property
    def tokens(self) -> torch.Tensor:
        """Of all rows, (B, places) or (B, places, width); 0 where a row has no more."""
        assert self._tokens is not None, "nothing was read"
        return self._tokens

    def append(self, tokens: torch.Tensor, counts: Sequence[int] | None = None) -> None:
        """The next of each row, (B, T); the first `counts` of them where that is given."""
        first, num_new = max(self.lengths), tokens.shape[1]
        self._reserve(first + num_new, tokens)
        if min(self.lengths) == first:
            self.tokens[:, first : first + num_new] = tokens
        else:
            row = torch.arange(len(tokens), device=tokens.device)[:, None]
            self.tokens[row, places_after(self.lengths, num_new, tokens.device)] = tokens
        added = [num_new] * len(self.lengths) if counts is None else counts
        self.lengths = [length + more for length, more in zip(self.lengths, added, strict=True)]

    def upto(self, num_places: int) -> torch.Tensor:
        """Of all rows, (B, num_places)."""
        self._reserve(num_places, self.tokens)
        return self.tokens[:, :num_places]

    def of(self, row: int) -> torch.Tensor:
        """Tokens of a row."""
        return self.tokens[row, : self.lengths[row]]

    def select(self, rows: Sequence[int]) -> None:
        """See `Rows`."""
        super().select(rows)
        self.lengths = [self.lengths[row] for row in rows]

    def put(self, rows: Sequence[int], other: Self) -> None:
        """See `Rows`."""
        if other._tokens is not None:
            num_places = other._tokens.shape[1]
            self._reserve(num_places, other._tokens)
            self.tokens[list(rows)] = 0
            self.tokens[list(rows), :num_places] = other._tokens
        for row, length in zip(rows, other.lengths, strict=True):
            self.lengths[row] = length

    def _reserve(self, num_places: int, like: torch.Tensor) -> None:
        if self._tokens is None:
            self._tokens = like.new_zeros(len(self.lengths), max(num_places, LEAST_CAPACITY), *like.shape[2:])
        self._tokens = grown(self._tokens, 1, num_places)


def places_after(lengths: Sequence[int], num_new: int, device: torch.device) -> torch.Tensor:
    """Places of the next tokens of rows of these lengths, (B, T)."""
    return torch.tensor(lengths, device=device)[:, None] + torch.arange(num_new, device=device)


def grown(buffer: torch.Tensor, dim: int, num_places: int) -> torch.Tensor:
    """The buffer, with room for so many places in a dimension; what is new is 0."""
    if buffer.shape[dim] >= num_places:
        return buffer
    shape = list(buffer.shape)
    shape[dim] = max(num_places, 2 * shape[dim])
    larger = buffer.new_zeros(shape)
    larger.narrow(dim, 0, buffer.shape[dim]).copy_(buffer)
    return larger


class WholeContext(State):
    """Keeps the tokens alone and reads all of them for each new one.

    Args:
        model: any.
        num_rows: B.
    """

    def __init__(self, model: nn.Module, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.history = model, History(num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        self.history.append(ids)
        lengths = self.history.lengths
        said = self.model(input_ids=self.history.tokens[:, : max(lengths)]).logits
        return said[torch.arange(len(lengths)), torch.tensor(lengths) - 1]
