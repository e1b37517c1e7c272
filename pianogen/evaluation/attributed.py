"""Likelihood attribute by attribute: what of a model's nats goes to pitches, onsets, durations, velocities, pedal.

Sums over attributes are what `pianogen.evaluation.likelihood` gives. How a token is taken apart says
`pianogen.tokenizers.attribution`; models that draw rows of numbers take them apart themselves, number by number
(`attribute_nats`). Probabilities of many ids together are sums in fp64.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pianogen.evaluation.likelihood import Batch, batches_of
from pianogen.parallel import Progress
from pianogen.tokenizers.attribution import TOLD, Attribution, Decisions
from pianogen.tokenizers.base import Tokenizer

MOST_CELLS = 2**24
"""Probabilities held at once, in fp64."""


def score_attributes(
    model: torch.nn.Module,
    sequences: Sequence[np.ndarray],
    context_length: int,
    tokenizer: Tokenizer,
    progress: Progress | None = None,
) -> np.ndarray:
    """Nats of each sequence and attribute, float64, shape (num_sequences, len(TOLD)).

    Args:
        model: as of `likelihood.score`.
        sequences: as there.
        context_length: as there.
        tokenizer: of the sequences.
        progress: told the number of targets scored and of all.
    """
    attribution = Attribution(tokenizer) if tokenizer.width == 1 else None
    if attribution is None and not hasattr(model, "attribute_nats"):
        raise ValueError(f"rows of {tokenizer.name} are taken apart by the model, and this one has no attribute_nats")
    decisions: dict[int, Decisions] = {}
    nats = np.zeros((len(sequences), len(TOLD)))
    num_targets, done = sum(len(ids) - 1 for ids in sequences), 0
    with torch.inference_mode():
        for batch in batches_of(model, sequences, context_length):
            if attribution is None:
                of_batch = _of_rows(model, batch)
            else:
                for i in {i for i, *_ in batch.windows} - decisions.keys():
                    decisions[i] = attribution.decisions(sequences[i])
                of_batch = _of_ids(model, batch, attribution, decisions)
            np.add.at(nats, [i for i, *_ in batch.windows], of_batch)
            done += int(batch.counted.sum())
            if progress:
                progress(done, num_targets)
    return nats


def _of_rows(model: torch.nn.Module, batch: Batch) -> np.ndarray:
    """Nats of each window and attribute."""
    said: dict[str, torch.Tensor] = model.attribute_nats(batch.given, batch.following)  # pyright: ignore[reportCallIssue]
    found = np.zeros((len(batch.windows), len(TOLD)))
    for name, nats in said.items():
        found[:, TOLD.index(name)] = (nats.cpu().double() * batch.counted).sum(1).numpy()
    return found


def _of_ids(
    model: torch.nn.Module, batch: Batch, attribution: Attribution, decisions: dict[int, Decisions]
) -> np.ndarray:
    said = model(input_ids=batch.given, labels=batch.following)
    nats = said.nats.cpu().double().numpy() * batch.counted.numpy()
    order = torch.from_numpy(attribution.order).to(said.logits.device)
    found = np.zeros((len(batch.windows), len(TOLD)))
    for row, (i, start, end, skip) in enumerate(batch.windows):
        of_sequence = decisions[i]
        # Targets of the window are tokens start + 1 to end; those before start + 1 + skip are scored elsewhere.
        first, last = np.searchsorted(of_sequence.token, (start + 1 + skip, end + 1))
        mass_left = np.zeros(end - start)  # ln of it, before a token's decisions
        before = np.zeros(last - first)
        if last > first:
            mass = _log_masses(said.logits[row], order, of_sequence, slice(first, last), start + 1)
            place = of_sequence.token[first:last] - (start + 1)
            is_first = np.append(True, place[1:] != place[:-1])
            before[~is_first] = mass[:-1][~is_first[1:]]
            np.add.at(found[row], of_sequence.attribute[first:last], before - mass)
            # What comes last of a token is all that is left.
            mass_left[place[np.append(place[1:] != place[:-1], True)]] = mass[np.append(is_first[1:], True)]
        of_last = nats[row, : end - start] + mass_left
        of_last[:skip] = 0.0
        np.add.at(found[row], of_sequence.last[start + 1 : end + 1], of_last)
    return found


def _log_masses(
    logits: torch.Tensor, order: torch.Tensor, found: Decisions, chosen: slice, first_token: int
) -> np.ndarray:
    """ln of the mass that each of some decisions leaves.

    Args:
        logits: of one window, (T, V); those at t are of token `first_token` + t.
        order: ids by place.
        found: of the sequence.
        chosen: which decisions; their tokens are of this window.
        first_token: whose logits stand first.
    """
    token = found.token[chosen] - first_token
    edges = found.edges[chosen.start : chosen.stop + 1]
    low, high = (column[edges[0] : edges[-1]] for column in (found.low, found.high))
    row = np.repeat(token, np.diff(edges))
    mass = np.zeros(len(low))
    needed = np.unique(token)
    step = max(1, MOST_CELLS // logits.shape[-1])
    for begin in range(0, len(needed), step):
        rows = needed[begin : begin + step]
        probs = logits[torch.from_numpy(rows).to(logits.device)].double().softmax(-1)[:, order]
        summed = torch.nn.functional.pad(probs.cumsum(-1), (1, 0)).cpu().numpy()
        inside = slice(*np.searchsorted(row, (rows[0], rows[-1] + 1)))
        at = np.searchsorted(rows, row[inside])
        mass[inside] = summed[at, high[inside]] - summed[at, low[inside]]
    total = np.add.reduceat(np.append(mass, 0.0), edges[:-1] - edges[0])
    # An id that is drawn has some; what is less than that was rounded away.
    return np.log(np.maximum(total, np.finfo(np.float64).tiny))
