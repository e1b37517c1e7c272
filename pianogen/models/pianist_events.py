"""Pianist for performances: one position for each event, and a small network for the tokens inside it.

An event is a note, or a key or pedal that moves, with the tokens before it that say when and how loud: as many as the
scheme needs, in its order. It is read as the sum of their embeddings. A causal transformer over events, of which there
are two to four times fewer than tokens, says what it expects of the next one; its positions know which number an event
has, when it is and at which pitch, so that attention can look for "a bar ago" or "near this key". The tokens of an
event are then chosen one after the other, each knowing those chosen before it. Their logits are of tokens, of the
interval from the pitch before, and of copying the event that would come if the music went on repeating itself
(`pianogen.models.repeats`).

B rows, T tokens, E events, L tokens of an event, R repeats, D width, K width of the network for tokens, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.configs import PianistConfig
from pianogen.models.incremental import History, State, last_of, places_of
from pianogen.models.key_value_cache import KeyValueCache
from pianogen.models.layers import Dropout, RotaryLayer
from pianogen.models.repeats import NUM_LENGTHS, Repeats, RunningRepeats, find_repeats, length_class
from pianogen.models.scoring import TokenModel, initialised
from pianogen.models.token_facts import Events
from pianogen.tokenizers.base import BOS_ID, PAD_ID

MAX_OFFERED = 6
"""Tokens of an event that a repeat offers."""
NUM_REPEATS = 2
"""Of what happens where in the bar; of what happens."""
BASES = ((2_000.0, 0.5), (5_000.0, 0.375), (20.0, 0.125))
"""Of the angles by number, time and pitch: base of the wavelengths, and share of a head's width."""
INITIAL_STD, WIDTH = 0.02, 768
"""As of `gpt2`."""


class Past(NamedTuple):
    """What is known of events before they begin, (B, E, ...)."""

    before: torch.Tensor
    """Tokens of the event before, PAD where there are no more, (B, E, L)."""
    time: torch.Tensor
    """When that was, in units, (B, E)."""
    place: torch.Tensor
    """And in the bar, (B, E)."""
    pitch: torch.Tensor
    """Its pitch; 0: none, (B, E)."""
    offered: torch.Tensor
    """Tokens that would come if repeats went on, PAD where there are no more, (B, E, R, L)."""
    lengths: torch.Tensor
    """Classes of how long these repeats are, (B, E, R)."""


class Read(NamedTuple):
    """Which event tokens belong to, and what was before each event."""

    event: torch.Tensor
    """Number of the event of the token that follows, (B, T)."""
    last: torch.Tensor
    """Index of the last token before that event, -1 where it is not there, (B, T)."""
    past: Past


class EventPianist(TokenModel):
    """See the module.

    Args:
        config: its size.
        facts: what ids mean.
    """

    def __init__(self, config: PianistConfig, facts: Events) -> None:
        super().__init__(config, len(facts.kind))
        self.reader = _Reader(facts)
        self.trunk = _Trunk(config, facts)
        self.tokens = _Tokens(config, facts)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        read = self.reader(input_ids)
        return self.tokens(self.trunk(read.past), input_ids, read)

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)


class _State(State):
    """What is expected of the event that is going on, and what was before it."""

    def __init__(self, model: EventPianist, num_rows: int) -> None:
        super().__init__(model)
        weight = model.trunk.embedding
        self.model, self.history = model, History(num_rows)
        self.repeats = RunningRepeats(num_rows, NUM_REPEATS, 1 + model.settings.context_length, weight.device)
        self.cache = KeyValueCache(num_rows, weight.device)
        self.expected = weight.new_zeros(num_rows, 1, weight.shape[1])
        none = torch.zeros(num_rows, 1, dtype=torch.int64, device=weight.device)
        offered = none[..., None, None].repeat(1, 1, NUM_REPEATS, MAX_OFFERED)
        self.past = Past(none[..., None].repeat(1, 1, MAX_OFFERED), none, none, none, offered, offered[..., 0])
        self.last = none[:, 0] - 1
        """Index of the last token before that event, -1 where it is not there, (B,)."""

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = self.model.tokens
        begins = min(self.history.lengths) == 0 or bool(self.model.reader.ends(ids).any())
        self.history.append(ids)
        lengths = torch.tensor(self.history.lengths, device=ids.device)
        if begins:
            self._begin_events(lengths)
        # Tokens of the event so far.
        index = self.last[:, None] + 1 + torch.arange(int((lengths - 1 - self.last).max()), device=ids.device)
        is_there = index < lengths[:, None]
        own = self.history.tokens.gather(1, torch.where(is_there, index, 0))
        so_far = (F.embedding(own, tokens.chosen).float() * is_there[..., None]).sum(1, keepdim=True)
        past = self.past
        differs = (tokens.differ(own, past.offered) & is_there[..., None]).any(1, keepdim=True)
        x = tokens.expected(self.expected) + so_far
        return tokens.after(x, past.pitch, past.offered, past.lengths, differs)[:, 0]

    def _begin_events(self, lengths: torch.Tensor) -> None:
        """Read what happened up to the event of each row that begins now; of some rows none may."""
        reader, row = self.model.reader, torch.arange(len(lengths), device=lengths.device)
        event, last, past, happened = reader.count(self.history.tokens[:, : int(lengths.max())])
        self.last = last[row, lengths - 1]
        events, done = event[row, lengths - 1].tolist(), self.cache.lengths
        counts = [event + 1 - num for event, num in zip(events, done, strict=True)]
        num_new = max(counts)
        if not num_new:
            return
        whole = [event - num for event, num in zip(events, self.repeats.lengths, strict=True)]
        if max(whole):
            self.repeats.read(places_of(happened, self.repeats.lengths, max(whole)), whole)
        if num_new == 1:
            lag, length = self.repeats.longest()
            repeats = Repeats(lag[:, None], length[:, None])
            number = event[row, lengths - 1][:, None]
            new = reader.repeating(places_of(past, events, 1), past.before, number, repeats)
        else:
            number = torch.arange(happened.shape[1], device=row.device).expand(happened.shape[:2])
            new = reader.repeating(past, past.before, number, find_repeats(happened))
            new = places_of(new, done, num_new)
        self.past = last_of(new, counts, self.past)
        self.expected = last_of(self.model.trunk.read(new, self.cache, counts), counts, self.expected)


class _Reader(nn.Module):
    """What can be counted: events, time, repeats."""

    def __init__(self, facts: Events) -> None:
        super().__init__()
        self.units_per_bar = facts.units_per_bar
        self.ends_event: torch.Tensor
        self.is_bar: torch.Tensor
        self.place: torch.Tensor
        self.advance: torch.Tensor
        self.pitch: torch.Tensor
        for name in ("ends_event", "is_bar", "place", "advance", "pitch"):
            self.register_buffer(name, torch.from_numpy(getattr(facts, name)), persistent=False)

    @torch.no_grad()
    def forward(self, input_ids: torch.Tensor) -> Read:
        """What ids (B, T) say before each event."""
        event, last, past, happened = self.count(input_ids)
        number = torch.arange(happened.shape[1], device=input_ids.device).expand(happened.shape[:2])
        return Read(event, last, self.repeating(past, past.before, number, find_repeats(happened)))

    def ends(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Where an event is whole, or a piece begins; bool, (B, T)."""
        return self.ends_event[input_ids] | (input_ids == BOS_ID)

    def count(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Past, torch.Tensor]:
        """What ids (B, T) say before each event but for repeats.

        Returns:
            `event` and `last` of `Read`; a `Past` in which nothing is offered; and what happened in each event: what
            and where in the bar, and what alone, (B, E, 2), 0 in that of the last one, of which nothing is known.
        """
        num_rows, num_tokens = input_ids.shape
        index = torch.arange(num_tokens, device=input_ids.device).expand_as(input_ids)
        ends = self.ends(input_ids)
        event = ends.long().cumsum(1)
        num_events = int(event[:, -1].max()) + 1
        last = torch.where(ends, index, -1).cummax(1).values
        # The last token of each event before: of the first event there may be none.
        none = index.new_zeros(num_rows, num_events)
        end = none.scatter_reduce(1, event * ends, index * ends, "amax").cummax(1).values
        own, own_last = event - ends.long(), torch.cat((torch.full_like(last[:, :1], -1), last[:, :-1]), 1)
        offset = index - own_last - 1
        fits = (offset < MAX_OFFERED) & (own + 1 < num_events)
        at = torch.where(fits, (own + 1) * MAX_OFFERED + offset, 0)
        before = index.new_full((num_rows, num_events * MAX_OFFERED), PAD_ID).scatter_add(1, at, input_ids * fits)
        # The first event has nothing before it, and its place took what did not fit: that was 0, as PAD is.
        before = before.view(num_rows, num_events, MAX_OFFERED)
        is_bar, told = self.is_bar[input_ids], self.place[input_ids]
        source = torch.where((told >= 0) | is_bar, index, -1).cummax(1).values
        place = torch.where(source >= 0, told.gather(1, source.clamp(min=0)), 0).clamp(min=0)
        time = is_bar.long().cumsum(1) * self.units_per_bar + place + self.advance[input_ids].cumsum(1)
        time, place = time.gather(1, end), place.gather(1, end)
        pitch = self.pitch[before].amax(-1)
        # What happened: with its kind, since a key that comes up is another event than one that goes down.
        what = (before * (self.pitch[before] > 0)).amax(-1)
        # Of the event itself, not of the one before it.
        what, where = (F.pad(x[:, 1:], (0, 1)) for x in (what, place))
        nothing = before.new_full((*before.shape[:2], NUM_REPEATS, MAX_OFFERED), PAD_ID)
        past = Past(before, time, place, pitch, nothing, torch.zeros_like(nothing[..., 0]))
        return event, last, past, torch.stack((what + where * len(self.pitch), what), -1)

    def repeating(self, past: Past, before: torch.Tensor, number: torch.Tensor, repeats: Repeats) -> Past:
        """The past of some events N with what repeats offer them.

        Args:
            past: of these events, (B, N, ...).
            before: tokens of the event before, of all events, (B, E, L).
            number: of these events, (B, N).
            repeats: of what happened, before each of them, (B, N, 1 + R).
        """
        lag, length = repeats.lag[..., 1:], repeats.length[..., 1:]
        # The event that continues a repeat is read where it is over, one place later.
        taken = (number[..., None] - lag + 1).flatten(1).clamp(max=before.shape[1] - 1)
        offered = before.gather(1, taken[..., None].expand(-1, -1, MAX_OFFERED)).view(*lag.shape, MAX_OFFERED)
        offered = torch.where(lag[..., None] > 0, offered, PAD_ID)
        return past._replace(offered=offered, lengths=length_class(length))


class _Trunk(nn.Module):
    """What to expect of each event, by all events before it."""

    def __init__(self, config: PianistConfig, facts: Events) -> None:
        super().__init__()
        vocab_size, width = len(facts.kind), config.n_embd
        self.head_width = width // config.n_head
        self.embedding = nn.Parameter(torch.randn(vocab_size, width) * 0.15)
        self.place = nn.Parameter(torch.randn(max(1, facts.units_per_bar), width) * 0.1)
        self.offered = nn.Parameter(torch.randn(NUM_REPEATS * vocab_size, width) * 0.1)
        self.length = nn.Parameter(torch.randn(NUM_REPEATS * NUM_LENGTHS, width) * 0.1)
        self.embedding_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(RotaryLayer(width, config.n_head, config.dropout) for _ in range(config.n_layer))
        std = INITIAL_STD * (WIDTH / width) ** 0.5
        initialised(self, std)
        for name, weight in self.layers.named_parameters():
            if name.endswith(("attention_out.weight", "mlp_out.weight")):
                nn.init.normal_(weight, std=std / (2 * config.n_layer) ** 0.5)

    def forward(self, past: Past) -> torch.Tensor:
        """What is expected of each event, (B, E, D)."""
        x = self.embedded(past)
        turn = self.turn(torch.arange(x.shape[1], device=x.device).expand_as(past.time), past)
        for layer in self.layers:
            x = layer(x, turn)
        return self.norm(x)

    def read(self, past: Past, cache: KeyValueCache, counts: list[int]) -> torch.Tensor:
        """What is expected of the next events of each row, (B, N, D), of which the first `counts` begin."""
        x = self.embedded(past)
        turn = self.turn(cache.extend(x.shape[1], counts).expand_as(past.time), past)
        for i, layer in enumerate(self.layers):
            x = layer(x, turn, cache, i)
        return self.norm(x)

    def embedded(self, past: Past) -> torch.Tensor:
        """What is read of events, (B, E, D)."""
        repeat = torch.arange(NUM_REPEATS, device=past.time.device)
        vocab_size = len(self.embedding)
        tables = torch.cat((self.embedding, self.place, self.offered, self.length))
        first_place, first_offered = vocab_size, vocab_size + len(self.place)
        rows = torch.cat(
            (
                past.before,
                (first_place + past.place.clamp(max=len(self.place) - 1))[..., None],
                (first_offered + repeat[:, None] * vocab_size + past.offered).flatten(2),
                first_offered + len(self.offered) + repeat * NUM_LENGTHS + past.lengths,
            ),
            -1,
        )
        x = F.embedding_bag(rows.flatten(0, 1), tables, mode="sum").view(*rows.shape[:2], -1)
        return self.dropout(self.embedding_norm(x))

    def turn(self, number: torch.Tensor, past: Past) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine of the angles of events by number (B, E), time and pitch, (B, 1, E, d / 2)."""
        pairs, angles = self.head_width // 2, []
        for positions, (base, share) in zip((number, past.time, past.pitch), BASES, strict=True):
            num = max(1, round(pairs * share))
            exponent = torch.arange(num, device=number.device, dtype=torch.float32) / num
            angles.append(positions[..., None].float() * base**-exponent)
        angle = torch.cat(angles, -1)[:, None, :, :pairs]
        return angle.cos(), angle.sin()


class _Tokens(nn.Module):
    """The tokens of an event, each by what is expected and by those that were chosen before it."""

    def __init__(self, config: PianistConfig, facts: Events) -> None:
        super().__init__()
        vocab_size, inner = len(facts.kind), config.d_voice
        self.pitch_ids = slice(int(facts.pitch_ids[0]), int(facts.pitch_ids[-1]) + 1)
        self.lowest, self.num_pitches = int(facts.pitch[facts.pitch_ids[0]]), len(facts.pitch_ids)
        self.num_kinds = int(facts.kind.max()) + 1
        self.kind: torch.Tensor
        self.pitch: torch.Tensor
        self.register_buffer("kind", torch.from_numpy(facts.kind), persistent=False)
        self.register_buffer("pitch", torch.from_numpy(facts.pitch), persistent=False)
        self.expected = nn.Linear(config.n_embd, inner)
        self.chosen = nn.Parameter(torch.randn(vocab_size, inner) * 0.1)
        self.first_norm, self.second_norm = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.hidden = nn.Linear(inner, inner)
        self.dropout = Dropout(config.voice_dropout)
        self.by_token = nn.Linear(inner, vocab_size)
        initialised(self, INITIAL_STD * (WIDTH / config.n_embd) ** 0.5)
        self.by_interval = nn.Parameter(torch.zeros(inner, 2 * self.num_pitches - 1))
        self.copying = nn.Parameter(torch.zeros(inner, NUM_REPEATS * self.num_kinds))
        # By repeat, kind, whether the event is as offered so far, and how long the repeat is.
        self.by_length = nn.Parameter(torch.zeros(NUM_REPEATS, self.num_kinds, 2, NUM_LENGTHS))

    def forward(self, expected: torch.Tensor, input_ids: torch.Tensor, read: Read) -> torch.Tensor:
        """Logits of the token that follows each, fp32, (B, T, V)."""
        x = self.expected(expected)
        event = read.event[..., None]
        x = x.gather(1, event.expand(-1, -1, x.shape[-1])) + self.so_far(input_ids, read)
        offered = read.past.offered.flatten(2)
        offered = offered.gather(1, event.expand(-1, -1, offered.shape[-1]))
        offered = offered.view(*input_ids.shape, NUM_REPEATS, MAX_OFFERED)
        # What was offered to each token, not to the one that follows it.
        differ = self.differ(input_ids, F.pad(offered[:, :-1], (0, 0, 0, 0, 1, 0), value=PAD_ID))
        count = differ.long().cumsum(1)
        lengths = read.past.lengths.gather(1, event.expand(-1, -1, NUM_REPEATS))
        pitch = read.past.pitch.gather(1, read.event)
        return self.after(x, pitch, offered, lengths, count > _at_last(count, read.last))

    def so_far(self, input_ids: torch.Tensor, read: Read) -> torch.Tensor:
        """Sum of the embeddings of an event's tokens up to each, (B, T, K)."""
        summed = F.embedding(input_ids, self.chosen).float().cumsum(1)
        return summed - _at_last(summed, read.last)

    def differ(self, input_ids: torch.Tensor, offered: torch.Tensor) -> torch.Tensor:
        """Whether tokens (B, T) are pitches that no repeat offered them (B, T, R, L); (B, T, R)."""
        return (self.pitch[input_ids] > 0)[..., None] & (offered != input_ids[..., None, None]).all(-1)

    def after(
        self,
        x: torch.Tensor,
        pitch: torch.Tensor,
        offered: torch.Tensor,
        lengths: torch.Tensor,
        differs: torch.Tensor,
    ) -> torch.Tensor:
        """Logits of the token that follows each, fp32, (B, T, V).

        Args:
            x: what is expected of its event and the sum of the event's tokens so far, (B, T, K).
            pitch: of the event before, (B, T).
            offered: what repeats offer its event, (B, T, R, L).
            lengths: classes of how long they are, (B, T, R).
            differs: whether the event is another one already, a pitch that was not offered in it, (B, T, R).
        """
        x = self.dropout(F.gelu(self.first_norm(x), approximate="tanh"))
        x = self.second_norm(x + self.dropout(F.gelu(self.hidden(x), approximate="tanh")))
        logits = self.by_token(x).float()
        interval = torch.arange(self.num_pitches, device=x.device) - (pitch - self.lowest)[..., None]
        interval = interval.clamp(1 - self.num_pitches, self.num_pitches - 1) + self.num_pitches - 1
        by_interval = (x @ self.by_interval).float().gather(-1, interval) * (pitch > 0)[..., None]
        bonus = F.pad(by_interval, (self.pitch_ids.start, logits.shape[-1] - self.pitch_ids.stop))
        kind = self.kind[offered]
        repeat = torch.arange(NUM_REPEATS, device=x.device)[:, None]
        copying = (x @ self.copying).float().view(*x.shape[:2], NUM_REPEATS, self.num_kinds).gather(-1, kind)
        copying = copying + self.by_length[repeat, kind, differs[..., None].long(), lengths[..., None]]
        copying = copying * (offered != PAD_ID)
        return (logits + bonus).scatter_add(-1, offered.flatten(2), copying.flatten(2))


def _at_last(summed: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Sums (B, T, K) as they were with the tokens `last` (B, T); 0 for -1."""
    index = last.clamp(min=0)[..., None].expand_as(summed)
    return torch.where((last >= 0)[..., None], summed.gather(1, index), 0)
