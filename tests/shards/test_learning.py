"""What is learned is learned from train alone, once, and goes with the shards."""

import numpy as np
import pytest
from builders import figure, settings_in, write_lake

from pianogen.augment import AugmentConfig
from pianogen.lake import Lake
from pianogen.shards import ShardSet, build_shards

AUGMENT = AugmentConfig(semitones=(-1, 0, 1))
LEARNED = [
    {"name": "subwords", "base": {"name": "remi"}, "model": "bpe", "vocab_size": 400},
    {"name": "subwords", "base": {"name": "performance"}, "model": "unigram", "vocab_size": 400},
    {"name": "note_chord"},
]


def lake_of(root, *, held_out: int = 0, trained: int = 0) -> Lake:
    """Eight performances to train on, two of each kind held out; seeds of either may differ."""
    splits = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    music = {
        f"{i:032x}": (split, figure(i + (trained if split == "train" else held_out), 48 + i, 60))
        for i, split in enumerate(splits)
    }
    return write_lake(root, music)


def shards_of(lake: Lake, tokenizer: dict) -> ShardSet:
    build_shards(lake, settings_in(lake.root.parent), name="tiny", tokenizer=tokenizer, augment=AUGMENT)
    return ShardSet(lake, "tiny")


@pytest.mark.parametrize("tokenizer", LEARNED, ids=str)
def test_changing_what_is_held_out_changes_nothing_that_is_learned(tokenizer, tmp_path):
    vocab = shards_of(lake_of(tmp_path / "a" / "lake"), tokenizer).tokenizer.vocab
    assert shards_of(lake_of(tmp_path / "b" / "lake", held_out=100), tokenizer).tokenizer.vocab == vocab
    assert shards_of(lake_of(tmp_path / "c" / "lake", trained=100), tokenizer).tokenizer.vocab != vocab


@pytest.mark.parametrize("tokenizer", LEARNED, ids=str)
def test_what_was_learned_is_learned_once_and_makes_the_same_shards(tokenizer, tmp_path, monkeypatch):
    lake = lake_of(tmp_path / "lake")
    first = shards_of(lake, tokenizer)
    assert len(list((lake.root / "blocks" / "vocabularies").iterdir())) == 1
    monkeypatch.setattr(type(first.tokenizer), "learned_from", None)
    again = shards_of(lake, tokenizer)
    assert again.version == first.version
    assert again.info["tokenizer"] == first.info["tokenizer"]


def test_subwords_of_shards_are_the_base_schemes_ids(tmp_path):
    lake = lake_of(tmp_path / "lake")
    base = shards_of(lake, {"name": "remi"})
    words = shards_of(lake, LEARNED[0])
    for split in ("train", "validation", "test"):
        whole, short = base.sequences(split), words.sequences(split)
        assert len(short) == len(whole)
        assert short.lengths().sum() < 0.7 * whole.lengths().sum()
        for k in range(len(whole)):
            a, b = base.tokenizer.decode(whole[k]), words.tokenizer.decode(short[k])
            assert np.array_equal(a.pitch, b.pitch)
            assert np.array_equal(a.onset_tick, b.onset_tick)
