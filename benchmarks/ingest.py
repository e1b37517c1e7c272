"""Speed of ingest beside other readers of MIDI, in notes a second.

    python -m benchmarks.ingest                 the files in ../shared/data
    python -m benchmarks.ingest FOLDER          every MIDI file below FOLDER
    python -m benchmarks.ingest --every 1       pretty_midi and mido on every file (minutes), not on every tenth

Taken are the MIDI files that pianogen accepts; of the sample, those that pretty_midi reads too. `ingest` is
the whole stage (`ingest_dataset`): listing, hashing, parsing, tempo map, pedals, all tables as Parquet, the
start of its worker processes. symusic only decodes, to arrays in ticks. mido gives messages in ticks,
pretty_midi objects in seconds. What is read before has warmed the page cache. Each reader is told the
notes that it found itself; notes without an end are left out by some.
"""

import argparse
import importlib.metadata
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mido
import pretty_midi
import symusic

from pianogen.catalogue import Dataset
from pianogen.errors import RejectedFileError
from pianogen.ingest import MIDI_SUFFIXES, ingest_dataset, parse_file
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"
SEED = 2
REPEATS = 3
"""Runs of what takes seconds, of which the median counts; the slow readers run once."""


@dataclass(frozen=True)
class Timing:
    """Notes found in files, and the seconds that it took."""

    reader: str
    num_files: int
    num_notes: int
    seconds: float

    @property
    def notes_per_sec(self) -> float:
        """Speed by the clock on the wall."""
        """Notes read in a second."""
        return self.num_notes / self.seconds


def accepted_files(folder: Path) -> tuple[list[Path], int]:
    """MIDI files that pianogen accepts, and the number of those that it rejects."""
    found, rejected = [], 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES and p.is_file()):
        try:
            parse_file(path)
        except RejectedFileError:
            rejected += 1
        else:
            found.append(path)
    return found, rejected


def read_with_symusic(path: Path) -> int:
    score: Any = symusic.Score.from_midi(path.read_bytes())
    return sum(len(track.notes.numpy()["time"]) for track in score.tracks)


def read_with_mido(path: Path) -> int:
    midi = mido.MidiFile(path)
    return sum(message.type == "note_on" and message.velocity > 0 for track in midi.tracks for message in track)


def read_with_pretty_midi(path: Path) -> int:
    midi = pretty_midi.PrettyMIDI(str(path))
    return sum(len(instrument.notes) for instrument in midi.instruments)


def time_reader(name: str, read: Callable[[Path], int], files: Sequence[Path], repeats: int) -> Timing:
    seconds, num_notes = [], 0
    for _ in range(repeats):
        start = time.perf_counter()
        num_notes = sum(read(path) for path in files)
        seconds.append(time.perf_counter() - start)
    return Timing(name, len(files), num_notes, statistics.median(seconds))


def time_ingest(files: Sequence[Path], settings: Settings) -> Timing:
    """The whole stage, each time into a new lake."""
    seconds, num_notes = [], 0
    with tempfile.TemporaryDirectory(prefix="benchmark-ingest-") as name:
        folder = Path(name, "files")
        folder.mkdir()
        for i, path in enumerate(files):
            (folder / f"{i:06d}{path.suffix}").symlink_to(path)
        for repeat in range(REPEATS):
            lake = Lake(Path(name, f"lake_{repeat}"))
            start = time.perf_counter()
            info = ingest_dataset(lake, Dataset(name="files", title="Files", folder=folder), settings).info
            seconds.append(time.perf_counter() - start)
            assert info["num_performances"] == len(files)
            num_notes = lake.read("notes", ["pitch"]).num_rows
    processes = f"{settings.workers} process{'es' if settings.workers > 1 else ''}"
    return Timing(f"pianogen ingest to Parquet, {processes}", len(files), num_notes, statistics.median(seconds))


def both_read(files: Sequence[Path]) -> list[Path]:
    """Files that pretty_midi and mido read."""
    found = []
    for path in files:
        try:
            read_with_pretty_midi(path)
            read_with_mido(path)
        except Exception as error:  # each has errors of its own
            print(f"left out, as pretty_midi or mido refuses it: {path.name}: {type(error).__name__}: {error}")
        else:
            found.append(path)
    return found


def print_table(timings: Sequence[Timing]) -> None:
    base = timings[-1].notes_per_sec
    print("| reader | files | notes | seconds | notes/s | times pretty_midi |\n|---|---|---|---|---|---|")
    for t in timings:
        print(
            f"| {t.reader} | {t.num_files:,} | {t.num_notes:,} | {t.seconds:.2f} | {t.notes_per_sec:,.0f} "
            f"| {t.notes_per_sec / base:.1f} |"
        )


def load() -> str:
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=10, help="pretty_midi and mido read one file in this many")
    args = parser.parse_args()
    folder = args.folder or DEFAULT
    if not folder.is_dir():
        print(f"{folder}: no such folder. Name one with MIDI files: python -m benchmarks.ingest FOLDER")
        sys.exit(1 if args.folder else 0)
    names = ("symusic", "mido", "pretty_midi", "pyarrow")
    print(f"Python {platform.python_version()},", ", ".join(f"{n} {importlib.metadata.version(n)}" for n in names))
    files, num_rejected = accepted_files(folder)
    if not files:
        sys.exit(f"{folder}: no MIDI file that pianogen accepts below it")
    # pretty_midi warns of what it repairs.
    warnings.simplefilter("ignore")
    sample = both_read(sorted(random.Random(SEED).sample(files, max(1, len(files) // args.every))))
    print(
        f"{len(files):,} files that pianogen accepts ({num_rejected} rejected); pretty_midi and mido are timed on "
        f"{len(sample):,} of them; {os.cpu_count()} cores, load before: {load()}\n"
    )
    settings = load_settings()
    slow = [
        time_reader(f"{name}, defaults", read, sample, repeats=1)
        for name, read in (("mido", read_with_mido), ("pretty_midi", read_with_pretty_midi))
    ]
    fast = [
        time_reader("symusic, to arrays", read_with_symusic, files, REPEATS),
        *(time_ingest(files, replace(settings, workers=n)) for n in (1, 2)),
    ]
    print_table([*fast, *slow])
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
