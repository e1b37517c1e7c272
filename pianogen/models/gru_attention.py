"""The class notebook's second model: `gru` with attention over all of its states in place of the last one.

With a `window` attention is over that many; without one over all that stand before the token in the context.

Source: the class notebook.

B rows, T tokens, N windows, W tokens of a window, D width, V vocabulary.
"""

import torch
from torch import nn

from pianogen.models.configs import GruAttentionConfig
from pianogen.models.incremental import State
from pianogen.models.scoring import TokenModel
from pianogen.models.windows import GlobalAttention, LastWindow, Out, RunningAttention, any_or_last, windows_of


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
            return self.out(self.of_windows(windows_of(input_ids, self.window)), input_ids)
        return self.out(self.attention.up_to_each(self.gru(self.embedding(input_ids))[0]), input_ids)

    def of_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """What attention makes of the states of each of (N, W), (N, D)."""
        return self.attention.of_windows(self.gru(self.embedding(windows))[0], any_or_last(windows))

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        if self.window:
            return LastWindow(self, num_rows, self.window, self.embedding.weight)
        return _State(self, num_rows)


class _State(State):
    def __init__(self, model: GruAttention, num_rows: int) -> None:
        super().__init__(model)
        self.model = model
        self.hidden = model.embedding.weight.new_zeros(num_rows, model.gru.hidden_size)
        self.attention = RunningAttention(model.attention, num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        states, hidden = self.model.gru(self.model.embedding(ids), self.hidden[None])
        self.hidden = hidden[0]
        return self.model.out(self.attention.read(states), ids[:, -1])


make, load = GruAttention, GruAttention.from_folder
