"""What is known before each step of a score, without learning: what voices did, where, in which key, and repeats.

B rows, S steps, V voices, P symbols (0: rest, then pitches). Of a voice `num_symbols` stands for the beginning of the
music, and one more for what is hidden or not known.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from pianogen.models.keys import Keys, fading_sums, keys_of
from pianogen.models.repeats import NUM_LENGTHS, Repeats, find_repeats, length_class
from pianogen.models.token_facts import Grid

MAX_HELD = 16
"""Steps that a voice is known to have held; more look like as many."""
WIDEST = 12
"""Semitones of a motion; wider ones look like it."""
NUM_MOTIONS = 2 * WIDEST + 3
NUM_INTERVALS = 13
"""Of two voices but for octaves, and 0 for none."""
NUM_DEGREES = 25
"""Of major, of minor, and 0 for none."""
NEAR, FAR = 16.0, 96.0
"""Steps after which what was heard counts half."""


class Seen(NamedTuple):
    """What each step knows of the steps before it; whole numbers, each a class of its own table, but for `heard`."""

    before: torch.Tensor
    """What each voice did on the step before, (B, S, V)."""
    held: torch.Tensor
    """For how many steps it has, (B, S, V); 0: hidden."""
    offered: torch.Tensor
    """What goes on with the repeat of all voices, then with each voice's own, (B, S, 2, V)."""
    lengths: torch.Tensor
    """Classes of how long those repeats are: of all voices, then of each, (B, S, 1 + V)."""
    degrees: torch.Tensor
    """Degree of the key of each voice, (B, S, V)."""
    motion: torch.Tensor
    """How far each voice had gone, (B, S, V)."""
    chord: torch.Tensor
    """Intervals between voices, (B, S, V * (V - 1) / 2)."""
    place: torch.Tensor
    """In the bar, and in the beat, (B, S, 2)."""
    known: torch.Tensor
    """As `before`; nothing of it is ever hidden."""
    keys: Keys
    heard: torch.Tensor
    """ln(1 + how often) of each symbol: its pitch class near and far, and in this voice; (B, S, V, P, 3)."""

    def classes(self) -> torch.Tensor:
        """All classes of a step, in the order of `table_sizes`, (B, S, tables)."""
        parts = (self.before, self.held, self.offered.flatten(2), self.lengths, self.degrees, self.motion, self.chord)
        return torch.cat((*parts, self.place), -1)

    def hidden(self, share: float, share_of_repeats: float) -> "Seen":
        """The same with some of it hidden at random."""
        unknown = self.heard.shape[-2] + 1
        away = torch.rand(self.before.shape, device=self.before.device) < share
        no_repeat = torch.rand(self.lengths.shape, device=self.before.device) < share_of_repeats
        of_both = torch.stack((no_repeat[..., :1].expand(self.before.shape), no_repeat[..., 1:]), 2)
        return self._replace(
            before=torch.where(away, unknown, self.before),
            held=torch.where(away, 0, self.held),
            offered=torch.where(of_both, unknown, self.offered),
            lengths=torch.where(no_repeat, 0, self.lengths),
            degrees=_some(self.degrees, share),
            motion=_some(self.motion, share),
            chord=_some(self.chord, share),
        )


def table_sizes(grid: Grid) -> list[int]:
    """How many classes each of `Seen.classes` has."""
    num_voices, num_symbols = grid.num_voices, grid.num_symbols + 2
    sizes = [num_symbols] * num_voices + [MAX_HELD + 1] * num_voices + [num_symbols] * (2 * num_voices)
    sizes += [NUM_LENGTHS] * (1 + num_voices) + [NUM_DEGREES] * num_voices + [NUM_MOTIONS] * num_voices
    sizes += [NUM_INTERVALS] * (num_voices * (num_voices - 1) // 2)
    return [*sizes, grid.steps_per_bar, grid.steps_per_beat]


def what_is_seen(symbols: torch.Tensor, begins: torch.Tensor, grid: Grid) -> Seen:
    """What steps know.

    Args:
        symbols: of all steps, (B, S, V).
        begins: rows that begin with the music, (B,).
        grid: what symbols mean.
    """
    past = torch.cat((_beginning(begins, grid), symbols[:, :-1]), 1)
    before, earlier = past[:, 1:], past[:, :-1]
    place = torch.arange(symbols.shape[1], device=symbols.device)
    repeats = find_repeats(symbols, grid.steps_per_beat)
    classes = _sung_classes(symbols)
    own = F.one_hot(symbols, grid.num_symbols).float().cumsum(1)[:, :-1]
    return _seen(
        symbols,
        place.expand(len(symbols), -1),
        before,
        earlier,
        steps_held(before),
        repeats,
        fading_sums(classes, NEAR),
        fading_sums(classes, FAR),
        F.pad(own, (0, 0, 0, 0, 1, 0)),
        grid,
    )


def what_is_seen_next(
    symbols: torch.Tensor, lengths: torch.Tensor, begins: torch.Tensor, grid: Grid, repeats: Repeats
) -> Seen:
    """What the step after the last one knows: as `what_is_seen` of that step alone, (B, 1, ...).

    Args:
        symbols: of all steps, (B, S, V); what stands after the last step of a row does not matter.
        lengths: steps of each row, (B,).
        begins: rows that begin with the music, (B,).
        grid: what symbols mean.
        repeats: before that step, (B, 1 + V) each.
    """
    num_steps, row = symbols.shape[1], torch.arange(len(symbols), device=symbols.device)[:, None]
    place = lengths[:, None]
    # As long as a step has a past: it begins two places before the first step.
    past = torch.cat((_beginning(begins, grid), symbols), 1)
    recent = past[row, (place + 1 - torch.arange(MAX_HELD, device=row.device)).clamp(min=0)]  # the latest first
    before, earlier = recent[:, :1], past[row, place]
    is_held = (recent == before) & (place + 1 - torch.arange(MAX_HELD, device=row.device) > 0)[..., None]
    age = (place - torch.arange(num_steps, device=row.device) - 1).float()  # (B, S)
    classes = _sung_classes(symbols)
    near, far = (
        torch.einsum("bs,bsc->bc", torch.where(age >= 0, 0.5 ** (age / half_life), 0.0), classes)[:, None]
        for half_life in (NEAR, FAR)
    )
    own = symbols.new_zeros(len(symbols), grid.num_voices, grid.num_symbols, dtype=torch.float32)
    is_there = (age >= 0).float()[:, None].expand(-1, grid.num_voices, -1)
    own = own.scatter_add(2, symbols.transpose(1, 2), is_there)[:, None]
    next_repeats = Repeats(repeats.lag[:, None], repeats.length[:, None])
    held = is_held.long().cumprod(1).sum(1, keepdim=True)
    return _seen(symbols, place, before, earlier, held, next_repeats, near, far, own, grid)


def _seen(
    symbols: torch.Tensor,
    place: torch.Tensor,
    before: torch.Tensor,
    earlier: torch.Tensor,
    held: torch.Tensor,
    repeats: Repeats,
    near: torch.Tensor,
    far: torch.Tensor,
    own: torch.Tensor,
    grid: Grid,
) -> Seen:
    """What some steps N know.

    Args:
        symbols: of all steps, (B, S, V).
        place: of these steps, (B, N).
        before: symbols of the steps before them, (B, N, V).
        earlier: symbols of those before.
        held: see `Seen`.
        repeats: before each.
        near: fading sums of pitch classes, (B, N, 12).
        far: the same, fading later.
        own: how often each voice had each symbol, (B, N, V, P).
        grid: what symbols mean.
    """
    num_symbols, unknown = grid.num_symbols, grid.num_symbols + 1
    lag = torch.stack((repeats.lag[..., :1].expand(before.shape), repeats.lag[..., 1:]), 2)
    source = (place[..., None, None] - lag).flatten(1, 2).clamp(max=symbols.shape[1] - 1)
    pitch_class = torch.arange(num_symbols, device=symbols.device) % 12
    keys = keys_of(far)
    one, other = torch.triu_indices(grid.num_voices, grid.num_voices, 1, device=symbols.device)
    of_all = [x[..., None, pitch_class].expand(own.shape) for x in (near, far)]
    return Seen(
        before=before,
        held=held,
        offered=torch.where(lag > 0, symbols.gather(1, source).view(lag.shape), unknown),
        lengths=length_class(repeats.length),
        degrees=degree_class(before, keys, num_symbols),
        motion=motion_class(earlier, before, num_symbols),
        chord=interval_class(before[..., one], before[..., other], num_symbols),
        place=torch.stack((place % grid.steps_per_bar, place % grid.steps_per_beat), -1),
        known=before,
        keys=keys,
        heard=torch.stack((*of_all, own), -1).log1p(),
    )


def _beginning(begins: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Symbols of the two steps before the first one, (B, 2, V)."""
    unknown = torch.full_like(begins, grid.num_symbols + 1, dtype=torch.int64)
    start = torch.where(begins, grid.num_symbols, unknown)
    return torch.stack((unknown, start), 1)[..., None].expand(-1, -1, grid.num_voices)


def _sung_classes(symbols: torch.Tensor) -> torch.Tensor:
    """How many voices sing each pitch class, (B, S, 12)."""
    return (F.one_hot(symbols % 12, 12) * (symbols > 0)[..., None]).sum(2).float()


def _some(classes: torch.Tensor, share: float) -> torch.Tensor:
    return torch.where(torch.rand(classes.shape, device=classes.device) < share, 0, classes)


def steps_held(before: torch.Tensor) -> torch.Tensor:
    """Steps for which each voice has done what it did on the step before, 1-`MAX_HELD`; of (B, S, V)."""
    place = torch.arange(before.shape[1], device=before.device)[:, None].expand(before.shape)
    is_new = torch.ones_like(before, dtype=torch.bool)
    is_new[:, 1:] = before[:, 1:] != before[:, :-1]
    since = torch.where(is_new, place, -1).cummax(1).values
    return (place - since + 1).clamp(max=MAX_HELD)


def motion_class(earlier: torch.Tensor, later: torch.Tensor, num_symbols: int) -> torch.Tensor:
    """How far a voice goes, from 1; 0 where it rests or is not known."""
    moves = _sings(earlier, num_symbols) & _sings(later, num_symbols)
    return torch.where(moves, (later - earlier).clamp(-WIDEST, WIDEST) + WIDEST + 2, 0)


def interval_class(one: torch.Tensor, other: torch.Tensor, num_symbols: int) -> torch.Tensor:
    """Interval of two voices but for octaves, from 1; 0 where one rests or is not known."""
    both = _sings(one, num_symbols) & _sings(other, num_symbols)
    return torch.where(both, (other - one) % 12 + 1, 0)


def degree_class(symbols: torch.Tensor, keys: Keys, num_symbols: int) -> torch.Tensor:
    """Degrees in semitones above the tonic, of major from 1 and of minor from 13; 0 where there is none."""
    has_key = _sings(symbols, num_symbols) & (keys.mode > 0)[..., None]
    return torch.where(has_key, (symbols - keys.tonic[..., None]) % 12 + 12 * (keys.mode == 2)[..., None] + 1, 0)


def _sings(symbols: torch.Tensor, num_symbols: int) -> torch.Tensor:
    return (symbols > 0) & (symbols < num_symbols)
