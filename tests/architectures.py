"""Small models of every architecture, and tokens for them."""

import dataclasses

import numpy as np
import torch
from corpora import improvise

from pianogen.models import config_class, make_model
from pianogen.models.configs import ContinuousConfig, PianistConfig
from pianogen.models.continuous import DURATION, PITCH, SHIFT, VELOCITY
from pianogen.tokenizers.base import BOS_ID

VOCAB_SIZE, LENGTH, WINDOW = 30, 24, 7
SIZES = {
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 16},
    "encoder": {"n_layer": 2, "n_head": 2, "n_embd": 16, "d_inner": 32},
    "music_transformer": {"n_layer": 2, "n_head": 2, "n_embd": 16},
    "gru": {"n_embd": 8, "n_hidden": 16, "window": WINDOW},
    "gru_attention": {"n_embd": 8, "n_hidden": 16, "window": WINDOW},
    "encoder_attention": {"n_layer": 2, "n_head": 2, "n_embd": 16, "d_inner": 32, "window": WINDOW},
}
WINDOWED = [name for name, sizes in SIZES.items() if "window" in sizes]
VARIANTS = [*SIZES, *(f"{name} of all" for name in WINDOWED)]
SMALL_CONTINUOUS = ContinuousConfig(
    context_length=LENGTH, n_layer=1, n_head=2, n_embd=16, dropout=0.1, num_components=4
)
SMALL_PIANIST = PianistConfig(context_length=256, n_layer=2, n_gru=1, n_head=2, n_embd=32, d_voice=48)
SCHEMES = {
    "jsb": {"name": "jsb", "order": "SBAT", "lowest_pitch": 36, "highest_pitch": 81},
    "remi": {"name": "remi"},
    "tsd": {"name": "tsd"},
    "midi_like": {"name": "midi_like"},
    "performance": {"name": "performance"},
}


def config_of(variant, **changed):
    name, _, of_all = variant.partition(" ")
    sizes = {**SIZES[name], **({"window": 0} if of_all else {}), **changed}
    return config_class(name)(**{"context_length": LENGTH, "dropout": 0.1, **sizes})


def some_ids(num_rows=3, length=LENGTH):
    return torch.randint(3, VOCAB_SIZE, (num_rows, length), generator=torch.Generator().manual_seed(5))


def continuous_of(loss: str, **changed):
    """The model of rows, ready to score."""
    torch.manual_seed(0)
    return make_model(dataclasses.replace(SMALL_CONTINUOUS, loss=loss, **changed), 0).eval()


def some_rows(num: int = 2, length: int = LENGTH) -> torch.Tensor:
    """Pieces that begin with a row of zeros."""
    generator = torch.Generator().manual_seed(5)
    rows = torch.zeros(num, length, 4)

    def drawn(low, high):
        return torch.randint(low, high, (num, length - 1), generator=generator)

    rows[:, 1:, SHIFT] = (drawn(0, 5) * 130.0).clamp(min=0)
    rows[:, 1:, VELOCITY] = drawn(1, 128) / 127
    rows[:, 1:, PITCH] = drawn(21, 109).float()
    rows[:, 1:, DURATION] = drawn(1, 6) * 95.0
    return rows


def made_pianist(tokenizer, **changed):
    """A model whose zeros are drawn as well, so that all of it matters."""
    torch.manual_seed(1)
    model = make_model(dataclasses.replace(SMALL_PIANIST, **changed), len(tokenizer.vocab), tokenizer)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    return model.eval()


def some_music(tokenizer, num_rows=2, length=130) -> torch.Tensor:
    """Rows of ids, BOS first."""
    rows = []
    for seed in range(num_rows):
        ids = tokenizer.encode(improvise(seed, 200))
        rows.append(np.concatenate(([BOS_ID], ids))[:length])
    assert all(len(row) == length for row in rows)
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def first_read(num_tokens: int, context_length: int, stride: int = 1) -> int:
    """The token at which the context begins of a sequence that grew to so many, one by one."""
    first = 0
    for length in range(1, num_tokens + 1):
        if length - first > context_length:
            first = -(-(length - context_length // 2) // stride) * stride
    return first
