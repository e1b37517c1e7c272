"""Vocabularies that are learned, from the training music of the shards alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pianogen.augment import AugmentConfig
from pianogen.lake import Lake, Stage
from pianogen.midi.blocks import MusicBlock
from pianogen.shards.files import read_block_music
from pianogen.shards.rows import augmented_round
from pianogen.tokenizers.base import LearnedTokenizer, kept_tokenizer

STAGE = Stage(
    name="vocabularies",
    modules=(
        "pianogen.shards.learning",
        "pianogen.shards.rows",
        "pianogen.augment",
        "pianogen.varied",
        "pianogen.midi.blocks",
        "pianogen.ordering",
    ),
    packages=("numba", "numpy"),
    tables=(),
)
FILE_NAME = "tokenizer.json"
SEED = 0


def learned_settings(
    lake: Lake, tokenizer: Mapping[str, Any], train: Sequence[tuple[str, tuple[str, ...]]], augment: AugmentConfig
) -> dict[str, Any]:
    """Settings of the tokenizer with what it had to learn; what needs no learning as it is.

    Args:
        lake: the music is read from it, and what was learned is kept there, so that it is learned once.
        tokenizer: name and options.
        train: keys of ingest blocks, each with the performances of it that are trained on.
        augment: copies of the training music, which are learned from, too.
    """
    known = known_settings(lake, tokenizer, train, augment)
    if known is not None:
        return known
    coder = kept_tokenizer(tokenizer)
    assert isinstance(coder, LearnedTokenizer)
    ordered, key = sorted(train), _key_of(coder, train, augment)
    # Where there is more music than is learned from, it is not that of the first datasets.
    order = np.random.default_rng(SEED).permutation(len(ordered))
    learned = coder.learned_from(_music(lake, coder, [ordered[i] for i in order], augment))
    with lake.new_block(STAGE.name, key) as folder:
        text = json.dumps({"name": tokenizer["name"], **learned.options}, indent=1)
        (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return _read(lake, key)


def known_settings(
    lake: Lake, tokenizer: Mapping[str, Any], train: Sequence[tuple[str, tuple[str, ...]]], augment: AugmentConfig
) -> dict[str, Any] | None:
    """The same where nothing has to be learned, or it was; else None."""
    coder = kept_tokenizer(tokenizer)
    if not isinstance(coder, LearnedTokenizer) or coder.is_learned:
        return dict(tokenizer)
    key = _key_of(coder, train, augment)
    return _read(lake, key) if lake.has_block(STAGE.name, key) else None


def _key_of(coder: LearnedTokenizer, train: Sequence[tuple[str, tuple[str, ...]]], augment: AugmentConfig) -> str:
    return STAGE.key(inputs=sorted(train), settings=[coder.version, asdict(augment), SEED])


def _read(lake: Lake, key: str) -> dict[str, Any]:
    return json.loads((lake.block_path(STAGE.name, key) / FILE_NAME).read_text(encoding="utf-8"))


def _music(
    lake: Lake, coder: LearnedTokenizer, blocks: Sequence[tuple[str, tuple[str, ...]]], augment: AugmentConfig
) -> Iterator[MusicBlock]:
    rounds = range(len(augment.variations))
    if coder.most_learned is None:
        places = ((block, rounds) for block in blocks)
    else:
        # One copy of all music before the second of any, since it stops somewhere.
        places = ((block, (number,)) for number in rounds for block in blocks)
    for (block, performance_ids), numbers in places:
        music = read_block_music(lake, block, performance_ids, parts=coder.reads_parts)
        for number in numbers:
            yield augmented_round(coder, music, augment, performance_ids, number)
