"""The class notebook's first model: an embedding, one GRU layer, batch normalisation, a linear layer.

With a `window` each token is predicted from that many before it, from which the GRU begins anew; without one, from all
that stand before it in the context.

Source: the class notebook (windows of 30).

B rows, T tokens, D width, V vocabulary.
"""

import torch
from torch import nn

from pianogen.models.configs import GruConfig
from pianogen.models.scoring import TokenModel
from pianogen.models.windows import Out, windows_of


class Gru(TokenModel):
    """See the module."""

    def __init__(self, config: GruConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.window = config.window
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.gru = nn.GRU(config.n_embd, config.n_hidden, batch_first=True)
        self.out = Out(config.n_hidden, vocab_size, config.dropout)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `TokenModel`."""
        if self.window:
            _, last = self.gru(self.embedding(windows_of(input_ids, self.window)))
            return self.out(last[0], input_ids)
        return self.out(self.gru(self.embedding(input_ids))[0], input_ids)


make, load = Gru, Gru.from_folder
