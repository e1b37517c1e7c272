"""Probabilities of times that lie in bins: mixtures of logistics over log time, and the normals of squared errors.

A time is a whole number of bins, k = floor(ms / bin_ms + 1/2). A mixture has the distribution function

    F(ms) = sum over its logistics of weight * sigmoid((ln ms - mean) / scale)

and gives bin k the mass F((k + 1/2) bin_ms) - F((k - 1/2) bin_ms). The first bin has all that lies below, the last one
all that lies above, so that the bins sum to 1 and none is negative.

Source: logistics in bins, Salimans et al., "PixelCNN++" (2017), section 2.1; here over the logarithm, and with the
difference as a product, which no tail rounds to 0.

K logistics; `...` is any shape.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from pianogen.models.scoring import Choice

LEAST_LOG_SCALE, MOST_LOG_SCALE = -12.0, 3.0
"""Of a logistic over log time: from a hundred thousandth of a time to what reaches everywhere."""
LAST_MS = 2**30
"""Where time ends, as in the tokenizer `continuous`."""


def bins_of(ms: torch.Tensor, bin_ms: int, first: int) -> torch.Tensor:
    """The bin that each time lies in, of its shape, as whole floats from `first` on."""
    return (ms / bin_ms + 0.5).floor().clamp(first, LAST_MS // bin_ms)


class Mixture(NamedTuple):
    """Logistics over log milliseconds."""

    log_weights: torch.Tensor
    """(..., K); their exponentials sum to 1."""
    means: torch.Tensor
    """(..., K)."""
    log_scales: torch.Tensor
    """(..., K)."""

    def log_mass(self, k: torch.Tensor, bin_ms: int, first: int, last: int | None = None) -> torch.Tensor:
        """ln of the mass of bins k (...).

        Args:
            k: whole numbers from `first` to `last`.
            bin_ms: milliseconds of a bin.
            first: the first bin.
            last: the last one; without it that of `LAST_MS`.
        """
        last = LAST_MS // bin_ms if last is None else last
        k = k[..., None]
        steepness = (-self.log_scales).exp()
        # Where the first bin has no lower edge, any that is above 0 will do.
        lower = (k - 0.5).clamp(min=0.5)
        above = steepness * ((lower.log() + math.log(bin_ms)) - self.means)
        below = steepness * (((k + 0.5).log() + math.log(bin_ms)) - self.means)
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)), where b - a is known better than a and b.
        gap = steepness * (1 / lower).log1p()
        inside = F.logsigmoid(below) + F.logsigmoid(-above) + (-torch.expm1(-gap)).log()
        mass = torch.where(k <= first, F.logsigmoid(below), torch.where(k >= last, F.logsigmoid(-above), inside))
        return (self.log_weights + mass).logsumexp(dim=-1)

    def draw(self, choice: Choice, bin_ms: int, first: int) -> torch.Tensor:
        """Bins (B,) of mixtures (B, K): one logistic by its weight, a time of it by the inverse of its distribution.

        Temperature flattens the weights, and widens each logistic by as much; at 0 it is the middle of the likeliest.
        """
        which = choice.pick(self.log_weights, cut=False).to(self.means.device)[:, None]
        mean, log_scale = (values.gather(1, which)[:, 0] for values in (self.means, self.log_scales))
        log_ms = mean + choice.temperature * log_scale.exp() * choice.uniform().to(mean).logit()
        return bins_of(log_ms.clamp(max=math.log(LAST_MS)).exp(), bin_ms, first)


def log_mass_with_zero(mixture: Mixture, zero: torch.Tensor, k: torch.Tensor, bin_ms: int) -> torch.Tensor:
    """ln of the mass of bins k (...) where a time is 0 with the odds exp(zero), and else one of the mixture.

    Args:
        mixture: of the times that are not 0.
        zero: ln of the odds, (...).
        k: whole numbers from 0 on.
        bin_ms: milliseconds of a bin.
    """
    mass = F.logsigmoid(-zero) + mixture.log_mass(k, bin_ms, first=0)
    return torch.where(k == 0, torch.logaddexp(mass, F.logsigmoid(zero)), mass)


def normal_nats(error: torch.Tensor, weight: float, bin_width: float) -> torch.Tensor:
    """-ln p of the normal over all whole bins, negative ones as well, whose nats are `weight` times squared errors.

    Its variance is 1 / (2 weight). Its sum over bins that are no wider than its deviation is that over all numbers, to
    one in a hundred million.

    Args:
        error: of bins, in the unit of `bin_width`.
        weight: of its square.
        bin_width: of a bin.
    """
    return weight * error.square() + 0.5 * math.log(math.pi / weight) - math.log(bin_width)
