"""REMI, TSD and MIDI-like with MidiTok's options and ids: what the three have in common."""

import itertools
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from pianogen.errors import SettingsError
from pianogen.midi.blocks import MusicBlock, in_its_tempos, steady_music
from pianogen.tokenizers import timeline as kinds
from pianogen.tokenizers.base import SPECIAL_TOKENS, ShiftedTokenizer, TokenBlock
from pianogen.tokenizers.timeline import Timeline
from pianogen.tokenizers.timeline_chords import find_chords
from pianogen.tokenizers.timeline_grid import on_grid
from pianogen.tokenizers.timeline_ids import tell
from pianogen.tokenizers.timeline_notes import decode

DEFAULT_QPM = 120
DEFAULT_METRES = ("3/8", "6/8", "12/8", "1/4", "2/4", "3/4", "4/4", "5/4", "6/4")
_SCHEMES = {"remi": kinds.REMI, "tsd": kinds.TSD, "midi_like": kinds.MIDI_LIKE}
_IN_MIDITOK = {"remi": "REMI", "tsd": "TSD", "midi_like": "MIDILike"}
_KINDS = {
    "Bar": kinds.BAR, "Position": kinds.POSITION, "Pitch": kinds.PITCH, "NoteOn": kinds.NOTE_ON,
    "NoteOff": kinds.NOTE_OFF, "Velocity": kinds.VELOCITY, "Duration": kinds.DURATION, "TimeShift": kinds.SHIFT,
    "Rest": kinds.REST, "Tempo": kinds.TEMPO, "TimeSig": kinds.METRE, "Pedal": kinds.PEDAL, "PedalOff": kinds.PEDAL_OFF,
    "Program": kinds.PROGRAM, "Chord": kinds.CHORD,
}  # fmt: skip
Length = tuple[int, int, int]
"""Beats, positions, and positions in a beat: (1, 2, 4) is one beat and two quarters of one."""
PROGRAMS = (*range(128), -1)
"""The last are drums, whose ids are MidiTok's and stand for nothing here."""
CHORDS = {
    "min": (3, 7), "maj": (4, 7), "dim": (3, 6), "aug": (4, 8), "sus2": (2, 7), "sus4": (5, 7),
    "7dom": (4, 7, 10), "7min": (3, 7, 10), "7maj": (4, 7, 11), "7halfdim": (3, 6, 10), "7dim": (3, 6, 9),
    "7aug": (4, 8, 11), "9maj": (4, 7, 10, 14), "9min": (4, 7, 10, 13),
}  # fmt: skip
"""Semitones above the root of the chords that have a name."""
UNKNOWN_CHORDS = (3, 4, 5)
"""How many notes a chord without a name has."""
MOST_TEMPOS = 21_001
"""All from 40 to 250 quarters a minute, which are told in hundredths."""
ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, kw_only=True)
class TimelineOptions:
    """The options of MidiTok that these schemes have, by names of this project."""

    lowest_pitch: int = 21
    highest_pitch: int = 108
    num_velocities: int = 32
    """0: velocities are not told."""
    positions_per_quarter: int = 8
    """For durations up to 4 beats; longer ones have half as many steps, up to 12 beats."""
    rests: bool = False
    """Silence by tokens of its own; up to a beat all positions, then half and a quarter as many."""
    tempos: bool = False
    num_tempos: int = 32
    """From 40 to 250 quarters a minute."""
    metres: bool = False
    """Time signatures; without them every bar has four quarters."""
    known_metres: tuple[str, ...] = DEFAULT_METRES
    """Others are passed over."""
    pedal: bool = False
    programs: bool = False
    """The instrument before each note; drums are left out all the same."""
    program_changes: bool = False
    """Only where it changes."""
    chords: bool = False
    """The name of a chord before its notes."""
    chord_roots: bool = False
    """With the pitch class of its root; tokens are then not transposed without encoding again."""
    unknown_chords: bool = False
    """Those without a name, too, by the number of their notes."""
    without_repeats: bool = False
    """Of notes of one pitch and onset on the grid keep the shortest alone."""

    def __post_init__(self) -> None:
        """Refuse what no scheme can do."""
        for name, value in asdict(self).items():
            default = type(self).__dataclass_fields__[name].default
            if name != "known_metres" and type(value) is not type(default):
                wanted = "true or false" if isinstance(default, bool) else "a whole number"
                raise SettingsError(f"{name} must be {wanted}, found {value!r}")
        if not 0 <= self.lowest_pitch <= self.highest_pitch <= 127:
            raise SettingsError(f"pitches must lie in 0-127, found {(self.lowest_pitch, self.highest_pitch)}")
        if not 0 <= self.num_velocities <= 127:
            raise SettingsError(f"num_velocities must be 0 to 127, found {self.num_velocities}")
        if not 2 <= self.positions_per_quarter <= 480:
            raise SettingsError(f"positions_per_quarter must be 2 to 480, found {self.positions_per_quarter}")
        if self.rests and self.positions_per_quarter % 4:
            raise SettingsError(
                f"rests need positions_per_quarter to be a multiple of 4, found {self.positions_per_quarter}"
            )
        if not 2 <= self.num_tempos <= MOST_TEMPOS:
            raise SettingsError(f"num_tempos must be 2 to {MOST_TEMPOS}, found {self.num_tempos}")
        needs = {"program_changes": "programs", "chord_roots": "chords", "unknown_chords": "chords"}
        for option, needed in needs.items():
            if getattr(self, option) and not getattr(self, needed):
                raise SettingsError(f"{option} needs {needed}")
        self._check_metres()

    def _check_metres(self) -> None:
        if not isinstance(self.known_metres, list | tuple):
            raise SettingsError(f"known_metres must be a list of metres such as 3/4, found {self.known_metres!r}")
        object.__setattr__(self, "known_metres", tuple(self.known_metres))
        parsed = [_parsed(metre) for metre in self.known_metres]
        for k, metre in enumerate(parsed):
            if metre in parsed[:k]:
                raise SettingsError(f"known_metres names {self.known_metres[k]} twice")
        if not self.metres:
            return
        if (4, 4) not in parsed:
            raise SettingsError("known_metres must hold 4/4, which is assumed where none is stated")
        # Music of this metre alone has positions_per_quarter ticks in a beat of several quarters, whole ones in each.
        longest = min(parsed, key=lambda metre: metre[1])
        quarters = 4 // min(longest[1], 4)
        if self.positions_per_quarter % quarters:
            raise SettingsError(
                f"{longest[0]}/{longest[1]} of known_metres needs positions_per_quarter to be a multiple of "
                f"{quarters}, found {self.positions_per_quarter}"
            )

    @property
    def beat_res(self) -> dict[tuple[int, int], int]:
        """Positions in a beat of durations, by beats."""
        return {(0, 4): self.positions_per_quarter, (4, 12): self.positions_per_quarter // 2}

    @property
    def beat_res_rest(self) -> dict[tuple[int, int], int]:
        """Positions in a beat of rests, by beats."""
        steps = self.positions_per_quarter
        return {(0, 1): steps, (1, 2): steps // 2, (2, 12): steps // 4}

    @property
    def metre_range(self) -> dict[int, list[int]]:
        """Numerators by denominator, in the order in which they were named."""
        found: dict[int, list[int]] = {}
        for numerator, denominator in map(_parsed, self.known_metres):
            found.setdefault(denominator, []).append(numerator)
        return found

    @property
    def in_miditok(self) -> dict[str, Any]:
        """The same in the words of `miditok.TokenizerConfig`, which is the `config` of the scheme `miditok`."""
        return {
            "pitch_range": [self.lowest_pitch, self.highest_pitch],
            "use_velocities": bool(self.num_velocities),
            "num_velocities": self.num_velocities or 1,
            "beat_res": {f"{a}-{b}": steps for (a, b), steps in self.beat_res.items()},
            "use_rests": self.rests,
            "beat_res_rest": {f"{a}-{b}": steps for (a, b), steps in self.beat_res_rest.items()},
            "use_tempos": self.tempos,
            "num_tempos": self.num_tempos,
            "tempo_range": [40, 250],
            "use_time_signatures": self.metres,
            "time_signature_range": {str(denominator): row for denominator, row in self.metre_range.items()},
            "use_sustain_pedals": self.pedal,
            "use_programs": self.programs,
            "program_changes": self.program_changes,
            "use_chords": self.chords,
            "chord_tokens_with_root_note": self.chord_roots,
            "chord_unknown": [UNKNOWN_CHORDS[0], UNKNOWN_CHORDS[-1] + 1] if self.unknown_chords else None,
            "use_pitchdrum_tokens": False,
            "remove_duplicated_notes": self.without_repeats,
        }


class TimelineTokenizer(ShiftedTokenizer):
    """One of the three schemes; its ids are those that MidiTok gives to the same notes."""

    code = tuple(f"pianogen.tokenizers.timeline{part}" for part in ("", "_grid", "_chords", "_ids", "_notes"))

    def __init__(self, **options: Any) -> None:
        names = [field.name for field in fields(TimelineOptions)]
        for option in options:
            if option not in names:
                raise SettingsError(
                    f"tokenizer {self.name}: there is no option {option!r}; options: {', '.join(names)}"
                )
        try:
            self.config = TimelineOptions(**options)
        except SettingsError as error:
            raise SettingsError(f"tokenizer {self.name}: {error}") from None
        self.options = {**asdict(self.config), "known_metres": list(self.config.known_metres)}
        self.pitch_range = (self.config.lowest_pitch, self.config.highest_pitch)
        self.vocab = _vocab(self.name, self.config)
        said = {"velocity": self.config.num_velocities, "pedal": self.config.pedal, "tempo": self.config.tempos}
        said |= {"metre": self.config.metres, "program": self.config.programs}
        self.carries = frozenset({"pitch", "onset", "duration", *(name for name, is_said in said.items() if is_said)})
        self.reads_parts = self.config.programs
        self.is_shifted = not self.config.chord_roots
        self._line = _timeline(self.name, self.config, self.vocab)
        is_pitch = np.isin(self._line.kind, (kinds.PITCH, kinds.NOTE_ON, kinds.NOTE_OFF))
        self.pitch_of_id = np.where(is_pitch, self._line.value, -1)

    @property
    def in_miditok(self) -> str:
        """MidiTok's name of the scheme."""
        return _IN_MIDITOK[self.name]

    def encode_block(self, music: MusicBlock) -> TokenBlock:
        """Ids of each performance; notes out of the pitch range are left out."""
        grid = on_grid(
            self._line, music.ticks_per_quarter, music.note_edges, music.pitch, music.velocity, music.onset_tick,
            music.duration_tick, music.press_edges, music.press_tick, music.tempo_edges, music.tempos,
            music.metre_edges, music.metres, music.track, music.program,
        )  # fmt: skip
        chord = find_chords(self._line, grid) if self.config.chords else np.empty(0, np.int32)
        return TokenBlock(*tell(self._line, grid, chord, np.empty(0, self.dtype)))

    def decode_block(self, tokens: TokenBlock) -> MusicBlock:
        """Music on the scheme's own grid."""
        found = decode(self._line, np.asarray(tokens.values, np.int32), tokens.edges)
        num = found.note_edges[-1]
        music = steady_music(
            int(self._line.beat_of_denominator[4]),
            found.note_edges,
            pitch=found.pitch[:num],
            velocity=found.velocity[:num],
            onset_tick=found.onset[:num],
            duration_tick=found.length[:num],
            presses=(found.press_edges, found.presses[: found.press_edges[-1]]),
            track=found.track[:num],
            program=found.program[:num],
        )
        music = replace(
            music,
            tempo_edges=found.tempo_edges,
            tempos=found.tempos[: found.tempo_edges[-1]],
            metre_edges=found.metre_edges,
            metres=found.metres[: found.metre_edges[-1]],
        )
        return in_its_tempos(music) if len(music.tempos) else music

    def bar_starts(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens of bars; where the scheme has none, what follows a shift into a bar, or tells a metre.

        Bars are those of the metres that tokens tell, and of 4/4 before any.
        """
        told = super().bar_starts(tokens)
        if told is not None:
            return told
        beats, beats_of_bar = self._beats
        is_metre = beats_of_bar[tokens] > 0
        metres = np.flatnonzero(is_metre)
        found = [metres]
        edges = [0, *metres.tolist(), len(tokens)]
        for begin, end in itertools.pairwise(edges):
            length = beats_of_bar[tokens[begin]] if begin in edges[1:-1] else 4
            # A little more, since thirds of a beat do not add up to one.
            bar = np.floor(np.cumsum(beats[tokens[begin:end]]) / length + 1e-6)
            found.append(begin + 1 + np.flatnonzero(np.diff(bar, prepend=0.0) > 0))
        starts = np.unique(np.concatenate(found))
        return starts[starts < len(tokens)]

    @cached_property
    def _beats(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each id the beats that it lasts where it is a shift or a rest, and of a bar where it is a metre."""
        beats, bars = np.zeros(len(self.vocab)), np.zeros(len(self.vocab), np.int64)
        for i, token in enumerate(self.vocab):
            kind, _, value = token.partition("_")
            if kind in ("TimeShift", "Rest"):
                whole, part, parts = map(int, value.split("."))
                beats[i] = whole + part / parts
            elif kind == "TimeSig":
                bars[i] = int(value.partition("/")[0])
        return beats, bars


# The vocabulary, in the order of MidiTok's


def _vocab(scheme: str, options: TimelineOptions) -> tuple[str, ...]:
    pitches = range(options.lowest_pitch, options.highest_pitch + 1)
    lengths = [f"{a}.{b}.{c}" for a, b, c in _lengths(options.beat_res)]
    vocab = [*SPECIAL_TOKENS]
    if scheme == "remi":
        vocab.append("Bar_None")
    if scheme == "midi_like":
        vocab += [*(f"NoteOn_{pitch}" for pitch in pitches), *(f"NoteOff_{pitch}" for pitch in pitches)]
    else:
        vocab += [f"Pitch_{pitch}" for pitch in pitches]
    vocab += [f"Velocity_{velocity}" for velocity in _velocities(options)]
    if scheme != "midi_like":
        vocab += [f"Duration_{length}" for length in lengths]
    if scheme == "remi":
        vocab += [f"Position_{position}" for position in range(_num_positions(options))]
    else:
        vocab += [f"TimeShift_{length}" for length in lengths]
    if options.chords:
        vocab += _chords(options)
    if options.rests:
        vocab += [f"Rest_{a}.{b}.{c}" for a, b, c in _lengths(options.beat_res_rest)]
    if options.tempos:
        vocab += [f"Tempo_{tempo}" for tempo in _tempos(options).tolist()]
    if options.programs:
        vocab += [f"Program_{program}" for program in PROGRAMS]
    if options.metres:
        vocab += [
            f"TimeSig_{numerator}/{denominator}"
            for denominator, numerators in options.metre_range.items()
            for numerator in numerators
        ]
    if options.pedal:
        vocab += [f"{kind}_{program}" for kind in ("Pedal", "PedalOff") for program in _programs_of_pedal(options)]
    return tuple(vocab)


def _chords(options: TimelineOptions) -> list[str]:
    """Of each chord one, or one for each root, then those without names."""
    roots = [f"{root}:" for root in ROOTS] if options.chord_roots else [""]
    names = [f"Chord_{root}{chord}" for chord in CHORDS for root in roots]
    if options.unknown_chords:
        prefix = "ukn" if options.chord_roots else ""
        names += [f"Chord_{root}{prefix}{num}" for num in UNKNOWN_CHORDS for root in roots]
    return names


def _programs_of_pedal(options: TimelineOptions) -> tuple[int, ...]:
    return PROGRAMS if options.programs else (0,)


def _velocities(options: TimelineOptions) -> list[int]:
    if not options.num_velocities:
        return []
    return np.linspace(0, 127, options.num_velocities + 1, dtype=np.intc)[1:].tolist()


def _num_positions(options: TimelineOptions) -> int:
    metres = [_parsed(metre) for metre in options.known_metres] if options.metres else [(4, 4)]
    return options.positions_per_quarter * max(numerator for numerator, _ in metres)


def _tempos(options: TimelineOptions) -> np.ndarray:
    return np.linspace(40, 250, options.num_tempos).round(2)


def _lengths(beat_res: dict[tuple[int, int], int]) -> list[Length]:
    """Every length from the shortest to the longest that has a token."""
    found = [
        (beat, place, steps) for (a, b), steps in beat_res.items() for beat in range(a, b) for place in range(steps)
    ]
    last = max(beat_res)
    return [*found[1:], (last[1], 0, beat_res[last])]


def _parsed(metre: str) -> tuple[int, int]:
    try:
        numerator, denominator = map(int, metre.split("/"))
    except (ValueError, AttributeError):
        raise SettingsError(f"a metre such as 3/4 expected in known_metres, found {metre!r}") from None
    if not 1 <= numerator <= 255 or denominator not in (1, 2, 4, 8, 16, 32, 64):
        raise SettingsError(f"known_metres: {metre}: 1 to 255 over a power of two up to 64 expected")
    return numerator, denominator


# Tables for the compiled passes


def _timeline(scheme: str, options: TimelineOptions, vocab: tuple[str, ...]) -> Timeline:
    place = {token: i for i, token in enumerate(vocab)}
    steps = options.positions_per_quarter
    metres = [_parsed(metre) for metre in options.known_metres] if options.metres else [(4, 4)]
    denominators = sorted({denominator for _, denominator in metres})
    beats = sorted({steps * high // low for high in denominators for low in denominators if high >= low})
    row_of_beat = np.full(max(beats) + 1, -1, np.int32)
    row_of_beat[beats] = np.arange(len(beats))
    lengths, rests = _lengths(options.beat_res), _lengths(options.beat_res_rest) if options.rests else [(1, 0, 1)]
    length_tick, rest_tick = _in_ticks(lengths, beats), _in_ticks(rests, beats)
    duration = "Duration" if scheme != "midi_like" else "TimeShift"
    duration_ids = [place[f"{duration}_{a}.{b}.{c}"] for a, b, c in lengths]
    shift_ids = [place.get(f"TimeShift_{a}.{b}.{c}", -1) for a, b, c in lengths]
    rest_ids = [place.get(f"Rest_{a}.{b}.{c}", -1) for a, b, c in rests]
    nearest = [_nearest(row) for row in length_tick]
    kind = np.array([_KINDS.get(token.partition("_")[0], 0) for token in vocab], np.int32)
    # From the fastest, so that microseconds ascend.
    tempos = _tempos(options)[::-1]
    on, off = ("NoteOn", "NoteOff") if scheme == "midi_like" else ("Pitch", "")
    metre_id = np.full((256, 65), -1, np.int32)
    for numerator, denominator in metres:
        metre_id[numerator, denominator] = place.get(f"TimeSig_{numerator}/{denominator}", -1)
    beat_of_denominator = np.zeros(65, np.int32)
    for denominator in denominators:
        beat_of_denominator[denominator] = steps * max(denominators) // denominator
    velocities = np.array(_velocities(options) or [0])
    pedal_programs = [program if options.programs else 0 for program in range(128)]
    steps_of_time = _most_steps(length_tick) + (_most_steps(rest_tick) if options.rests else 0)
    chord_id, unknown_chord_id = _chord_tables(options, place)
    nearest_velocity = velocities[np.searchsorted(_borders(velocities), np.arange(128), side="right")].tolist()
    return Timeline(
        scheme=_SCHEMES[scheme],
        positions=steps,
        with_metres=options.metres,
        with_tempos=options.tempos,
        with_pedal=options.pedal,
        with_rests=options.rests,
        with_programs=options.programs,
        program_changes=options.program_changes,
        with_chords=options.chords,
        without_repeats=options.without_repeats,
        row_of_beat=row_of_beat,
        pitch_id=np.array([place.get(f"{on}_{pitch}", -1) for pitch in range(128)], np.int32),
        off_id=np.array([place.get(f"{off}_{pitch}", -1) for pitch in range(128)], np.int32),
        program_id=np.array([place.get(f"Program_{program}", -1) for program in range(128)], np.int32),
        chord_id=chord_id,
        unknown_chord_id=unknown_chord_id,
        chord_roots=int(options.chord_roots),
        velocity_id=np.array([place.get(f"Velocity_{velocity}", -1) for velocity in nearest_velocity], np.int32),
        duration_id=_looked_up(nearest, length_tick, duration_ids),
        duration_tick=_looked_up(nearest, length_tick, None),
        shift_id=_looked_up([_longest(row) for row in length_tick], length_tick, shift_ids),
        shift_tick=_looked_up([_longest(row) for row in length_tick], length_tick, None),
        rest_id=_looked_up([_longest(row) for row in rest_tick], rest_tick, rest_ids),
        rest_tick=_looked_up([_longest(row) for row in rest_tick], rest_tick, None),
        most_steps=steps_of_time,
        tempo_border_usec=_borders(60e6 / tempos),
        tempo_id=np.array([place.get(f"Tempo_{tempo}", -1) for tempo in tempos.tolist()], np.int32),
        default_tempo_id=place.get(f"Tempo_{_default_tempo(options)}", -1),
        metre_id=metre_id,
        bar_id=place.get("Bar_None", -1),
        first_position_id=place.get("Position_0", -1),
        num_positions=_num_positions(options),
        pedal_id=np.array([place.get(f"Pedal_{program}", -1) for program in pedal_programs], np.int32),
        pedal_off_id=np.array([place.get(f"PedalOff_{program}", -1) for program in pedal_programs], np.int32),
        kind=kind,
        value=np.array([_value(token, lengths, rests) for token in vocab], np.int64),
        length_tick=length_tick,
        rest_length_tick=rest_tick,
        beat_of_denominator=beat_of_denominator,
    )


def _in_ticks(lengths: list[Length], beats: list[int]) -> np.ndarray:
    """Shape (num_rows, num_lengths)."""
    return np.array([[(a * c + b) * beat // c for a, b, c in lengths] for beat in beats], np.int64)


def _borders(values: np.ndarray) -> np.ndarray:
    """Half way from each of ascending values to the next: what lies there is nearest to the greater."""
    return (values[:-1] + values[1:]) / 2


def _nearest(ticks: np.ndarray) -> list[int]:
    """Of each number of ticks up to the longest the place of the nearest length; of equal ones the last."""
    nearest = ticks[np.searchsorted(_borders(ticks), np.arange(ticks[-1] + 1), side="right")]
    return (np.searchsorted(ticks, nearest, side="right") - 1).tolist()


def _longest(ticks: np.ndarray) -> list[int]:
    """Of each number of ticks up to the longest the place of the longest length that is not longer; -1 below all."""
    return (np.searchsorted(ticks, np.arange(ticks[-1] + 1), side="right") - 1).tolist()


def _looked_up(places: list[list[int]], ticks: np.ndarray, ids: list[int] | None) -> np.ndarray:
    """A table of ids, or of ticks, by row and number of ticks; short rows go on with their last."""
    width = max(map(len, places))
    table = np.zeros((len(places), width), np.int32)
    for r, row in enumerate(places):
        found = [-1 if k < 0 else (ticks[r, k] if ids is None else ids[k]) for k in row]
        table[r] = [*found, *([found[-1]] * (width - len(found)))]
    return table


def _most_steps(length_tick: np.ndarray) -> int:
    """How many of the longest lengths that are not too long any time takes that is shorter than the longest of all."""
    most = 0
    for row in length_tick:
        steps = np.zeros(int(row[-1]) + 1, np.int64)
        for k, place in enumerate(_longest(row)):
            steps[k] = 0 if place < 0 else 1 + steps[k - row[place]]
        most = max(most, int(steps.max()))
    return most


def _chord_tables(options: TimelineOptions, place: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Ids by intervals as bits, and of chords without a name by the number of notes; with roots those of C."""
    root, prefix = ("C:", "C:ukn") if options.chord_roots else ("", "")
    by_intervals, by_number = np.full(2**15, -1, np.int32), np.full(UNKNOWN_CHORDS[-1] + 1, -1, np.int32)
    for name, intervals in CHORDS.items():
        by_intervals[sum(1 << interval for interval in intervals)] = place.get(f"Chord_{root}{name}", -1)
    for num in UNKNOWN_CHORDS:
        by_number[num] = place.get(f"Chord_{prefix}{num}", -1)
    return by_intervals, by_number


def _default_tempo(options: TimelineOptions) -> float:
    tempos = _tempos(options)
    return float(tempos[np.argmin(np.abs(tempos - DEFAULT_QPM))])


def _value(token: str, lengths: list[Length], rests: list[Length]) -> int:
    kind, _, value = token.partition("_")
    if kind in ("Duration", "TimeShift", "Rest"):
        a, b, c = map(int, value.split("."))
        return (rests if kind == "Rest" else lengths).index((a, b, c))
    if kind == "Tempo":
        return round(60e6 / float(value))
    if kind == "TimeSig":
        numerator, denominator = _parsed(value)
        return numerator * 256 + denominator
    return 0 if kind in ("PAD", "BOS", "EOS", "Bar", "Chord") else int(value)
