"""Pianist for scores: one position for each step of the grid, and a small network for the voices inside it.

A step is read as a sum of embeddings of what is known before it (`pianogen.models.steps_seen`): what each voice did on
the step before, for how long and from where, the chord, the key, the place in the bar, and what would come if the music
went on repeating itself. A causal transformer over steps, of which there are as many times fewer as there are voices,
says what it expects of the next one. Its voices are then chosen one after the other, each knowing those before it. A
voice has logits of pitches, of intervals from what it sang before and from voices already chosen, of degrees of the
key, of what has been heard, and of copying what repeats offer: most of what it learns in one key it knows in all.

In training the voices of some steps come in the tokenizer's order, in which the model is scored and sampled, those of
the others in any, and some of what was before is hidden, so that the model leans on no single voice.

B rows, T tokens, S steps, V voices, P symbols (rest and pitches), D width, K width of the network for voices.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.configs import PianistConfig
from pianogen.models.incremental import History, Rows, State, last_of, places_of
from pianogen.models.key_value_cache import KeyValueCache
from pianogen.models.layers import Dropout, RotaryLayer, rotation
from pianogen.models.repeats import NUM_LENGTHS, RunningRepeats
from pianogen.models.scoring import Scores, TokenModel, scored
from pianogen.models.steps_seen import (
    NUM_DEGREES,
    NUM_MOTIONS,
    Seen,
    degree_class,
    motion_class,
    table_sizes,
    what_is_seen,
    what_is_seen_next,
)
from pianogen.models.token_facts import Grid
from pianogen.shards.examples import IGNORED
from pianogen.tokenizers.base import BOS_ID, EOS_ID, SPECIAL_TOKENS

NUM_SPECIAL = len(SPECIAL_TOKENS)
NUM_HEARD = 3
"""Of pitch classes near and far, and of what the voice has sung."""


class StepPianist(TokenModel):
    """See the module.

    Args:
        config: its size.
        grid: what ids mean.
    """

    hidden_shares = ("hide", "hide_repeats")

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__(config, NUM_SPECIAL + grid.num_symbols)
        self.grid, self.in_order = grid, config.in_order
        self.hide, self.hide_repeats = config.hide, config.hide_repeats
        # Of whole bars: places in the bar are counted from the first step that is read.
        self.stride = grid.num_voices * grid.steps_per_bar
        self.trunk = _Trunk(config, grid)
        self.voices = _Voices(config, grid)
        self.end = nn.Linear(config.n_embd, 1)

    @property
    def calibration(self) -> list[nn.Parameter]:
        """How sure each voice is, and how much rather it goes on than it moves, at each place in the beat."""
        return [self.voices.sureness, self.voices.staying]

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Scores:
        """Scores of ids (B, T), the first of which is BOS or the last of a step, and of the labels that follow.

        In training the nats are those of drawn orders of voices, and there are no logits of ids.
        """
        num_tokens, num_voices = input_ids.shape[1], self.grid.num_voices
        last = labels[:, -1:] if labels is not None else torch.zeros_like(input_ids[:, :1])
        ids = F.pad(torch.cat((input_ids[:, 1:], last), 1), (0, -num_tokens % num_voices))
        ids = ids.view(len(input_ids), -1, num_voices)
        symbols = (ids - NUM_SPECIAL).clamp(min=0)
        if self.training and labels is not None:
            straight = torch.arange(num_voices, device=symbols.device)
            is_straight = torch.rand(*symbols.shape[:2], 1, device=symbols.device) < self.in_order
            rank = torch.where(is_straight, straight, torch.rand(symbols.shape, device=symbols.device).argsort(-1))
            end, logits = self.ends_and_voices(symbols, input_ids[:, 0] == BOS_ID, rank)
            nats = F.cross_entropy(logits.flatten(0, 2), symbols.flatten(), reduction="none").view(symbols.shape)
            nats = torch.cat((nats[..., :1] + F.softplus(end), nats[..., 1:]), -1)
            nats = torch.where(ids == EOS_ID, F.softplus(-end), nats).flatten(1)[:, :num_tokens]
            return Scores(logits, nats * (labels != IGNORED))
        rank = torch.arange(num_voices, device=symbols.device).expand(symbols.shape)
        tokens = self.of_tokens(*self.ends_and_voices(symbols, input_ids[:, 0] == BOS_ID, rank))
        return scored(tokens.flatten(1, 2)[:, :num_tokens], labels)

    def of_tokens(self, end: torch.Tensor, voices: torch.Tensor) -> torch.Tensor:
        """Log probabilities of the tokens of steps, (B, S, V, special tokens and P), of their `ends_and_voices`."""
        voices = voices.log_softmax(-1)
        none = torch.full_like(voices[..., :1], float("-inf"))
        ended = torch.cat((F.logsigmoid(end)[..., None, :], none[..., 1:, :]), -2)
        goes_on = F.pad(F.logsigmoid(-end), (0, voices.shape[-2] - 1))[..., None]
        return torch.cat((none, none, ended, voices + goes_on), -1)

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)

    def step_nats(self, ids: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        """-ln p of each step of whole pieces, of all voices together, given that the music goes on; (B, S).

        Args:
            ids: tokens of the steps, without BOS and EOS, (B, S * V).
            order: in which voices are chosen, as places in the tokenizer's order.
        """
        symbols = (ids - NUM_SPECIAL).clamp(min=0).view(len(ids), -1, self.grid.num_voices)
        rank = torch.tensor(order, device=ids.device).argsort().expand(symbols.shape)
        _, logits = self.ends_and_voices(symbols, torch.ones(len(ids), dtype=torch.bool, device=ids.device), rank)
        return -logits.log_softmax(-1).gather(-1, symbols[..., None]).sum((-1, -2))

    def ends_and_voices(
        self, symbols: torch.Tensor, begins: torch.Tensor, rank: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, fp32, of the end in place of each step (B, S, 1), and of each voice (B, S, V, P).

        Args:
            symbols: what the voices do, (B, S, V).
            begins: rows that begin with the music, (B,).
            rank: of each voice in the order of its step, (B, S, V).
        """
        with torch.no_grad():
            seen = what_is_seen(symbols, begins, self.grid)
            read = seen.hidden(self.hide, self.hide_repeats) if self.training else seen
        expected = self.trunk(read)
        # What tells endings apart would be learned by heart, of few endings: it changes nothing but its own weights.
        return self.end(expected.detach()).float(), self.voices(expected, read, symbols, rank)


class _State(State):
    """Steps that are whole, what is expected of the one that is going on, and what is known before it."""

    def __init__(self, model: StepPianist, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.history = model, History(num_rows)
        grid, device = model.grid, model.trunk.embedding.device
        # A first token, and steps that may end with part of one.
        num_steps = 1 + model.settings.context_length // grid.num_voices
        self.repeats = RunningRepeats(num_rows, grid.num_voices, num_steps, device, grid.steps_per_beat)
        self.trunk = _TrunkState(model.trunk, num_rows)
        nothing = torch.zeros(num_rows, 1, grid.num_voices, dtype=torch.int64, device=device)
        self.seen = what_is_seen(nothing, nothing[:, 0, 0] == BOS_ID, grid)
        self.expected = model.trunk.embedding.new_zeros(num_rows, 1, model.trunk.embedding.shape[1])

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        model, num_voices = self.model, self.model.grid.num_voices
        self.history.append(ids)
        steps = [(length - 1) // num_voices for length in self.history.lengths]
        # The first token stands before the first step.
        symbols = self.history.upto(1 + num_voices * (1 + max(steps)))[:, 1:].unflatten(1, (-1, num_voices))
        symbols = (symbols - NUM_SPECIAL).clamp(min=0)
        self._begin_steps(symbols, steps)
        row = torch.arange(len(ids), device=ids.device)
        rank = torch.arange(num_voices, device=ids.device)
        now = places_of(symbols, steps, 1)
        end = model.end(self.expected).float()
        voices = model.voices(self.expected, self.seen, now, rank.expand(now.shape))
        voice = [(length - 1) % num_voices for length in self.history.lengths]
        return model.of_tokens(end, voices)[row, 0, torch.tensor(voice, device=ids.device)]

    def _begin_steps(self, symbols: torch.Tensor, steps: list[int]) -> None:
        """Read symbols (B, S, V) up to the step of each row that begins now; of some rows none may."""
        grid, done = self.model.grid, self.trunk.cache.lengths
        counts = [step + 1 - num for step, num in zip(steps, done, strict=True)]
        num_new = max(counts)
        if not num_new:
            return
        begins = self.history.tokens[:, 0] == BOS_ID
        whole = [step - num for step, num in zip(steps, self.repeats.lengths, strict=True)]
        if max(whole):
            self.repeats.read(places_of(symbols, self.repeats.lengths, max(whole)), whole)
        if num_new == 1:
            lengths = torch.tensor(steps, device=symbols.device)
            new = what_is_seen_next(symbols, lengths, begins, grid, self.repeats.longest())
        else:
            new = places_of(what_is_seen(symbols, begins, grid), done, num_new)
        self.seen = last_of(new, counts, self.seen)
        self.expected = last_of(self.model.trunk.read(new, self.trunk, counts), counts, self.expected)


class _TrunkState(Rows):
    def __init__(self, trunk: "_Trunk", num_rows: int) -> None:
        self.cache = KeyValueCache(num_rows, trunk.embedding.device)
        width = trunk.embedding.shape[1]
        self.hidden = tuple(trunk.embedding.new_zeros(num_rows, 1, width) for _ in trunk.recurrent)


class _Trunk(nn.Module):
    """What to expect of each step, by all steps before it."""

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__()
        self.head_width = config.n_embd // config.n_head
        sizes = table_sizes(grid)
        self.first: torch.Tensor
        """Of each table the first row of the embedding."""
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)
        self.embedding = nn.Parameter(torch.randn(sum(sizes), config.n_embd) * 0.15)
        self.embedding_norm, self.norm = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.dropout = Dropout(config.dropout)
        self.recurrent = nn.ModuleList(_Recurrent(config) for _ in range(config.n_gru))
        layers = (RotaryLayer(config.n_embd, config.n_head, config.dropout) for _ in range(config.n_layer))
        self.layers = nn.ModuleList(layers)

    def forward(self, seen: Seen) -> torch.Tensor:
        """What is expected of each step, (B, S, D)."""
        x = self.embedded(seen)
        for layer in self.recurrent:
            x, _ = layer(x)
        turn = rotation(torch.arange(x.shape[1], device=x.device), self.head_width)
        for layer in self.layers:
            x = layer(x, turn)
        return self.norm(x)

    def embedded(self, seen: Seen) -> torch.Tensor:
        """What is read of steps, (B, S, D)."""
        rows = seen.classes() + self.first
        x = F.embedding_bag(rows.flatten(0, 1), self.embedding, mode="sum").view(*rows.shape[:2], -1)
        return self.dropout(self.embedding_norm(x))

    def read(self, seen: Seen, state: _TrunkState, counts: list[int]) -> torch.Tensor:
        """What is expected of the next steps of each row, (B, N, D), of which the first `counts` begin."""
        x, hidden = self.embedded(seen), []
        for layer, before in zip(self.recurrent, state.hidden, strict=True):
            x, states = layer(x, before)
            hidden.append(last_of(states, counts, before))
        state.hidden = tuple(hidden)
        cos, sin = rotation(state.cache.extend(x.shape[1], counts), self.head_width)
        for i, layer in enumerate(self.layers):
            x = layer(x, (cos[:, None], sin[:, None]), state.cache, i)
        return self.norm(x)


class _Recurrent(nn.Module):
    """A GRU that adds to what it is given, normalised before."""

    def __init__(self, config: PianistConfig) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(config.n_embd), Dropout(config.dropout)
        self.gru = nn.GRU(config.n_embd, config.n_embd, batch_first=True)

    def forward(self, x: torch.Tensor, before: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """X (B, S, D) after this layer, and its states (B, S, D), which go on from that `before` (B, 1, D)."""
        # Its steps are too small for bf16 to help on a CPU.
        with torch.autocast(x.device.type, enabled=x.device.type != "cpu"):
            normed = self.norm(x.float() if x.device.type == "cpu" else x)
            states, _ = self.gru(normed, None if before is None else before.transpose(0, 1))
        return x + self.dropout(states), states


class _Voices(nn.Module):
    """The voices of a step, each by what is expected and by those that were chosen before it."""

    def __init__(self, config: PianistConfig, grid: Grid) -> None:
        super().__init__()
        inner, num_voices, num_symbols = config.d_voice, grid.num_voices, grid.num_symbols
        self.grid = grid
        self.expected = nn.Linear(config.n_embd, inner)
        self.voice = nn.Parameter(torch.randn(num_voices, inner) * 0.1)
        # Of each voice: what it chose, how far it went, on which degree; what all did before, and it itself.
        self.chosen = nn.Parameter(torch.randn(num_voices * num_symbols, inner) * 0.1)
        self.went = nn.Parameter(torch.randn(num_voices * NUM_MOTIONS, inner) * 0.1)
        self.degree = nn.Parameter(torch.randn(num_voices * NUM_DEGREES, inner) * 0.1)
        self.all_before = nn.Parameter(torch.randn(num_voices * (num_symbols + 2), inner) * 0.05)
        self.own_before = nn.Parameter(torch.randn(num_voices * (num_symbols + 2), inner) * 0.05)
        self.first_norm, self.second_norm = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.hidden = nn.Linear(inner, inner)
        self.dropout = Dropout(config.voice_dropout)
        self.parts = (num_symbols, 2 * num_symbols - 1, 2, 12, NUM_HEARD)
        """Columns of the output: symbols, intervals, copying of what two repeats offer, degrees, what was heard."""
        weight = torch.zeros(num_voices, inner, sum(self.parts))
        weight[..., :num_symbols].normal_(std=0.5 * inner**-0.5)
        self.out, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(num_voices, weight.shape[-1]))
        self.by_length = nn.Parameter(torch.zeros(2, num_voices, NUM_LENGTHS))
        self.together = nn.Parameter(torch.zeros(num_voices, num_voices, 2 * num_symbols - 1))
        """Logits of the interval of each voice from another one that was chosen."""
        # Of each voice at each place in the beat: ln of what its logits are multiplied by, and what is added to that of
        # doing what it did before. Not trained: chosen on the validation split, see `TokenModel.calibration`.
        places = (grid.steps_per_beat, num_voices)
        self.sureness = nn.Parameter(torch.zeros(places), requires_grad=False)
        self.staying = nn.Parameter(torch.zeros(places), requires_grad=False)

    def forward(self, expected: torch.Tensor, seen: Seen, symbols: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
        """Logits of each voice, fp32, (B, S, V, P).

        Args:
            expected: of each step, (B, S, D).
            seen: what is known before.
            symbols: what the voices do, (B, S, V); those of a lower rank are known.
            rank: of each voice in the order of its step, (B, S, V).
        """
        is_known = rank[..., None, :] < rank[..., None]  # (B, S, V, U): whether v knows u
        x = self.state(expected, seen, symbols, is_known)
        by_voice = x.flatten(0, 1).transpose(0, 1)  # (V, B * S, K)
        out = torch.baddbmm(self.bias[:, None], by_voice, self.out).transpose(0, 1)
        out = out.reshape(*symbols.shape, -1).float()
        by_symbol, by_interval, copying, by_degree, by_heard = out.split(self.parts, -1)
        num_symbols = self.grid.num_symbols
        pitch = torch.arange(num_symbols, device=symbols.device)
        interval = pitch - seen.known.clamp(max=num_symbols - 1)[..., None] + num_symbols - 1
        logits = by_symbol + by_interval.gather(-1, interval) * (seen.known < num_symbols)[..., None]
        degree = (pitch - seen.keys.tonic[..., None]) % 12  # (B, S, P)
        has_degree = (pitch > 0) & (seen.keys.mode > 0)[..., None]
        logits = logits + by_degree.gather(-1, degree[:, :, None].expand(logits.shape)) * has_degree[:, :, None]
        logits = logits + (by_heard[..., None, :] * seen.heard).sum(-1)
        logits = logits + self.beside(symbols, is_known)
        return self.calibrated(logits.scatter_add(-1, *self.copied(seen, copying)), seen)

    def calibrated(self, logits: torch.Tensor, seen: Seen) -> torch.Tensor:
        """Logits (B, S, V, P) as sure as they should be."""
        in_beat, has_before = seen.place[..., 1], seen.known < self.grid.num_symbols
        logits = logits * self.sureness[in_beat].exp()[..., None]
        before = seen.known.clamp(max=self.grid.num_symbols - 1)[..., None]
        return logits.scatter_add(-1, before, (self.staying[in_beat] * has_before)[..., None])

    def state(self, expected: torch.Tensor, seen: Seen, symbols: torch.Tensor, is_known: torch.Tensor) -> torch.Tensor:
        """What each voice goes by, (B, S, V, K)."""
        num_symbols = self.grid.num_symbols
        voice = torch.arange(symbols.shape[-1], device=symbols.device)
        chosen = F.embedding(symbols + voice * num_symbols, self.chosen)
        chosen = chosen + F.embedding(motion_class(seen.known, symbols, num_symbols) + voice * NUM_MOTIONS, self.went)
        chosen = chosen + F.embedding(degree_class(symbols, seen.keys, num_symbols) + voice * NUM_DEGREES, self.degree)
        before = seen.known + voice * (num_symbols + 2)
        x = self.expected(expected)[..., None, :] + is_known.to(chosen.dtype) @ chosen + self.voice
        x = x + F.embedding(before, self.own_before) + F.embedding(before, self.all_before).sum(-2, keepdim=True)
        x = self.dropout(F.gelu(self.first_norm(x), approximate="tanh"))
        return self.second_norm(x + self.dropout(F.gelu(self.hidden(x), approximate="tanh")))

    def beside(self, symbols: torch.Tensor, is_known: torch.Tensor) -> torch.Tensor:
        """Logits by the intervals from voices that sing and are known, (B, S, V, P)."""
        num_symbols = self.grid.num_symbols
        voice = torch.arange(symbols.shape[-1], device=symbols.device)[:, None]
        interval = torch.arange(num_symbols, device=symbols.device) - symbols[..., None] + num_symbols - 1
        by_pair = self.together[:, voice, interval]  # (V, B, S, U, P)
        sings = is_known & (symbols > 0)[..., None, :]
        logits = torch.einsum("vbsup,bsvu->bsvp", by_pair, sings.to(by_pair.dtype))
        return F.pad(logits[..., 1:], (1, 0))  # a rest has no interval

    def copied(self, seen: Seen, copying: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Symbols that repeats offer each voice, and what is added to their logits, (B, S, V, 2) each."""
        voice = torch.arange(self.grid.num_voices, device=copying.device)
        of_all = self.by_length[0, voice, seen.lengths[..., :1]]
        of_own = self.by_length[1, voice, seen.lengths[..., 1:]]
        offered = seen.offered.transpose(-1, -2)
        weight = (copying + torch.stack((of_all, of_own), -1)) * (offered < self.grid.num_symbols)
        return offered.clamp(max=self.grid.num_symbols - 1), weight
