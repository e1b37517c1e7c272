"""Notes by name and chords by pitch classes, as music21 writes them, without rhythm.

    A4        a note that begins alone
    4.7.11    a chord: its pitch classes in normal order (Forte 1973), joined by dots
    UNK_None  any that the vocabulary does not have

A note takes with it those that begin less than 1/`divisor` of a quarter after it and end at most that long before or
after it; what was taken begins no token of its own. As in music21 it may be taken by another note as well.

Chords keep to their track, and what begins together comes by track. A performance may have several parts: they are what
music21's `partitionByInstrument` makes where tracks say their instrument by program alone, notes of all tracks that it
knows by the name of one instrument. The first is that of the first note of the first track. Columns that tell no parts
are one track.

docs/tokenizers/note_chord.md has the whole definition, and where music21 differs.

Source: Skuldur/Classical-Piano-Composer (`get_notes`, `create_midi`), and what music21 10.5 makes of a MIDI track
(`midi.translate.midiTrackToStream`). Notes are not split at bar lines here.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Self

import numpy as np

from pianogen.augment import pitch_bounds
from pianogen.compiled import njit
from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, steady_music
from pianogen.tokenizers.base import (
    SPECIAL_TOKENS,
    LearnedTokenizer,
    TokenBlock,
    check_ids,
    check_pitches,
    kept_edges,
)

# pyright: reportArgumentType=false, reportReturnType=false
# Its scalars are what numba makes of them.

UNKNOWN_ID = len(SPECIAL_TOKENS)
UNKNOWN_TOKEN = "UNK_None"

LOWEST_PITCH = 12
"""Below, names have two meanings: `E-1` is pitch 4 and, as E flat, pitch 27."""
NAMES = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B")
"""Of pitch classes, as music21 spells a MIDI number."""

FIRST_CHORD = 128
"""A token's code is the pitch of a note, or FIRST_CHORD and a bit for each pitch class of a chord."""
NUM_CODES = FIRST_CHORD + 2**12
NO_CODE = -1
OCTAVE = 60
"""Pitch class 0 of a chord that is decoded."""

TICKS_PER_QUARTER = 480
"""Of what is decoded."""

SAME_INSTRUMENT = (
    (0, 1, 3), (2, 4, 5), (9, 10, 112), (16, 17, 18), (21, 23), (24, 25), (26, 27, 28, 29, 30, 31),
    (33, 34, 36, 37, 38, 39), (40, 110), (44, 45, 48, 49, 50, 51), (53, 54),
    (55, *range(80, 104), *range(118, 128)), (56, 59), (61, 62, 63), (75, 76),
)  # fmt: skip
"""Programs that music21 knows by one name, such as the acoustic pianos; the others are alone."""


class NoteChord(LearnedTokenizer):
    """Ids of notes and chords.

    Args:
        vocab: tokens that have an id, without the special ones; "all": every note and chord that there can be; None:
            these, until those of train are learned.
        parts: "all", or "first": the first part that has notes, as the notebook takes it.
        divisor: of a quarter, how near notes of a chord begin and end: 4 as music21 10.5 reads MIDI, 16 as it does
            without quantizing.
        lowest_pitch: notes below are left out.
        highest_pitch: notes above are left out.
        step: quarters from one token to the next in decoding.
        duration: quarters that a decoded note lasts.
        velocity: of decoded notes; 90 is what music21 writes where none is given.
    """

    name = "note_chord"
    carries = frozenset({"pitch"})
    unknown_ids = (UNKNOWN_ID,)
    reads_parts = True
    moves_tokens = True

    def __init__(
        self,
        *,
        vocab: list[str] | str | None = None,
        parts: str = "all",
        divisor: int = 4,
        lowest_pitch: int = LOWEST_PITCH,
        highest_pitch: int = 127,
        step: float = 0.5,
        duration: float = 0.5,
        velocity: int = 90,
    ) -> None:
        is_list = isinstance(vocab, list) and all(isinstance(token, str) for token in vocab)
        if vocab not in (None, "all") and not is_list:
            raise _wrong(f'vocab must be a list of tokens, or "all", found {vocab!r}')
        self.options: dict[str, Any] = {
            "vocab": list(vocab) if isinstance(vocab, list) else vocab,
            "parts": parts,
            "divisor": divisor,
            "lowest_pitch": lowest_pitch,
            "highest_pitch": highest_pitch,
            "step": step,
            "duration": duration,
            "velocity": velocity,
        }
        if parts not in ("all", "first"):
            raise _wrong(f"parts must be all or first, found {parts!r}")
        for option in ("divisor", "lowest_pitch", "highest_pitch", "velocity"):
            if type(self.options[option]) is not int:
                raise _wrong(f"{option} must be a whole number, found {self.options[option]!r}")
        for option in ("step", "duration"):
            value = self.options[option]
            if type(value) not in (int, float) or not 1 / TICKS_PER_QUARTER <= value <= 1000:
                raise _wrong(f"{option} must be 1/{TICKS_PER_QUARTER} to 1000 quarters, found {value!r}")
        why = f"names below {LOWEST_PITCH} have two meanings"
        check_pitches(self.name, lowest_pitch, highest_pitch, (LOWEST_PITCH, 127), why)
        if not 1 <= divisor <= 1000:
            raise _wrong(f"divisor must lie in 1-1000, found {divisor}")
        if not 1 <= velocity <= 127:
            raise _wrong(f"velocity must lie in 1-127, found {velocity}")
        self.pitch_range = (lowest_pitch, highest_pitch)
        known = _codes()
        tokens = vocab if isinstance(vocab, list) else list(known)
        if strange := [token for token in tokens if token not in known]:
            raise _wrong(
                "tokens of vocab must be names as A4, E-3, F#5 or chords in normal order as 4.7.11, "
                f"found {strange[0]!r}"
            )
        if len(set(tokens)) < len(tokens):
            twice = next(token for token in tokens if tokens.count(token) > 1)
            raise _wrong(f"vocab must not have a token twice, found {twice!r}")
        self.vocab = (*SPECIAL_TOKENS, UNKNOWN_TOKEN, *tokens)
        self._code_of_id = np.array([NO_CODE] * (UNKNOWN_ID + 1) + [known[token] for token in tokens], np.int32)
        self._id_of_code = np.full(NUM_CODES, UNKNOWN_ID, self.dtype)
        self._id_of_code[self._code_of_id[UNKNOWN_ID + 1 :]] = np.arange(UNKNOWN_ID + 1, len(self.vocab))

    @property
    def is_learned(self) -> bool:
        """Whether it is said which tokens have an id."""
        return self.options["vocab"] is not None

    def learned_from(self, music: Iterable[MusicBlock]) -> Self:
        """See `LearnedTokenizer` and `learn`."""
        return self.learn(music, **{name: value for name, value in self.options.items() if name != "vocab"})

    @classmethod
    def learn(cls, music: Iterable[MusicBlock], **options: Any) -> Self:
        """The tokenizer whose vocabulary is the tokens of this music, sorted as text: give it train alone.

        Args:
            music: blocks, one after the other.
            options: those of the constructor besides `vocab`.
        """
        if "vocab" in options:
            raise _wrong("vocab is what is learned, so it must not be given")
        whole = cls(**options)
        is_there = np.zeros(NUM_CODES, np.bool_)
        for block in music:
            is_there[whole._codes_of(block)[0]] = True
        tokens = [token for token, code in _codes().items() if is_there[code]]
        return cls(vocab=sorted(tokens), **options)

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """See `Tokenizer`."""
        codes, edges = self._codes_of(music)
        return TokenBlock(self._id_of_code[codes], edges)

    def _codes_of(self, music: MusicBlock) -> tuple[np.ndarray, np.ndarray]:
        columns = (music.pitch, music.onset_tick, music.duration_tick, music.track, music.program)
        names = _names_of_programs() if self.options["parts"] == "first" else np.empty(0, np.int64)
        divisor = self.options["divisor"]
        return _codes_of_notes(music.note_edges, music.ticks_per_quarter, *columns, names, *self.pitch_range, divisor)

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """A token each `step`: pitch classes of chords from middle C up, unknown ones as silence.

        PAD, BOS, EOS, and numbers that are no ids take no time.
        """
        ids = np.asarray(tokens.values)
        is_step = (ids >= UNKNOWN_ID) & (ids < len(self.vocab))
        codes = self._code_of_id[np.where(is_step, ids, 0).astype(np.int64)]
        steps_before = np.concatenate(([0], np.cumsum(is_step)))
        step = steps_before[:-1] - np.repeat(steps_before[tokens.edges[:-1]], np.diff(tokens.edges))
        # The empty row at the end is that of NO_CODE.
        pitches, num_pitches = _pitches()[codes], _num_pitches()[codes]
        num_notes = np.concatenate(([0], np.cumsum(num_pitches)))
        step_ticks, ticks = (round(self.options[name] * TICKS_PER_QUARTER) for name in ("step", "duration"))
        # Time stops where int32 ends.
        onset = np.minimum(step * step_ticks, 2**31 - 1 - ticks).astype(np.int32)
        onset = np.repeat(onset, num_pitches)
        return steady_music(
            TICKS_PER_QUARTER,
            num_notes[tokens.edges],
            pitch=pitches[pitches > 0],
            velocity=np.full(len(onset), self.options["velocity"], np.uint8),
            onset_tick=onset,
            duration_tick=np.full(len(onset), ticks, np.int32),
        )

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """Tokens of the same notes moved by semitones; unknown where the vocabulary lacks one.

        The octaves of a chord are not known: the caller has to know that its notes stay in `pitch_range`.

        Raises:
            ValueError: a note would leave `pitch_range`, an id is none of the vocabulary's, or there is an unknown
                token, which may be known elsewhere.
        """
        tokens = np.asarray(tokens)
        check_ids(tokens, self.vocab)
        if num := np.count_nonzero(tokens == UNKNOWN_ID):
            raise ValueError(f"{num} unknown tokens cannot be transposed: transpose the notes and encode them")
        codes = self._code_of_id[tokens.astype(np.int64)]
        moved = _moved(semitones)[codes]
        low, high = self.pitch_range
        is_note = (codes >= 0) & (codes < FIRST_CHORD)
        if ((moved < low) | (moved > high))[is_note].any():
            raise ValueError(f"{semitones} semitones move a pitch out of {self.pitch_range}")
        return np.where(codes == NO_CODE, tokens, self._id_of_code[moved]).astype(self.dtype)

    def semitone_bounds(self, music: MusicBlock | None, tokens: TokenBlock | None) -> np.ndarray:
        """Those of the notes, or of tokens alone those by which `transpose` moves them; see `Tokenizer`.

        Of chords the octaves are not known: of tokens alone the notes that stand alone bound them, and unknown tokens,
        which cannot be moved.
        """
        if music is not None:
            return super().semitone_bounds(music, tokens)
        assert tokens is not None
        check_ids(tokens.values, self.vocab)
        codes = self._code_of_id[tokens.values]
        is_chord = codes >= FIRST_CHORD
        is_note = (codes >= 0) & ~is_chord
        note_edges = kept_edges(is_note, tokens.edges)
        bounds = pitch_bounds(codes[is_note], note_edges, self.pitch_range)
        has_notes, has_chords = np.diff(note_edges) > 0, np.diff(kept_edges(is_chord, tokens.edges)) > 0
        # Farther no note can be moved at all.
        width = self.pitch_range[1] - self.pitch_range[0]
        bounds[has_chords & ~has_notes] = -width, width
        bounds[np.diff(kept_edges(tokens.values == UNKNOWN_ID, tokens.edges)) > 0] = 0
        return bounds


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"tokenizer note_chord: {what}")


@cache
def _codes() -> dict[str, int]:
    """Code of each token that there can be: notes from the lowest up, then chords."""
    notes = {f"{NAMES[pitch % 12]}{pitch // 12 - 1}": pitch for pitch in range(LOWEST_PITCH, 128)}
    chords = {".".join(map(str, normal_order(mask))): FIRST_CHORD + mask for mask in range(1, 2**12)}
    return notes | chords


def normal_order(mask: int) -> tuple[int, ...]:
    """Pitch classes of a chord, given as bits, in the order of their most compact form.

    Of the orders that go round the octave, the one that spans least, then with the least first interval from its first
    pitch class, then the next interval; of equal ones, as in a diminished seventh chord, that with the lowest first.

    Source: A. Forte, The Structure of Atonal Music (1973); equal to music21's `Chord.normalOrder` for all
    4,095 sets of pitch classes.
    """
    ascending = [pitch_class for pitch_class in range(12) if mask >> pitch_class & 1]
    rounds = [ascending[k:] + ascending[:k] for k in range(len(ascending))]
    intervals = [[(pitch_class - one[0]) % 12 for pitch_class in one] for one in rounds]
    best = min(range(len(rounds)), key=lambda k: (intervals[k][-1], intervals[k], rounds[k][0]))
    return tuple(rounds[best])


@cache
def _pitches() -> np.ndarray:
    """Pitches of each code that is decoded, ascending, then zeros; the last row, of NO_CODE, is empty."""
    pitches = np.zeros((NUM_CODES + 1, 12), np.uint8)
    pitches[:FIRST_CHORD, 0] = np.arange(FIRST_CHORD)
    for mask in range(1, 2**12):
        ascending = [OCTAVE + pitch_class for pitch_class in range(12) if mask >> pitch_class & 1]
        pitches[FIRST_CHORD + mask, : len(ascending)] = ascending
    return pitches


@cache
def _num_pitches() -> np.ndarray:
    """How many pitches each code has."""
    return np.count_nonzero(_pitches(), axis=1)


def _moved(semitones: int) -> np.ndarray:
    """Code of each code transposed; of notes the pitch, whether there is one or not."""
    mask, up = np.arange(2**12), semitones % 12
    turned = (mask << up | mask >> (12 - up)) & 0xFFF
    # Far off the range is off the range.
    notes = np.arange(FIRST_CHORD) + max(min(semitones, FIRST_CHORD), -FIRST_CHORD)
    return np.concatenate((notes, FIRST_CHORD + turned))


@cache
def _names_of_programs() -> np.ndarray:
    """Of each program a number for the name by which music21 knows it."""
    names = np.arange(128)
    for programs in SAME_INSTRUMENT:
        names[list(programs)] = programs[0]
    return names


@njit
def _codes_of_notes(
    edges: np.ndarray,
    ticks_per_quarter: np.ndarray,
    pitch: np.ndarray,
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    track: np.ndarray,
    program: np.ndarray,
    name_of_program: np.ndarray,
    low: int,
    high: int,
    divisor: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the notes from pitch low to high, and their edges; chords keep to their track.

    Args:
        edges: of the columns of notes.
        ticks_per_quarter: of each performance.
        pitch: of each note.
        onset_tick: the same.
        duration_tick: the same.
        track: the same, or empty: all notes are of one.
        program: the same.
        name_of_program: where the first part alone is wanted; otherwise empty.
        low: lowest pitch.
        high: highest pitch.
        divisor: of a quarter, how near the notes of a chord are.
    """
    codes, code_edges = np.empty(len(pitch), np.uint16), np.zeros(len(edges), np.int64)
    with_parts = len(track) == len(pitch) and len(program) == len(pitch)
    num = 0
    for i in range(len(edges) - 1):
        quarter = np.int64(ticks_per_quarter[i])
        rows = np.arange(edges[i], edges[i + 1])
        if with_parts:
            if len(name_of_program):
                rows = _first_part(rows, onset_tick, track, program, name_of_program)
            _sort_by_track(rows, onset_tick, track)
        is_taken = np.zeros(len(rows), np.bool_)
        for a in range(len(rows)):
            k = rows[a]
            if is_taken[a] or not low <= pitch[k] <= high:
                continue
            onset = np.int64(onset_tick[k])
            offset = onset + duration_tick[k]
            chord, is_chord = 1 << np.int64(pitch[k] % 12), False
            for b in range(a + 1, len(rows)):
                n = rows[b]
                begins_later = onset_tick[n] - onset
                if divisor * begins_later >= quarter:
                    break
                ends_later = onset_tick[n] + np.int64(duration_tick[n]) - offset
                is_near = divisor * abs(ends_later) <= quarter and (not with_parts or track[n] == track[k])
                if is_near and low <= pitch[n] <= high:
                    chord |= 1 << np.int64(pitch[n] % 12)
                    is_chord = is_taken[b] = True
            codes[num] = FIRST_CHORD + chord if is_chord else np.int64(pitch[k])
            num += 1
        code_edges[i + 1] = num
    return codes[:num], code_edges


@njit
def _first_part(
    rows: np.ndarray, onset_tick: np.ndarray, track: np.ndarray, program: np.ndarray, name_of_program: np.ndarray
) -> np.ndarray:
    """Those of the rows, which come by onset, that are of the first part."""
    if len(rows) == 0:
        return rows
    first = rows[0]
    for k in rows:
        is_lower = program[k] < program[first] and onset_tick[k] == onset_tick[first]
        if track[k] < track[first] or (track[k] == track[first] and is_lower):
            first = k
    return rows[name_of_program[program[rows]] == name_of_program[program[first]]]


@njit
def _sort_by_track(rows: np.ndarray, onset_tick: np.ndarray, track: np.ndarray) -> None:
    """What begins at once by track, and as it was within it."""
    for n in range(1, len(rows)):
        row, k = rows[n], n
        while k and onset_tick[rows[k - 1]] == onset_tick[row] and track[rows[k - 1]] > track[row]:
            rows[k] = rows[k - 1]
            k -= 1
        rows[k] = row
