"""Two encodings of the Bach chorales that no threshold was set by: JSB's 16ths beside the scores that music21 brings.

    python -m benchmarks.chorales                 JSB in ../shared/data
    python -m benchmarks.chorales CHORALES.json   anywhere else

JSB's chorales are rolls of 16ths, in which a note that is struck again is one note; the scores have repeats, words'
repeated notes and tempi. What is the same is told apart from our pairs: both as rolls of 16ths, one moved along the
other; where they overlap most, the share of the shorter one's cells that the other has too. From 0.9 on two are one
chorale, below 0.6 hardly.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import music21
import numpy as np

from benchmarks.corpus import DEFAULT
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings

SAME, HARDLY = 0.9, 0.6
LOWEST, HIGHEST = 36, 84
"""Voices sing between these pitches."""
LENGTH = 4096
"""16ths of two chorales one after the other, at most."""


def rolls(lake: Lake) -> dict[str, np.ndarray]:
    """Of each performance the cells of its roll of 16ths, shape (num_cells, 2): time and pitch."""
    ticks = dict(
        zip(*(lake.read("performances")[n].to_pylist() for n in ("performance_id", "ticks_per_quarter")), strict=True)
    )
    cells = defaultdict(set)
    names = ("performance_id", "pitch", "onset_tick", "duration_tick")
    for name, pitch, onset, duration in zip(*(lake.read("notes")[n].to_pylist() for n in names), strict=True):
        step = ticks[name] / 4
        first = round(onset / step)
        times = range(first, max(round((onset + duration) / step), first + 1))
        cells[name].update((t, pitch) for t in times if LOWEST <= pitch <= HIGHEST and t < LENGTH // 2)
    return {name: np.array(sorted(found)) for name, found in cells.items()}


def spectrum(cells: np.ndarray) -> np.ndarray:
    roll = np.zeros((HIGHEST - LOWEST + 1, LENGTH), np.float32)
    roll[cells[:, 1] - LOWEST, cells[:, 0]] = 1
    return np.fft.rfft(roll).astype(np.complex64)


def overlaps(one: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """Share of the shorter one's cells that the other has too, where they overlap most."""
    spectra = {name: spectrum(cells) for name, cells in others.items()}
    found = {}
    for a, cells in one.items():
        of_a = spectrum(cells).conj()
        for b, of_b in spectra.items():
            most = np.fft.irfft((of_a * of_b).sum(axis=0)).max()
            found[a, b] = float(most) / min(len(cells), len(others[b]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSB chorales in JSON (default: ../shared/data/jsb)")
    args = parser.parse_args()
    path = args.file or DEFAULT / "jsb" / "Jsb16thSeparated.json"
    if not path.is_file():
        print(f"{path}: no such file. Name one with chorales: python -m benchmarks.chorales CHORALES.json")
        sys.exit(1 if args.file else 0)
    settings = replace(load_settings(), workers=2)
    with tempfile.TemporaryDirectory(prefix="benchmark-chorales-") as name:
        folder = Path(name, "chorales")
        folder.mkdir()
        (folder / "chorales.json").symlink_to(path.absolute())
        lake = Lake(Path(name, "lake"))
        scores = Path(music21.__file__).parent / "corpus" / "bach"
        for dataset in (
            Dataset(name="jsb", title="JSB", folder=folder, follow_links=True, reader="jsb", sixteenth_sec=0.125),
            Dataset(name="scores", title="music21", folder=scores),
        ):
            ingest_dataset(lake, dataset, settings)
            fingerprint_dataset(lake, dataset.name, settings)
        find_duplicate_pairs(lake, settings=settings)
        report(lake)


def report(lake: Lake) -> None:
    file_of = {f["performance_id"]: f for f in lake.read("files").to_pylist() if f["performance_id"]}
    every = rolls(lake)
    sides = [{i: c for i, c in every.items() if file_of[i]["dataset"] == name} for name in ("jsb", "scores")]
    overlap = overlaps(*sides)
    relation = {}
    for row in lake.read("duplicate_pairs").to_pylist():
        a, b = row["performance_a"], row["performance_b"]
        if row["relation"] != "shared_melody":
            relation[a, b] = relation[b, a] = row["relation"]
    same = [pair for pair, share in overlap.items() if share >= SAME]
    hits = sum(pair in relation for pair in same)
    print(
        f"{len(sides[0])} chorales of JSB, {len(sides[1])} scores; pairs that overlap by {SAME} or more: {len(same)},"
    )
    print(f"found {hits}: recall {hits / max(len(same), 1):.4f}. Missed:")
    for a, b in same:
        if (a, b) not in relation:
            print(f"  - {file_of[a]['path']} = {file_of[b]['path']}, {overlap[a, b]:.2f}")
    found = [pair for pair in overlap if pair in relation]
    low = [pair for pair in found if overlap[pair] < HARDLY]
    print(f"Pairs found: {len(found)}; by overlap below {HARDLY} {len(low)}, between", end=" ")
    print(f"{sum(HARDLY <= overlap[pair] < SAME for pair in found)}. Those below:")
    for a, b in sorted(low, key=lambda pair: overlap[pair]):
        print(f"  - {file_of[a]['path']} = {file_of[b]['path']}, {overlap[a, b]:.2f}, {relation[a, b]}")


if __name__ == "__main__":
    main()
