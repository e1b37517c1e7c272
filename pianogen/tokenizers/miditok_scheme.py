"""Every scheme of MidiTok by its name, through MidiTok itself.

Slow, and the reference of the schemes that this project encodes by itself: `scheme` is the name of MidiTok's class,
`config` takes options of its `TokenizerConfig`. All pitched notes of a performance are one piano part, unless `config`
says `use_programs`. Schemes whose tokens have several parts (CPWord, Octuple, MuMIDI) give rows of ids, one for each of
their vocabularies.
"""

import difflib
import importlib.metadata
import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pianogen.errors import SettingsError
from pianogen.lake import digest
from pianogen.midi.columns import NoteColumns, no_programs, no_tracks, united
from pianogen.midi.time import DEFAULT_MICROSECONDS_PER_QUARTER
from pianogen.tokenizers.base import ATTRIBUTES, EOS_ID, PAD_ID, SPECIAL_TOKENS, PieceTokenizer

SCHEMES = ("BEAT", "CPWord", "MIDILike", "MMM", "MuMIDI", "Octuple", "PerTok", "REMI", "Structured", "TSD")
DEFAULTS: dict[str, dict[str, Any]] = {
    "MMM": {"base_tokenizer": "TSD"},
    "PerTok": {
        "ticks_per_quarter": 320,
        "use_microtiming": True,
        "max_microtiming_shift": 0.125,
        "num_microtiming_bins": 30,
    },
}
"""Additional parameters that a scheme cannot do without."""
ADDITIONAL: dict[str, tuple[str, ...]] = {
    "MIDILike": ("max_duration",),
    "MMM": ("base_tokenizer", "max_duration", "max_bar_embedding", "use_bar_end_tokens", "add_trailing_bars"),
    "MuMIDI": ("max_bar_embedding",),
    "Octuple": ("max_bar_embedding",),
    "PerTok": (*DEFAULTS["PerTok"], "use_position_toks"),
    "REMI": ("max_bar_embedding", "use_bar_end_tokens", "add_trailing_bars"),
}
"""Additional parameters that a scheme reads; MMM has those of the scheme that it is made over."""
_CARRIED = {"velocity": "use_velocities", "pedal": "use_sustain_pedals", "tempo": "use_tempos",
            "metre": "use_time_signatures", "program": "use_programs"}  # fmt: skip


class MidiTokScheme(PieceTokenizer):
    """A tokenizer of MidiTok.

    Args:
        scheme: one of SCHEMES.
        config: keywords of `miditok.TokenizerConfig`, those of `additional_params` among them; what is not named is as
            it comes, but that special tokens are PAD, BOS and EOS and that one piano has no programs. Keys that are
            numbers may be text, as JSON has them, and those of `beat_res` and `beat_res_rest` text as `0-4`; the option
            is what JSON can hold of it.

    Raises:
        SettingsError: MidiTok does not know an option or refuses it, or would make several sequences of a performance.
    """

    name = "miditok"

    def __init__(self, *, scheme: str = "REMI", config: Mapping[str, Any] | None = None) -> None:
        if scheme not in SCHEMES:
            raise _wrong(f"scheme must be one of {', '.join(SCHEMES)}, found {scheme!r}")
        self.options: dict[str, Any] = {"scheme": scheme, "config": _as_json(scheme, {} if config is None else config)}
        self.miditok = _make(scheme, self.options["config"])
        said = self.miditok.config
        self.pitch_range = (int(said.pitch_range[0]), int(said.pitch_range[1]))
        vocabs = self.miditok.vocab if self.miditok.is_multi_voc else [self.miditok.vocab]
        self.vocabs = tuple(tuple(sorted(vocab, key=vocab.get)) for vocab in vocabs)
        """Of each part of a token."""
        self.width = len(self.vocabs)
        self.vocab = self.vocabs[0] if self.width == 1 else ()
        if any(vocab[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS for vocab in self.vocabs):
            raise _wrong(f"special_tokens must begin with PAD, BOS, EOS, found {said.special_tokens}")
        if said.use_programs and not self.miditok.one_token_stream:
            raise _wrong(
                f"with use_programs {scheme} has to make one sequence of all parts: "
                "one_token_stream_for_programs must be true"
            )
        left_out = {name for name, option in _CARRIED.items() if not getattr(said, option)}
        self.carries = frozenset(ATTRIBUTES) - left_out
        self.reads_parts = bool(said.use_programs)

    def _hashed(self) -> str:
        packages = [importlib.metadata.version(name) for name in ("miditok", "symusic")]
        return digest(super()._hashed(), self.vocabs, packages)[:16]

    def encode(self, notes: NoteColumns) -> np.ndarray:
        """Ids without BOS and EOS; of schemes whose tokens have parts a row for each token."""
        low, high = self.pitch_range
        known = np.array([tuple(row) in self.miditok.time_signatures for row in notes.metres[:, 1:].tolist()], bool)
        notes = replace(
            notes.take((notes.pitch >= low) & (notes.pitch <= high)),
            # What some schemes fail on, and the others change in this way themselves.
            duration_tick=np.maximum(notes.duration_tick, 1)[(notes.pitch >= low) & (notes.pitch <= high)],
            metres=notes.metres[known],
            # MuMIDI asks for one; the others assume it themselves.
            tempos=notes.tempos if len(notes.tempos) else np.array([[0, DEFAULT_MICROSECONDS_PER_QUARTER]], np.int32),
        )
        shape = (0,) if self.width == 1 else (0, self.width)
        if not len(notes):
            return np.empty(shape, self.dtype)
        sequences = self.miditok.encode(score_of(notes, parts=self.reads_parts))
        # Without programs there is one part.
        ids = (sequences[0] if isinstance(sequences, list) else sequences).ids
        if self.width == 1:
            return np.asarray(ids, self.dtype)
        # MuMIDI's tokens have fewer parts where they tell no note.
        rows = [[*row, *[PAD_ID] * (self.width - len(row))] for row in ids]
        return np.asarray(rows, self.dtype).reshape(-1, self.width)

    def decode(self, tokens: np.ndarray) -> NoteColumns:
        """Music on the scheme's own grid; what would begin before it begins with it.

        Raises:
            ValueError: MidiTok fails on these tokens.
        """
        tokens = np.asarray(tokens)
        first = tokens if self.width == 1 else tokens.reshape(-1, self.width)[:, 0]
        ids = self._decodable(tokens[first > EOS_ID].tolist())
        if not ids:
            return _music([], [], [], [], self.miditok.time_division, parts=self.reads_parts)
        try:
            score = self.miditok.decode(ids if self.miditok.one_token_stream else [ids])
        except Exception as error:  # MidiTok raises what it likes
            raise ValueError(f"tokenizer miditok: {self.options['scheme']} cannot decode {ids}: {error!r}") from None
        # BEAT places notes without a bar or a beat before the beginning, and what stands there kills it in encoding.
        notes = [
            (max(n.time, 0), n.pitch, min(n.duration, n.end), n.velocity, k, track.program)
            for k, track in enumerate(track for track in score.tracks if not track.is_drum)
            for n in track.notes
            if n.end > 0 and self.pitch_range[0] <= n.pitch <= self.pitch_range[1]
        ]
        presses = [(p.time, p.time + p.duration) for track in score.tracks for p in track.pedals]
        tempos = [(t.time, t.mspq) for t in score.tempos]
        metres = [(t.time, t.numerator, t.denominator) for t in score.time_signatures]
        return _music(notes, presses, tempos, metres, score.ticks_per_quarter, parts=self.reads_parts)

    def _decodable(self, ids: list) -> list:
        """The tokens without those on which MidiTok fails."""
        scheme = self.options["scheme"]
        if scheme == "CPWord" and self.miditok.config.use_time_signatures:
            metre = self.miditok.vocab_types_idx["TimeSig"]
            bar, no_metre = self.vocabs[1].index("Bar_None"), self.vocabs[metre].index("Ignore_None")
            return [row for row in ids if row[1] != bar or row[metre] > no_metre]
        if scheme == "Octuple":
            return [row for row in ids if min(row) > EOS_ID]
        if scheme == "MuMIDI":
            is_note = [token.startswith("Pitch") for token in self.vocabs[0]]
            program = self.vocabs[0].index("Program_0")
            rows = [row for row in ids if not is_note[row[0]] or min(row[-2:]) > EOS_ID]
            rows = [row[: 1 + max(k for k, part in enumerate(row) if part)] for row in rows]
            # Notes that no program stands before are the piano's.
            return [[program, *rows[0][1 : self.width - 2]], *rows] if rows else []
        return ids


def _music(
    notes: list, presses: list, tempos: list, metres: list, ticks_per_quarter: int, *, parts: bool
) -> NoteColumns:
    onset, pitch, duration, velocity, track, program = np.array(notes, np.int64).reshape(-1, 6).T
    press_tick = np.array(presses, np.int32).reshape(-1, 2)
    if parts:
        press_tick = united(press_tick)
    return NoteColumns(
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        onset_tick=onset.astype(np.int32),
        duration_tick=duration.astype(np.int32),
        ticks_per_quarter=ticks_per_quarter,
        press_tick=press_tick,
        tempos=np.array(tempos, np.int32).reshape(-1, 2),
        metres=np.array(metres, np.int32).reshape(-1, 3),
        track=track.astype(np.int16) if parts else no_tracks(),
        program=program.astype(np.uint8) if parts else no_programs(),
    ).sorted()


def _make(scheme: str, config: Mapping[str, Any]) -> Any:
    import miditok

    options: dict[str, Any] = {
        "special_tokens": ["PAD", "BOS", "EOS"],
        "use_pitchdrum_tokens": False,
        **DEFAULTS.get(scheme, {}),
        **config,
    }
    for name in _BY_BEATS:
        if name in options:
            options[name] = {tuple(map(int, beats.split("-"))): steps for beats, steps in options[name].items()}
    if "time_signature_range" in options:
        options["time_signature_range"] = {int(key): row for key, row in options["time_signature_range"].items()}
    if "chord_maps" in options:
        # MidiTok compares tuples with these.
        options["chord_maps"] = {name: tuple(row) for name, row in options["chord_maps"].items()}
    try:
        return getattr(miditok, scheme)(miditok.TokenizerConfig(**options))
    except Exception as error:  # MidiTok raises what it likes
        raise _wrong(f"{scheme} refuses {dict(config)}: {error!r}") from None


_BY_BEATS = ("beat_res", "beat_res_rest")
"""Options whose keys are two numbers of beats."""
_FORMS = {
    **dict.fromkeys(_BY_BEATS, "{'0-4': 8, '4-12': 4}"),
    "time_signature_range": "{8: [3, 6], 4: [3, 4]}",
    "chord_maps": "{'min': [0, 3, 7], 'maj': [0, 4, 7]}",
}
"""Options that are mappings, and what they look like."""


def _as_json(scheme: str, config: Any) -> dict[str, Any]:
    """The options as JSON holds them, by which the same scheme is made again."""
    import miditok

    if not isinstance(config, Mapping):
        raise _wrong(f"config must have options of TokenizerConfig by name, found {config!r}")
    known = [*inspect.signature(miditok.TokenizerConfig).parameters, *ADDITIONAL.get(scheme, ())]
    known.remove("kwargs")
    for name in config:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _wrong(f"{scheme} has no option {name!r} in its config{hint}")
    try:
        return json.loads(json.dumps({name: _told(name, value) for name, value in config.items()}))
    except (ValueError, TypeError) as error:
        raise _wrong(f"config must be what JSON can hold: {error}") from None


def _told(name: str, value: Any) -> Any:
    """An option's value with the keys that JSON can hold."""
    if name not in _FORMS:
        return value
    try:
        if name in _BY_BEATS:
            return {"{}-{}".format(*map(int, _two(beats))): int(steps) for beats, steps in dict(value).items()}
        if name == "chord_maps":
            return {str(chord): list(map(int, row)) for chord, row in dict(value).items()}
        # Of MidiTok a tuple is a range, a list the numerators themselves.
        return {
            str(int(denominator)): list(range(row[0], row[1] + 1)) if isinstance(row, tuple) else list(map(int, row))
            for denominator, row in dict(value).items()
        }
    except (ValueError, TypeError, IndexError):
        raise _wrong(f"{name} must be like {_FORMS[name]}, found {value!r}") from None


def _two(beats: Any) -> tuple[Any, Any]:
    """The first and the end of what is a pair, or text as `0-4`."""
    first, end = beats if isinstance(beats, tuple) else str(beats).split("-")
    return first, end


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"tokenizer miditok: {what}")


def score_of(notes: NoteColumns, *, parts: bool = False) -> Any:
    """The music as symusic has it, notes in the order of the columns.

    Args:
        notes: of any parts.
        parts: a track for each track and program, in their order; otherwise, and where columns tell none, one of piano.
            The first has the pedal.
    """
    from symusic import Note, Pedal, Score, Tempo, TimeSignature, Track

    score: Any = Score(notes.ticks_per_quarter)
    for program, rows in _tracks_of(notes) if parts and len(notes.track) else [(0, np.arange(len(notes)))]:
        track: Any = Track(program=program, is_drum=False)
        track.notes = Note.from_numpy(
            time=notes.onset_tick[rows].astype(np.int32),
            duration=notes.duration_tick[rows].astype(np.int32),
            pitch=notes.pitch[rows].astype(np.int8),
            velocity=notes.velocity[rows].astype(np.int8),
            ttype="tick",
        )
        score.tracks.append(track)
    for down, up in notes.press_tick.tolist():
        score.tracks[0].pedals.append(Pedal(down, up - down))
    for tick, usec in notes.tempos.tolist():
        score.tempos.append(Tempo(tick, mspq=usec))
    for row in notes.metres.tolist():
        score.time_signatures.append(TimeSignature(*row))
    return score


def _tracks_of(notes: NoteColumns) -> list[tuple[int, np.ndarray]]:
    """Program and notes of each track and program."""
    found = sorted(set(zip(notes.track.tolist(), notes.program.tolist(), strict=True)))
    return [(program, np.flatnonzero((notes.track == track) & (notes.program == program))) for track, program in found]
