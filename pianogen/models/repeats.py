"""Where music repeats itself: for each place the earlier one whose past looks most like its own.

A match of lag k at place t is a run of places before t that equal those k earlier. The longest run says what would come
next if the music went on repeating itself; models of this size do not learn to find it by themselves. Only lags of
whole beats count where beats are told, and nothing of place t or later is looked at.

B rows, S places, V features of a place.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from pianogen.models.incremental import History, Rows, last_of, places_after


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


class RunningRepeats(Rows):
    """What `find_repeats` says of the place after the last one, of rows that are read place by place.

    Args:
        num_rows: B.
        num_features: V.
        limit: most places of a row.
        device: of the features.
        beat: as of `find_repeats`.
    """

    def __init__(self, num_rows: int, num_features: int, limit: int, device: torch.device, beat: int = 1) -> None:
        self.beat, self.history = beat, History(num_rows)
        lag = beat * torch.arange(1, 1 + (limit - 1) // beat, device=device)
        # Before as many places as a lag there was nothing to match.
        self.mismatch = (lag - 1)[None, :, None].repeat(num_rows, 1, 1 + num_features)
        """The last place that did not equal the one a lag before, (B, lags, 1 + V)."""

    @property
    def lengths(self) -> list[int]:
        """Places that were read, of each row."""
        return self.history.lengths

    def read(self, features: torch.Tensor, counts: Sequence[int]) -> None:
        """The next places of each row, (B, N, V), of which the first `counts` are there."""
        first, num_new = self.lengths, features.shape[1]
        self.history.append(features, counts)
        num_lags = min(max(self.lengths) // self.beat, self.mismatch.shape[1])
        lag = self.beat * torch.arange(1, 1 + num_lags, device=features.device)
        place = places_after(first, num_new, features.device)[:, None]  # (B, 1, N)
        row = torch.arange(len(features), device=features.device)[:, None, None]
        # Before the first place anything may stand: that it differs is known already.
        source = (place - lag[:, None]).clamp(min=0)
        same = self.history.tokens[row, source] == features[:, None]  # (B, lags, N, V)
        same = torch.cat((same.all(-1, keepdim=True), same), -1)
        mismatch = torch.where(same, -1, place[..., None]).cummax(2).values
        known = self.mismatch[:, None, :num_lags]
        latest = last_of(torch.maximum(mismatch.transpose(1, 2), known), counts, known)
        self.mismatch[:, :num_lags] = latest[:, 0]

    def longest(self) -> Repeats:
        """Of the place that follows those read, (B, 1 + V) each."""
        num_lags = (max(self.lengths) - 1) // self.beat
        if num_lags < 1:
            none = self.mismatch.new_zeros(len(self.mismatch), self.mismatch.shape[2])
            return Repeats(none, none)
        last = torch.tensor(self.lengths, device=self.mismatch.device)[:, None, None] - 1
        run = (last - self.mismatch[:, :num_lags]).clamp(min=0)
        nearness = torch.arange(num_lags - 1, -1, -1, device=run.device)[:, None]
        best = (run * num_lags + nearness).amax(1)
        length, nearest = best // num_lags, best % num_lags
        return Repeats(torch.where(length > 0, (num_lags - nearest) * self.beat, 0), length)


NUM_LENGTHS = 12
"""Classes of lengths."""


def length_class(length: torch.Tensor) -> torch.Tensor:
    """Classes of lengths: 0 for none, then one for each octave."""
    octave = torch.log2(length.clamp(min=1).float()).floor().long()
    return torch.where(length > 0, (octave + 1).clamp(max=NUM_LENGTHS - 1), 0)
