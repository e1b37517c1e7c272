"""Sequences of any length before a model whose context has an end.

A sequence that fills its context loses the older half of it, and the newer half is read anew, from position 0. Where
tokens are units of a model together (`stride`), what is left begins with a whole unit.

B rows, V vocabulary.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from pianogen.errors import GenerationError
from pianogen.models.incremental import History, State


class Contexts:
    """Sequences that grow token by token, and what the model says of what follows each.

    Args:
        model: has `begin_state`; in evaluation mode.
        prompts: their beginnings on the model's device, one token at least, each read at one go.
        context_length: the most tokens that the model takes; 2 or more.

    Raises:
        GenerationError: a sequence outgrows a context that is shorter than a unit of the model.
    """

    @torch.inference_mode()
    def __init__(self, model: Any, prompts: Sequence[torch.Tensor], context_length: int) -> None:
        self.model, self.context_length = model, context_length
        windows = [prompt if len(prompt) <= context_length else self._newer(prompt, 0) for prompt in prompts]
        self.window, self.state = History(len(windows)), model.begin_state(len(windows))
        self.said: torch.Tensor = self._read_anew(range(len(windows)), windows)
        """What the model says of what follows each, (B, V)."""

    @torch.inference_mode()
    def append(self, tokens: torch.Tensor) -> torch.Tensor:
        """`said` of what follows the next token of each, (B,) or (B, width), on the model's device.

        Raises:
            GenerationError: as of the class.
        """
        full = [row for row, length in enumerate(self.window.lengths) if length == self.context_length]
        if full:
            # The token that comes is the last of the newer half.
            self._read_anew(full, [self._newer(self.window.of(row), 1) for row in full])
        self.window.append(tokens[:, None])
        self.said = self.state.read(tokens[:, None])
        return self.said

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        """Keep these sequences, in this order; one may stand there several times."""
        for part in (self.window, self.state):
            part.select(rows)
        self.said = self.said[list(rows)]

    def _newer(self, tokens: torch.Tensor, num_coming: int) -> torch.Tensor:
        """What stays of a context with the tokens that come: half of it, from the beginning of a unit on."""
        total, stride = len(tokens) + num_coming, getattr(self.model, "stride", 1)
        first = -(-(total - max(1, self.context_length // 2)) // stride) * stride
        if first >= total:
            raise GenerationError(
                f"a sequence of {total} tokens goes beyond the context of {self.context_length}, which holds no whole "
                f"unit of {stride} tokens to go on from; draw fewer, or train with a longer context_length"
            )
        return tokens[first:]

    def _read_anew(self, rows: Sequence[int], windows: Sequence[torch.Tensor]) -> torch.Tensor:
        """Let these rows have read these tokens alone, as many together as are equally long; (B, V) where any were."""
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for i, window in enumerate(windows):
            by_length[len(window)].append(i)
        parts: list[tuple[list[int], torch.Tensor]] = []
        for length, chosen in by_length.items():
            state: State = self.model.begin_state(len(chosen))
            window = History(len(chosen))
            if length:
                tokens = torch.stack([windows[i] for i in chosen])
                window.append(tokens)
                parts.append((chosen, state.read(tokens)))
            places = [rows[i] for i in chosen]
            self.state.put(places, state)
            self.window.put(places, window)
        if not parts:
            return torch.empty(0)
        said = parts[0][1].new_empty(len(windows), *parts[0][1].shape[1:])
        for chosen, values in parts:
            said[chosen] = values
        return said
