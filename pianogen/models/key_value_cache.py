"""The key-value cache: keys and values of what attention has seen, so that a new position computes its own alone.

Source: Shazeer, "Fast Transformer Decoding" (2019), section 2.4.1, incremental inference. Ours is written in place, in
buffers that have room for more, and its rows may have different lengths.

B rows, T positions that are added, S positions that are seen, H heads, d width of a head.
"""

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F

from pianogen.models.incremental import LEAST_CAPACITY, Rows, grown, places_after


class KeyValueCache(Rows):
    """Keys and values of layers of attention that see nothing later.

    A forward pass calls `extend` once, and `add` or `attend` for each layer in turn.

    Args:
        num_rows: B.
        device: where they are.
        limit: most positions of a row; without it there is no end.
    """

    def __init__(self, num_rows: int, device: torch.device, limit: int | None = None) -> None:
        self.lengths = [0] * num_rows
        self.limit, self.device = limit, device
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._first: int | None = 0
        """First position that is being added, where it is that of all rows."""
        self._end = 0
        self._rows = torch.arange(num_rows, device=device)[:, None]
        self.places = torch.zeros(num_rows, 0, dtype=torch.int64, device=device)
        """Positions that are being added, (B, T); (1, T) where those of all rows are the same."""
        self.sees: torch.Tensor | None = None
        """Which positions these see, bool, (T, S) or (B, 1, T, S); None: all up to their own."""

    def extend(self, num_new: int, counts: Sequence[int] | None = None) -> torch.Tensor:
        """Begin a forward pass.

        Args:
            num_new: T, of every row.
            counts: how many of these stay of each row; what follows them is computed and forgotten. All without it.

        Returns:
            `places`.

        Raises:
            ValueError: a row has no room for them.
        """
        longest = max(self.lengths)
        self._end = longest + num_new
        if self.limit is not None and self._end > self.limit:
            raise ValueError(
                f"a context of {self.limit} tokens has no room for {num_new} after {longest}; begin a new state with "
                "fewer of them"
            )
        if min(self.lengths) == longest:
            self._first = longest
            self.places = torch.arange(longest, self._end, device=self.device)[None]
            self.sees = self._up_to(self.places)[0] if longest and num_new > 1 else None
        else:
            self._first = None
            self.places = places_after(self.lengths, num_new, self.device)
            self.sees = self._up_to(self.places)[:, None]
        added = [num_new] * len(self.lengths) if counts is None else counts
        self.lengths = [length + more for length, more in zip(self.lengths, added, strict=True)]
        return self.places

    def _up_to(self, places: torch.Tensor) -> torch.Tensor:
        return torch.arange(self._end, device=self.device) <= places[..., None]

    def add(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer, (B, H, S, d) each, with the new ones (B, H, T, d) at their places."""
        if layer == len(self._buffers):
            self._buffers.append((self._buffer(key), self._buffer(value)))
        keys, values = (grown(buffer, 2, self._end) for buffer in self._buffers[layer])
        for buffer, new in ((keys, key), (values, value)):
            if self._first is not None:
                buffer[:, :, self._first : self._end] = new
            else:
                buffer[self._rows, :, self.places] = new.transpose(1, 2)
        self._buffers[layer] = keys, values
        return keys[:, :, : self._end], values[:, :, : self._end]

    def _buffer(self, like: torch.Tensor) -> torch.Tensor:
        num_places = max(LEAST_CAPACITY, self._end)
        # What was never written is multiplied by 0, so it must be a number.
        return like.new_zeros(len(self.lengths), like.shape[1], num_places, like.shape[3])

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """What new positions see of all up to their own; all are (B, H, T, d)."""
        keys, values = self.add(layer, key, value)
        is_causal = self._first == 0 and query.shape[2] > 1
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=self.sees, is_causal=is_causal)

    def select(self, rows: Sequence[int]) -> None:
        """See `Rows`."""
        rows = list(rows)
        moved = [i for i, row in enumerate(rows) if row != i]
        used = max(self.lengths)
        is_in_place = len(rows) == len(self.lengths)
        self.lengths = [self.lengths[row] for row in rows]
        self._rows = torch.arange(len(rows), device=self.device)[:, None]
        if is_in_place and not moved:
            return
        for layer, buffers in enumerate(self._buffers):
            if is_in_place:
                # Of beams most stay where they are.
                for buffer in buffers:
                    buffer[moved, :, :used] = buffer[[rows[i] for i in moved], :, :used]
            else:
                keys, values = buffers
                self._buffers[layer] = keys[rows], values[rows]

    def put(self, rows: Sequence[int], other: Self) -> None:
        """See `Rows`."""
        rows, used = list(rows), max(other.lengths)
        for layer, theirs in enumerate(other._buffers):
            if layer == len(self._buffers):
                shapes = [(len(self.lengths), *buffer.shape[1:]) for buffer in theirs]
                self._buffers.append((theirs[0].new_zeros(shapes[0]), theirs[1].new_zeros(shapes[1])))
            keys, values = (grown(buffer, 2, used) for buffer in self._buffers[layer])
            for mine, buffer in ((keys, theirs[0]), (values, theirs[1])):
                mine[rows, :, :used] = buffer[:, :, :used]
            self._buffers[layer] = keys, values
        for row, length in zip(rows, other.lengths, strict=True):
            self.lengths[row] = length
