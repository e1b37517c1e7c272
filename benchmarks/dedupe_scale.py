"""Dedupe of a corpus as large as Lakh's: seconds, memory, growth, what one more piece costs, and datasketch beside it.

    python -m benchmarks.dedupe_scale                  up to 178,000 pieces (12 GB of disk)
    python -m benchmarks.dedupe_scale --pieces 16000   fewer
    python -m benchmarks.dedupe_scale FOLDER           made from the MIDI files below FOLDER

Pieces are made of real ones, so that sizes and rhythms are real, and laid into a lake without a detour over
files. Four of five are new music: three notes in ten are moved by up to four semitones, and one stretch of at most
32 notes is that of twenty pieces, as stock passages are shared. One of five is a copy of a new one,
transposed, at another tempo, with every tenth note left out: those are the pairs to be found. Corpora of an eighth, a
quarter, a half and all of the pieces are fingerprinted, compared and clustered, each in a new lake. Memory is that of
the process and its workers, shared pages counted once (PSS), looked at every quarter of a second. Growth is the
slope of a line through the logarithms of pieces and seconds. Then 100 pieces come to the largest.

datasketch is given the same shingles, all of them, of the smallest corpus: MinHash of 128 permutations in an LSH
index with its default weights, at threshold 0.5 and at 0.1. Recall and precision are those of the planted pairs.
"""

# What it compares with is installed by the extra `bench` alone.
# pyright: reportMissingImports=false

import argparse
import importlib.metadata
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.corpus import accepted_files, folder_to_read, load
from benchmarks.pieces import is_copy, lay, performance_id, write_sources
from benchmarks.scale import watched
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset, pitched_notes
from pianogen.dedupe.shingle import shingles
from pianogen.lake import Lake
from pianogen.reading import STAGE
from pianogen.settings import Settings, load_settings
from pianogen.workers import dismiss_idle

LAKH_FILES = 178_000
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
NUM_ADDED = 100


def planted(num: int) -> set[tuple[str, str]]:
    return {ordered(performance_id(n), performance_id(n - 4)) for n in range(num) if is_copy(n)}


def ordered(a: str, b: str) -> tuple[str, str]:
    return min(a, b), max(a, b)


def judge(found: set[tuple[str, str]], num: int) -> str:
    expected = planted(num)
    hits = len(found & expected)
    return f"recall {hits / len(expected):.4f}, precision {hits / max(len(found), 1):.4f} ({len(found):,} pairs)"


def run_datasketch(lake: Lake, num: int, threshold: float) -> str:
    from datasketch import MinHash, MinHashLSH

    start = time.perf_counter()
    index = MinHashLSH(threshold=threshold, num_perm=128)
    found = set()
    for manifest in lake.manifests("ingest"):
        for block in manifest.blocks:
            for notes in pitched_notes(lake, block):
                held = np.unique(shingles(notes.pitch, notes.onset_sec, notes.offset_sec, sampling=1).shingle)
                sketch = MinHash(num_perm=128)
                sketch.update_batch([value.tobytes() for value in held])
                found |= {ordered(notes.performance_id, str(other)) for other in index.query(sketch)}
                index.insert(notes.performance_id, sketch)
    seconds = time.perf_counter() - start
    return f"datasketch, threshold {threshold}: {seconds:.0f} s, {judge(found, num)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--pieces", type=int, default=LAKH_FILES)
    parser.add_argument("--sketch", type=int, default=4000, help="pieces that datasketch is given (0: none)")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "dedupe_scale")
    settings = replace(load_settings(), workers=2)
    print(
        f"load before: {load()}",
        ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "numba", "duckdb")),
    )
    print("| pieces | notes | fingerprints, s | pairs, s | clusters, s | all, s | peak memory, MiB | found |")
    print("|---|---|---|---|---|---|---|---|")
    sizes, spent = [], []
    with tempfile.TemporaryDirectory(prefix="benchmark-dedupe-") as name:
        sources = Path(name, "sources.npz")
        write_sources(accepted_files(folder)[0], sources)
        for share in SHARES:
            num = round(args.pieces * share)
            lake = Lake(Path(name, f"lake-{num}"))
            lay(lake, "made", 0, num, sources, settings)
            dismiss_idle()
            seconds, _peak = run(lake, num, settings)
            if share < 1:
                shutil.rmtree(lake.root)
            sizes.append(num)
            spent.append(seconds)
        slope = np.polyfit(np.log(sizes), np.log(spent), 1)[0]
        print(f"\nTime grows as n^{slope:.3f}.")
        lay(lake, "added", num, num + NUM_ADDED, sources, settings)
        start = time.perf_counter()
        run_stages(lake, "added", settings)
        print(f"{NUM_ADDED} pieces more: {time.perf_counter() - start:.1f} s")
        if args.sketch:
            beside = Lake(Path(name, "beside"))
            lay(beside, "made", 0, args.sketch, sources, settings)
            alone = replace(settings, workers=1)
            start = time.perf_counter()
            run_stages(beside, "made", alone)
            seconds = time.perf_counter() - start
            print(f"\n{args.sketch:,} pieces, one process")
            print(f"pianogen: {seconds:.0f} s, {judge(pairs_in(beside), args.sketch)}")
            for threshold in (0.5, 0.1):
                print(run_datasketch(beside, args.sketch, threshold))
    print(f"load after: {load()}")


def pairs_in(lake: Lake) -> set[tuple[str, str]]:
    table = lake.read("duplicate_pairs", ["performance_a", "performance_b"])
    return set(zip(*(column.to_pylist() for column in table.columns), strict=True))


def run_stages(lake: Lake, dataset: str, settings: Settings) -> tuple[float, float, float]:
    start = time.perf_counter()
    fingerprint_dataset(lake, dataset, settings)
    fingerprinted = time.perf_counter()
    find_duplicate_pairs(lake, settings=settings)
    paired = time.perf_counter()
    find_clusters(lake, ["made", "added"])
    return fingerprinted - start, paired - fingerprinted, time.perf_counter() - paired


def run(lake: Lake, num: int, settings: Settings) -> tuple[float, float]:
    with watched() as usage:
        parts = run_stages(lake, "made", settings)
    num_notes = sum(
        lake.read_block(STAGE.name, key, "performances")["num_notes"].to_numpy().sum()
        for key in lake.require("ingest", "made").blocks
    )
    times = " | ".join(f"{seconds:.1f}" for seconds in (*parts, sum(parts)))
    memory = f"{usage.memory_bytes / 2**20:,.0f}"
    print(f"| {num:,} | {num_notes:,} | {times} | {memory} | {judge(pairs_in(lake), num)} |", flush=True)
    return sum(parts), usage.memory_bytes


if __name__ == "__main__":
    main()
