"""The sequences of a shard are those of the transposed notes, however a scheme gets there."""

from dataclasses import replace

import numpy as np
import pytest
from corpora import improvise

from pianogen.augment import AugmentConfig, transpositions_within
from pianogen.midi.blocks import music_block
from pianogen.shards.rows import transposed_sequences
from pianogen.tokenizers.base import BOS_ID, EOS_ID, make_tokenizer

AUGMENT = AugmentConfig(semitones=(-24, -5, 0, 3))
MUSIC = [improvise(seed, num) for seed, num in ((1, 50), (2, 0), (3, 8))]
SCHEMES = [
    {"name": "remi"},
    {"name": "midi_like"},
    {"name": "craykh"},
    {"name": "jsb", "onsets": True},
    {"name": "miditok", "scheme": "TSD"},
    {"name": "miditok", "scheme": "Octuple"},
]


@pytest.mark.parametrize("settings", SCHEMES, ids=str)
def test_sequences_are_those_of_the_transposed_notes(settings):
    coder = make_tokenizer(settings)
    performance, semitones, tokens = transposed_sequences(coder, music_block(MUSIC), AUGMENT)
    wanted = [(i, s) for i, one in enumerate(MUSIC) for s in within(one.pitch, coder.pitch_range)]
    assert list(zip(performance.tolist(), semitones.tolist(), strict=True)) == wanted
    assert len({s for _, s in wanted}) > 2
    for k, (i, s) in enumerate(wanted):
        low, high = coder.pitch_range
        kept = MUSIC[i].take((MUSIC[i].pitch >= low) & (MUSIC[i].pitch <= high))
        ids = coder.encode(replace(kept, pitch=(kept.pitch.astype(int) + s).astype(np.uint8)))
        expected = ids if coder.width > 1 else np.concatenate(([BOS_ID], ids, [EOS_ID]))
        assert np.array_equal(tokens[k], expected)
    assert tokens.values.dtype == coder.dtype


def within(pitch: np.ndarray, pitch_range: tuple[int, int]) -> list[int]:
    low, high = pitch_range
    return transpositions_within(pitch[(pitch >= low) & (pitch <= high)], AUGMENT, pitch_range)


def test_no_music_is_no_sequence():
    performance, semitones, tokens = transposed_sequences(make_tokenizer({"name": "remi"}), music_block([]), AUGMENT)
    assert len(performance) == len(semitones) == len(tokens) == len(tokens.values) == 0
