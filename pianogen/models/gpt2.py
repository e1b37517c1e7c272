"""GPT-2: learned positions, pre-norm decoder blocks, output weights shared with the embedding.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), as built by the
transformers library. Two departures: no dropout on attention weights, which lets attention run fused; and
initial weights scaled to the width, since GPT-2's own are too small for narrow models (at width 128, a deviation
of 0.06 in place of 0.02 took the validation nll of chorales after 700 steps from 1.29 to 1.10). Its activation is
asked for by the name under which transformers computes the same function at one go.

Token by token its weights are read here and not by transformers, whose forward pass takes several times as long for one
token of a small model.

B rows, T tokens, H heads, d width of a head, D width.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from transformers import GPT2Config, GPT2Model
from transformers.utils import logging

from pianogen.models.configs import Gpt2Config
from pianogen.models.incremental import State
from pianogen.models.key_value_cache import KeyValueCache
from pianogen.models.scoring import scored
from pianogen.tokenizers.base import BOS_ID, EOS_ID

INITIAL_STD, WIDTH = 0.02, 768
"""Standard deviation of GPT-2's initial weights, and the width that it was chosen for."""


class GPT2LMHeadModel(transformers.GPT2LMHeadModel):
    """That of transformers, which says nats of labels as the other models do; files name its class."""

    @property
    def vocab_size(self) -> int:
        """Tokens that it knows."""
        return self.config.vocab_size

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`logits` of the next token, `nats` of labels, and what else transformers gives."""
        said: Any = super().forward(input_ids=input_ids, **options)  # pyright: ignore[reportArgumentType]
        said.nats = scored(said.logits, labels).nats
        return said

    def begin_state(self, num_rows: int) -> State:
        """See `TokenModel`."""
        return _State(self, num_rows)


class _State(State):
    def __init__(self, model: GPT2LMHeadModel, num_rows: int) -> None:
        super().__init__(model)
        self.model, self.cache = model, trunk_cache(model.transformer, num_rows)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        trunk = self.model.transformer
        return self.model.lm_head(read_trunk(trunk, self.cache, F.embedding(ids, trunk.wte.weight)))


def trunk_cache(trunk: GPT2Model, num_rows: int) -> KeyValueCache:
    """An empty cache for `read_trunk`."""
    return KeyValueCache(num_rows, trunk.wpe.weight.device, limit=trunk.config.n_positions)


def read_trunk(trunk: GPT2Model, cache: KeyValueCache, embedded: torch.Tensor) -> torch.Tensor:
    """What the layers make of the last of the next tokens, (B, D): that which transformers' forward pass gives there.

    Args:
        trunk: without dropout.
        cache: of the tokens before.
        embedded: tokens without their places, (B, T, D).
    """
    num_rows, num_new, width = embedded.shape
    x = (embedded + F.embedding(cache.extend(num_new), trunk.wpe.weight)).view(-1, width)  # (B * T, D)
    heads = (num_rows, num_new, 3, trunk.config.n_head, -1)
    for i, layer in enumerate(trunk.h):
        x = _read_layer(layer, i, cache, x, heads)
    return _normed(trunk.ln_f, x.view(embedded.shape)[:, -1])


def _read_layer(layer: Any, number: int, cache: KeyValueCache, x: torch.Tensor, heads: tuple[int, ...]) -> torch.Tensor:
    qkv = _linear(layer.attn.c_attn, _normed(layer.ln_1, x)).view(heads)
    seen = cache.attend(number, *qkv.permute(2, 0, 3, 1, 4).unbind(0))  # (B, H, T, d)
    x = x + _linear(layer.attn.c_proj, seen.transpose(1, 2).reshape(x.shape))
    return x + _linear(layer.mlp.c_proj, layer.mlp.act(_linear(layer.mlp.c_fc, _normed(layer.ln_2, x))))


def _linear(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(layer.bias, x, layer.weight)


def _normed(norm: Any, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


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
