"""Where our statistics equal pretty_midi's and MusPy's on real files, and the reason wherever they do not.

    python -m benchmarks.statistics_agreement                 the files in ../shared/data (an hour on two cores)
    python -m benchmarks.statistics_agreement FOLDER          every MIDI file below FOLDER
    python -m benchmarks.statistics_agreement --every 7       one file in seven

Ours are the rows that the stage `statistics` writes, after an ingest of the folder. Beside them stand

- pretty_midi's notes, histograms, tempi and signatures of the same file. Seconds are compared as the lake keeps
  them, in steps of 2**-20 s.
- MusPy's eleven metrics of the same file, read by `muspy.read_midi` with its defaults.
- MusPy's metrics of a `muspy.Music` made of our notes and control changes, so that reading plays no part.

Two values are equal that differ by at most 1e-6, and so are null and NaN. Where they differ the reason is looked
for: the rules of `benchmarks.agreement` that make all notes pretty_midi's; what the file's first track alone says;
notes that never end, which MusPy ends with their track. What is left is `unexplained`, and its files are named.
"""

# What it compares with is installed by the extra `bench` alone.
# pyright: reportMissingImports=false

import argparse
import io
import math
import multiprocessing
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import mido
import muspy
import numpy as np
import pretty_midi

from benchmarks import agreement
from benchmarks.corpus import folder_to_read
from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.midi.parse import parse_midi
from pianogen.midi.time import SEC_STEPS
from pianogen.settings import load_settings
from pianogen.statistics.bins import HISTOGRAMS
from pianogen.statistics.build import build_statistics

WITHIN = 1e-6
MOST_TICKS = 2**24
"""MusPy's piano roll of a longer song takes more than two gigabytes."""

METRICS = {
    "num_pitches": muspy.n_pitches_used,
    "num_pitch_classes": muspy.n_pitch_classes_used,
    "pitch_range": muspy.pitch_range,
    "pitch_entropy": muspy.pitch_entropy,
    "pitch_class_entropy": muspy.pitch_class_entropy,
    "scale_consistency": muspy.scale_consistency,
    "polyphony": muspy.polyphony,
    "polyphony_rate": muspy.polyphony_rate,
    "empty_beat_rate": muspy.empty_beat_rate,
    "empty_measure_rate": muspy.empty_measure_rate,
    "groove_consistency": muspy.groove_consistency,
}
"""MusPy's, by the names of our columns."""
WITH_BARS = ("empty_measure_rate", "groove_consistency")
WITH_ROLLS = ("polyphony", "polyphony_rate")

Row = dict[str, Any]
Note = tuple[int, int, int, int, bool]
"""Onset and duration in ticks, pitch, velocity, whether of drums."""


@dataclass(frozen=True)
class Ours:
    """What the lake says of one file."""

    path: Path
    row: Row
    weights: Mapping[str, Mapping[int, float]]
    """Of the histograms, by bin."""


@dataclass
class Comparison:
    """One file beside a peer."""

    peer: str
    equal: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why, by measure that differs; `unexplained`."""
    not_compared: str = ""
    """Why the peer has nothing of the file."""
    num_notes: int = 0


class File(NamedTuple):
    """One file beside all peers."""

    path: Path
    comparisons: list[Comparison]


def bar_ticks(row: Row, ticks_per_quarter: int) -> int:
    """Length of the bar that our measures take."""
    top, bottom = map(int, (row["time_signature"] or "4/4").split("/"))
    return max(1, 4 * ticks_per_quarter * top // bottom)


def is_equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is None and other is None
    return abs(one - other) <= WITHIN


def compare(ours: Ours) -> File:
    data = ours.path.read_bytes()
    parsed = parse_midi(data)
    notes = list(
        zip(
            *(
                parsed.notes[name].to_pylist()
                for name in ("onset_tick", "duration_tick", "pitch", "velocity", "is_drum")
            ),
            strict=True,
        )
    )
    controls = parsed.tables["controls"]["tick"].to_pylist()
    bar = bar_ticks(ours.row, parsed.ticks_per_quarter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparisons = [
            beside_pretty_midi(ours, data, parsed),
            beside_muspy_file(ours, notes, controls, bar),
            beside_muspy_metrics(
                "MusPy, on our notes", ours.row, music_of(notes, controls, parsed.ticks_per_quarter), bar
            ),
        ]
    for comparison in comparisons:
        comparison.num_notes = len(notes)
    return File(ours.path, comparisons)


# pretty_midi


def beside_pretty_midi(ours: Ours, data: bytes, parsed: Any) -> Comparison:
    found = Comparison("pretty_midi")
    try:
        midi = mido.MidiFile(file=io.BytesIO(data))
        first_track = [message.copy() for message in midi.tracks[0]]
        theirs = pretty_midi.PrettyMIDI(mido_object=midi)
    except Exception as error:  # mido and pretty_midi raise what they like
        found.not_compared = f"{type(error).__name__}"
        return found
    reason_of_notes = agreement.compare(data).reason
    notes = [note for instrument in theirs.instruments if not instrument.is_drum for note in instrument.notes]
    drums = [note for instrument in theirs.instruments if instrument.is_drum for note in instrument.notes]
    row, weights = ours.row, ours.weights
    starts, ends = (np.array([getattr(note, name) for note in notes]) for name in ("start", "end"))
    of_notes = {
        "num_notes": row["num_notes"] == len(notes),
        "num_drum_notes": row["num_drum_notes"] == len(drums),
        "histogram of pitch": weights["pitch"] == Counter(note.pitch for note in notes),
        "histogram of pitch_class": weights["pitch_class"]
        == _counts(theirs.get_pitch_class_histogram(normalize=False)),
        "histogram of velocity": weights["velocity"] == Counter(note.velocity for note in notes),
        "histogram of duration_sec": weights["duration_sec"] == Counter(_bins(_steps(ends) - _steps(starts))),
        "mean of duration_sec": abs(row["note_duration_sec_mean"] - float((ends - starts).mean())) <= 2 * WITHIN,
        "duration_sec": abs(row["duration_sec"] - max(note.end for note in (*notes, *drums))) <= 2 * WITHIN,
    }
    for name, equal in of_notes.items():
        _tell(found, name, equal, "unexplained" if reason_of_notes == "agrees" else reason_of_notes)

    _, tempi = theirs.get_tempo_changes()
    stated = parsed.tables["tempos"]["tempo_qpm"].to_pylist()
    equal = len(stated) == len(tempi) and np.allclose(stated, tempi, rtol=1e-9)
    _tell(found, "num_tempos, and each tempo", equal, _reason_of_tempi(stated, tempi.tolist(), midi, first_track))
    for name, kind, changes in (
        ("num_time_signatures", "time_signature", theirs.time_signature_changes),
        ("num_key_signatures", "key_signature", theirs.key_signature_changes),
    ):
        in_first = sum(message.type == kind for message in first_track)
        in_all = sum(message.type == kind for track in midi.tracks for message in track)
        reason = "unexplained"
        if in_first == len(changes) < in_all == row[name]:
            reason = "it reads the first track alone"
        elif in_first == len(changes) and row[name] < in_all:
            reason = "we leave impossible signatures out"
        _tell(found, name, row[name] == len(changes), reason)
    return found


def _counts(histogram: np.ndarray) -> dict[int, float]:
    return {place: count for place, count in enumerate(histogram.tolist()) if count}


def _steps(seconds: np.ndarray) -> np.ndarray:
    return np.rint(seconds * SEC_STEPS) / SEC_STEPS


def _bins(lengths: np.ndarray) -> list[int]:
    edges = HISTOGRAMS["duration_sec"].low
    return np.maximum(np.searchsorted(edges, lengths, side="right") - 1, 0).tolist()


def _reason_of_tempi(stated: list[float], tempi: list[float], midi: mido.MidiFile, first_track: list) -> str:
    without_repeats = stated[:1] + [after for before, after in pairwise(stated) if after != before]
    if len(without_repeats) == len(tempi) and np.allclose(without_repeats, tempi, rtol=1e-9):
        return "it passes over a tempo that is stated again"
    if any(message.type == "set_tempo" for track in midi.tracks[1:] for message in track):
        return "it reads the first track alone"
    ticks = np.cumsum([message.time for message in first_track]).tolist()
    changes = [tick for tick, message in zip(ticks, first_track, strict=True) if message.type == "set_tempo"]
    if len(set(changes)) < len(changes):
        return "it keeps all of several tempi at one tick"
    return "unexplained"


def _tell(found: Comparison, name: str, equal: bool, reason: str) -> None:
    if equal:
        found.equal.append(name)
    else:
        found.reasons[name] = reason


# MusPy


def music_of(notes: Sequence[Note], controls: Sequence[int], ticks_per_quarter: int) -> muspy.Music:
    """Our notes and the times of our control changes as MusPy's reader would have them."""
    tracks = [muspy.Track(is_drum=is_drum) for is_drum in (False, True)]
    for onset, duration, pitch, velocity, is_drum in notes:
        tracks[is_drum].notes.append(muspy.Note(time=onset, pitch=pitch, duration=duration, velocity=velocity))
    for tick in controls:
        tracks[0].annotations.append(muspy.Annotation(time=tick, annotation=None, group="control_change"))
    return muspy.Music(resolution=ticks_per_quarter, tracks=tracks)


def length_of(music: muspy.Music) -> int:
    return max(track.get_end_time() for track in music.tracks)


def metrics_of(music: muspy.Music, bar: int) -> Iterator[tuple[str, float | None]]:
    """MusPy's metrics; those that need a piano roll which memory does not hold are left out."""
    for name, metric in METRICS.items():
        if name in WITH_ROLLS and length_of(music) > MOST_TICKS:
            continue
        value = float(metric(music, bar) if name in WITH_BARS else metric(music))
        yield name, None if math.isnan(value) else value


def beside_muspy_metrics(peer: str, row: Row, music: muspy.Music, bar: int, reason: str = "unexplained") -> Comparison:
    found = Comparison(peer)
    for name, value in metrics_of(music, bar):
        _tell(found, name, is_equal(row[name], value), reason)
    return found


def beside_muspy_file(ours: Ours, notes: Sequence[Note], controls: Sequence[int], bar: int) -> Comparison:
    try:
        music = muspy.read_midi(ours.path)
    except Exception as error:  # MusPy and mido raise what they like
        return Comparison("MusPy", not_compared=type(error).__name__)
    if not music.tracks:
        return Comparison("MusPy", not_compared="no tracks")
    return beside_muspy_metrics("MusPy", ours.row, music, bar, _reason_of_music(notes, controls, music, ours.path))


def _reason_of_music(notes: Sequence[Note], controls: Sequence[int], music: muspy.Music, path: Path) -> str:
    """What makes MusPy's notes, or its length of the song, others than ours."""
    theirs = Counter(
        (note.time, note.duration, note.pitch, note.velocity, bool(track.is_drum))
        for track in music.tracks
        for note in track.notes
    )
    ours = Counter(notes)
    if theirs == ours:
        end = max([onset + duration for onset, duration, *_ in notes] + list(controls))
        return "unexplained" if end == length_of(music) else "length of the song"
    if theirs == ours + Counter(_never_ending(path)):
        return "it ends notes that never end with their track"
    return "unexplained"


def _never_ending(path: Path) -> Iterator[Note]:
    """Notes without a note-off, as lasting to the end of their track."""
    for track in mido.MidiFile(path).tracks:
        tick = 0
        sounding: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                sounding[message.channel, message.note][:1] = []
            elif message.type == "end_of_track":
                break
        for (channel, pitch), notes in sounding.items():
            for onset, velocity in notes:
                yield onset, tick - onset, pitch, velocity, channel == 9


# All files


def statistics_of(folder: Path, every: int) -> list[Ours]:
    """Rows and histograms of the MIDI files below a folder that we accept, one in so many, by path."""
    with tempfile.TemporaryDirectory(prefix="benchmark-statistics-") as name:
        lake = Lake(Path(name))
        settings = replace(load_settings(), workers=2)
        ingest_dataset(lake, Dataset(name="files", title="Files", folder=folder.absolute()), settings)
        build_statistics(lake, "files", settings)
        paths = {path.relative_to(folder).as_posix() for path in agreement.midi_files(folder)}
        files = {
            file["performance_id"]: file["path"]
            for file in lake.read("files", ["performance_id", "path"]).to_pylist()
            if file["performance_id"] and file["path"] in paths
        }
        rows = {row["performance_id"]: row for row in lake.read("performance_statistics").to_pylist()}
        weights: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: {name: {} for name in HISTOGRAMS})
        for cell in lake.read("histograms").to_pylist():
            weights[cell["performance_id"]][cell["measure"]][cell["bin"]] = cell["weight"]
    chosen = sorted(files, key=lambda performance: files[performance])[::every]
    return [Ours(folder / files[one], rows[one], weights[one]) for one in chosen]


def print_table(files: Sequence[File], peer: str, folder: Path) -> None:
    found = [(file.path, comparison) for file in files for comparison in file.comparisons if comparison.peer == peer]
    compared = [(path, comparison) for path, comparison in found if not comparison.not_compared]
    refused = Counter(comparison.not_compared for _, comparison in found if comparison.not_compared)
    num_notes = sum(comparison.num_notes for _, comparison in compared)
    print(f"\n## {peer}\n\n{len(compared):,} files, {num_notes:,} notes", end="")
    print(
        f"; not read there: {sum(refused.values())} ({', '.join(f'{n} {why}' for why, n in refused.items())})"
        if refused
        else ""
    )
    names = list(dict.fromkeys(name for _, c in compared for name in (*c.equal, *c.reasons)))
    print("\n| measure | files | equal | other | because |\n|---|---:|---:|---:|---|")
    for name in names:
        num_equal = sum(name in comparison.equal for _, comparison in compared)
        reasons = Counter(comparison.reasons[name] for _, comparison in compared if name in comparison.reasons)
        words = "; ".join(f"{why}: {count}" for why, count in reasons.most_common())
        print(f"| {name} | {num_equal + reasons.total():,} | {num_equal:,} | {reasons.total():,} | {words} |")
    all_equal = sum(not comparison.reasons for _, comparison in compared)
    print(f"\nIn {all_equal:,} of {len(compared):,} files all measures are equal.")
    for path, comparison in compared:
        for name, reason in comparison.reasons.items():
            if reason == "unexplained":
                print(f"unexplained: {name} of {path.relative_to(folder)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=1, help="one file in so many")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "statistics_agreement")
    start = time.perf_counter()
    ours = statistics_of(folder, args.every)
    print(f"{len(ours):,} MIDI files that pianogen accepts; {muspy.__name__} {muspy.__version__}", end=", ")
    print(f"pretty_midi {pretty_midi.__version__}")
    # A process is replaced now and then: piano rolls leave their memory fragmented.
    with multiprocessing.get_context("spawn").Pool(args.processes, maxtasksperchild=100) as pool:
        files = list(pool.imap_unordered(compare, ours, chunksize=4))
    files.sort(key=lambda file: file.path)
    for peer in ("pretty_midi", "MusPy", "MusPy, on our notes"):
        print_table(files, peer, folder)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
