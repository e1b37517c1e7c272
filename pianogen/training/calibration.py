"""Taking back what a trained model is too sure of: a few numbers, found on the validation split.

A model that is trained for long on little music gives what it expects too much weight. Numbers that scale and shift its
logits, as many as a model has in `calibration`, are chosen for the fewest nats of validation; nothing else changes.

Source: temperature scaling, Guo et al., "On Calibration of Modern Neural Networks" (2017), arXiv 1706.04599.
"""

from collections.abc import Sequence

import torch

from pianogen.evaluation.likelihood import nats_of_windows
from pianogen.models.scoring import TokenModel
from pianogen.shards import Sequences

MAX_ITERATIONS = 12
"""Of the search; each reads the sequences at least once."""


def calibrate(model: TokenModel, sequences: Sequences, chosen: Sequence[int], context_length: int) -> None:
    """Choose `model.calibration` by the chosen sequences, from where it is.

    Raises:
        ValueError: the model has none.
    """
    if not model.calibration:
        raise ValueError("a model without numbers to calibrate")
    tokens = [sequences[i] for i in chosen]
    num_targets = sum(len(ids) - 1 for ids in tokens)
    needed = [weight.requires_grad for weight in model.parameters()]
    model.requires_grad_(False)
    for numbers in model.calibration:
        numbers.requires_grad_(True)
    search = torch.optim.LBFGS(model.calibration, max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def nats_per_token() -> float:
        search.zero_grad()
        total = 0.0
        for _, nats in nats_of_windows(model, tokens, context_length):
            part = nats.sum() / num_targets
            part.backward()
            total += float(part.detach())
        return total

    search.step(nats_per_token)
    search.zero_grad(set_to_none=True)
    for weight, was_needed in zip(model.parameters(), needed, strict=True):
        weight.requires_grad_(was_needed)
