"""Models by name, one module per architecture.

Importing this package costs nothing: torch is imported with the architecture that is asked for.

`model(input_ids, labels)` takes ids (B, T) and what follows them, and gives `logits` (B, T, V) of the next token at
each position and `nats` (B, T), which is -ln p of each label. Ids may be rows of numbers, (B, T, width). A model that
draws by itself has `draw(logits, choice)`, which makes the next tokens of what it said of one position, (B, V); see
`scoring.Choice`. A module of this package offers `make(config, vocab_size)` and `load(folder)`: of a `TokenModel` its
class and the class's `from_folder`. One that looks inside ids is given the tokenizer as well.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.errors import ShardError, TrainingError
from pianogen.models.configs import CONFIGS, ModelConfig, config_class

if TYPE_CHECKING:
    from torch import nn

    from pianogen.tokenizers.base import Tokenizer

__all__ = [
    "CONFIGS",
    "ModelConfig",
    "config_class",
    "count_parameters",
    "load_model",
    "make_model",
    "model_code",
    "require_fit",
]


def make_model(config: ModelConfig, vocab_size: int, tokenizer: "Tokenizer | None" = None) -> "nn.Module":
    """A model with random weights; seed torch before.

    Args:
        config: its size.
        vocab_size: tokens that it knows.
        tokenizer: what they mean, for architectures that look inside them.
    """
    if config.reads_scheme and tokenizer is None:
        raise ValueError(f"model {config.name} looks inside tokens; say which tokenizer made them")
    return _module(config.name).make(config, vocab_size, *((tokenizer,) if config.reads_scheme else ()))


def count_parameters(config: ModelConfig, vocab_size: int, tokenizer: "Tokenizer | None" = None) -> int:
    """How many weights a model has; none of them is drawn or takes memory."""
    import torch

    with torch.device("meta"):
        model = make_model(config, vocab_size, tokenizer)
    return sum(weights.numel() for weights in model.parameters())


def require_fit(config: ModelConfig, tokenizer: "Tokenizer") -> None:
    """Refuse tokens that an architecture does not read.

    Raises:
        TrainingError: it reads ids and they are rows of numbers, or the other way round, or it looks inside ids and
            these tell nothing that it knows.
    """
    is_row = tokenizer.width > 1
    found = (
        f"a token of {tokenizer.name} as it is set is {f'a row of {tokenizer.width} numbers' if is_row else 'an id'}"
    )
    if config.reads_notes and not (tokenizer.width == 4 and tokenizer.dtype == "float32"):
        raise TrainingError(
            f"model {config.name} reads rows of time shift, velocity, pitch and duration; {found}: "
            "take the tokenizer continuous"
        )
    if is_row and not config.reads_notes:
        raise TrainingError(f"model {config.name} reads ids; {found}: take another tokenizer")
    if config.reads_scheme:
        from pianogen.models.token_facts import layout_of

        layout_of(tokenizer)


def load_model(folder: Path, name: str, vocab_size: int) -> "nn.Module":
    """The model that `save_pretrained` wrote, ready to score, on the CPU.

    Raises:
        TrainingError: the folder holds no whole model.
        ShardError: the model was trained on a vocabulary of another size.
    """
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise TrainingError(f"{folder / file}: not found; a finished training writes it, so train again")
    model = _module(name).load(folder)
    if model.vocab_size != vocab_size:
        raise ShardError(
            f"{folder}: the model expects {model.vocab_size} tokens in the vocabulary, {vocab_size} found; "
            "train again on the current shards"
        )
    return model


def model_code(name: str) -> tuple[str, ...]:
    """Modules that decide what an architecture computes."""
    config_class(name)
    shared = _SHARED.get(name, ("pianogen.models.windows", "pianogen.models.encoder"))
    return ("pianogen.models.configs", "pianogen.models.scoring", f"pianogen.models.{name}", *shared)


_SHARED = {
    "gpt2": (),
    "continuous": ("pianogen.models.densities", "pianogen.models.gpt2"),
    "pianist": tuple(
        f"pianogen.models.{name}"
        for name in ("pianist_steps", "pianist_events", "steps_seen", "layers", "keys", "repeats", "token_facts")
    ),
}
"""Modules that an architecture stands on, where they are not those of most."""


def _module(name: str):
    config_class(name)
    return importlib.import_module(f"pianogen.models.{name}")
