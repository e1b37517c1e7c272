"""Time of all statistics beside MusPy's metrics, on real files.

    python -m benchmarks.statistics                         the files in ../shared/data
    python -m benchmarks.statistics FOLDER                  the MIDI files below FOLDER
    python -m benchmarks.statistics --every 1               MusPy on every file, not on one in ten

MusPy's eleven metrics are one call each on what its reader gives, with the bar of our measures where a metric asks for
one; all else is as it comes. Only a file in so many is given to it, and its seconds are scaled by notes. Ours are all
columns and histograms, of all files, read from the lake and written to it, and once more with the ingest of the files
before. What is read before has warmed the page cache.
"""

# What it compares with is installed by the extra `bench` alone.
# pyright: reportMissingImports=false

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import accepted_files, core_seconds, folder_to_read, load
from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.statistics.build import build_statistics
from pianogen.statistics.measures import READS, measure

BASE = "files"


@dataclass(frozen=True)
class Timing:
    """Seconds for so many notes."""

    what: str
    num_files: int
    num_notes: int
    seconds: float
    core_seconds: float


def time_ours(folder: Path) -> list[Timing]:
    timings = [time_in_memory(folder)]
    for workers in (1, 2):
        settings = replace(load_settings(), workers=workers)
        processes = f"{workers} process{'es' if workers > 1 else ''}"
        best: dict[str, tuple[float, float]] = {}
        for _ in range(3):
            # The first of the turns starts the workers.
            with tempfile.TemporaryDirectory(prefix="benchmark-statistics-") as name:
                lake = Lake(Path(name))
                start, core = time.perf_counter(), core_seconds()
                manifest = ingest_dataset(lake, Dataset(name=BASE, title=BASE, folder=folder.absolute()), settings)
                middle, core_middle = time.perf_counter(), core_seconds()
                build_statistics(lake, BASE, settings)
                end, core_end = time.perf_counter(), core_seconds()
                num_notes = lake.read("notes", ["pitch"]).num_rows
            for what, took in (
                ("all statistics", (end - middle, core_end - core_middle)),
                ("ingest and all statistics", (end - start, core_end - core)),
            ):
                best[what] = min(took, best.get(what, took))
        num_files = manifest.info["num_performances"]
        timings += [Timing(f"{what}, {processes}", num_files, num_notes, *took) for what, took in best.items()]
    return timings


def time_in_memory(folder: Path) -> Timing:
    settings = replace(load_settings(), workers=1)
    took = []
    with tempfile.TemporaryDirectory(prefix="benchmark-statistics-") as name:
        lake = Lake(Path(name))
        manifest = ingest_dataset(lake, Dataset(name=BASE, title=BASE, folder=folder.absolute()), settings)
        blocks = [read_tables(lake.block_path("ingest", key)) for key in manifest.blocks]
        for _ in range(4):  # the first compiles, or reads what was compiled
            start, core = time.perf_counter(), core_seconds()
            for tables in blocks:
                measure(tables)
            took.append((time.perf_counter() - start, core_seconds() - core))
        num_notes = sum(tables["notes"].num_rows for tables in blocks)
    what = "all statistics of tables in memory, 1 process"
    return Timing(what, manifest.info["num_performances"], num_notes, *min(took[1:]))


def read_tables(folder: Path) -> dict[str, pa.Table]:
    """The tables of a block, as the stage reads them."""
    return {
        name: pq.ParquetFile(folder / f"{name}.parquet", read_dictionary=["performance_id"]).read(columns)
        for name, columns in READS.items()
    }


def time_muspy(folder: Path, every: int) -> list[Timing]:
    """Reading, and the metrics."""
    import muspy

    from benchmarks.statistics_agreement import bar_ticks, metrics_of

    total = np.zeros((2, 2))  # reading, metrics: seconds, core-seconds
    num_files = num_notes = 0
    for path in accepted_files(folder)[0][every // 2 :: every]:
        start = np.array([time.perf_counter(), core_seconds()])
        try:
            music = muspy.read_midi(path)
        except Exception:  # MusPy and mido raise what they like
            continue
        middle = np.array([time.perf_counter(), core_seconds()])
        metre = music.time_signatures[0] if music.time_signatures else None
        words = f"{metre.numerator}/{metre.denominator}" if metre else "4/4"
        bar = bar_ticks({"time_signature": words}, music.resolution)
        list(metrics_of(music, bar))
        total += (middle - start, np.array([time.perf_counter(), core_seconds()]) - middle)
        num_files += 1
        num_notes += sum(len(track.notes) for track in music.tracks)
    return [
        Timing("MusPy: 11 metrics", num_files, num_notes, *total[1].tolist()),
        Timing("MusPy: reading and 11 metrics", num_files, num_notes, *total.sum(axis=0).tolist()),
    ]


def print_peers(folder: Path, every: int) -> None:
    ours = time_ours(folder)
    warnings.simplefilter("ignore")  # MusPy warns of what it repairs
    theirs = time_muspy(folder, every)
    metrics, _ = theirs
    print("| | files | notes | seconds | core-seconds | notes/s | x MusPy's metrics | by core-seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for timing in (*ours, *theirs):
        by_core = timing.num_notes / timing.core_seconds * metrics.core_seconds / metrics.num_notes
        times = timing.num_notes / timing.seconds * metrics.seconds / metrics.num_notes
        print(
            f"| {timing.what} | {timing.num_files:,} | {timing.num_notes:,} | {timing.seconds:.2f} "
            f"| {timing.core_seconds:.2f} | {timing.num_notes / timing.seconds:,.0f} | {times:,.1f} | {by_core:,.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--every", type=int, default=10, help="MusPy's metrics of one file in this many")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "statistics")
    print(f"load before: {load()}\n")
    print_peers(folder, args.every)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
