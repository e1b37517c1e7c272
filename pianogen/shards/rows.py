"""Sequences of one shard: the copies of each performance as tokens, ids between BOS and EOS.

Each variation but its semitones is encoded once, and transposed by adding to ids where the scheme allows it. A copy
whose tokens are those of an earlier one, because the scheme does not carry what was varied, is left out and counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numba
import numpy as np

from pianogen.augment import NONE, ORIGINAL, AugmentConfig, Copies, Variation, copies_of, generator
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.tokenizers.base import BOS_ID, EOS_ID, ShiftedTokenizer, TokenBlock, Tokenizer
from pianogen.varied import varied

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.
njit = numba.njit(cache=True, error_model="numpy")
"""All that is compiled here stands in this file, which is what numba's cache looks at."""


class Rows(NamedTuple):
    """Sequences of one variation but for its semitones, by performance, then by semitones."""

    base: Variation
    """The variation, with no semitones."""
    performance: np.ndarray
    """Number of the performance of each sequence, shape (num_sequences,)."""
    semitones: np.ndarray
    """That it is moved by, int8."""
    tokens: TokenBlock
    num_identical: int
    """Sequences that are not here, since their tokens are those of an earlier variation."""


def augmented_rows(
    coder: Tokenizer, music: MusicBlock, augment: AugmentConfig = NONE, ids: Sequence[str] | None = None
) -> Iterator[Rows]:
    """Every copy of every performance as tokens, the originals first.

    Args:
        coder: the scheme.
        music: the performances.
        augment: which copies are made; their transpositions keep the notes within the scheme's pitches.
        ids: of the performances, which alone decide what is drawn for them; their numbers without it.
    """
    ids = [str(i) for i in range(len(music))] if ids is None else ids
    originals = coder.encode_block(music) if isinstance(coder, ShiftedTokenizer) else None
    copies = copies_of(augment, coder.semitone_bounds(music, originals), ids)
    seen: set[tuple[int, int, bytes]] = set()
    for base, performance, semitones in _by_base(copies, augment):
        chosen, which = np.unique(performance, return_inverse=True)
        source = _music_of(music, chosen, base, augment, ids)
        if isinstance(coder, ShiftedTokenizer):
            tokens = coder.encode_block(source) if originals is None or base != ORIGINAL else originals
            is_kept = _are_new(tokens, chosen, np.zeros_like(chosen), seen) if _is_varied(augment) else chosen >= 0
            kept = is_kept[which]
            pitched = np.flatnonzero(coder.pitch_of_id >= 0)
            first, last = int(pitched[0]), int(pitched[-1])
            shifted = _shifted(tokens.values, tokens.edges, which[kept], semitones[kept], first, last)
            yield Rows(base, performance[kept], semitones[kept], TokenBlock(*shifted), int((~kept).sum()))
        else:
            tokens = coder.encode_block(_moved(coder, source, which, semitones))
            kept = _are_new(tokens, performance, semitones, seen) if _is_varied(augment) else performance >= 0
            rows = np.flatnonzero(kept)
            if coder.width == 1:
                shifted = _shifted(tokens.values, tokens.edges, rows, np.zeros(len(rows), np.int8), 0, 0)
                tokens = TokenBlock(*shifted)
            elif not kept.all():
                tokens = tokens.take(rows)
            yield Rows(base, performance[kept], semitones[kept], tokens, int((~kept).sum()))


def augmented_music(coder: Tokenizer, music: MusicBlock, augment: AugmentConfig, ids: Sequence[str]) -> MusicBlock:
    """The music of the same copies: what a vocabulary is learned from.

    Args:
        coder: whose pitches transpositions keep within.
        music: the performances.
        augment: which copies are made.
        ids: of the performances.
    """
    copies = copies_of(augment, coder.semitone_bounds(music, None), ids)
    parts = []
    for base, performance, semitones in _by_base(copies, augment):
        chosen, which = np.unique(performance, return_inverse=True)
        parts.append(_moved(coder, _music_of(music, chosen, base, augment, ids), which, semitones))
    return parts[0] if len(parts) == 1 else music_block([part[i] for part in parts for i in range(len(part))])


def copy_tokens(
    coder: Tokenizer, tokens: np.ndarray, variation: Variation, draw: Callable[[], np.random.Generator]
) -> np.ndarray:
    """Tokens of a copy of what a sequence says, ids between BOS and EOS.

    Args:
        coder: made the sequence.
        tokens: of the sequence.
        variation: what to change; the pitches stay within the scheme's.
        draw: random numbers for it.
    """
    notes = varied(coder.decode(tokens), variation._replace(semitones=0), draw)
    moved = _moved(coder, music_block([notes]), np.array([0]), np.array([variation.semitones], np.int8))
    copy = coder.encode_block(moved).values
    return copy if coder.width > 1 else np.concatenate(([BOS_ID], copy, [EOS_ID])).astype(coder.dtype)


def _is_varied(augment: AugmentConfig) -> bool:
    """Whether copies differ in more than their semitones."""
    return any(one._replace(semitones=0) != ORIGINAL for one in augment.variations)


def _by_base(copies: Copies, augment: AugmentConfig) -> Iterator[tuple[Variation, np.ndarray, np.ndarray]]:
    """Variations without their semitones, with performances and semitones of their copies; the original first."""
    variations = augment.variations
    bases = list(dict.fromkeys(one._replace(semitones=0) for one in variations))
    number = {base: k for k, base in enumerate(bases)}
    base_of = np.array([number[one._replace(semitones=0)] for one in variations])[copies.variation]
    semitones = np.array([one.semitones for one in variations], np.int16)[copies.variation]
    for k, base in enumerate(bases):
        rows = np.flatnonzero(base_of == k)
        if len(rows) or not k:
            yield base, copies.performance[rows], semitones[rows].astype(np.int8)


def _music_of(
    music: MusicBlock, chosen: np.ndarray, base: Variation, augment: AugmentConfig, ids: Sequence[str]
) -> MusicBlock:
    if base == ORIGINAL:
        return music if len(chosen) == len(music) else music.take(chosen)
    return music_block([varied(music[i], base, lambda i=i: generator(augment, *base, ids[i])) for i in chosen.tolist()])


def _moved(coder: Tokenizer, music: MusicBlock, performance: np.ndarray, semitones: np.ndarray) -> MusicBlock:
    """Each performance moved by so many semitones; pitches that have no token stay where they are."""
    moved = music.take(performance)
    low, high = coder.pitch_range
    pitch = moved.pitch.astype(np.int16)
    up = np.where((pitch >= low) & (pitch <= high), np.repeat(semitones, np.diff(moved.note_edges)), 0)
    return replace(moved, pitch=(pitch + up).astype(np.uint8))


def _are_new(
    tokens: TokenBlock, performance: np.ndarray, semitones: np.ndarray, seen: set[tuple[int, int, bytes]]
) -> np.ndarray:
    """Whether no earlier sequence of a performance, moved by as many semitones, has these tokens."""
    found = np.ones(len(performance), bool)
    for k, (i, up) in enumerate(zip(performance.tolist(), semitones.tolist(), strict=True)):
        what = i, up, blake2b(np.ascontiguousarray(tokens[k]), digest_size=16).digest()
        found[k] = what not in seen
        seen.add(what)
    return found


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
