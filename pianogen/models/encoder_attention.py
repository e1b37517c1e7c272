"""The class notebook's third model: a transformer encoder, and attention over all that it gives.

With a `window` each token is predicted from that many before it, all of which the encoder sees; without one from all
that stand before it in the context, and no position sees a later one.

Source: the class notebook.

B rows, T tokens, N windows, W tokens of a window, D width, V vocabulary.
"""

import torch
from torch import nn

from pianogen.models.configs import EncoderAttentionConfig
from pianogen.models.encoder import INITIAL_STD, causally, encoder_layers, layers_cache, read_layers
from pianogen.models.incremental import State
from pianogen.models.scoring import TokenModel
from pianogen.models.windows import GlobalAttention, LastWindow, Out, RunningAttention, any_or_last, windows_of


class EncoderAttention(TokenModel):
    """See the module."""

    def __init__(self, config: EncoderAttentionConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.window = config.window
        self.tokens = nn.Embedding(vocab_size, config.n_embd)
        self.places = nn.Embedding(config.window or config.context_length, config.n_embd)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=INITIAL_STD)
        self.drop = nn.Dropout(config.dropout)
        self.layers = encoder_layers(config.n_embd, config.n_head, config.d_inner, config.n_layer, config.dropout)
        self.attention = GlobalAttention(config.n_embd)
        self.out = Out(config.n_embd, vocab_size, config.dropout)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        if self.window:
            return self.out(self.of_windows(windows_of(input_ids, self.window)), input_ids)
        return self.out(self.attention.up_to_each(causally(self.layers, self._embedded(input_ids))), input_ids)

    def of_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """What attention makes of each of (N, W), (N, D)."""
        is_there = any_or_last(windows)
        x = self.layers(self._embedded(windows), src_key_padding_mask=~is_there)  # (N, W, D)
        return self.attention.of_windows(x, is_there)

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        if self.window:
            return LastWindow(self, num_rows, self.window, self.tokens.weight)
        return _State(self, num_rows)

    def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
        return self.drop(self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device)))


class _State(State):
    def __init__(self, model: EncoderAttention, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.cache = model, layers_cache(model.places, num_rows)
        self.attention = RunningAttention(model.attention, num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        model, cache = self.model, self.cache
        x = model.tokens(ids) + model.places(cache.extend(ids.shape[1]))
        return model.out(self.attention.read(read_layers(model.layers, cache, x)), ids[:, -1])


make, load = EncoderAttention, EncoderAttention.from_folder
