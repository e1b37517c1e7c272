"""Ingest of a corpus as large as Lakh's, made from real files by seeded edits: seconds, memory, open files.

    python -m benchmarks.scale                    up to 178,000 files from those in ../shared/data (20 GB of disk)
    python -m benchmarks.scale --files 20000      fewer
    python -m benchmarks.scale FOLDER             made from the MIDI files below FOLDER

Each file is a real one with a text of its own number and another tempo at its beginning, so that its bytes and its
music are new and its size and shape are real. Corpora of a sixteenth, an eighth and so on up to all of the files are
ingested, each into a new lake, with all tables and two processes. Memory is that of the process and its workers,
shared pages counted once (PSS), looked at every quarter of a second, as are their open files. The growth is the
slope of a line through the logarithms of files and seconds.
"""

import argparse
import itertools
import math
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.corpus import DEFAULT, accepted_files, load
from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.workers import dismiss_idle

SEED = 3
LAKH_FILES = 178_000
STEPS = 5
FILES_PER_FOLDER = 1000


def edited(data: bytes, number: int, rng: random.Random) -> bytes:
    """A MIDI file with a text and a tempo more at the beginning of its first track."""
    header_end = 8 + int.from_bytes(data[4:8], "big")
    text = f"copy {number}".encode()
    usec = rng.randrange(300_000, 900_000).to_bytes(3, "big")
    events = b"\x00\xff\x01" + bytes([len(text)]) + text + b"\x00\xff\x51\x03" + usec
    size = int.from_bytes(data[header_end + 4 : header_end + 8], "big") + len(events)
    return data[: header_end + 4] + size.to_bytes(4, "big") + events + data[header_end + 8 :]


def make_files(originals: list[Path], folder: Path, first: int, end: int) -> None:
    """The files numbered from `first` up to `end`; which file has which bytes depends on its number alone."""
    sources = [data for path in originals if (data := path.read_bytes())[14:18] == b"MTrk"]
    for number in range(first, end):
        rng = random.Random(f"{SEED} {number}")
        place = folder / f"{number // FILES_PER_FOLDER:04d}"
        if number % FILES_PER_FOLDER == 0 or number == first:
            place.mkdir(exist_ok=True)
        (place / f"{number:06d}.mid").write_bytes(edited(rng.choice(sources), number, rng))


@dataclass
class Peaks:
    """The most that was seen."""

    memory_bytes: int = 0
    open_files: int = 0


@contextmanager
def watched() -> Iterator[Peaks]:
    """Peaks of this process and those below it while the body runs."""
    peaks, done = Peaks(), threading.Event()

    def look() -> None:
        while not done.wait(0.25):
            memory = files = 0
            me = psutil.Process()
            for process in (me, *me.children(recursive=True)):
                with suppress(psutil.Error):
                    memory += process.memory_full_info().pss
                    files += process.num_fds()
            peaks.memory_bytes = max(peaks.memory_bytes, memory)
            peaks.open_files = max(peaks.open_files, files)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT, help="MIDI files (default: ../shared/data)")
    parser.add_argument("--files", type=int, default=LAKH_FILES, help=f"of the largest corpus (default: {LAKH_FILES})")
    args = parser.parse_args()
    if not args.folder.is_dir():
        sys.exit(f"{args.folder}: no such folder. Name one with MIDI files: python -m benchmarks.scale FOLDER")
    originals, _ = accepted_files(args.folder)
    settings = replace(load_settings(), workers=2)
    sizes = [args.files >> shift for shift in reversed(range(STEPS))]
    seconds = []
    print(f"load before: {load()}\n")
    print("| files | MB | notes | seconds | files/s | notes/s | bytes/note | peak memory, MiB | open files | blocks |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="benchmark-scale-") as name:
        corpus = Path(name, "files")
        corpus.mkdir()
        for before, size in itertools.pairwise([0, *sizes]):
            make_files(originals, corpus, before, size)
            time.sleep(2.5)  # older than this, a file's time of change speaks for its bytes
            dismiss_idle()
            lake = Lake(Path(name, "lake"))
            with watched() as peaks:
                start = time.perf_counter()
                manifest = ingest_dataset(lake, Dataset(name="files", title="Files", folder=corpus), settings)
                seconds.append(time.perf_counter() - start)
            assert manifest.info["num_performances"] == size, manifest.info
            with lake.connect(["performances"]) as connection:
                ((num_notes,),) = connection.sql(
                    "select sum(num_notes + num_drum_notes)::bigint from performances"
                ).fetchall()
            lake_bytes = sum(p.stat().st_size for p in lake.root.rglob("*.parquet"))
            corpus_bytes = sum(p.stat().st_size for p in corpus.rglob("*.mid"))
            took = seconds[-1]
            cells = (
                f"{size:,}",
                f"{corpus_bytes / 1e6:,.0f}",
                f"{num_notes:,}",
                f"{took:.1f}",
                f"{size / took:,.0f}",
                f"{num_notes / took:,.0f}",
                f"{lake_bytes / num_notes:.2f}",
                f"{peaks.memory_bytes / 2**20:,.0f}",
                f"{peaks.open_files}",
                f"{len(manifest.blocks)}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
            shutil.rmtree(lake.root)
    slope = np.polyfit([math.log(n) for n in sizes], [math.log(s) for s in seconds], 1)[0]
    print(f"\nTime grows as n^{slope:.3f}; load after: {load()}")


if __name__ == "__main__":
    main()
