"""Pianist for performances: one position for each event, and a small network for the tokens inside it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.configs import PianistConfig
from pianogen.models.layers import ROTARY_BASE, Dropout, RotaryLayer
from pianogen.models.scoring import Scores, TokenModel, scored
from pianogen.tokenizers.base import BOS_ID, EOS_ID, PAD_ID


class Events(NamedTuple):
    names: tuple[str, ...]
    is_last: torch.Tensor
    is_bar: torch.Tensor
    place: torch.Tensor  # position in bar, -1 none
    advance: torch.Tensor  # time units
    pitch: torch.Tensor  # MIDI pitch or 0
    places_per_bar: int


def events_of(vocab):
    kinds = [name.split("_")[0] for name in vocab]
    has = set(kinds)
    if "Duration" in has:
        last = {"Duration"}
    elif "PedalOn" in has:
        last = {"NoteOn", "NoteOff", "PedalOn", "PedalOff"}
    else:
        last = {"Velocity", "NoteOff"}
    num = [name.split("_")[1] if "_" in name else "" for name in vocab]

    def units(kind, v):
        if kind != "TimeShift":
            return 0
        if "." in v:
            a, b, c = v.split(".")
            return int(a) * 8 + int(b) * 8 // int(c)
        return int(v) // 10

    t = torch.tensor
    return Events(
        vocab,
        t([k in last for k in kinds]),
        t([k == "Bar" for k in kinds]),
        t([int(v) if k == "Position" else -1 for k, v in zip(kinds, num)]),
        t([units(k, v) for k, v in zip(kinds, num)]),
        t([int(v) if k in ("Pitch", "NoteOn", "NoteOff") else 0 for k, v in zip(kinds, num)]),
        sum(k == "Position" for k in kinds),
    )


class EventPianist(TokenModel):
    def __init__(self, config: PianistConfig, events: Events) -> None:
        vocab_size = len(events.names)
        super().__init__(config, vocab_size)
        self.events = events
        for n in ("is_last", "is_bar", "place", "advance", "pitch"):
            self.register_buffer(n, getattr(events, n), persistent=False)
        D, K = config.n_embd, config.d_voice
        self.embedding = nn.Parameter(torch.randn(vocab_size, D) * 0.15)
        self.in_bar = nn.Parameter(torch.randn(max(1, events.places_per_bar), D) * 0.1)
        self.embedding_norm, self.norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.dropout = Dropout(config.dropout)
        self.inner_dropout = Dropout(config.voice_dropout)
        self.layers = nn.ModuleList(RotaryLayer(D, config.n_head, config.dropout) for _ in range(config.n_layer))
        self.expected = nn.Linear(D, K)
        self.chosen = nn.Parameter(torch.randn(vocab_size, K) * 0.1)
        self.first_norm, self.hidden, self.second_norm = nn.LayerNorm(K), nn.Linear(K, K), nn.LayerNorm(K)
        self.out = nn.Linear(K, vocab_size)
        std = 0.02 * (768 / D) ** 0.5
        for n, p in self.named_parameters():
            if n.endswith(".weight") and p.ndim == 2:
                nn.init.normal_(
                    p,
                    std=std / (2 * config.n_layer) ** 0.5
                    if n.endswith(("attention_out.weight", "mlp_out.weight"))
                    else std,
                )
            elif n.endswith(".bias"):
                nn.init.zeros_(p)
        self.has_pitch = bool((events.pitch > 0).any())
        if config.hide_repeats >= 0:
            self.first_pitch = int((events.pitch > 0).nonzero()[0])
            k = [n.split("_")[0] for n in events.names][self.first_pitch]
            self.num_pitch = sum(n.startswith(k + "_") for n in events.names)
            self.interval = nn.Parameter(torch.zeros(K, 2 * self.num_pitch - 1))

    def logits(self, input_ids):
        B, T = input_ids.shape
        dev = input_ids.device
        is_last = self.is_last[input_ids] | (input_ids == BOS_ID)
        # group of the token that is predicted at each position: groups end with the token read
        ended = is_last.long().cumsum(1)  # (B,T) number of ended groups up to and with i
        read = ended - is_last.long()  # group that token i belongs to
        G = int(ended.max()) + 1
        x = torch.zeros(B, G, self.embedding.shape[1], device=dev)
        emb = F.embedding(input_ids, self.embedding)
        # group g+1's position reads the tokens of group g
        x = x.scatter_add(
            1, (read + 1).clamp(max=G - 1)[..., None].expand(-1, -1, emb.shape[-1]), emb * (read + 1 < G)[..., None]
        )
        # clock
        i = torch.arange(T, device=dev)
        bar = self.is_bar[input_ids].long().cumsum(1)
        place = self.place[input_ids]
        at = torch.where((place >= 0) | self.is_bar[input_ids], i, -1).cummax(1).values
        inbar = torch.where(at >= 0, place.gather(1, at.clamp(min=0)), 0).clamp(min=0)
        time = bar * self.events.places_per_bar + inbar + self.advance[input_ids].cumsum(1)
        zero = torch.zeros(B, G, dtype=torch.long, device=dev)
        end = torch.where(is_last, ended, 0)  # slot of the position which knows this token as last
        gtime = zero.scatter_reduce(1, end, torch.where(is_last, time, 0), "amax")
        gtime = gtime.cummax(1).values
        gplace = zero.scatter_reduce(1, end, torch.where(is_last, inbar, 0), "amax")
        gpitch = zero.scatter_add(1, (read + 1).clamp(max=G - 1), self.pitch[input_ids] * (read + 1 < G))
        if self.events.places_per_bar:
            x = x + self.in_bar[gplace.clamp(max=len(self.in_bar) - 1)]
        x = self.dropout(self.embedding_norm(x))
        turn = self.turn(torch.arange(G, device=dev).expand(B, G), gtime, gpitch)
        for l in self.layers:
            x = l(x, turn)
        h = self.expected(self.norm(x))  # (B,G,K)
        # tokens
        s = F.embedding(input_ids, self.chosen)
        c = s.float().cumsum(1)
        c0 = torch.where(is_last, i, -1).cummax(1).values  # index of last token of ended group
        base = torch.where((c0 >= 0)[..., None], c.gather(1, c0.clamp(min=0)[..., None].expand_as(c)), 0)
        z = h.gather(1, ended[..., None].expand(-1, -1, h.shape[-1])) + (c - base)
        z = self.inner_dropout(F.gelu(self.first_norm(z), approximate="tanh"))
        z = self.second_norm(z + self.inner_dropout(F.gelu(self.hidden(z), approximate="tanh")))
        out = self.out(z).float()
        rel = (z @ self.interval).float()
        ref = gpitch.gather(1, ended)
        lo = int(self.events.pitch[self.first_pitch])
        idx = (
            torch.arange(self.num_pitch, device=dev)
            - (ref - lo).clamp(0, self.num_pitch - 1)[..., None]
            + self.num_pitch
            - 1
        )
        a = self.first_pitch
        add = rel.gather(-1, idx) * (ref > 0)[..., None]
        return torch.cat((out[..., :a], out[..., a : a + self.num_pitch] + add, out[..., a + self.num_pitch :]), -1)

    def turn(self, index, time, pitch):
        n = self.settings.n_embd // self.settings.n_head // 2
        nt = n * 3 // 8
        np_ = n // 8
        ni = n - nt - np_
        dev = index.device

        def f(k, base):
            return base ** -(torch.arange(k, device=dev).float() / k)

        a = torch.cat(
            (
                index[..., None] * f(ni, 2000.0),
                time[..., None] * f(nt, 5000.0) * 1.5,
                pitch[..., None] * f(np_, 20.0) * 0.5,
            ),
            -1,
        )[:, None]
        return a.cos(), a.sin()
