"""The class notebook's second model: `gru` with attention over all of its states in place of the last one.

With a `window` attention is over that many; without one over all that stand before the token in the context.

Source: the class notebook.

B rows, T tokens, D width, V vocabulary.
"""

import torch
from torch import nn

from pianogen.models.configs import GruAttentionConfig
from pianogen.models.scoring import TokenModel
from pianogen.models.windows import GlobalAttention, Out, any_or_last, windows_of


class GruAttention(TokenModel):
    """See the module."""

    def __init__(self, config: GruAttentionConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.window = config.window
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.gru = nn.GRU(config.n_embd, config.n_hidden, batch_first=True)
        self.attention = GlobalAttention(config.n_hidden)
        self.out = Out(config.n_hidden, vocab_size, config.dropout)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        if self.window:
            windows = windows_of(input_ids, self.window)
            states = self.gru(self.embedding(windows))[0]
            return self.out(self.attention.of_windows(states, any_or_last(windows)), input_ids)
        return self.out(self.attention.up_to_each(self.gru(self.embedding(input_ids))[0]), input_ids)


make, load = GruAttention, GruAttention.from_folder
