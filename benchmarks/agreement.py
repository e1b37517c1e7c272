"""Where pianogen's notes and pretty_midi's agree on real files, and the reason wherever they do not.

    python -m benchmarks.agreement                 the files in ../shared/data
    python -m benchmarks.agreement FOLDER          every MIDI file below FOLDER
    python -m benchmarks.agreement --every 7       one file in seven (all take minutes)

Two notes agree when pitch and velocity are equal and onset and offset lie within a millisecond. Where a file's notes do
not agree as they stand, pretty_midi's own rules are applied to ours, the fewest that make all notes agree:

- `zero length`: notes of no length are left out.
- `tempo`: tempo changes count in the first track alone.
- `pairing`: a note-off ends every open note of its channel and pitch that did not begin in the same tick
  (ours ends the oldest); notes of no length are left out.
"""

import argparse
import contextlib
import io
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mido
import numpy as np
import pretty_midi

from pianogen.errors import RejectedFileError
from pianogen.midi.parse import parse_midi
from pianogen.midi.time import tempo_map
from pianogen.reading import MIDI_SUFFIXES

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"

WITHIN_SEC = 1e-3
RULES = (("zero length",), ("tempo",), ("zero length", "tempo"), ("pairing",), ("pairing", "tempo"))


class Agreement(NamedTuple):
    """How the two readings of one file compare."""

    reason: str
    """`agrees`, rules joined by ` + `, `unexplained`, or who refuses it: `only ours`, `only pretty_midi`, `neither`."""
    num_notes: int = 0
    num_other: int = 0
    """Those of ours that pretty_midi has otherwise or not at all."""


def compare(data: bytes) -> Agreement:
    """Our reading of a file beside pretty_midi's."""
    ours = theirs = None
    with contextlib.suppress(RejectedFileError):
        ours = parse_midi(data).notes.select(["pitch", "velocity", "onset_sec", "offset_sec"])
    try:
        midi = mido.MidiFile(file=io.BytesIO(data))
        messages = _absolute(midi)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Tempo, Key or Time signature change events found on non-zero tracks")
            theirs = pretty_midi.PrettyMIDI(mido_object=midi)
    except Exception:
        # mido and pretty_midi raise OSError, ValueError, IndexError, KeyError, EOFError and ZeroDivisionError.
        return Agreement("neither" if ours is None else "only ours", 0 if ours is None else ours.num_rows)
    other = _sorted([(n.pitch, n.velocity, n.start, n.end) for i in theirs.instruments for n in i.notes])
    if ours is None:
        # Only drums, or no note at all, is nothing to pretty_midi's mind.
        return Agreement("only pretty_midi" if any(not i.is_drum for i in theirs.instruments) else "neither")
    found = _sorted(list(zip(*(column.to_pylist() for column in ours.columns), strict=True)))
    if _same(found, other):
        return Agreement("agrees", len(found))
    for rules in RULES:
        if _same(_under(rules, messages, midi.ticks_per_beat), other):
            return Agreement(" + ".join(rules), len(found), _num_missing(found, other))
    return Agreement("unexplained", len(found), _num_missing(found, other))


def compare_files(paths: Sequence[Path]) -> tuple[dict[str, list[Path]], Counter[str], Counter[str]]:
    """Files by the reason of `Agreement`, and for each reason the numbers of notes and of other notes."""
    files: dict[str, list[Path]] = defaultdict(list)
    num_notes: Counter[str] = Counter()
    num_other: Counter[str] = Counter()
    for path in paths:
        agreement = compare(path.read_bytes())
        files[agreement.reason].append(path)
        num_notes[agreement.reason] += agreement.num_notes
        num_other[agreement.reason] += agreement.num_other
    return files, num_notes, num_other


def midi_files(folder: Path) -> list[Path]:
    """Every MIDI file below a folder, by its name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_SUFFIXES)


def _absolute(midi: mido.MidiFile) -> list[list[tuple[int, Any]]]:
    tracks = []
    for track in midi.tracks:
        ticks = np.cumsum([message.time for message in track]).tolist()
        tracks.append(list(zip(ticks, [message.copy() for message in track], strict=True)))
    return tracks


def _under(rules: Sequence[str], tracks: list[list[tuple[int, Any]]], ticks_per_quarter: int) -> np.ndarray:
    """Notes of the messages under some of pretty_midi's rules, the rest ours."""
    notes = []
    for track in tracks:
        sounding: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for tick, message in track:
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                opened = sounding.pop((message.channel, message.note), [])
                if "pairing" in rules:
                    ended = [note for note in opened if note[0] != tick]
                    kept = [note for note in opened if note[0] == tick] if ended else []
                else:
                    ended, kept = opened[:1], opened[1:]
                sounding[message.channel, message.note] = kept
                notes += [(message.note, velocity, onset, tick) for onset, velocity in ended]
    if "zero length" in rules:
        notes = [note for note in notes if note[2] < note[3]]
    changes = [
        (tick, message.tempo)
        for track in (tracks[:1] if "tempo" in rules else tracks)
        for tick, message in track
        if message.type == "set_tempo"
    ]
    ticks, tempos = np.array(changes, np.int64).reshape(-1, 2).T
    table = np.array(notes, np.int64).reshape(-1, 4)
    seconds = tempo_map(ticks, tempos, ticks_per_quarter).seconds(table[:, 2:])
    return _sorted(np.hstack([table[:, :2], seconds]).tolist())


def _sorted(notes: list) -> np.ndarray:
    return np.array(sorted(notes), np.float64).reshape(-1, 4)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(
        (one[:, :2] == other[:, :2]).all() and (np.abs(one[:, 2:] - other[:, 2:]) <= WITHIN_SEC).all()
    )


def _num_missing(one: np.ndarray, other: np.ndarray) -> int:
    """How many notes of one the other lacks, counted in steps of a millisecond."""
    found, others = (Counter(map(tuple, np.rint(notes * [1, 1, 1e3, 1e3]).tolist())) for notes in (one, other))
    return (found - others).total()


def main() -> None:
    parser = argparse.ArgumentParser(description="pianogen's notes beside pretty_midi's")
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--every", type=int, default=1, help="one file in so many")
    arguments = parser.parse_args()
    files, num_notes, num_other = compare_files(midi_files(arguments.folder)[:: arguments.every])
    print(f"{'reason':<24} {'files':>6} {'notes':>9} {'other':>8}")
    for reason in sorted(files, key=lambda reason: -len(files[reason])):
        print(f"{reason:<24} {len(files[reason]):>6} {num_notes[reason]:>9} {num_other[reason]:>8}")
    for reason in ("unexplained", "only ours", "only pretty_midi"):
        for path in files.get(reason, []):
            print(f"{reason}: {path.relative_to(arguments.folder)}")


if __name__ == "__main__":
    main()
