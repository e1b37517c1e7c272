"""Which tokenizers are measured: the schemes of this package with their defaults, and those of the settings."""

from collections.abc import Mapping
from typing import Any

from pianogen.errors import SettingsError
from pianogen.settings import Settings
from pianogen.tokenizers.base import make_tokenizer

BUILT_IN: dict[str, dict[str, Any]] = {
    "remi": {"name": "remi"},
    "remi_bpe": {"name": "subwords", "base": {"name": "remi"}, "vocab_size": 3000},
    "tsd": {"name": "tsd"},
    "midi_like": {"name": "midi_like"},
    "performance": {"name": "performance"},
    "continuous": {"name": "continuous"},
    "jsb": {"name": "jsb"},
    "craykh": {"name": "craykh"},
    "note_chord": {"name": "note_chord"},
}
"""By the name that they have in the tables. MidiTok's own are measured when asked for: they take a hundred times as
long."""


def measured_tokenizers(settings: Settings) -> dict[str, dict[str, Any]]:
    """Settings of each tokenizer that is measured, as `make_tokenizer` takes them, by its name in the tables.

    Raises:
        SettingsError: a tokenizer of the settings cannot be made, or an unknown one is to be left out.
    """
    chosen: dict[str, dict[str, Any]] = {name: dict(options) for name, options in BUILT_IN.items()}
    for name, options in settings.tokenizers.items():
        if options is None:
            if chosen.pop(name, None) is None:
                raise SettingsError(f"[tokenizers]: {name} = false: no such tokenizer; there are {', '.join(BUILT_IN)}")
        else:
            chosen[name] = _checked(name, options)
    return chosen


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        make_tokenizer(options)
    except SettingsError as error:
        raise SettingsError(f"[tokenizers.{name}]: {error}") from None
    return dict(options)
