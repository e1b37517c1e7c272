"""Where music repeats itself: for each step the earlier step whose past looks most like this one's.

A match of lag k at step t is a run of steps before t that equal those k steps earlier. The longest run says what would
come next if the music went on repeating itself; models of this size do not learn to find it by themselves. Only lags of
whole beats count, and nothing of step t or later is looked at.

B rows, S steps, V voices.
"""

from typing import NamedTuple

import torch


class Repeats(NamedTuple):
    """The longest match of each step: of all voices together first, then of each voice by itself."""

    lag: torch.Tensor
    """Steps back to the step that continues it, int64, (B, S, 1 + V); 0: none."""
    length: torch.Tensor
    """Steps that match, int64, (B, S, 1 + V)."""


def find_repeats(symbols: torch.Tensor, steps_per_beat: int) -> Repeats:
    """The longest match before each step; of equal ones the nearest.

    Args:
        symbols: what each voice does on each step, (B, S, V), 0 or more.
        steps_per_beat: lags are its multiples.
    """
    num_rows, num_steps, num_voices = symbols.shape
    num_lags = (num_steps - 1) // steps_per_beat
    none = torch.zeros(num_rows, num_steps, 1 + num_voices, dtype=torch.int64, device=symbols.device)
    if num_lags < 1:
        return Repeats(none, none)
    before = symbols.new_full((num_rows, num_lags * steps_per_beat, num_voices), -1)
    padded = torch.cat((before, symbols), 1)
    row, step, voice = padded.stride()
    # (B, lags, S, V): what stood that many beats earlier, the farthest first.
    earlier = padded.as_strided((num_rows, num_lags, num_steps, num_voices), (row, steps_per_beat * step, step, voice))
    same = earlier == symbols[:, None]
    same = torch.cat((same.all(-1, keepdim=True), same), -1)
    place = torch.arange(num_steps, device=symbols.device)[:, None].expand(num_steps, 1 + num_voices)
    run = place - torch.where(same, -1, place).cummax(2).values
    # A run that ends at t - 1 foretells step t.
    run = torch.cat((torch.zeros_like(run[:, :, :1]), run[:, :, :-1]), 2)
    # One number to compare, so that ties go to the nearest on every device.
    nearness = torch.arange(num_lags, device=symbols.device)[:, None, None]
    best = (run * num_lags + nearness).amax(1)
    length, nearest = best // num_lags, best % num_lags
    return Repeats(torch.where(length > 0, (num_lags - nearest) * steps_per_beat, 0), length)
