"""What every tokenizer offers, and how one is made from an experiment's settings.

A token id is an index into the vocabulary. The first three ids are PAD, BOS and EOS in every scheme, so
that shards and models need not ask. `version` changes when the same notes could get other ids.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pianogen.errors import SettingsError
from pianogen.midi.columns import NoteColumns

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2


class Tokenizer(Protocol):
    """Notes of one performance to ids and back."""

    name: str
    vocab: tuple[str, ...]
    pitch_range: tuple[int, int]
    """Lowest and highest pitch that has a token, both included."""
    version: str

    def encode(self, notes: NoteColumns) -> np.ndarray:
        """Ids without BOS and EOS, uint16, shape (num_tokens,)."""
        ...

    def decode(self, token_ids: np.ndarray) -> NoteColumns:
        """Notes of any ids, valid sequence or not; PAD, BOS and EOS are passed over."""
        ...

    def transpose(self, token_ids: np.ndarray, semitones: int) -> np.ndarray:
        """Ids of the same notes moved by semitones, without encoding again.

        Raises:
            ValueError: a pitch would leave `pitch_range`.
        """
        ...


def make_tokenizer(settings: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that an experiment names, `{"name": "remi", …its options}`.

    Raises:
        SettingsError: the name or an option is not known.
    """
    options = dict(settings)
    name = options.pop("name", None)
    if name != "remi":
        raise SettingsError(f"tokenizer {name!r} is not known; known: remi")
    from pianogen.tokenizers.remi import Remi, RemiConfig

    try:
        config = RemiConfig(**options)
    except TypeError as error:
        raise SettingsError(f"tokenizer remi: {error}") from None
    return Remi(config)
