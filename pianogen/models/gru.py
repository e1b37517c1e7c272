"""The class notebook's first model: an embedding, one GRU layer, batch normalisation, a linear layer.

With a `window` each token is predicted from that many before it, from which the GRU begins anew; without one, from all
that stand before it in the context.

Source: the class notebook (windows of 30).

B rows, T tokens, N windows, W tokens of a window, D width, V vocabulary.
"""

import torch
from torch import nn

from pianogen.models.configs import GruConfig
from pianogen.models.incremental import State
from pianogen.models.scoring import TokenModel
from pianogen.models.windows import LastWindow, Out, windows_of


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
            return self.out(self.of_windows(windows_of(input_ids, self.window)), input_ids)
        return self.out(self.gru(self.embedding(input_ids))[0], input_ids)

    def of_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """The state after each of (N, W), (N, D)."""
        return self.gru(self.embedding(windows))[1][0]

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        if self.window:
            return LastWindow(self, num_rows, self.window, self.embedding.weight)
        return _State(self, num_rows)


class _State(State):
    def __init__(self, model: Gru, num_rows: int) -> None:
        super().__init__(model)
        self.model = model
        self.hidden = model.embedding.weight.new_zeros(num_rows, model.gru.hidden_size)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        _, hidden = self.model.gru(self.model.embedding(ids), self.hidden[None])
        self.hidden = hidden[0]
        return self.model.out(self.hidden, ids[:, -1])


make, load = Gru, Gru.from_folder
