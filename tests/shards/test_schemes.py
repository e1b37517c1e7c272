"""Shards of every scheme: built, judged, and read."""

import numpy as np
import pytest
from builders import settings_in, write_tiny_lake

from pianogen.augment import AugmentConfig
from pianogen.shards import ShardSet, build_shards
from pianogen.tokenizers.base import BOS_ID, EOS_ID, KNOWN

SETTINGS = {name: {"name": name} for name in KNOWN}
SETTINGS["subwords"] = {"name": "subwords", "base": {"name": "tsd"}, "vocab_size": 300}
SETTINGS["several parts"] = {"name": "miditok", "scheme": "Octuple"}


@pytest.mark.parametrize("name", SETTINGS)
def test_shards_of_every_scheme_hold_the_music(name, tmp_path):
    lake = write_tiny_lake(tmp_path / "lake")
    augment = AugmentConfig(semitones=(-2, 0, 1))
    build_shards(lake, settings_in(tmp_path), name="tiny", tokenizer=SETTINGS[name], augment=augment)
    shards = ShardSet(lake, "tiny")
    coder, train = shards.tokenizer, shards.sequences("train")
    assert len(train) == 3 * len(set(train.performance_ids)) == 24
    first = coder.decode(train[0])
    for k in range(3):
        tokens = train[k]
        assert tokens.dtype == coder.dtype
        assert tokens.shape[1:] == (() if coder.width == 1 else (coder.width,))
        if coder.width == 1:
            assert (tokens[0], tokens[-1]) == (BOS_ID, EOS_ID)
        moved = coder.decode(tokens).pitch.astype(int) - train.semitones[k]
        if "onset" in coder.carries:
            assert np.array_equal(np.sort(moved), np.sort(first.pitch.astype(int) - train.semitones[0]))
    assert train.lengths().sum() == sum(len(train[k]) for k in range(len(train)))
