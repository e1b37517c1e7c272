"""Sequences of one shard: encoded once and transposed where ids allow it, each between BOS and EOS."""

from collections.abc import Sequence
from dataclasses import replace

import numba
import numpy as np

from pianogen.augment import AugmentConfig, transpositions_within
from pianogen.midi.blocks import MusicBlock
from pianogen.tokenizers.base import BOS_ID, EOS_ID, ShiftedTokenizer, TokenBlock, Tokenizer

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""


def transposed_sequences(
    coder: Tokenizer, music: MusicBlock, augment: AugmentConfig
) -> tuple[np.ndarray, np.ndarray, TokenBlock]:
    """Every performance in every transposition that keeps its notes within the scheme's pitches.

    Returns:
        Number of the performance and semitones of each sequence, by performance, then ascending, shape
        (num_sequences,), and the sequences, each between BOS and EOS where tokens are ids.
    """
    performance, semitones = _copies(coder, music, augment)
    if coder.width > 1:
        return performance, semitones, coder.encode_block(_moved(coder, music, performance, semitones))
    if isinstance(coder, ShiftedTokenizer):
        tokens, which, up = coder.encode_block(music), performance, semitones
        ids = np.flatnonzero(coder.pitch_of_id >= 0)
        first, last = int(ids[0]), int(ids[-1])
    else:
        tokens = coder.encode_block(_moved(coder, music, performance, semitones))
        which, up, first, last = np.arange(len(tokens)), np.zeros_like(semitones), 0, 0
    return performance, semitones, TokenBlock(*_shifted(tokens.values, tokens.edges, which, up, first, last))


def transposed_music(coder: Tokenizer, music: MusicBlock, augment: AugmentConfig) -> MusicBlock:
    """The music of the same sequences."""
    return _moved(coder, music, *_copies(coder, music, augment))


def _copies(coder: Tokenizer, music: MusicBlock, augment: AugmentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Number of the performance and semitones of each sequence."""
    wanted = [_semitones(music, i, augment, coder.pitch_range) for i in range(len(music))]
    performance = np.repeat(np.arange(len(music)), [len(one) for one in wanted])
    return performance, np.array([s for one in wanted for s in one], np.int8)


def _semitones(music: MusicBlock, i: int, augment: AugmentConfig, pitch_range: tuple[int, int]) -> Sequence[int]:
    pitch = music.pitch[music.note_edges[i] : music.note_edges[i + 1]]
    low, high = pitch_range
    return transpositions_within(pitch[(pitch >= low) & (pitch <= high)], augment, pitch_range)


def _moved(coder: Tokenizer, music: MusicBlock, performance: np.ndarray, semitones: np.ndarray) -> MusicBlock:
    """Each performance moved by so many semitones; pitches that have no token stay where they are."""
    moved = music.take(performance)
    low, high = coder.pitch_range
    pitch = moved.pitch.astype(np.int16)
    up = np.where((pitch >= low) & (pitch <= high), np.repeat(semitones, np.diff(moved.note_edges)), 0)
    return replace(moved, pitch=(pitch + up).astype(np.uint8))


@njit
def _shifted(
    values: np.ndarray, edges: np.ndarray, performance: np.ndarray, semitones: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sequence k: ids of its performance between BOS and EOS; those from first to last, of pitches, are moved."""
    new_edges = np.zeros(len(performance) + 1, np.int64)
    for k in range(len(performance)):
        i = performance[k]
        new_edges[k + 1] = new_edges[k] + edges[i + 1] - edges[i] + 2
    out = np.empty(new_edges[-1], values.dtype)
    low, width = values.dtype.type(first), values.dtype.type(last - first)
    zero = values.dtype.type(0)
    for k in range(len(performance)):
        i, at = performance[k], new_edges[k]
        source, target = values[edges[i] : edges[i + 1]], out[at + 1 : new_edges[k + 1] - 1]
        up = values.dtype.type(semitones[k])
        # Of unsigned numbers, what is below the first is beyond the last: one comparison, eight ids at once.
        for n in range(len(source)):
            token = source[n]
            target[n] = token + (up if values.dtype.type(token - low) <= width else zero)
        out[at], out[new_edges[k + 1] - 1] = BOS_ID, EOS_ID
    return out, new_edges
