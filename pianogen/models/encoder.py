"""The study's V1: embeddings of tokens and places, a transformer encoder that sees nothing later, a linear layer.

The encoder is torch's: normalised after each sum, ReLU inside.

Source: the study (V1: width 512, 8 heads, 6 layers, 2,048 inside, 512 tokens, dropout 0.1).

B rows, T tokens, D width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.configs import EncoderConfig
from pianogen.models.incremental import State
from pianogen.models.key_value_cache import KeyValueCache
from pianogen.models.scoring import TokenModel

INITIAL_STD = 0.02


class Encoder(TokenModel):
    """See the module."""

    def __init__(self, config: EncoderConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.tokens = nn.Embedding(vocab_size, config.n_embd)
        self.places = nn.Embedding(config.context_length, config.n_embd)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=INITIAL_STD)
        self.drop = nn.Dropout(config.dropout)
        self.layers = encoder_layers(config.n_embd, config.n_head, config.d_inner, config.n_layer, config.dropout)
        self.out = nn.Linear(config.n_embd, vocab_size)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.drop(self.tokens(input_ids) + self.places(places))  # (B, T, D)
        return self.out(causally(self.layers, x))  # (B, T, V)

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)


class _State(State):
    def __init__(self, model: Encoder, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.cache = model, layers_cache(model.places, num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        model, cache = self.model, self.cache
        x = model.tokens(ids) + model.places(cache.extend(ids.shape[1]))
        return model.out(read_layers(model.layers, cache, x)[:, -1])


def layers_cache(places: nn.Embedding, num_rows: int) -> KeyValueCache:
    """An empty cache for `read_layers`, of rows as long as there are places."""
    return KeyValueCache(num_rows, places.weight.device, limit=len(places.weight))


def read_layers(layers: nn.TransformerEncoder, cache: KeyValueCache, x: torch.Tensor) -> torch.Tensor:
    """As `causally`, of the positions (B, T, D) by which the cache was extended."""
    for i, layer in enumerate(layers.layers):
        x = _read_layer(layer, i, cache, x)
    return x


def _read_layer(layer: Any, number: int, cache: KeyValueCache, x: torch.Tensor) -> torch.Tensor:
    attention = layer.self_attn
    qkv = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    qkv = qkv.view(*x.shape[:2], 3, attention.num_heads, -1)
    seen = cache.attend(number, *qkv.permute(2, 0, 3, 1, 4).unbind(0))
    x = layer.norm1(x + attention.out_proj(seen.transpose(1, 2).flatten(2)))
    return layer.norm2(x + layer.linear2(layer.linear1(x).relu()))


def encoder_layers(width: int, n_head: int, d_inner: int, n_layer: int, dropout: float) -> nn.TransformerEncoder:
    """Layers of torch's encoder, each drawn by itself: torch's own are copies of the first."""
    layers = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(width, n_head, d_inner, dropout, batch_first=True),
        n_layer,
        enable_nested_tensor=False,
    )
    for parameter in layers.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return layers


def causally(layers: nn.TransformerEncoder, x: torch.Tensor) -> torch.Tensor:
    """What the layers make of (B, T, D) when no position sees a later one."""
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device, dtype=x.dtype)
    return layers(x, mask=mask, is_causal=True)


make, load = Encoder, Encoder.from_folder
