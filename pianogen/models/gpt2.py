"""GPT-2: learned positions, pre-norm decoder blocks, output weights shared with the embedding.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), as built by the
transformers library. Two departures: no dropout on attention weights, which lets attention run fused; and
initial weights scaled to the width, since GPT-2's own are too small for narrow models (at width 128, a deviation
of 0.06 in place of 0.02 took the validation nll of chorales after 700 steps from 1.29 to 1.10). Its activation is
asked for by the name under which transformers computes the same function at one go.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import GPT2Config
from transformers.utils import logging

from pianogen.models.configs import Gpt2Config
from pianogen.models.scoring import scored
from pianogen.tokenizers.base import BOS_ID, EOS_ID

INITIAL_STD, WIDTH = 0.02, 768
"""Standard deviation of GPT-2's initial weights, and the width that it was chosen for."""


class GPT2LMHeadModel(transformers.GPT2LMHeadModel):
    """That of transformers, which says nats of labels as the other models do; files name its class."""

    reads_cache = True

    @property
    def vocab_size(self) -> int:
        """Tokens that it knows."""
        return self.config.vocab_size

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`logits` of the next token, `nats` of labels, and what else transformers gives."""
        said: Any = super().forward(input_ids=input_ids, **options)  # pyright: ignore[reportArgumentType]
        said.nats = scored(said.logits, labels).nats
        return said


def make(config: Gpt2Config, vocab_size: int) -> GPT2LMHeadModel:
    """A GPT-2 with random weights."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=config.context_length,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_embd=config.n_embd,
            embd_pdrop=config.dropout,
            resid_pdrop=config.dropout,
            attn_pdrop=0.0,
            activation_function="gelu_pytorch_tanh",
            initializer_range=INITIAL_STD * (WIDTH / config.n_embd) ** 0.5,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
            # Padding stands only after the end of a sequence, where causal attention never looks back at it.
            pad_token_id=None,
            use_cache=False,
        )
    )


def load(folder: Path) -> GPT2LMHeadModel:
    """The saved model in evaluation mode, fp32."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return GPT2LMHeadModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    finally:
        if bars:
            logging.enable_progress_bar()
