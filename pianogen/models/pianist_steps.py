"""Pianist for scores: one position for each step of the grid, and a small network for the voices inside it.

A step is read as a sum of embeddings: what each voice did on the step before and for how long, where the step stands in
its bar, and what would come if the music went on repeating itself (`pianogen.models.repeats`). A causal transformer
over steps, of which there are as many times fewer as there are voices, says what it expects of the next one. Its voices
are then chosen one after the other, each knowing those chosen before it. A voice has logits of pitches, of intervals
from what it sang before, and of copying what the repeats offer.

In training the voices of each step come in random orders and some of what was before is hidden, so that the model leans
on no single voice. It is scored and sampled in the tokenizer's order.

B rows, T tokens, S steps, V voices, P symbols (rest and pitches), D width, K width of the network for voices.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.configs import PianistConfig
from pianogen.models.layers import Dropout, RotaryLayer, rotation
from pianogen.models.repeats import find_repeats
from pianogen.models.scoring import Scores, TokenModel, scored
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import BOS_ID, EOS_ID, SPECIAL_TOKENS

NUM_SPECIAL = len(SPECIAL_TOKENS)
MAX_HELD = 16
"""Steps that a voice is known to have held; more look like as many."""
NUM_LENGTHS = 12
"""Classes of how long a repeat has been going on, by octaves; see `length_class`."""


class Grid(NamedTuple):
    """What the ids of voices on steps mean: after the special ones come rest and pitches, ascending."""

    num_voices: int
    num_symbols: int
    steps_per_beat: int
    beats_per_bar: int = 4

    @property
    def steps_per_bar(self) -> int:
        """Steps after which positions in the bar come again."""
        return self.steps_per_beat * self.beats_per_bar


class Seen(NamedTuple):
    """What a step knows of the steps before it; `num_symbols` stands for the beginning, one more for what is hidden."""

    before: torch.Tensor
    """What each voice did on the step before, (B, S, V)."""
    held: torch.Tensor
    """For how many steps it has, (B, S, V); 0: hidden."""
    offered: torch.Tensor
    """What goes on with the repeat of all voices, then with each voice's own, (B, S, 2, V)."""
    lengths: torch.Tensor
    """Classes of how long those repeats are: of all voices, then of each, (B, S, 1 + V)."""


class StepPianist(TokenModel):
    """See the module.

    Args:
        config: its size.
        grid: what ids mean.
    """

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__(config, NUM_SPECIAL + grid.num_symbols)
        self.grid = grid
        self.trunk = _Trunk(config, grid)
        self.voices = _Voices(config, grid)
        self.end = nn.Linear(config.n_embd, 1)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Scores:
        """Scores of ids (B, T), the first of which is BOS or the last of a step, and of the labels that follow.

        In training the nats are those of random orders of voices, and there are no logits of ids.
        """
        num_tokens, num_voices = input_ids.shape[1], self.grid.num_voices
        following = input_ids[:, 1:]
        last = labels[:, -1:] if labels is not None else torch.zeros_like(input_ids[:, :1])
        padding = -num_tokens % num_voices
        ids = F.pad(torch.cat((following, last), 1), (0, padding)).view(len(input_ids), -1, num_voices)
        symbols = (ids - NUM_SPECIAL).clamp(min=0)
        seen = self.trunk.seen(symbols, input_ids[:, 0] == BOS_ID)
        expected = self.trunk(seen)
        end = self.end(expected).float()  # (B, S, 1), the logit of the end in place of this step
        if self.training and labels is not None:
            rank = torch.rand(symbols.shape, device=symbols.device).argsort(-1)
            logits = self.voices(expected, seen, symbols, rank)
            nats = F.cross_entropy(logits.flatten(0, 2), symbols.flatten(), reduction="none").view(symbols.shape)
            nats = torch.cat((nats[..., :1] + F.softplus(end), nats[..., 1:]), -1)
            nats = torch.where(ids == EOS_ID, F.softplus(-end), nats).flatten(1)[:, :num_tokens]
            return Scores(logits, nats * (labels != IGNORED))
        rank = torch.arange(num_voices, device=symbols.device).expand(symbols.shape)
        logits = self.voices(expected, seen, symbols, rank).log_softmax(-1)
        none = torch.full_like(logits[..., :1], float("-inf"))
        ended = torch.cat((F.logsigmoid(end)[..., None, :], none[..., 1:, :]), -2)
        goes_on = F.pad(F.logsigmoid(-end), (0, num_voices - 1))[..., None]
        tokens = torch.cat((none, none, ended, logits + goes_on), -1)
        return scored(tokens.flatten(1, 2)[:, :num_tokens], labels)


class _Trunk(nn.Module):
    """What to expect of each step, by all steps before it."""

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__()
        self.grid, self.hide, self.hide_repeats = grid, config.hide, config.hide_repeats
        self.head_width = config.n_embd // config.n_head
        num_voices, num_symbols = grid.num_voices, grid.num_symbols + 2
        sizes = [num_symbols] * num_voices + [MAX_HELD + 1] * num_voices + [num_symbols] * (2 * num_voices)
        sizes += [NUM_LENGTHS] * (1 + num_voices) + [grid.steps_per_bar, grid.steps_per_beat]
        self.first: torch.Tensor
        """Of each table the first row of the embedding."""
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)
        self.embedding = nn.Parameter(torch.randn(sum(sizes), config.n_embd) * 0.15)
        self.embedding_norm, self.norm = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.dropout = Dropout(config.dropout)
        layers = (RotaryLayer(config.n_embd, config.n_head, config.dropout) for _ in range(config.n_layer))
        self.layers = nn.ModuleList(layers)

    @torch.no_grad()
    def seen(self, symbols: torch.Tensor, begins: torch.Tensor) -> Seen:
        """What steps know.

        Args:
            symbols: of all steps, (B, S, V).
            begins: rows that begin with the music, (B,).
        """
        beginning, hidden = self.grid.num_symbols, self.grid.num_symbols + 1
        start = torch.where(begins, beginning, hidden)[:, None, None].expand(-1, 1, self.grid.num_voices)
        before = torch.cat((start, symbols[:, :-1]), 1)
        repeats = find_repeats(symbols, self.grid.steps_per_beat)
        place = torch.arange(symbols.shape[1], device=symbols.device)[:, None]
        both = torch.stack((repeats.lag[..., :1].expand(symbols.shape), repeats.lag[..., 1:]), 2)
        source = (place[..., None] - both).flatten(1, 2)
        offered = torch.where(both > 0, symbols.gather(1, source).view(both.shape), hidden)
        lengths, held = length_class(repeats.length), steps_held(before)
        if self.training:
            # Hidden voices and repeats: the model learns to do without any of them.
            away = torch.rand(before.shape, device=before.device) < self.hide
            before, held = torch.where(away, hidden, before), torch.where(away, 0, held)
            away = torch.rand(lengths.shape, device=before.device) < self.hide_repeats
            lengths = torch.where(away, 0, lengths)
            both_away = torch.stack((away[..., :1].expand(before.shape), away[..., 1:]), 2)
            offered = torch.where(both_away, hidden, offered)
        return Seen(before, held, offered, lengths)

    def forward(self, seen: Seen) -> torch.Tensor:
        """What is expected of each step, (B, S, D)."""
        num_rows, num_steps = seen.before.shape[:2]
        place = torch.arange(num_steps, device=seen.before.device)
        beats = torch.stack((place % self.grid.steps_per_bar, place % self.grid.steps_per_beat), -1)
        parts = (seen.before, seen.held, seen.offered.flatten(2), seen.lengths, beats.expand(num_rows, -1, -1))
        rows = torch.cat(parts, -1) + self.first
        x = F.embedding_bag(rows.flatten(0, 1), self.embedding, mode="sum").view(num_rows, num_steps, -1)
        x = self.dropout(self.embedding_norm(x))
        turn = rotation(place, self.head_width)
        for layer in self.layers:
            x = layer(x, turn)
        return self.norm(x)


class _Voices(nn.Module):
    """The voices of a step, each by what is expected and by those that were chosen before it."""

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__()
        inner, num_voices, num_symbols = config.d_voice, grid.num_voices, grid.num_symbols
        self.num_symbols = num_symbols
        self.expected = nn.Linear(config.n_embd, inner)
        self.voice = nn.Parameter(torch.randn(num_voices, inner) * 0.1)
        self.chosen = nn.Parameter(torch.randn(num_voices * num_symbols, inner) * 0.1)
        self.first_norm, self.hidden, self.second_norm = (
            nn.LayerNorm(inner),
            nn.Linear(inner, inner),
            nn.LayerNorm(inner),
        )
        self.dropout = Dropout(config.voice_dropout)
        # Columns of the output: symbols, intervals, and how much to copy of what the two repeats offer.
        weight = torch.zeros(num_voices, inner, num_symbols + 2 * num_symbols - 1 + 2)
        weight[..., :num_symbols].normal_(std=0.5 * inner**-0.5)
        self.out, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(num_voices, weight.shape[-1]))
        self.by_length = nn.Parameter(torch.zeros(2, num_voices, NUM_LENGTHS))

    def forward(self, expected: torch.Tensor, seen: Seen, symbols: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
        """Logits of each voice, fp32, (B, S, V, P).

        Args:
            expected: of each step, (B, S, D).
            seen: what was before.
            symbols: what the voices do, (B, S, V); those of a lower rank are known.
            rank: of each voice in the order of its step, (B, S, V).
        """
        shape, num_symbols = symbols.shape, self.num_symbols
        num_voices = shape[-1]
        voice = torch.arange(num_voices, device=symbols.device)
        chosen = F.embedding(symbols + voice * num_symbols, self.chosen)  # (B, S, V, K)
        is_known = (rank[..., None, :] < rank[..., None]).to(chosen.dtype)  # (B, S, V, V)
        x = self.expected(expected)[..., None, :] + is_known @ chosen + self.voice
        x = self.dropout(F.gelu(self.first_norm(x), approximate="tanh"))
        x = self.second_norm(x + self.dropout(F.gelu(self.hidden(x), approximate="tanh")))
        by_voice = x.flatten(0, 1).transpose(0, 1)  # (V, B * S, K)
        out = torch.baddbmm(self.bias[:, None], by_voice, self.out).transpose(0, 1).reshape(*shape, -1).float()
        by_symbol, by_interval, copying = out.split((num_symbols, 2 * num_symbols - 1, 2), -1)
        before = seen.before.clamp(max=num_symbols - 1)[..., None]
        interval = torch.arange(num_symbols, device=symbols.device) - before + num_symbols - 1
        knows = (seen.before < num_symbols)[..., None]
        logits = by_symbol + by_interval.gather(-1, interval) * knows
        of_all = self.by_length[0, voice, seen.lengths[..., :1]]
        of_own = self.by_length[1, voice, seen.lengths[..., 1:]]
        copying = copying + torch.stack((of_all, of_own), -1)  # (B, S, V, 2)
        offered = seen.offered.transpose(-1, -2)
        is_offered = offered < num_symbols
        return logits.scatter_add(-1, offered.clamp(max=num_symbols - 1), copying * is_offered)


def steps_held(before: torch.Tensor) -> torch.Tensor:
    """Steps for which each voice has done what it did on the step before, 1-`MAX_HELD`; of (B, S, V)."""
    place = torch.arange(before.shape[1], device=before.device)[:, None].expand(before.shape)
    is_new = torch.ones_like(before, dtype=torch.bool)
    is_new[:, 1:] = before[:, 1:] != before[:, :-1]
    since = torch.where(is_new, place, -1).cummax(1).values
    return (place - since + 1).clamp(max=MAX_HELD)


def length_class(length: torch.Tensor) -> torch.Tensor:
    """Classes of lengths: 0 for none, then one for each octave."""
    octave = torch.log2(length.clamp(min=1).float()).floor().long()
    return torch.where(length > 0, (octave + 1).clamp(max=NUM_LENGTHS - 1), 0)
