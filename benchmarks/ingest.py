"""Speed of ingest beside other readers of MIDI, in notes a second and in notes a second of one core.

    python -m benchmarks.ingest                 the files in ../shared/data
    python -m benchmarks.ingest FOLDER          every MIDI file below FOLDER
    python -m benchmarks.ingest --every 10      the slow readers on one file in ten (all take minutes)

Taken are the MIDI files that pianogen accepts, copied side by side; what is read before has warmed the page
cache. `ingest` is the whole stage (`ingest_dataset`): listing, hashing, parsing, tempo map, pedals, every
table as Parquet on the disk, each time into a new lake. Its worker processes are started and warmed once, which is
timed apart. symusic decodes to arrays in ticks: notes, controls, pedals, bends, tempos, signatures. The others run
with their defaults: mido gives messages, miditoolkit, pretty_midi and MusPy objects. Each reader is told the notes
that it found itself. Seconds of a core are those of the process and its workers together.
"""

# What it compares with is installed by the extra `bench` alone.
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import miditoolkit
import mido
import muspy
import pretty_midi
import symusic

from benchmarks.corpus import accepted_files, core_seconds, folder_to_read, load
from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings
from pianogen.workers import dismiss_idle

SEED = 2
REPEATS = 7
"""Runs of what takes seconds, in turn, of which the median counts; the slow readers run once."""


@dataclass(frozen=True)
class Timing:
    """Notes found in files, and the seconds that it took."""

    reader: str
    num_files: int
    num_refused: int
    num_notes: int
    seconds: float
    core_seconds: float


def read_with_symusic(path: Path) -> int:
    score: Any = symusic.Score.from_midi(path.read_bytes())
    num_notes = 0
    for track in score.tracks:
        num_notes += len(track.notes.numpy()["time"])
        track.controls.numpy()
        track.pedals.numpy()
        track.pitch_bends.numpy()
    score.tempos.numpy()
    score.time_signatures.numpy()
    score.key_signatures.numpy()
    return num_notes


def read_with_mido(path: Path) -> int:
    midi = mido.MidiFile(path)
    return sum(message.type == "note_on" and message.velocity > 0 for track in midi.tracks for message in track)


def read_with_miditoolkit(path: Path) -> int:
    return sum(len(instrument.notes) for instrument in miditoolkit.MidiFile(str(path)).instruments)


def read_with_pretty_midi(path: Path) -> int:
    return sum(len(instrument.notes) for instrument in pretty_midi.PrettyMIDI(str(path)).instruments)


def read_with_muspy(path: Path) -> int:
    return sum(len(track.notes) for track in muspy.read_midi(str(path)).tracks)


def time_reader(name: str, read: Callable[[Path], int], files: Sequence[Path]) -> Timing:
    num_notes = num_refused = 0
    start, core = time.perf_counter(), core_seconds()
    for path in files:
        try:
            num_notes += read(path)
        except Exception:  # each has errors of its own
            num_refused += 1
    return Timing(name, len(files), num_refused, num_notes, time.perf_counter() - start, core_seconds() - core)


def time_ingest(folder: Path, num_files: int, settings: Settings) -> Timing:
    """The whole stage, into a new lake."""
    with tempfile.TemporaryDirectory(prefix="benchmark-lake-") as name:
        lake = Lake(Path(name))
        start, core = time.perf_counter(), core_seconds()
        info = ingest_dataset(lake, Dataset(name="files", title="Files", folder=folder), settings).info
        seconds, cores = time.perf_counter() - start, core_seconds() - core
        assert info["num_performances"] == num_files
        num_notes = lake.read("notes", ["pitch"]).num_rows
    processes = f"{settings.workers} process{'es' if settings.workers > 1 else ''}"
    return Timing(f"pianogen ingest to Parquet, {processes}", num_files, 0, num_notes, seconds, cores)


def median_of(timings: Sequence[Timing]) -> Timing:
    seconds = statistics.median(t.seconds for t in timings)
    return replace(timings[0], seconds=seconds, core_seconds=statistics.median(t.core_seconds for t in timings))


def print_table(timings: Sequence[Timing]) -> None:
    rates = {t.reader: t.num_notes / t.core_seconds for t in timings}
    compared = ("symusic, to arrays", "pretty_midi", "MusPy")
    print(
        "| reader | files | refused | notes | seconds | notes/s | notes/core-second | "
        + " | ".join(f"x {name.split(',')[0]}" for name in compared)
        + " |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for t in timings:
        ratios = " | ".join(f"{rates[t.reader] / rates[name]:.2f}" for name in compared)
        print(
            f"| {t.reader} | {t.num_files:,} | {t.num_refused} | {t.num_notes:,} | {t.seconds:.2f} "
            f"| {t.num_notes / t.seconds:,.0f} | {rates[t.reader]:,.0f} | {ratios} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=1, help="the slow readers read one file in this many")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "ingest")
    names = ("symusic", "mido", "miditoolkit", "pretty_midi", "muspy", "pyarrow", "numba")
    print(f"Python {platform.python_version()},", ", ".join(f"{n} {importlib.metadata.version(n)}" for n in names))
    originals, num_rejected = accepted_files(folder)
    if not originals:
        sys.exit(f"{folder}: no MIDI file that pianogen accepts below it")
    # The slow readers warn of what they repair.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="benchmark-ingest-") as name:
        files = [Path(name, f"{i:06d}{path.suffix}") for i, path in enumerate(originals)]
        for path, copy in zip(originals, files, strict=True):
            shutil.copy(path, copy)
        sample = sorted(random.Random(SEED).sample(files, max(1, len(files) // args.every)))
        print(
            f"{len(files):,} files that pianogen accepts ({num_rejected} rejected), "
            f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB; "
            f"{os.cpu_count()} cores, load before: {load()}\n"
        )
        by_workers = [replace(load_settings(), workers=n) for n in (1, 2)]
        dismiss_idle()
        first = [time_ingest(Path(name), len(files), settings) for settings in by_workers]
        runs = [
            (
                time_reader("symusic, to arrays", read_with_symusic, files),
                *(time_ingest(Path(name), len(files), settings) for settings in by_workers),
            )
            for _ in range(REPEATS)
        ]
        slow = [
            time_reader(reader, read, sample)
            for reader, read in (
                ("mido", read_with_mido),
                ("miditoolkit", read_with_miditoolkit),
                ("pretty_midi", read_with_pretty_midi),
                ("MusPy", read_with_muspy),
            )
        ]
    fast = [median_of(column) for column in zip(*runs, strict=True)]
    print_table([*fast, *slow])
    ratios = sorted(one.seconds / two.seconds for _, one, two in runs)
    print(
        f"\nTwo processes do the work of one {statistics.median(ratios):.2f} times as fast "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f} in {REPEATS} turns). "
        f"With the start of its workers: {first[0].seconds:.2f} s with one, {first[1].seconds:.2f} s with two."
    )
    print(f"load after: {load()}")


if __name__ == "__main__":
    main()
