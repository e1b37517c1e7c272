"""The sequences of a shard are those of the changed notes, however a scheme gets there."""

from dataclasses import replace

import numpy as np
import pytest
from corpora import improvise

from pianogen.augment import ORIGINAL, AugmentConfig, copies_of, generator
from pianogen.midi.blocks import music_block
from pianogen.midi.columns import NoteColumns
from pianogen.shards.rows import augmented_round, augmented_rows
from pianogen.tokenizers.base import BOS_ID, EOS_ID, Tokenizer, make_tokenizer
from pianogen.varied import varied

AUGMENT = AugmentConfig(semitones=(-24, -5, 0, 3))
VARIED = AugmentConfig(
    semitones=(0, 2),
    octaves=(0, 1),
    stretches=(1.0, 1.25),
    velocity_scales=(0.5, 1.0),
    jitters_ms=(0.0, 20.0),
    pedals=("kept", "sounded"),
)
DRAWN = replace(VARIED, copies=12)
MUSIC = [improvise(seed, num) for seed, num in ((1, 50), (2, 0), (3, 8))]
IDS = ["a", "b", "c"]
SCHEMES = [
    {"name": "remi"},
    {"name": "midi_like"},
    {"name": "craykh"},
    {"name": "jsb", "onsets": True},
    {"name": "performance"},
    {"name": "continuous"},
    {"name": "note_chord", "vocab": "all"},
    {"name": "note_chord", "vocab": ["A4", "C4", "D4", "E4", "G4"]},
    {"name": "tsd", "chords": True, "chord_roots": True},
    {"name": "miditok", "scheme": "TSD"},
    {"name": "miditok", "scheme": "Octuple"},
]


def copy_of(coder: Tokenizer, i: int, variation, augment: AugmentConfig) -> NoteColumns:
    """The notes of a copy, one performance at a time."""
    notes = MUSIC[i]
    base = variation._replace(semitones=0)
    if base != ORIGINAL:
        notes = varied(notes, base, lambda: generator(augment, *base, IDS[i]))
    low, high = coder.pitch_range
    kept = notes.take((notes.pitch >= low) & (notes.pitch <= high))
    return replace(kept, pitch=(kept.pitch.astype(int) + variation.semitones).astype(np.uint8))


@pytest.mark.parametrize("augment", [AUGMENT, VARIED, DRAWN], ids=["transposed", "varied", "drawn"])
@pytest.mark.parametrize("settings", SCHEMES, ids=str)
def test_sequences_are_those_of_the_changed_notes(settings, augment):
    coder = make_tokenizer(settings)
    block = music_block(MUSIC)
    copies = copies_of(augment, coder.semitone_bounds(block, None), IDS)
    wanted, num_identical = {}, 0
    for i, v in zip(copies.performance.tolist(), copies.variation.tolist(), strict=True):
        variation = augment.variations[v]
        ids = coder.encode(copy_of(coder, i, variation, augment))
        expected = np.pad(ids, ((1, 1), (0, 0))) if coder.width > 1 else np.concatenate(([BOS_ID], ids, [EOS_ID]))
        key = i, variation.semitones, expected.tobytes()
        num_identical += key in wanted
        wanted.setdefault(key, (variation, expected))
    found = [
        (i, rows.base._replace(semitones=s), rows.tokens[k])
        for rows in augmented_rows(coder, block, augment, IDS)
        for k, (i, s) in enumerate(zip(rows.performance.tolist(), rows.semitones.tolist(), strict=True))
    ]
    assert len(found) == len(wanted) > len(MUSIC)
    tokens_of = {(key[0], variation): expected for key, (variation, expected) in wanted.items()}
    for i, variation, tokens in found:
        assert np.array_equal(tokens, tokens_of[i, variation])
        assert tokens.dtype == coder.dtype
    assert sum(rows.num_identical for rows in augmented_rows(coder, block, augment, IDS)) == num_identical
    if augment is not DRAWN:
        assert (num_identical > 0) == (augment is VARIED)


@pytest.mark.parametrize("augment", [AUGMENT, VARIED], ids=["transposed", "varied"])
def test_what_a_vocabulary_is_learned_from_are_the_notes_of_all_copies(augment):
    coder = make_tokenizer({"name": "remi"})
    rounds = [
        augmented_round(coder, music_block(MUSIC), augment, IDS, number) for number in range(len(augment.variations))
    ]
    copies = copies_of(augment, coder.semitone_bounds(music_block(MUSIC), None), IDS)
    heard = sorted(one[k].pitch.tolist() for one in rounds for k in range(len(one)))
    expected = sorted(
        copy_of(coder, i, augment.variations[v], augment).pitch.tolist()
        for i, v in zip(copies.performance, copies.variation, strict=True)
    )
    assert heard == expected
    # The first round has a copy of each performance.
    assert len(rounds[0]) == len(MUSIC)


@pytest.mark.parametrize("name", ["remi", "continuous", "note_chord"])
def test_no_music_is_no_sequence(name):
    rows = list(augmented_rows(make_tokenizer({"name": name}), music_block([]), AUGMENT))
    assert sum(len(one.performance) + len(one.tokens) + len(one.tokens.values) for one in rows) == 0
