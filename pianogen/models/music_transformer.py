"""Music Transformer: a decoder whose attention knows how far apart two tokens are.

The logit of query i and key j is (q_i k_j + q_i e_{i-j}) / sqrt(d): each distance has a learned vector per head. The
second term is a product of queries and distances whose rows are shifted ("skew"), so no vector is copied for a pair.
Queries are taken some at a time, and what lies between is computed again on the way back: memory grows with the length
of the sequence, not with its square.

Source: Huang et al., "Music Transformer" (2018), section 3.4.1. Departures: layers are normalised before and not after,
which trains without their warm-up; every distance of the context has its vector, none is clipped.

B rows, T tokens, D width, H heads, d = D / H, C queries of a chunk, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from pianogen.models.configs import MusicTransformerConfig
from pianogen.models.incremental import State
from pianogen.models.key_value_cache import KeyValueCache
from pianogen.models.scoring import TokenModel, initialised

CHUNK = 256
"""Queries at a time."""
INITIAL_STD, WIDTH = 0.02, 768
"""As of `gpt2`."""


class MusicTransformer(TokenModel):
    """See the module."""

    def __init__(self, config: MusicTransformerConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.layers = nn.ModuleList([_Layer(config) for _ in range(config.n_layer)])
        self.norm = nn.LayerNorm(config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        std = INITIAL_STD * (WIDTH / config.n_embd) ** 0.5
        initialised(self, std)
        # What layers add to the sum is so small that the sum keeps its size.
        for name, weight in self.named_parameters():
            if name.endswith(("attention_out.weight", "mlp_out.weight")):
                nn.init.normal_(weight, std=std / (2 * config.n_layer) ** 0.5)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        x = self.drop(self.embedding(input_ids))  # (B, T, D)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.embedding.weight)  # (B, T, V)

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)


class _State(State):
    def __init__(self, model: MusicTransformer, num_rows: int) -> None:
        super().__init__(model)
        self.model = model
        self.cache = KeyValueCache(num_rows, model.embedding.weight.device, limit=model.settings.context_length)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        model = self.model
        self.cache.extend(ids.shape[1])
        x = model.embedding(ids)
        for i, layer in enumerate(model.layers):
            x = layer(x, self.cache, i)
        return F.linear(model.norm(x[:, -1]), model.embedding.weight)


class _Layer(nn.Module):
    def __init__(self, config: MusicTransformerConfig) -> None:
        super().__init__()
        width, inner = config.n_embd, config.d_inner or 4 * config.n_embd
        self.n_head = config.n_head
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.distances = nn.Parameter(torch.empty(config.n_head, config.context_length, width // config.n_head))
        nn.init.normal_(self.distances, std=INITIAL_STD)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, inner)
        self.mlp_out = nn.Linear(inner, width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, cache: KeyValueCache | None = None, number: int = 0) -> torch.Tensor:
        num_rows, length, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(num_rows, length, 3, self.n_head, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, d) each
        if cache is not None:
            k, v = cache.add(number, k, v)
        if cache is None or k.shape[2] == length:
            seen = relative_attention(q, k, v, self.distances)
        else:
            seen = attention_of_later(q, k, v, self.distances, cache.places)
        x = x + self.drop(self.attention_out(seen.transpose(1, 2).reshape(num_rows, length, width)))
        return x + self.drop(self.mlp_out(F.relu(self.mlp_in(self.mlp_norm(x)))))


def relative_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, distances: torch.Tensor, chunk: int = CHUNK
) -> torch.Tensor:
    """Causal attention with a learned vector for each distance.

    Args:
        q: queries (B, H, T, d).
        k: keys, the same.
        v: values, the same.
        distances: (H, M, d), M at least T: that of distance 0 is the last, that of M - 1 the first.
        chunk: queries at a time; changes nothing but memory.

    Returns:
        (B, H, T, d).
    """
    length = q.shape[2]
    parts = []
    for begin in range(0, length, chunk):
        end = min(begin + chunk, length)
        given = q[:, :, begin:end], k[:, :, :end], v[:, :, :end], distances[:, distances.shape[1] - end :]
        if length <= chunk or not torch.is_grad_enabled():
            parts.append(_attend(*given))
        else:
            parts.append(checkpoint(_attend, *given, use_reentrant=False))
    return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """The last queries q (B, H, C, d) over all keys (B, H, T, d); distances (H, T, d)."""
    num_queries, num_keys = q.shape[2], k.shape[2]
    logits = (q @ k.transpose(-1, -2) + skewed(q @ distances.transpose(-1, -2))) / math.sqrt(q.shape[-1])
    places = torch.arange(num_keys, device=q.device)
    is_later = places > places[num_keys - num_queries :, None]  # (C, T)
    return logits.masked_fill(is_later, -torch.inf).softmax(dim=-1) @ v


def attention_of_later(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, distances: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """As `relative_attention`, of some queries (B, H, C, d) over keys and values (B, H, T, d).

    Args:
        q: the queries.
        k: keys of all places, which may end with some that no query sees.
        v: values of the same.
        distances: as there.
        places: of the queries, (B, C), or (1, C) where those of all rows are the same.
    """
    most, num_keys = distances.shape[1], k.shape[2]
    if places.numel() == 1:
        # One query after all keys: distances stand in the order of the keys.
        by_distance = q @ distances[:, most - num_keys :].transpose(-1, -2)
        return ((q @ k.transpose(-1, -2) + by_distance) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
    ahead = torch.arange(num_keys, device=q.device) - places[..., None]  # (B, C, T)
    row = (most - 1 + ahead).clamp(max=most - 1)[:, None].expand(*q.shape[:3], -1)
    by_distance = (q @ distances.transpose(-1, -2)).gather(-1, row)
    logits = (q @ k.transpose(-1, -2) + by_distance) / math.sqrt(q.shape[-1])
    return logits.masked_fill((ahead > 0)[:, None], -torch.inf).softmax(dim=-1) @ v


def skewed(products: torch.Tensor) -> torch.Tensor:
    """From distances to keys: row r of C moves C - 1 - r columns to the left; what it leaves is of no meaning.

    Args:
        products: of queries and distances, (B, H, C, T), the distance T - 1 first.

    Returns:
        (B, H, C, T): of queries and keys, for keys up to the query's own place.
    """
    num_rows, num_columns = products.shape[-2:]
    padded = F.pad(products, (1, 0)).view(*products.shape[:2], num_columns + 1, num_rows)
    return padded[:, :, 1:].reshape(products.shape)


make, load = MusicTransformer, MusicTransformer.from_folder
