"""Pianist, the project's own: one position for each step of a score or event of a performance, not for each token.

A transformer says what it expects of the next step or event; a small network then chooses the tokens inside it, one by
one. Sequences are so two to four times shorter, and what is known of music without learning is given: time and place in
the bar, pitch, intervals, the key, and what came next where the same music stood before. `pianist_steps` is for voices
on steps (jsb), `pianist_events` for events in time (remi, tsd, midi_like, performance).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pianogen.models.configs import PianistConfig
from pianogen.models.pianist_events import EventPianist
from pianogen.models.pianist_steps import StepPianist
from pianogen.models.scoring import restored
from pianogen.models.token_facts import Grid, layout_of
from pianogen.tokenizers.base import Tokenizer, make_tokenizer


def make(config: PianistConfig, vocab_size: int, tokenizer: Tokenizer) -> StepPianist | EventPianist:
    """A model with random weights.

    Raises:
        TrainingError: the tokenizer tells nothing that it knows.
    """
    assert vocab_size == len(tokenizer.vocab)
    layout = layout_of(tokenizer)
    model = StepPianist(config, layout) if isinstance(layout, Grid) else EventPianist(config, layout)
    model.scheme = {"name": tokenizer.name, **tokenizer.options}
    return model


def load(folder: Path) -> StepPianist | EventPianist:
    """The saved model on the CPU, in evaluation mode, fp32."""

    def of_scheme(config: PianistConfig, vocab_size: int, scheme: Mapping[str, Any]) -> StepPianist | EventPianist:
        return make(config, vocab_size, make_tokenizer(dict(scheme)))

    return restored(folder, of_scheme)
