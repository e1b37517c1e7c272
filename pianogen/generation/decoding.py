"""From logits to the next token. Pure functions of tensors; `next_tokens` applies them in this order:

1. tokens that may not be drawn: PAD and BOS, and what a constraint does not allow;
2. repetition penalty, then n-grams that stand there already;
3. temperature; at 0 the most likely token is taken here;
4. top-k, top-p, min-p, each of what the one before it left;
5. one token is drawn by the probabilities that are left.

Shapes: B sequences, V tokens. A token that can't be drawn has the logit -inf.

Source: top-k, Fan et al. (2018), section 5.4; top-p (nucleus), Holtzman et al. (2020), section 3.1; the others beside
their functions. The order is that of transformers.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from pianogen.training.experiment import GenerationConfig


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """How a token is drawn; the defaults draw from the model's own distribution."""

    temperature: float = 1.0
    """0: the most likely token."""
    top_k: int = 0
    """0: all."""
    top_p: float = 1.0
    """1: all."""
    min_p: float = 0.0
    """0: all."""
    repetition_penalty: float = 1.0
    """1: none."""
    repetition_window: int = 0
    """The last tokens that the penalty looks at; 0: all, the prompt included."""
    no_repeat_ngram: int = 0
    """Tokens of a run that may not come twice; 0: any may."""

    @classmethod
    def of(cls, config: GenerationConfig) -> Self:
        """What the keys of `generation` say of it, which have the same names."""
        return cls(**{field.name: getattr(config, field.name) for field in dataclasses.fields(cls)})

    @property
    def looks_back(self) -> bool:
        """Whether what may be drawn depends on what was drawn before."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram > 0


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

    def pick(self, logits: torch.Tensor, *, cut: bool = True) -> torch.Tensor:
        """A class of each row of logits (B, V), on the CPU; but for `cut`, by temperature alone."""
        config = self.config if cut else DecodingConfig(temperature=self.temperature)
        return next_tokens(logits.float().cpu(), config, self.generators)

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


def penalise_repetition(
    logits: torch.Tensor, seen: Sequence[torch.Tensor], penalty: float, window: int = 0
) -> torch.Tensor:
    """Logits (B, V) in which tokens that came before are less likely: divided by the penalty, multiplied below 0.

    A token counts once, however often it came.

    Args:
        logits: shape (B, V).
        seen: tokens of each sequence so far, int64.
        penalty: above 1 repeats less, below 1 more.
        window: the last tokens that count; 0: all.

    Source: Keskar et al. (2019), "CTRL", section 4.1; below 0, where dividing would do the opposite, as transformers.
    """
    if penalty == 1:
        return logits
    logits = logits.clone()
    for row, tokens in zip(logits, seen, strict=True):
        tokens = tokens[-window:] if window else tokens
        found = row[tokens]
        row[tokens] = torch.where(found < 0, found * penalty, found / penalty)
    return logits


def forbid_repeated_ngrams(logits: torch.Tensor, seen: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """Logits (B, V) without the tokens that would end a run of `size` tokens that a sequence holds already.

    Where nothing else is left, such a run may come again.

    Args:
        logits: shape (B, V).
        seen: tokens of each sequence so far, int64.
        size: 0 forbids nothing.

    Source: Paulus et al. (2017), "A Deep Reinforced Model for Abstractive Summarization", section 2.5.
    """
    if size < 1:
        return logits
    forbidden = logits.clone()
    for row, tokens in zip(forbidden, seen, strict=True):
        if len(tokens) >= size:
            runs = tokens.unfold(0, size, 1)
            is_same = (runs[:, :-1] == tokens[len(tokens) - size + 1 :]).all(dim=1)
            row[runs[is_same, -1]] = -torch.inf
    is_left = (forbidden > -torch.inf).any(dim=-1, keepdim=True)
    return torch.where(is_left, forbidden, logits)


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


def keep_min_p(logits: torch.Tensor, min_p: float) -> torch.Tensor:
    """Logits (B, V) of tokens that are at least `min_p` times as likely as the most likely one; 0 keeps all.

    Source: Nguyen et al. (2024), "Turning Up the Heat: Min-p Sampling", section 3.
    """
    if min_p <= 0:
        return logits
    probs = logits.softmax(dim=-1)
    return logits.masked_fill(probs < min_p * probs.amax(dim=-1, keepdim=True), -torch.inf)


def next_tokens(
    logits: torch.Tensor,
    config: DecodingConfig,
    generators: Sequence[torch.Generator],
    *,
    never: Sequence[int] = (),
    allowed: torch.Tensor | None = None,
    seen: Sequence[torch.Tensor] | None = None,
) -> torch.Tensor:
    """Draw one token for each sequence.

    Args:
        logits: fp32 on the CPU, shape (B, V).
        config: how to draw.
        generators: one for each sequence, so that a sample does not depend on its neighbours in the batch.
        never: tokens that are not drawn.
        allowed: those of each sequence that may be drawn, bool, shape (B, V); at least one each beside `never`.
        seen: tokens of each sequence so far, int64; needed where the configuration looks back.

    Returns:
        Token ids, int64, shape (B,).
    """
    logits = forbid(logits, never)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    if seen is not None:
        logits = penalise_repetition(logits, seen, config.repetition_penalty, config.repetition_window)
        logits = forbid_repeated_ngrams(logits, seen, config.no_repeat_ngram)
    if config.temperature == 0:
        return logits.argmax(dim=-1)
    logits = keep_top_p(keep_top_k(logits / config.temperature, config.top_k), config.top_p)
    probs = keep_min_p(logits, config.min_p).softmax(dim=-1)
    drawn = [torch.multinomial(row, 1, generator=generator) for row, generator in zip(probs, generators, strict=True)]
    return torch.cat(drawn)
