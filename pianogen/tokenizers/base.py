"""What every tokenizer offers, and how one is made from an experiment's settings.

A token is one number, or a row of `width` numbers. Where it is one, it is an id: an index into the vocabulary, whose
first three are PAD, BOS and EOS in every scheme, so that shards and models need not ask. `version` changes when the
same notes could get other tokens.

A tokenizer of your own is named by where it lies, `name: my_package.my_module:MyTokenizer`: a class that takes the
options of the experiment's file as keywords and offers what `Tokenizer` says; `PieceTokenizer`, `BlockTokenizer` and
`ShiftedTokenizer` give what follows from the rest.
"""

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from pianogen.augment import pitch_bounds
from pianogen.errors import SettingsError
from pianogen.lake import code_version, digest
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.midi.columns import NoteColumns

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
SPECIAL_TOKENS = ("PAD_None", "BOS_None", "EOS_None")
ATTRIBUTES = ("pitch", "onset", "duration", "velocity", "pedal", "tempo", "metre", "program")
"""What a scheme may carry of music."""


@dataclass(frozen=True, eq=False)
class TokenBlock:
    """Tokens of several performances, one after the other."""

    values: np.ndarray
    """Shape (num_tokens,), or (num_tokens, width)."""
    edges: np.ndarray
    """Tokens of performance i are edges[i] to edges[i + 1], int64, shape (num_performances + 1,); all values are of
    one, so that the first edge is 0 and the last their number."""

    def __post_init__(self) -> None:
        """Refuse edges that leave values over."""
        if self.edges[0] != 0 or self.edges[-1] != len(self.values):
            raise ValueError(
                f"edges must go from 0 to {len(self.values)}, the number of tokens, "
                f"found {self.edges[0]} to {self.edges[-1]}"
            )

    def __len__(self) -> int:
        """Number of performances."""
        return len(self.edges) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        """Tokens of one of them, without a copy."""
        return self.values[self.edges[i] : self.edges[i + 1]]

    def take(self, rows: np.ndarray) -> "TokenBlock":
        """Some of the sequences, one after the other."""
        parts = [self[row] for row in rows.tolist()]
        return TokenBlock(np.concatenate([self.values[:0], *parts]), np.cumsum([0, *map(len, parts)], dtype=np.int64))


class Tokenizer(Protocol):
    """Music of one performance to tokens and back, or of many at once."""

    name: str
    options: dict[str, Any]
    """All options, by which `make_tokenizer` makes the same one again."""
    vocab: tuple[str, ...]
    """Empty where tokens are no ids."""
    width: int
    """Numbers of a token; 1 where it is an id."""
    pitch_range: tuple[int, int]
    """Lowest and highest pitch that can be encoded, both included; other notes are left out."""
    carries: frozenset[str]
    """Those of ATTRIBUTES that tokens say something of."""
    clock: Literal["quarters", "seconds"]
    """What tokens tell time in: decoded music keeps the source's quarters, or its seconds."""
    unknown_ids: tuple[int, ...]
    """Ids that stand for what the vocabulary does not have; none where whatever is encoded has its own."""
    reads_parts: bool
    """Whether tokens depend on the columns `track` and `program`: without need they are not read."""

    @property
    def dtype(self) -> np.dtype:
        """Of encoded tokens: of ids the smallest that holds the vocabulary."""
        ...

    @property
    def version(self) -> str:
        """Another one where the same notes could get other tokens."""
        ...

    def encode(self, notes: NoteColumns) -> np.ndarray:
        """Tokens without BOS and EOS, shape (num_tokens,) or (num_tokens, width)."""
        ...

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """The same of each performance."""
        ...

    def decode(self, tokens: np.ndarray) -> NoteColumns:
        """Music of any tokens, valid sequence or not; PAD, BOS and EOS are passed over."""
        ...

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """The same of each performance."""
        ...

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """Tokens of the same notes moved by semitones, without encoding again.

        Raises:
            ValueError: a pitch would leave `pitch_range`, an id is none of the vocabulary's, or this scheme has to
                encode again.
        """
        ...

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Least and most semitones that each performance can be moved by, int64, shape (num_performances, 2).

        Args:
            music: the performances.
            tokens: what `encode_block` gives of them; one of both is enough, but tokens that do not tell every pitch
                give the bounds of those that they tell.
        """
        ...

    def bar_starts(self, tokens: np.ndarray) -> np.ndarray | None:
        """Indices of the tokens that bars begin with, ascending; None where the scheme tells no bars.

        Raises:
            ValueError: an id is none of the vocabulary's.
        """
        ...


class _Described(ABC):
    """What the settings of a scheme say of it."""

    name: str
    options: dict[str, Any]
    vocab: tuple[str, ...]
    width: int = 1
    pitch_range: tuple[int, int]
    carries: frozenset[str]
    clock: Literal["quarters", "seconds"] = "quarters"
    unknown_ids: tuple[int, ...] = ()
    reads_parts: bool = False
    moves_tokens: bool = False
    """Whether `transpose` moves each token by itself: any part of a sequence as it would the whole."""
    code: tuple[str, ...] = ()
    """Modules beside the classes' own that decide which tokens the same notes get."""
    _version: str | None = None
    _is_bar: np.ndarray | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of encoded tokens: the smallest that holds the vocabulary."""
        return np.dtype(np.uint16 if len(self.vocab) <= 2**16 else np.uint32)

    @property
    def version(self) -> str:
        """Hash of the scheme's code, options and vocabulary."""
        if self._version is None:
            self._version = self._hashed()
        return self._version

    def _hashed(self) -> str:
        own = [kind.__module__ for kind in type(self).__mro__ if issubclass(kind, _Described)]
        code = code_version((*dict.fromkeys([*own, *self.code]),), ("numpy",))
        return digest(self.name, self.options, self.vocab, code)[:16]

    @abstractmethod
    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """See `Tokenizer`."""

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """Refused: the scheme has to encode again."""
        raise ValueError(f"{self.name}: notes have to be transposed before they are encoded")

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Those that keep pitches within `pitch_range`; see `Tokenizer`."""
        if music is None:
            assert tokens is not None
            music = self.decode_block(tokens)
        return pitch_bounds(music.pitch, music.note_edges, self.pitch_range)

    def bar_starts(self, tokens: np.ndarray) -> np.ndarray | None:
        """Where tokens named `Bar…` stand, in a vocabulary that has some; see `Tokenizer`."""
        if self.vocab:
            check_ids(tokens, self.vocab)
        if self._is_bar is None:
            self._is_bar = np.array([token.startswith("Bar") for token in self.vocab], bool)
        return np.flatnonzero(self._is_bar[tokens]) if self.width == 1 and self._is_bar.any() else None


class BlockTokenizer(_Described):
    """A scheme that encodes and decodes many performances at once."""

    pitch_column: int | None = None
    """Of rows, the number that is a pitch in semitones: adding to it is all that transposing does."""

    @abstractmethod
    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""

    def encode(self, notes: NoteColumns) -> np.ndarray:
        """See `Tokenizer`."""
        return self.encode_block(music_block([notes])).values

    def decode(self, tokens: np.ndarray) -> NoteColumns:
        """See `Tokenizer`."""
        return self.decode_block(TokenBlock(np.asarray(tokens), np.array([0, len(tokens)])))[0]


class ShiftedTokenizer(BlockTokenizer):
    """A scheme whose ids of pitches follow each other as pitches do, so that notes are moved by adding to ids."""

    is_shifted: bool = True
    """Whether options leave it so: where other ids tell of pitches, too, notes have to be encoded again."""
    pitch_of_id: np.ndarray
    """MIDI number of each id of the vocabulary, -1 of those without; ids with one are neighbours."""

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """See `Tokenizer`."""
        if not self.is_shifted:
            return super().transpose(tokens, semitones)
        check_ids(tokens, self.vocab)
        pitch = self.pitch_of_id[tokens]
        moved = pitch[pitch >= 0] + semitones
        low, high = self.pitch_range
        if len(moved) and not (low <= moved.min() and moved.max() <= high):
            raise ValueError(f"{semitones} semitones move a pitch out of {self.pitch_range}")
        return (tokens + np.where(pitch >= 0, semitones, 0)).astype(self.dtype)

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Those of the pitches that ids tell; see `Tokenizer`."""
        if tokens is None:
            return super().semitone_bounds(music, tokens)
        check_ids(tokens.values, self.vocab)
        is_pitch = self.pitch_of_id[tokens.values] >= 0
        pitch = self.pitch_of_id[tokens.values[is_pitch]]
        return pitch_bounds(pitch, kept_edges(is_pitch, tokens.edges), self.pitch_range)


def can_shift(coder: "Tokenizer") -> bool:
    """Whether tokens of any music are transposed by adding to them, without encoding it again."""
    if isinstance(coder, ShiftedTokenizer):
        return coder.is_shifted
    return isinstance(coder, BlockTokenizer) and coder.pitch_column is not None


def can_transpose(coder: "Tokenizer") -> bool:
    """Whether tokens of any music are transposed each by itself, by adding to them or otherwise."""
    return can_shift(coder) or (isinstance(coder, _Described) and coder.moves_tokens)


class LearnedTokenizer(BlockTokenizer):
    """A scheme whose vocabulary is learned from music; of shards it is that of train alone."""

    @property
    @abstractmethod
    def is_learned(self) -> bool:
        """Whether it was, or need not be."""

    most_learned: int | None = None
    """Tokens that it learns from at most; None: from all music."""

    @abstractmethod
    def learned_from(self, music: Iterable[MusicBlock]) -> "LearnedTokenizer":
        """The same scheme with the vocabulary of this music, and of nothing else; the same music gives the same one."""


class LayeredTokenizer(LearnedTokenizer):
    """A scheme whose ids stand for runs of another scheme's."""

    base: Tokenizer

    @abstractmethod
    def shorten(self, tokens: TokenBlock) -> TokenBlock:
        """Ids of base ids."""

    @abstractmethod
    def expand(self, tokens: TokenBlock) -> TokenBlock:
        """Base ids of ids; PAD, BOS and EOS stay."""

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Those of the base; see `Tokenizer`."""
        return self.base.semitone_bounds(music, None if tokens is None else self.expand(tokens))

    def bar_starts(self, tokens: np.ndarray) -> np.ndarray | None:
        """Where a run begins with a bar of the base; see `Tokenizer`."""
        check_ids(tokens, self.vocab)
        one_by_one = self.expand(TokenBlock(np.asarray(tokens), np.arange(len(tokens) + 1)))
        bars = self.base.bar_starts(one_by_one.values)
        return None if bars is None else np.flatnonzero(np.isin(one_by_one.edges[:-1], bars))


class PieceTokenizer(_Described):
    """A scheme that encodes and decodes one performance after the other."""

    @abstractmethod
    def encode(self, notes: NoteColumns) -> np.ndarray:
        """See `Tokenizer`."""

    @abstractmethod
    def decode(self, tokens: np.ndarray) -> NoteColumns:
        """See `Tokenizer`."""

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""
        return token_block([self.encode(music[i]) for i in range(len(music))], self)

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """See `Tokenizer`."""
        return music_block([self.decode(tokens[i]) for i in range(len(tokens))])


def token_block(sequences: Sequence[np.ndarray], coder: "Tokenizer | _Described") -> TokenBlock:
    """Sequences one after the other."""
    shape = (0,) if coder.width == 1 else (0, coder.width)
    values = np.concatenate([np.empty(shape, coder.dtype), *sequences]).astype(coder.dtype, copy=False)
    return TokenBlock(values, np.cumsum([0, *map(len, sequences)], dtype=np.int64))


def without_special(tokens: TokenBlock) -> TokenBlock:
    """Ids without PAD, BOS and EOS."""
    is_kept = tokens.values > EOS_ID
    return TokenBlock(tokens.values[is_kept], kept_edges(is_kept, tokens.edges))


def kept_edges(is_kept: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Edges of the rows that are kept, int64.

    Args:
        is_kept: of each row, bool.
        edges: of all rows.
    """
    return np.concatenate(([0], np.cumsum(is_kept, dtype=np.int64)))[edges]


def check_pitches(name: str, low: int, high: int, within: tuple[int, int] = (0, 127), why: str = "") -> None:
    """Refuse options of a scheme that are no range of pitches.

    Args:
        name: of the scheme.
        low: its lowest_pitch.
        high: its highest_pitch.
        within: the lowest and the highest that there are in it.
        why: what lies beyond cannot be, if it is to be told.

    Raises:
        SettingsError: they lie beyond, or descend.
    """
    if not within[0] <= low <= high <= within[1]:
        raise SettingsError(
            f"tokenizer {name}: lowest_pitch to highest_pitch must lie in {within[0]}-{within[1]} and ascend, "
            f"found {low} to {high}{why and '; ' + why}"
        )


def check_ids(ids: np.ndarray, vocab: Sequence[str]) -> None:
    """Refuse what is no id of a vocabulary.

    Raises:
        ValueError: there is some.
    """
    ids = np.asarray(ids)
    if len(ids) and (ids.max() >= len(vocab) or (ids.dtype.kind != "u" and ids.min() < 0)):
        wrong = ids[(ids < 0) | (ids >= len(vocab))][0]
        raise ValueError(f"ids must lie in 0-{len(vocab) - 1}, since the vocabulary has {len(vocab)}; found {wrong}")


KNOWN = {
    "remi": "pianogen.tokenizers.remi:Remi",
    "tsd": "pianogen.tokenizers.tsd:Tsd",
    "midi_like": "pianogen.tokenizers.midi_like:MidiLike",
    "craykh": "pianogen.tokenizers.craykh:Craykh",
    "jsb": "pianogen.tokenizers.jsb:Jsb",
    "performance": "pianogen.tokenizers.performance:Performance",
    "continuous": "pianogen.tokenizers.continuous:Continuous",
    "note_chord": "pianogen.tokenizers.note_chord:NoteChord",
    "subwords": "pianogen.tokenizers.subwords:Subwords",
    "miditok": "pianogen.tokenizers.miditok_scheme:MidiTokScheme",
}
"""The schemes of this package, by name: module and class."""


def make_tokenizer(settings: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that an experiment names, `{"name": "remi", …its options}`.

    Raises:
        SettingsError: the name or an option is not known, or what is named is no tokenizer.
    """
    options = dict(settings)
    name = options.pop("name", None)
    where = KNOWN.get(str(name), str(name))
    module, colon, kind = where.partition(":")
    if not colon:
        raise SettingsError(
            f"tokenizer {name!r} is not known; known: {', '.join(KNOWN)}, and yours as my_module:MyTokenizer"
        )
    try:
        maker = getattr(importlib.import_module(module), kind)
    # Of a name that is none, as `:X` or `..a:B`, the last two.
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise SettingsError(f"tokenizer {name!r} cannot be loaded: {error}") from error
    try:
        made = maker(**options)
    except TypeError as error:
        raise SettingsError(f"tokenizer {name}: {error}") from None
    if missing := [one for one in ("encode", "decode", "vocab", "options") if not hasattr(made, one)]:
        raise SettingsError(f"tokenizer {name!r} must have {', '.join(missing)}, found a {type(made).__name__} without")
    return made


def kept_tokenizer(settings: Mapping[str, Any]) -> Tokenizer:
    """The same, made once for all tasks of a process: to make one that learned thousands of tokens takes a while."""
    # Not sorted: the order of an option's keys may be that of tokens in the vocabulary.
    return _made(json.dumps(settings))


@lru_cache(maxsize=64)
def _made(settings: str) -> Tokenizer:
    return make_tokenizer(json.loads(settings))


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizer's name, options and version as JSON."""
    settings = {"name": tokenizer.name, **tokenizer.options, "version": tokenizer.version}
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that was saved.

    Raises:
        SettingsError: it cannot be made, or today's code would give other tokens.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        version = settings.pop("version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: no saved tokenizer: {error}") from None
    tokenizer = make_tokenizer(settings)
    if tokenizer.version != version:
        raise SettingsError(
            f"{path}: saved by version {version} of the tokenizer {tokenizer.name}, this is {tokenizer.version}; "
            "tokens may differ, so build the shards again"
        )
    return tokenizer
