"""What every model says of a batch, and how it is kept.

B rows, T positions, V tokens.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from pianogen.errors import TrainingError
from pianogen.models.configs import ModelConfig, config_class
from pianogen.models.incremental import State, WholeContext
from pianogen.shards.examples import IGNORED

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


class Scores(NamedTuple):
    """What a model says of the tokens that follow."""

    logits: torch.Tensor
    """Of the next token at each position, (B, T, V); of a model with `draw` what it draws from."""
    nats: torch.Tensor | None = None
    """-ln p(label) of each position, (B, T), fp32, 0 where it is ignored; None where no labels were given."""


class Choice(Protocol):
    """How one token of each of B sequences is drawn, each by its own seed."""

    temperature: float
    """0: the most likely."""

    def pick(self, logits: torch.Tensor, *, cut: bool = True) -> torch.Tensor:
        """A class of each row of logits (B, V), at this temperature; (B,). `cut`: by top-k and top-p, too."""
        ...

    def uniform(self) -> torch.Tensor:
        """A number above 0 and below 1 for each sequence, (B,)."""
        ...


def scored(logits: torch.Tensor, labels: torch.Tensor | None) -> Scores:
    """Logits (B, T, V) with what they say of labels (B, T)."""
    if labels is None:
        return Scores(logits)
    nats = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return Scores(logits, nats.view(labels.shape))


class TokenModel(nn.Module):
    """A model of token ids: `model(input_ids, labels)` are `Scores`, and it keeps itself in a folder.

    Args:
        config: its size.
        vocab_size: tokens that it knows.
    """

    stride = 1
    """Tokens of a sequence that it reads begin at a multiple of this: as many as are a unit to it."""
    hidden_shares: ClassVar[tuple[str, ...]] = ()
    """Attributes that say how much of what it reads training hides at random."""
    scheme: Mapping[str, Any] | None = None
    """Settings of the tokenizer, where it looks inside ids."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.settings = config
        self.vocab_size = vocab_size

    @property
    def calibration(self) -> list[nn.Parameter]:
        """Numbers that scale and shift logits; training leaves them, and `training.calibration` chooses them after."""
        return []

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Scores:
        """Scores of ids (B, T), and of the labels (B, T) that follow them."""
        return scored(self.logits(input_ids), labels)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Of the next token at each position, (B, T, V); none depends on a later id."""
        raise NotImplementedError

    def begin_state(self, num_rows: int) -> State:
        """Nothing read yet by so many sequences; see `pianogen.models.incremental`."""
        return WholeContext(self, num_rows)

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`."""
        save_file({name: w.contiguous() for name, w in self.state_dict().items()}, Path(folder) / WEIGHTS_FILE)
        self.save_config(folder)

    def save_config(self, folder: Path) -> None:
        """Write `config.json`."""
        described: dict[str, Any] = {"model_type": self.settings.name, "vocab_size": self.vocab_size}
        if self.scheme:
            described["tokenizer"] = self.scheme
        text = json.dumps({**described, **dataclasses.asdict(self.settings)}, indent=1)
        (Path(folder) / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """The saved model on the CPU, in evaluation mode, fp32.

        Raises:
            TrainingError: the folder holds another model, or weights that are not those of its configuration.
        """
        return restored(folder, cls)


M = TypeVar("M", bound=TokenModel)


def restored(folder: Path, make: Callable[..., M]) -> M:
    """As `TokenModel.from_folder`.

    Args:
        folder: as `save_pretrained` leaves it.
        make: takes configuration, size of the vocabulary and, where the model looks inside ids, `scheme`.
    """
    said: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    vocab_size, _, scheme = said.pop("vocab_size"), said.pop("model_type"), said.pop("tokenizer", None)
    try:
        model = make(config_class(said["name"])(**said), vocab_size, *((scheme,) if scheme else ()))
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (TypeError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{folder}: not a model of this version ({error}); train it again") from None
    return model.eval()


def initialised(model: nn.Module, std: float) -> None:
    """Draw weights of linear layers and embeddings anew: normal of this deviation, biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
