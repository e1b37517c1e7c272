"""The key that music seems to be in, step by step, by what has sounded before.

Source: probe-tone profiles of Krumhansl and Kessler 1982, as in `pianogen.statistics.tonality`.

B rows, S steps, V voices.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from pianogen.statistics.tonality import MAJOR, MINOR


def _turned_profiles() -> np.ndarray:
    profiles = torch.tensor([MAJOR, MINOR])
    profiles = F.normalize(profiles - profiles.mean(-1, keepdim=True), dim=-1)
    return torch.stack([profiles.roll(tonic, -1) for tonic in range(12)]).numpy()


TURNED = _turned_profiles()
"""Profiles of each tonic, major and minor, (12, 2, 12)."""


class Keys(NamedTuple):
    """Of each step, by the steps before it."""

    tonic: torch.Tensor
    """Pitch class, int64, (B, S)."""
    mode: torch.Tensor
    """0: nothing has sounded, 1: major, 2: minor; int64, (B, S)."""


def fading_sums(x: torch.Tensor, half_life: float) -> torch.Tensor:
    """What x (B, S, ...) adds up to before each step, where what is `half_life` steps older counts half."""
    age = torch.arange(x.shape[1], device=x.device)
    age = (age[:, None] - age - 1).float()
    weight = torch.where(age >= 0, 0.5 ** (age / half_life), 0.0)
    return torch.einsum("ts,bs...->bt...", weight, x)


def keys_of(classes: torch.Tensor) -> Keys:
    """Keys by how long pitch classes have sounded.

    Args:
        classes: what `fading_sums` gives of them, (B, S, 12).
    """
    turned = torch.from_numpy(TURNED).to(classes)
    fit = torch.einsum("bsc,tmc->bstm", classes - classes.mean(-1, keepdim=True), turned).flatten(-2)
    best = fit.argmax(-1)
    mode = torch.where(classes.sum(-1) > 0, best % 2 + 1, 0)
    return Keys(best // 2, mode)
