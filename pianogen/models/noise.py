"""What a model drops and hides at random in training, and taking it back."""

from collections.abc import Iterator

from torch import nn

from pianogen.models.layers import Dropout
from pianogen.models.scoring import TokenModel


class Noise:
    """The shares of values that a model drops, and of what it hides besides, as they are now.

    Args:
        model: to be trained.
    """

    def __init__(self, model: nn.Module) -> None:
        self._full = [(part, name, getattr(part, name)) for part in model.modules() for name in _shares(part)]

    def scale(self, by: float) -> None:
        """Let all shares be so many times what they were, from 0 to 1."""
        for part, name, full in self._full:
            setattr(part, name, by * full)


def _shares(part: nn.Module) -> Iterator[str]:
    """Names of the shares that a module holds itself."""
    if isinstance(part, Dropout | nn.Dropout):
        yield "p"
    if isinstance(part, nn.MultiheadAttention):
        yield "dropout"
    if isinstance(part, TokenModel):
        yield from part.hidden_shares
