"""Recall of duplicate pairs on pairs that are known, what else is called a pair, and the time of each stage.

    python -m benchmarks.duplicates             ../shared/data and its known_pairs.csv
    python -m benchmarks.duplicates FOLDER      a folder with known_pairs.csv (path_a, path_b, relation)

Paths in the list are relative to the folder; a pair with a file that is not there, or that is rejected, is
not counted. The first part of a path is taken for its dataset. A pair outside the list is no error by
itself: lists of whole works leave out music that is quoted, and files under other names.

Works, which are what listed pairs hang together by (those of low overlap and of other arrangements do not
count), are dealt to two halves by a hash of their name. For the datasets named by `--halves` each half is told apart:
recall of its listed pairs, and pairs between two works, of which at least one is of the half.
"""

import argparse
import csv
import hashlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"
LIST = "known_pairs.csv"


@contextmanager
def timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


def find_pairs(folder: Path, workers: int) -> tuple[dict[tuple[str, str], str], set[str], dict[str, float], int]:
    """Relation of each pair of paths, all paths compared, seconds by stage, and the number of clusters."""
    seconds: dict[str, float] = {}
    settings = replace(load_settings(), workers=workers)
    dataset = Dataset(name="all", title="All", folder=folder.absolute())
    with tempfile.TemporaryDirectory(prefix="benchmark-duplicates-") as name:
        lake = Lake(Path(name))
        with timed("ingest", seconds):
            ingest_dataset(lake, dataset, settings)
        with timed("fingerprints", seconds):
            fingerprint_dataset(lake, "all", settings)
        with timed("duplicate_pairs", seconds):
            find_duplicate_pairs(lake)
        with timed("clusters", seconds):
            clusters = find_clusters(lake, ["all"])
        files = lake.read("files", ["performance_id", "path"]).to_pylist()
        path_of = {file["performance_id"]: file["path"] for file in files if file["performance_id"]}
        relations = {}
        for row in lake.read("duplicate_pairs").to_pylist():
            a, b = sorted((path_of[row["performance_a"]], path_of[row["performance_b"]]))
            relations[a, b] = row["relation"]
    return relations, set(path_of.values()), seconds, clusters.info["num_clusters"]


def known_pairs(folder: Path, paths: set[str]) -> dict[tuple[str, str], str]:
    """Relation of each listed pair of which both files were compared."""
    with (folder / LIST).open(newline="", encoding="utf-8") as file:
        rows = [(*sorted((row["path_a"], row["path_b"])), row["relation"]) for row in csv.DictReader(file)]
    return {(a, b): relation for a, b, relation in rows if a in paths and b in paths}


LOOSE = ("low_overlap", "other_arrangement")


def works_of(known: dict[tuple[str, str], str], paths: set[str]) -> dict[str, str]:
    """The work of each path, named by its first path."""
    work = {path: path for path in paths}

    def root(path: str) -> str:
        while work[path] != path:
            path = work[path]
        return path

    for (a, b), relation in known.items():
        if not relation.endswith(LOOSE):
            first, second = sorted((root(a), root(b)))
            work[second] = first
    return {path: root(path) for path in paths}


def print_halves(
    found: dict[tuple[str, str], str], known: dict[tuple[str, str], str], paths: set[str], datasets: Sequence[str]
) -> None:
    work = works_of(known, paths)
    half = {name: hashlib.sha256(name.encode()).digest()[0] % 2 for name in set(work.values())}
    inside = {path for path in paths if path.split("/")[0] in datasets}
    print(f"\n| half of the works of {', '.join(datasets)} | listed | found | recall | between works |")
    print("|---|---|---|---|---|")
    for k in (0, 1):
        listed = [
            pair
            for pair, relation in known.items()
            if set(pair) <= inside and not relation.endswith(LOOSE) and half[work[pair[0]]] == k
        ]
        hits = sum(pair in found for pair in listed)
        strange = [
            (a, b)
            for (a, b), relation in found.items()
            if {a, b} <= inside
            and work[a] != work[b]
            and relation != "shared_melody"
            and k in (half[work[a]], half[work[b]])
        ]
        cells = (("first", "second")[k], len(listed), hits, f"{hits / max(len(listed), 1):.4f}", len(strange))
        print(f"| {' | '.join(map(str, cells))} |")
        for a, b in strange:
            print(f"  - {a} = {b}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help=f"MIDI files and {LIST} (default: ../shared/data)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--halves", nargs="*", default=["asap", "pop909"], help="datasets told by halves of their works"
    )
    args = parser.parse_args()
    folder = args.folder or DEFAULT
    if not (folder / LIST).is_file():
        print(f"{folder / LIST}: no such file. Name a folder that has it: python -m benchmarks.duplicates FOLDER")
        sys.exit(1 if args.folder else 0)
    found, paths, seconds, num_clusters = find_pairs(folder, args.workers)
    known = known_pairs(folder, paths)

    listed, hit = Counter(known.values()), Counter(relation for pair, relation in known.items() if pair in found)
    print("| listed as | pairs | found | recall |\n|---|---|---|---|")
    for relation in sorted(listed):
        print(f"| {relation} | {listed[relation]} | {hit[relation]} | {hit[relation] / listed[relation]:.4f} |")

    outside = Counter(tuple(path.split("/")[0] for path in pair) for pair in found if pair not in known)
    print("\n| datasets of pairs outside the list | pairs |\n|---|---|")
    for datasets, count in sorted(outside.items()):
        print(f"| {' and '.join(datasets)} | {count} |")

    print_halves(found, known, paths, args.halves)
    print(f"\n{len(paths):,} performances, {len(found):,} pairs, {num_clusters:,} clusters")
    print(", ".join(f"{relation} {count}" for relation, count in sorted(Counter(found.values()).items())))
    print(f"workers {args.workers}, load now {os.getloadavg()[0]:.1f};", end=" ")
    print(", ".join(f"{stage} {took:.1f} s" for stage, took in seconds.items()), end=";")
    print(f" {len(paths) / seconds['fingerprints']:,.0f} files/s shingled")


if __name__ == "__main__":
    main()
