"""Models by name, one module per architecture.

Importing this package costs nothing: torch is imported with the architecture that is asked for.

A model maps token ids (B, T) to logits (B, T, V): `model(input_ids=ids).logits`, next token at each position.
A module of this package offers `make(config, vocab_size)` and `load(folder)`.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.errors import SettingsError, ShardError, TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODELS = ("gpt2",)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """An architecture and its size."""

    name: str = "gpt2"
    context_length: int = 256
    """Tokens that the model sees at once."""
    n_layer: int = 3
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what no model can be."""
        if self.name not in MODELS:
            raise SettingsError(f"model.name {self.name!r} is not known; known: {', '.join(MODELS)}")
        for field in ("n_layer", "n_head", "n_embd"):
            if getattr(self, field) < 1:
                raise SettingsError(f"model.{field} must be 1 or more, found {getattr(self, field)}")
        if self.context_length < 2:
            raise SettingsError(f"model.context_length must be 2 or more, found {self.context_length}")
        if self.n_embd % self.n_head:
            raise SettingsError(f"model.n_embd must be a multiple of n_head, found {self.n_embd} and {self.n_head}")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"model.dropout must be at least 0 and below 1, found {self.dropout}")


def make_model(config: ModelConfig, vocab_size: int) -> "PreTrainedModel":
    """A model with random weights; seed torch before."""
    return _module(config.name).make(config, vocab_size)


def load_model(folder: Path, name: str, vocab_size: int) -> "PreTrainedModel":
    """The model that `save_pretrained` wrote, ready to score, on the CPU.

    Raises:
        TrainingError: the folder holds no whole model.
        ShardError: the model was trained on a vocabulary of another size.
    """
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise TrainingError(f"{folder / file}: not found; a finished training writes it, so train again")
    model = _module(name).load(folder)
    if model.config.vocab_size != vocab_size:
        raise ShardError(
            f"{folder}: the model expects {model.config.vocab_size} tokens in the vocabulary, {vocab_size} found; "
            "train again on the current shards"
        )
    return model


def _module(name: str):
    return importlib.import_module(f"pianogen.models.{name}")
