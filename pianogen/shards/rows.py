"""Sequences of one shard: the copies of each performance as tokens, between BOS and EOS.

Where tokens are rows of numbers, a row of zeros stands for either.

Each variation but its semitones is encoded once, and transposed by adding to ids where the scheme allows it. A copy
whose tokens are those of an earlier one, because the scheme does not carry what was varied, is left out and counted.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pianogen.augment import NONE, ORIGINAL, AugmentConfig, Copies, Variation, copies_of, generator
from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns
from pianogen.tokenizers.base import (
    BOS_ID,
    EOS_ID,
    LayeredTokenizer,
    ShiftedTokenizer,
    TokenBlock,
    Tokenizer,
    can_shift,
    can_transpose,
)
from pianogen.varied import varied

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.


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
    originals = coder.encode_block(music) if can_transpose(coder) else None
    copies = copies_of(augment, coder.semitone_bounds(music, originals), ids)
    seen: set[tuple[int, int, bytes]] = set()
    for base, performance, semitones in _by_base(copies, augment):
        chosen, which = np.unique(performance, return_inverse=True)
        source = _music_of(music, chosen, base, augment, ids)
        tokens, moved = None, semitones
        if originals is not None:
            tokens = originals if base == ORIGINAL else coder.encode_block(source)
        if tokens is None or not _can_move(coder, tokens, semitones):
            tokens, which = _encoded(coder, source, which, semitones)
            moved = np.zeros_like(semitones)
        kept = _are_new(tokens, which, performance, semitones, seen) if _is_varied(augment) else performance >= 0
        tokens = _copied(coder, tokens, which[kept], moved[kept])
        yield Rows(base, performance[kept], semitones[kept], tokens, int((~kept).sum()))


def augmented_round(
    coder: Tokenizer, music: MusicBlock, augment: AugmentConfig, ids: Sequence[str], number: int
) -> MusicBlock:
    """One copy of each performance that has so many, not the same one of all: what a vocabulary is learned from.

    Args:
        coder: whose pitches transpositions keep within.
        music: the performances.
        augment: which copies are made.
        ids: of the performances.
        number: of the round, from 0; there are as many as `augment.variations`.
    """
    copies = copies_of(augment, coder.semitone_bounds(music, None), ids)
    counts = np.bincount(copies.performance, minlength=len(music))
    members = np.flatnonzero(counts > number)
    first = np.concatenate(([0], np.cumsum(counts)))
    turned = [(number + zlib.crc32(ids[i].encode())) % int(counts[i]) for i in members.tolist()]
    chosen = [augment.variations[v] for v in copies.variation[first[members] + np.array(turned, np.int64)].tolist()]
    source = music if len(members) == len(music) else music.take(members)
    if any(one._replace(semitones=0) != ORIGINAL for one in chosen):
        copied = [
            _copy_of(source[k], one._replace(semitones=0), augment, ids[i])
            for k, (i, one) in enumerate(zip(members.tolist(), chosen, strict=True))
        ]
        source = music_block(copied)
    return _moved(coder, source, np.array([one.semitones for one in chosen], np.int8))


def require_told(coder: Tokenizer, augment: AugmentConfig) -> None:
    """Refuse copies drawn while loading that tokens cannot tell, and that would be the originals again.

    They are made of what a sequence says: on the grid of quarters there is no jitter, and no tempo but the one that is
    told.

    Raises:
        SettingsError: such an option is asked for.
    """
    is_clocked = coder.clock == "seconds"
    is_told = {
        "stretches": is_clocked or "tempo" in coder.carries,
        "velocity_scales": "velocity" in coder.carries,
        "velocity_shifts": "velocity" in coder.carries,
        "jitters_ms": is_clocked,
        "pedals": "pedal" in coder.carries,
    }
    if untold := [name for name, is_one in is_told.items() if len(getattr(augment, name)) > 1 and not is_one]:
        raise SettingsError(
            f"augmentation.while_loading makes copies of tokens, and those of {coder.name} as it is set do not tell "
            f"what {', '.join(untold)} would change; leave {'it' if len(untold) == 1 else 'them'} out, or have the "
            "shards hold the copies (while_loading: false)"
        )


def copy_tokens(
    coder: Tokenizer, tokens: np.ndarray, variation: Variation, draw: Callable[[], np.random.Generator]
) -> np.ndarray:
    """Tokens of a copy of what a sequence says, between what sequences begin and end with.

    Args:
        coder: made the sequence.
        tokens: of the sequence.
        variation: what to change; the pitches stay within the scheme's.
        draw: random numbers for it.
    """
    notes = varied(coder.decode(tokens), variation._replace(semitones=0), draw)
    moved = _moved(coder, music_block([notes]), np.array([variation.semitones], np.int8))
    return framed(coder, coder.encode_block(moved).values)


def framed(coder: Tokenizer, tokens: np.ndarray) -> np.ndarray:
    """Tokens between what sequences begin and end with: ids between BOS and EOS, rows between rows of zeros."""
    if coder.width > 1:
        return np.pad(tokens, ((1, 1), (0, 0)))
    return np.concatenate(([BOS_ID], tokens, [EOS_ID])).astype(coder.dtype)


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
    return music_block([_copy_of(music[i], base, augment, ids[i]) for i in chosen.tolist()])


def _copy_of(notes: NoteColumns, base: Variation, augment: AugmentConfig, name: str) -> NoteColumns:
    return varied(notes, base, lambda: generator(augment, *base, name)) if base != ORIGINAL else notes


def _moved(coder: Tokenizer, music: MusicBlock, semitones: np.ndarray) -> MusicBlock:
    """Each performance moved by so many semitones; pitches that have no token stay where they are."""
    low, high = coder.pitch_range
    pitch = music.pitch.astype(np.int16)
    up = np.where((pitch >= low) & (pitch <= high), np.repeat(semitones, np.diff(music.note_edges)), 0)
    return replace(music, pitch=np.clip(pitch + up, 0, 127).astype(np.uint8))


def _can_move(coder: Tokenizer, tokens: TokenBlock, semitones: np.ndarray) -> bool:
    """Whether all tokens can be moved by these: none is unknown, which may be known elsewhere."""
    if can_shift(coder) or not semitones.any():
        return True
    is_used = np.zeros(len(coder.vocab), np.bool_)
    _mark_used(tokens.values, is_used)
    return not is_used[list(coder.unknown_ids)].any()


def _encoded(
    coder: Tokenizer, music: MusicBlock, which: np.ndarray, semitones: np.ndarray
) -> tuple[TokenBlock, np.ndarray]:
    """Tokens of the performances which[k], moved by so many semitones and encoded again, and the sequence of each k.

    Most performances stay in the range in every transposition, so all are encoded in all: to pick out those that do
    takes longer.
    """
    layered = coder if isinstance(coder, LayeredTokenizer) and can_shift(coder.base) else None
    once = layered.base.encode_block(music) if layered else None
    parts, sequence, num = [], np.empty(len(which), np.int64), 0
    for up in np.unique(semitones):
        rows = np.flatnonzero(semitones == up)
        wanted, place = np.unique(which[rows], return_inverse=True)
        moved = np.full(len(wanted), up, np.int8)
        if layered and once is not None:
            tokens = layered.shorten(_copied(layered.base, once, wanted, moved, num_special=0))
        elif coder.width > 1 or 2 * len(wanted) < len(music):
            tokens = coder.encode_block(_moved(coder, music.take(wanted), moved))
        else:
            tokens, place = coder.encode_block(_moved(coder, music, np.full(len(music), up, np.int8))), which[rows]
        parts.append(tokens)
        sequence[rows] = num + place
        num += len(tokens)
    values = np.concatenate(
        [np.empty((0, coder.width) if coder.width > 1 else 0, coder.dtype), *(p.values for p in parts)]
    )
    lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(part.edges) for part in parts)])
    return TokenBlock(values, np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))), sequence


def _are_new(
    tokens: TokenBlock,
    which: np.ndarray,
    performance: np.ndarray,
    semitones: np.ndarray,
    seen: set[tuple[int, int, bytes]],
) -> np.ndarray:
    """Whether no earlier copy of performance[k], moved by as many semitones, has the tokens of which[k]."""
    digests = {k: blake2b(np.ascontiguousarray(tokens[k]), digest_size=16).digest() for k in set(which.tolist())}
    found = np.ones(len(performance), bool)
    for k, (i, up, one) in enumerate(zip(performance.tolist(), semitones.tolist(), which.tolist(), strict=True)):
        found[k] = (i, up, digests[one]) not in seen
        seen.add((i, up, digests[one]))
    return found


def _edges_of_copies(edges: np.ndarray, performance: np.ndarray, num_more: int) -> np.ndarray:
    """Edges of a sequence for each of these performances, longer by so many tokens."""
    lengths = np.diff(edges)[performance] + num_more
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def _copied(
    coder: Tokenizer, tokens: TokenBlock, which: np.ndarray, semitones: np.ndarray, num_special: int = 2
) -> TokenBlock:
    """Sequence k: the tokens of which[k], moved by so many semitones, framed if asked for."""
    edges = _edges_of_copies(tokens.edges, which, num_special)
    if coder.width > 1:
        rows = _room(edges[-1] * coder.width, tokens.values.dtype).reshape(-1, coder.width)
        column = getattr(coder, "pitch_column", None) or 0  # with none, nothing is to be moved
        _shift_rows(tokens.values, tokens.edges, which, semitones, column, edges, rows, num_special // 2)
        return TokenBlock(rows, edges)
    ids = _room(edges[-1], tokens.values.dtype)
    if can_shift(coder) or not semitones.any():
        pitched = np.flatnonzero(coder.pitch_of_id >= 0) if isinstance(coder, ShiftedTokenizer) else np.zeros(1, int)
        first, last = int(pitched[0]), int(pitched[-1])
        _shift_ids(tokens.values, tokens.edges, which, semitones, first, last, edges, ids, num_special // 2)
    else:
        ups, row = np.unique(semitones, return_inverse=True)
        _map_ids(tokens.values, tokens.edges, which, row, _becoming(coder, ups), edges, ids, num_special // 2)
    return TokenBlock(ids, edges)


def _becoming(coder: Tokenizer, semitones: np.ndarray) -> np.ndarray:
    """What each id becomes, moved by each number of semitones; itself where it cannot be.

    Returns:
        Ids, shape (len(semitones), len(vocab)).
    """
    ids = np.arange(len(coder.vocab), dtype=coder.dtype)
    low, high = coder.semitone_bounds(None, TokenBlock(ids, np.arange(len(ids) + 1))).T
    is_known = np.isin(ids, coder.unknown_ids, invert=True)
    becoming = np.tile(ids, (len(semitones), 1))
    for row, up in zip(becoming, semitones.tolist(), strict=True):
        can_move = is_known & (low <= up) & (up <= high)
        row[can_move] = coder.transpose(ids[can_move], up)
    return becoming


def _room(num: int, dtype: np.dtype) -> np.ndarray:
    """Room for so many numbers, of Arrow's memory, which is where shards are written from.

    Arrow keeps what one shard gave back for the next. What numpy gives back goes to the system, and to have it again,
    page by page, takes three times as long as to write copies there.
    """
    return np.frombuffer(pa.allocate_buffer(int(num) * dtype.itemsize), dtype)


@njit
def _shift_ids(
    values: np.ndarray,
    edges: np.ndarray,
    performance: np.ndarray,
    semitones: np.ndarray,
    first: int,
    last: int,
    new_edges: np.ndarray,
    out: np.ndarray,
    margin: int,
) -> None:
    """Sequence k: ids of its performance, between BOS and EOS if margin is 1; those from first to last move."""
    low, width = values.dtype.type(first), values.dtype.type(last - first)
    zero = values.dtype.type(0)
    for k in range(len(performance)):
        i, at = performance[k], new_edges[k]
        source, target = values[edges[i] : edges[i + 1]], out[at + margin : new_edges[k + 1] - margin]
        up = values.dtype.type(semitones[k])
        # Of unsigned numbers, what is below the first is beyond the last: one comparison, eight ids at once.
        for n in range(len(source)):
            token = source[n]
            target[n] = token + (up if values.dtype.type(token - low) <= width else zero)
        if margin:
            out[at], out[new_edges[k + 1] - 1] = BOS_ID, EOS_ID


@njit
def _map_ids(
    values: np.ndarray,
    edges: np.ndarray,
    performance: np.ndarray,
    table: np.ndarray,
    becoming: np.ndarray,
    new_edges: np.ndarray,
    out: np.ndarray,
    margin: int,
) -> None:
    """Sequence k: what ids of its performance become by its table, between BOS and EOS if margin is 1."""
    for k in range(len(performance)):
        i, at = performance[k], new_edges[k]
        source, target = values[edges[i] : edges[i + 1]], out[at + margin : new_edges[k + 1] - margin]
        becomes = becoming[table[k]]
        for n in range(len(source)):
            target[n] = becomes[source[n]]
        if margin:
            out[at], out[new_edges[k + 1] - 1] = BOS_ID, EOS_ID


@njit
def _mark_used(ids: np.ndarray, is_used: np.ndarray) -> None:
    for token in ids:
        is_used[token] = True


@njit
def _shift_rows(
    values: np.ndarray,
    edges: np.ndarray,
    performance: np.ndarray,
    semitones: np.ndarray,
    pitch_column: int,
    new_edges: np.ndarray,
    out: np.ndarray,
    margin: int,
) -> None:
    """Sequence k: rows of its performance, their pitches moved, between rows of zeros if margin is 1."""
    for k in range(len(performance)):
        i, at = performance[k], new_edges[k]
        source, target = values[edges[i] : edges[i + 1]], out[at + margin : new_edges[k + 1] - margin]
        up = values.dtype.type(semitones[k])
        for n in range(len(source)):
            for c in range(values.shape[1]):
                target[n, c] = source[n, c]
            target[n, pitch_column] += up
        if margin:
            out[at], out[new_edges[k + 1] - 1] = 0, 0
