"""From logits to the next token: temperature, top-k, top-p, greedy. Pure functions of tensors.

Shapes: B sequences, V tokens. A token that can't be drawn has the logit -inf.

Source: top-k, Fan et al. (2018), section 5.4; top-p (nucleus), Holtzman et al. (2020), section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """How a token is drawn; the defaults draw from the model's own distribution."""

    temperature: float = 1.0
    """0: the most likely token."""
    top_k: int = 0
    """0: all."""
    top_p: float = 1.0
    """1: all."""


class Draws:
    """One choice after the other for several sequences; see `pianogen.models.scoring.Choice`.

    Args:
        config: how to draw.
        generators: one for each sequence, so that a sample does not depend on its neighbours in the batch.
    """

    def __init__(self, config: DecodingConfig, generators: Sequence[torch.Generator]) -> None:
        self.config = config
        self.generators = generators
        self.temperature = config.temperature

    def pick(self, logits: torch.Tensor, *, cut: bool = True, never: Sequence[int] = ()) -> torch.Tensor:
        """A class of each row of logits (B, V), on the CPU; but for `cut`, top-k and top-p change nothing."""
        config = self.config if cut else DecodingConfig(temperature=self.temperature)
        return next_tokens(logits.float().cpu(), config, self.generators, never)

    def uniform(self) -> torch.Tensor:
        """A number above 0 and below 1 for each sequence, (B,)."""
        least = torch.finfo(torch.float32).eps
        drawn = torch.cat([torch.rand(1, generator=generator) for generator in self.generators])
        return drawn.clamp(least, 1 - least)


def forbid(logits: torch.Tensor, token_ids: Sequence[int]) -> torch.Tensor:
    """Logits (B, V) under which these tokens are never drawn."""
    logits = logits.clone()
    logits[:, list(token_ids)] = -torch.inf
    return logits


def keep_top_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Logits (B, V) of the `top_k` most likely tokens, and of those as likely as the last of them; 0 keeps all."""
    if top_k <= 0 or top_k >= logits.shape[-1]:
        return logits
    least = logits.topk(top_k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def keep_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Logits (B, V) of the fewest most likely tokens whose probabilities sum to `top_p` or more; at least one."""
    if top_p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(dim=-1)
    # A token stays when those before it do not yet reach the sum.
    surplus = probs.cumsum(dim=-1) - probs >= top_p
    surplus[:, 0] = False
    return logits.masked_fill(torch.zeros_like(surplus).scatter(-1, order, surplus), -torch.inf)


def next_tokens(
    logits: torch.Tensor, config: DecodingConfig, generators: Sequence[torch.Generator], never: Sequence[int] = ()
) -> torch.Tensor:
    """Draw one token for each sequence.

    Args:
        logits: fp32 on the CPU, shape (B, V).
        config: how to draw.
        generators: one for each sequence, so that a sample does not depend on its neighbours in the batch.
        never: tokens that are not drawn.

    Returns:
        Token ids, int64, shape (B,).
    """
    logits = forbid(logits, never)
    if config.temperature == 0:
        return logits.argmax(dim=-1)
    logits = keep_top_p(keep_top_k(logits / config.temperature, config.top_k), config.top_p)
    probs = logits.softmax(dim=-1)
    drawn = [torch.multinomial(row, 1, generator=generator) for row, generator in zip(probs, generators, strict=True)]
    return torch.cat(drawn)
