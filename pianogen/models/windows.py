"""What the class notebook's models share: windows of the last tokens, attention over all of them, and the way out.

B rows, T tokens, N windows, W tokens of a window, D width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.incremental import Rows, State
from pianogen.tokenizers.base import PAD_ID

MOST = 30.0
"""Of a score of attention, before its exponential."""


def windows_of(input_ids: torch.Tensor, window: int) -> torch.Tensor:
    """For each position the ids up to it, PAD in place of those before the first.

    Args:
        input_ids: (B, T).
        window: W.

    Returns:
        (B * T, W), positions of a row one after the other.
    """
    padded = F.pad(input_ids, (window - 1, 0), value=PAD_ID)
    return padded.unfold(1, window, 1).reshape(-1, window)


def any_or_last(windows: torch.Tensor) -> torch.Tensor:
    """Where windows hold tokens; the last place of one that holds none, as after the end of a sequence."""
    is_there = windows != PAD_ID
    is_there[:, -1] = True
    return is_there


class GlobalAttention(nn.Module):
    """One vector of many: weighted by how well a learned context vector answers to each.

    Source: Yang et al., "Hierarchical Attention Networks" (2016), equations 5 to 7.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.context = nn.Parameter(torch.randn(width) / width**0.5)

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Of each position of (B, T, D), not yet divided by their sum; (B, T, 1)."""
        scores = (self.hidden(x).tanh() * self.context).sum(dim=-1, keepdim=True)
        return scores.clamp(-MOST, MOST).exp()

    def of_windows(self, x: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
        """The sum over each window, (N, D).

        Args:
            x: (N, W, D).
            is_there: where a window holds tokens, (N, W); at least one each.
        """
        weights = self.weights(x) * is_there[..., None]
        return (weights * x).sum(dim=1) / weights.sum(dim=1)

    def up_to_each(self, x: torch.Tensor) -> torch.Tensor:
        """At each position the sum over all up to it, (B, T, D)."""
        weights = self.weights(x).float()
        return ((weights * x).cumsum(dim=1) / weights.cumsum(dim=1)).to(x.dtype)


class RunningAttention(Rows):
    """The sums of `GlobalAttention.up_to_each`, carried on.

    Args:
        attention: its weights.
        num_rows: B.
    """

    def __init__(self, attention: GlobalAttention, num_rows: int) -> None:
        self.attention = attention
        self.weighted = attention.context.new_zeros(num_rows, len(attention.context), dtype=torch.float32)
        self.weights = self.weighted[:, :1].clone()

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The sum up to the last of the next positions (B, T, D), (B, D)."""
        weights = self.attention.weights(x).float()
        self.weighted = self.weighted + (weights * x).sum(dim=1)
        self.weights = self.weights + weights.sum(dim=1)
        return (self.weighted / self.weights).to(x.dtype)


class LastWindow(State):
    """The last tokens of each row, from which alone the next one is foretold.

    Args:
        model: has `of_windows`, which makes (N, D) of windows (N, W), and `out`.
        num_rows: B.
        window: W.
        like: a tensor on the model's device.
    """

    def __init__(self, model: Any, num_rows: int, window: int, like: torch.Tensor) -> None:
        super().__init__(model)
        self.model = model
        self.recent = like.new_full((num_rows, window), PAD_ID, dtype=torch.int64)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        self.recent = torch.cat((self.recent, ids), dim=1)[:, -self.recent.shape[1] :]
        return self.model.out(self.model.of_windows(self.recent), ids[:, -1])


class Out(nn.Module):
    """Batch normalisation and a linear layer.

    In training a position is normalised by all of the batch but padding, so that loss depends on what else is in it.

    Args:
        width: D.
        vocab_size: V.
        dropout: before the linear layer.
    """

    def __init__(self, width: int, vocab_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(width, vocab_size)

    def forward(self, x: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits (B, T, V) of (B, T, D), or of as many positions in a row."""
        flat = x.reshape(-1, x.shape[-1])
        if self.training:
            is_there = (input_ids != PAD_ID).flatten()
            normed = torch.zeros_like(flat)
            # Of a single position there is no variance.
            normed[is_there] = self.norm(flat[is_there]) if is_there.sum() > 1 else flat[is_there]
        else:
            normed = self.norm(flat)
        return self.linear(self.drop(normed)).view(*input_ids.shape, -1)
