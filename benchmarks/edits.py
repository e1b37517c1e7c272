"""Edits of a piece of music: what people do to MIDI files, as seeded functions, and what should be said of each.

An edit is made of the notes (pitch, onset, offset, velocity; drums left out, all tracks as one piano's), or of
the file's bytes where it is one of files alone. The same source, edit and seed give the same bytes. `EDITS` names
every edit with the relations that are right for it; edits with none must not be found.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import mido
import numpy as np
from numpy.random import Generator

from benchmarks.note_edits import (
    Notes,
    cut,
    excerpt,
    excerpt_start,
    followed_by,
    jittered,
    mirrored,
    pedalled,
    quantised,
    render,
    reversed_in_time,
    stretched,
    transposed,
    with_hands_swapped,
    with_notes_added,
    with_notes_dropped,
    with_octaves,
    with_ornaments,
    with_other_tempos,
    with_other_velocities,
    with_repeats_held,
    with_shuffled_pitches,
    with_silence,
)

NEARLY_ALL = 0.8
"""A cut that keeps more of the piece than this may be called an edited copy as well."""

WHOLE = frozenset({"same_bytes", "same_notes", "edited_copy"})
PART = frozenset({"excerpt"})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Source:
    """What an edit is made of."""

    data: bytes
    """The MIDI file."""
    notes: Notes
    other: Notes | None
    """Unrelated music, for edits that put two pieces together; None where there is none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Edited:
    """An edited file, and what is true of it beside its source."""

    data: bytes
    semitones: frozenset[int] = frozenset({0})
    """Transpositions that are right (several where octaves are doubled); none: there is no right one."""
    is_mirrored: bool = False
    tempo_ratio: float | None = 1.0
    """Seconds of the edited file per second of the source; None: not one number."""
    has_other: bool = False
    """Whether the other piece is in it as well."""
    kept: float = 1.0
    """Share of the source's time, or of the edited file's where that is longer, that the two have in common."""


@dataclass(frozen=True)
class Edit:
    """One edit by name."""

    name: str
    relations: frozenset[str]
    """Right ones; none: the edited file is other music."""
    make: Callable[[Source, Generator], Edited | None] = field(repr=False)

    def apply(self, source: Source, seed: str) -> Edited | None:
        """The edited file; None where the edit does not fit the source, e.g. an excerpt longer than the piece."""
        return self.make(source, np.random.default_rng(zlib.crc32(f"{seed} {self.name}".encode())))

    def relations_of(self, edited: Edited) -> frozenset[str]:
        """Relations that are right for one edited file."""
        return self.relations | WHOLE if self.relations == PART and edited.kept > NEARLY_ALL else self.relations


def resaved(data: bytes) -> bytes:
    """Read and written by mido."""
    midi = _opened(data)
    return _saved(midi.type, midi.ticks_per_beat, midi.tracks)


def with_other_format(data: bytes) -> bytes:
    """Format 1 with its tracks merged into format 0; format 0 with a track for each channel."""
    midi = _opened(data)
    if midi.type != 0:
        return _saved(0, midi.ticks_per_beat, [mido.merge_tracks(midi.tracks)])
    channels: dict[int, list[tuple[int, Any]]] = {-1: []}
    tick = 0
    for message in midi.tracks[0]:
        tick += message.time
        if message.type != "end_of_track":
            channels.setdefault(getattr(message, "channel", -1), []).append((tick, message))
    return _saved(1, midi.ticks_per_beat, [_track(events) for _, events in sorted(channels.items())])


def with_other_division(data: bytes, ticks_per_quarter: int) -> bytes:
    """Every tick scaled and rounded."""
    midi = _opened(data)
    scale = ticks_per_quarter / midi.ticks_per_beat
    tracks = []
    for track in midi.tracks:
        ticks = np.rint(np.cumsum([message.time for message in track]) * scale).astype(int)
        tracks.append(_track(list(zip(ticks.tolist(), track, strict=True))))
    return _saved(midi.type, ticks_per_quarter, tracks)


@lru_cache(maxsize=1)
def _opened(data: bytes) -> mido.MidiFile:
    """The file, not to be changed: mido takes its time, and several edits are made of one file."""
    return mido.MidiFile(file=io.BytesIO(data), clip=True)


def _saved(midi_format: int, ticks_per_quarter: int, tracks: list[mido.MidiTrack]) -> bytes:
    out = io.BytesIO()
    mido.MidiFile(type=midi_format, ticks_per_beat=ticks_per_quarter, tracks=tracks).save(file=out)
    return out.getvalue()


def _track(events: list[tuple[int, Any]]) -> mido.MidiTrack:
    """A track of events with their ticks, which ascend."""
    before = 0
    track = mido.MidiTrack()
    for tick, message in events:
        track.append(message.copy(time=tick - before))
        before = tick
    return track


def _file(name: str, change: Callable[[bytes], bytes]) -> Edit:
    def make(source: Source, rng: Generator) -> Edited | None:
        try:
            return Edited(data=change(source.data))
        except (OSError, EOFError, ValueError, LookupError, TypeError, mido.KeySignatureError):
            return None  # mido cannot read every file that pianogen can

    return Edit(name, WHOLE, make)


def _notes(
    name: str,
    change: Callable[[Notes, Generator], Notes],
    relations: frozenset[str] = WHOLE,
    *,
    semitones: tuple[int, ...] = (0,),
    tempo_ratio: float | None = 1.0,
) -> Edit:
    def make(source: Source, rng: Generator) -> Edited:
        edited = render(change(source.notes, rng))
        return Edited(data=edited, semitones=frozenset(semitones), tempo_ratio=tempo_ratio)

    return Edit(name, relations, make)


def _transpose(source: Source, rng: Generator) -> Edited:
    semitones = _few_semitones(rng)
    return Edited(data=render(transposed(source.notes, semitones)), semitones=frozenset({semitones}))


def _few_semitones(rng: Generator) -> int:
    return int(rng.choice([-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6]))


def _mirror(source: Source, rng: Generator) -> Edited:
    total = int(source.notes.pitch.min() + source.notes.pitch.max())
    return Edited(data=render(mirrored(source.notes)), semitones=frozenset({total}), is_mirrored=True)


def _share(name: str, first: float, end: float) -> Edit:
    def make(source: Source, rng: Generator) -> Edited | None:
        part = cut(source.notes, first, end)
        return Edited(data=render(part), kept=end - first) if len(part) else None

    return Edit(name, PART, make)


def _excerpt(length_sec: float) -> Edit:
    def make(source: Source, rng: Generator) -> Edited | None:
        start = excerpt_start(source.notes, length_sec, rng)
        if start is None:
            return None
        kept = length_sec / source.notes.span_sec
        return Edited(data=render(excerpt(source.notes, start, start + length_sec)), kept=kept)

    return Edit(f"excerpt of {length_sec:g} s", PART, make)


def _concatenate(source: Source, rng: Generator) -> Edited | None:
    if source.other is None:
        return None
    whole = followed_by(source.notes, source.other)
    return Edited(data=render(whole), has_other=True, kept=source.notes.span_sec / whole.span_sec)


def _transpose_stretch_jitter_drop(source: Source, rng: Generator) -> Edited:
    semitones = _few_semitones(rng)
    notes = jittered(stretched(transposed(source.notes, semitones), 1 / 1.2), 0.03, rng)
    edited = render(with_notes_dropped(notes, 0.1, rng))
    return Edited(data=edited, semitones=frozenset({semitones}), tempo_ratio=1 / 1.2)


def _quantise_double_cut(source: Source, rng: Generator) -> Edited | None:
    start = excerpt_start(source.notes, 30, rng)
    if start is None:
        return None
    notes = with_octaves(quantised(excerpt(source.notes, start, start + 30)), 0.3, 12, rng)
    return Edited(data=render(notes), kept=30 / source.notes.span_sec)


def _transpose_cut_add(source: Source, rng: Generator) -> Edited | None:
    semitones = _few_semitones(rng)
    half = cut(transposed(source.notes, semitones), 0, 1 / 2)
    if not len(half):
        return None
    edited = render(with_notes_added(half, 0.1, rng))
    return Edited(data=edited, semitones=frozenset({semitones}), kept=0.5)


EDITS: tuple[Edit, ...] = (
    _file("saved again by mido", resaved),
    _file("format 0 for 1, 1 for 0", with_other_format),
    *(_file(f"{ppq} ticks a quarter", lambda data, ppq=ppq: with_other_division(data, ppq)) for ppq in (96, 220, 960)),
    _notes("tempo map baked into ticks", lambda notes, rng: notes),
    _notes("tempo map edited, x0.7-1.4", with_other_tempos, tempo_ratio=None),
    Edit("transposed -6 to +6", WHOLE, _transpose),
    _notes("transposed +12", lambda notes, rng: transposed(notes, 12), semitones=(12,)),
    _notes("transposed -12", lambda notes, rng: transposed(notes, -12), semitones=(-12,)),
    *(
        _notes(f"tempo x{x:g}", lambda notes, rng, x=x: stretched(notes, 1 / x), tempo_ratio=1 / x)
        for x in (0.5, 0.7, 1.4, 2)
    ),
    *(_notes(f"jitter {ms} ms", lambda notes, rng, ms=ms: jittered(notes, ms / 1000, rng)) for ms in (10, 30, 50)),
    _notes("quantised to 125 ms", lambda notes, rng: quantised(notes)),
    _notes("repeats held", lambda notes, rng: with_repeats_held(notes)),
    *(
        _notes(f"{percent} % of notes dropped", lambda notes, rng, p=percent: with_notes_dropped(notes, p / 100, rng))
        for percent in (5, 10, 20)
    ),
    *(
        _notes(f"{percent} % of notes added", lambda notes, rng, p=percent: with_notes_added(notes, p / 100, rng))
        for percent in (5, 10, 20)
    ),
    _notes("other velocities", with_other_velocities),
    _notes("note-offs pedalled", pedalled),
    _notes("5 s of silence before", lambda notes, rng: with_silence(notes, 0.0)),
    _notes(
        "5 s of silence in the middle", lambda notes, rng: with_silence(notes, notes.start_sec + notes.span_sec / 2)
    ),
    _share("first half", 0, 1 / 2),
    _share("middle third", 1 / 3, 2 / 3),
    *(_excerpt(length_sec) for length_sec in (15, 30, 60)),
    Edit("followed by another piece", PART, _concatenate),
    _notes("octave above 30 % of notes", lambda notes, rng: with_octaves(notes, 0.3, 12, rng)),
    _notes("octave below 30 % of notes", lambda notes, rng: with_octaves(notes, 0.3, -12, rng)),
    _notes("octave above every note", lambda notes, rng: with_octaves(notes, 1, 12, rng), semitones=(0, 12)),
    _notes("ornaments on 10 % of notes", lambda notes, rng: with_ornaments(notes, 0.1, rng)),
    Edit("mirrored on the keyboard", WHOLE, _mirror),
    _notes("hands swapped", lambda notes, rng: with_hands_swapped(notes), semitones=(-24, 24)),
    Edit("transposed, x1.2, 30 ms, 10 % dropped", WHOLE, _transpose_stretch_jitter_drop),
    Edit("quantised, octaves, 30 s of it", PART, _quantise_double_cut),
    Edit("transposed, first half, 10 % added", PART, _transpose_cut_add),
    _notes("retrograde", lambda notes, rng: reversed_in_time(notes), NOTHING),
    _notes("shuffled pitches", with_shuffled_pitches, NOTHING),
)
