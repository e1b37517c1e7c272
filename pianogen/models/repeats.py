"""Where music repeats itself: for each place the earlier one whose past looks most like its own.

A match of lag k at place t is a run of places before t that equal those k earlier. The longest run says what would come
next if the music went on repeating itself; models of this size do not learn to find it by themselves. Only lags of
whole beats count where beats are told, and nothing of place t or later is looked at.

B rows, S places, V features of a place.
"""

from typing import NamedTuple

import torch


class Repeats(NamedTuple):
    """The longest match of each place: by all features together first, then by each alone."""

    lag: torch.Tensor
    """Places back to the one that continues it, int64, (B, S, 1 + V); 0: none."""
    length: torch.Tensor
    """Places that match, int64, (B, S, 1 + V)."""


def find_repeats(features: torch.Tensor, beat: int = 1) -> Repeats:
    """The longest match before each place; of equal ones the nearest.

    Args:
        features: of all places, whole numbers of 0 or more, (B, S, V).
        beat: lags are its multiples.
    """
    num_rows, num_places, num_features = features.shape
    num_lags = (num_places - 1) // beat
    none = torch.zeros(num_rows, num_places, 1 + num_features, dtype=torch.int64, device=features.device)
    if num_lags < 1:
        return Repeats(none, none)
    before = features.new_full((num_rows, num_lags * beat, num_features), -1)
    padded = torch.cat((before, features), 1)
    row, place, feature = padded.stride()
    # (B, lags, S, V): what stood that many beats earlier, the farthest first.
    shape = (num_rows, num_lags, num_places, num_features)
    same = padded.as_strided(shape, (row, beat * place, place, feature)) == features[:, None]
    same = torch.cat((same.all(-1, keepdim=True), same), -1)
    places = torch.arange(num_places, device=features.device, dtype=torch.int32)[:, None].expand(same.shape[2:])
    run = places - torch.where(same, -1, places).cummax(2).values
    # A run that ends at t - 1 foretells t.
    run = torch.cat((torch.zeros_like(run[:, :, :1]), run[:, :, :-1]), 2)
    # One number to compare, so that ties go to the nearest on every device.
    nearness = torch.arange(num_lags, device=features.device, dtype=torch.int32)[:, None, None]
    best = (run * num_lags + nearness).amax(1).long()
    length, nearest = best // num_lags, best % num_lags
    return Repeats(torch.where(length > 0, (num_lags - nearest) * beat, 0), length)


NUM_LENGTHS = 12
"""Classes of lengths."""


def length_class(length: torch.Tensor) -> torch.Tensor:
    """Classes of lengths: 0 for none, then one for each octave."""
    octave = torch.log2(length.clamp(min=1).float()).floor().long()
    return torch.where(length > 0, (octave + 1).clamp(max=NUM_LENGTHS - 1), 0)
