"""How a set of samples stands to a reference set: distances within the set and between the two, and how they overlap.

Of each measure a distance between two pieces is the absolute difference of its numbers, or the Euclidean distance of
its vectors. Within a set all pairs of two different pieces are taken, in both orders; between sets all pairs of one of
each. Both samples of distances are made densities by Gaussian kernels, whose width is Scott's rule, n^(-1/5) times
the standard deviation. Then, of distances within the samples and those to the reference:

    overlapping_area   integral of the smaller of both densities, from the smallest distance to the greatest   0-1
    kl_divergence      sum of p ln(p / q) over that axis: p within, q to the reference                         nats
    kl_mgeval          the same with each density read on an axis of its own, as mgeval has it                 nats

An overlap of 1 with a divergence of 0: samples lie as far from the reference as from each other. Null where one of the
samples of distances has fewer than two, or does not vary: it has no density. That holds of sets of one or two pieces;
figures of fewer than some ten pieces say little.

Source: Yang and Lerch, "On the evaluation of generative models in music" (2020), section 4; mgeval's utils.py and
__main__.py, which compares as many pieces of the reference as there are samples. Its divergence reads each density at
1,000 places between the smallest and the greatest distance of its own sample, so that values of different distances are
set against each other; `kl_divergence` reads both at the same places. Wherever a density is 0 in the last digit, the
smallest positive number stands for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pianogen.evaluation.excerpts import Excerpt
from pianogen.evaluation.features import NUMBERS, VECTORS, features_of
from pianogen.judged import MEASURED

NUM_PLACES = 1000
"""At which densities are read."""
JUDGED = (
    *MEASURED, "structure_short", "structure_mid", "structure_long", "compression_ratio", "repeated_4", "copied_share",
)  # fmt: skip
"""Columns of `sample_judgements` that are compared, beside the features of Yang and Lerch."""


def set_distances(
    samples: Sequence[Excerpt],
    reference: Sequence[Excerpt],
    sample_rows: Sequence[Mapping[str, Any]],
    reference_rows: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """A row of `sample_distances` for each measure, without experiment and run.

    Args:
        samples: what was drawn.
        reference: held-out music, as long.
        sample_rows: their rows of `sample_judgements`.
        reference_rows: those of the reference.
    """
    sets = []
    for excerpts, rows in ((samples, sample_rows), (reference, reference_rows)):
        features = [features_of(excerpt) for excerpt in excerpts]
        of_set = {name: [one[name] for one in features] for name in (*NUMBERS, *VECTORS)}
        sets.append(of_set | {name: [row.get(name) for row in rows] for name in JUDGED})
    return [_row(name, *([v for v in one[name] if v is not None] for one in sets)) for name in sets[0]]


def _row(name: str, samples: list, reference: list) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": name, "num_samples": len(samples), "num_reference": len(reference)}
    if name not in VECTORS:
        for prefix, values in (("", samples), ("reference_", reference)):
            if values:
                row |= {f"{prefix}mean": float(np.mean(values)), f"{prefix}std": float(np.std(values))}
    if not (samples and reference):
        return row
    one, other = _as_rows(samples), _as_rows(reference)
    between = distances_between(one, other)
    for prefix, within in (("", distances_within(one)), ("reference_", distances_within(other))):
        row[f"{prefix}overlapping_area"], row[f"{prefix}kl_divergence"] = overlap_and_divergence(within, between)
    return {**row, "kl_mgeval": kl_mgeval(distances_within(one), between)}


def _as_rows(values: list) -> np.ndarray:
    return np.array([np.atleast_1d(value) for value in values], np.float64)


class Distances(NamedTuple):
    """A sample of distances."""

    values: np.ndarray
    times: int
    """How often each of them counts."""

    @property
    def num(self) -> int:
        """Size of the sample."""
        return len(self.values) * self.times

    @property
    def has_density(self) -> bool:
        """Whether there are two at least, and they vary."""
        return self.num > 1 and float(np.std(self.values)) > 1e-12 * max(1.0, float(np.abs(self.values).max()))


def distances_within(vectors: np.ndarray) -> Distances:
    """Distances of all pairs of different rows, shape (num * (num - 1) / 2,), which count twice."""
    return Distances(_distances(vectors, vectors)[np.triu_indices(len(vectors), 1)], 2)


def distances_between(vectors: np.ndarray, others: np.ndarray) -> Distances:
    """Distances of all pairs of a row of each, shape (num * num_others,)."""
    return Distances(_distances(vectors, others).ravel(), 1)


def _distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.sqrt(((vectors[:, None, :] - others[None, :, :]) ** 2).sum(axis=2))


def overlap_and_divergence(one: Distances, other: Distances) -> tuple[float | None, float | None]:
    """Overlap of both densities, and divergence of the second from the first; None where one has no density."""
    if not (one.has_density and other.has_density):
        return None, None
    both = np.concatenate([one.values, other.values])
    places = np.linspace(both.min(), both.max(), NUM_PLACES)
    p, q = density(one, places), density(other, places)
    return float(np.clip(np.trapezoid(np.minimum(p, q), places), 0.0, 1.0)), _entropy(p, q)


def kl_mgeval(one: Distances, other: Distances) -> float | None:
    """The divergence with each density read between the smallest and the greatest distance of its own sample."""
    if not (one.has_density and other.has_density):
        return None
    axes = (np.linspace(each.values.min(), each.values.max(), NUM_PLACES) for each in (one, other))
    return _entropy(*(density(each, places) for each, places in zip((one, other), axes, strict=True)))


def density(sample: Distances, places: np.ndarray) -> np.ndarray:
    """Kernel density estimate at some places, of a sample that has one.

    Source: Scott, Multivariate Density Estimation (1992), as in scipy's gaussian_kde.
    """
    num = sample.num
    width = num**-0.2 * np.sqrt(np.var(sample.values) * num / (num - 1))
    total = np.zeros(len(places))
    # In parts: thousands of distances at thousands of places would fill the memory.
    for part in np.array_split(sample.values, -(-len(sample.values) // 1024)):
        total += np.exp(-0.5 * ((places[:, None] - part[None, :]) / width) ** 2).sum(axis=1)
    return total / (len(sample.values) * width * np.sqrt(2 * np.pi))


def _entropy(p: np.ndarray, q: np.ndarray) -> float:
    tiny = np.finfo(np.float64).tiny
    p, q = np.maximum(p, tiny), np.maximum(q, tiny)
    p, q = p / p.sum(), q / q.sum()
    return float((p * (np.log(p) - np.log(q))).sum())
