"""Our duplicate pairs of Lakh files beside a published list of clusters, and where the two disagree, to be looked at.

    python -m benchmarks.lakh_agreement                                     ../shared/data
    python -m benchmarks.lakh_agreement FOLDER --pictures looks --out disagreements.csv

FOLDER has `lakh/` with files named by their MD5, `lakh/machine_clusters.csv` (threshold, query, md5, path) and
`manifest.csv`. The clusters were found by embeddings (CAugBERT, CLaMP) and nobody checked them. Those in the list are
large; small ones were published as samples to listen to, a folder of 2 or 3 files for each, which `source_path` of the
manifest still tells. All members of a cluster are pairs of theirs. A file that no list names was not judged by them:
only pairs of two listed files are compared.

The sample: pairs that are only ours, at most half of it; the rest only theirs, of each list as many. Each pair gets a
picture, the piano roll of one above that of the other, at one tempo, with the melody they share in red: windows of 6
intervals (repeated pitches left out, 4 different pitches at least) that a part of one has in common with a part of
the other, of the two parts with most of them.
"""

import argparse
import csv
import hashlib
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.corpus import DEFAULT
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings

CLUSTERS = "lakh/machine_clusters.csv"
MANIFEST = "manifest.csv"
SAMPLES = "_listening_samples"
LINE = 6
"""Intervals of a window of melody."""
MIN_PITCHES = 4
ENOUGH_ANCHORS = 8
"""Windows that tell how the tempi of two files compare."""
GREY, RED = "#9aa4b0", "#c2182b"

Pair = tuple[str, str]
"""MD5 of two files, the smaller first."""


@dataclass(frozen=True, eq=False)
class Music:
    """Notes of one file without drums, ordered by onset."""

    pitch: np.ndarray
    onset_sec: np.ndarray
    offset_sec: np.ndarray
    windows: dict[int, dict[tuple[int, ...], list[np.ndarray]]]
    """Part -> intervals of a window -> its places, each the numbers of its notes."""


@dataclass(frozen=True)
class Melody:
    """What the two most alike parts of two files have in common."""

    num_windows: int
    share: float
    """Of the windows of the part that has fewer."""
    notes_a: np.ndarray
    """Numbers of the notes."""
    notes_b: np.ndarray
    tempo_ratio: float | None
    """Seconds of b per second of a; None where too few windows tell."""


def read_lists(folder: Path, compared: set[str]) -> dict[str, list[set[str]]]:
    """Clusters, as sets of MD5, by the name of their list; of files that were not compared nothing is known."""
    clusters: dict[tuple[str, str], set[str]] = defaultdict(set)
    with (folder / CLUSTERS).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clusters[row["threshold"], row["query"]].add(row["md5"])
    for row in _manifest(folder):
        places = row["source_path"].split("/")
        if len(places) > 3 and places[1].endswith(SAMPLES):
            name = "samples_" + places[1].removesuffix(SAMPLES).removeprefix("ours_")
            clusters[name, places[3]].add(Path(row["path"]).stem)
    lists = defaultdict(list)
    for (name, _), members in sorted(clusters.items()):
        if len(members & compared) > 1:
            lists[name].append(members & compared)
    return dict(lists)


def read_titles(folder: Path) -> dict[str, str]:
    """Artist and title by MD5, of the files that have a title."""
    return {Path(row["path"]).stem: f"{row['composer']}: {row['title']}" for row in _manifest(folder) if row["title"]}


def _manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / MANIFEST).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["path"].startswith("lakh/lmd_full/")]


def pairs_of(clusters: Iterable[set[str]]) -> set[Pair]:
    """Every two members of one cluster."""
    return {(a, b) for members in clusters for a, b in combinations(sorted(members), 2)}


def find_pairs(lake: Lake, folder: Path, workers: int) -> dict[Pair, dict]:
    """Our pairs, told from the smaller MD5."""
    settings = replace(load_settings(), workers=workers)
    dataset = Dataset(name="lakh", title="Lakh", folder=folder.absolute(), pattern="*.mid", parts="all")
    ingest_dataset(lake, dataset, settings)
    fingerprint_dataset(lake, dataset.name, settings)
    find_duplicate_pairs(lake, settings=settings)
    files, found = _files(lake), {}
    for row in lake.read("duplicate_pairs").to_pylist():
        a, b = files[row["performance_a"]], files[row["performance_b"]]
        if a > b:
            a, b = b, a
            row["semitones"] *= 1 if row["is_mirrored"] else -1
            row["tempo_ratio"] = 1 / row["tempo_ratio"] if row["tempo_ratio"] else None
        found[a, b] = row
    return found


def _files(lake: Lake) -> dict[str, str]:
    rows = lake.read("files", ["performance_id", "path"]).to_pylist()
    return {row["performance_id"]: Path(row["path"]).stem for row in rows if row["performance_id"]}


def read_music(lake: Lake, wanted: set[str]) -> dict[str, Music]:
    """Notes of the files of these MD5."""
    names = _files(lake)
    columns = ["performance_id", "track", "program", "is_drum", "pitch", "onset_sec", "offset_sec"]
    table = lake.read("notes", columns).to_pandas()
    music = {}
    for performance, notes in table[~table["is_drum"]].groupby("performance_id", observed=True, sort=False):
        name = names[str(performance)]
        if name in wanted:
            columns = ("pitch", "onset_sec", "offset_sec", "track", "program")
            pitch, onset_sec, offset_sec, track, program = (notes[column].to_numpy() for column in columns)
            # Files of format 0 have all parts in one track.
            part, pitch = track.astype(np.int64) * 128 + program, pitch.astype(np.int64)
            windows = {int(p): _windows(pitch, onset_sec, part == p) for p in np.unique(part)}
            music[name] = Music(pitch, onset_sec, offset_sec, windows)
    return music


def _windows(pitch: np.ndarray, onset_sec: np.ndarray, is_part: np.ndarray) -> dict[tuple[int, ...], list[np.ndarray]]:
    """Windows of a part's top line: of notes that begin together the highest, of equal pitches in a row the first."""
    notes = np.flatnonzero(is_part)
    notes = notes[np.append(onset_sec[notes][1:] != onset_sec[notes][:-1], True)]
    notes = notes[np.append(True, np.diff(pitch[notes]) != 0)]
    steps, windows = np.diff(pitch[notes]), defaultdict(list)
    for first in range(len(steps) - LINE + 1):
        here = notes[first : first + LINE + 1]
        if len(np.unique(pitch[here])) >= MIN_PITCHES:
            windows[tuple(steps[first : first + LINE].tolist())].append(here)
    return dict(windows)


def shared_melody(a: Music, b: Music) -> Melody:
    """What the two parts have in common that share most windows."""
    best, smaller, parts = set(), 1, None
    for part_a, of_a in a.windows.items():
        for part_b, of_b in b.windows.items():
            if len(shared := of_a.keys() & of_b.keys()) > len(best):
                best, smaller, parts = shared, min(len(of_a), len(of_b)), (part_a, part_b)
    if parts is None:
        return Melody(0, 0.0, np.empty(0, np.int64), np.empty(0, np.int64), None)
    of_a, of_b = a.windows[parts[0]], b.windows[parts[1]]
    once = [window for window in best if len(of_a[window]) == len(of_b[window]) == 1]
    times = sorted((a.onset_sec[of_a[window][0][0]], b.onset_sec[of_b[window][0][0]]) for window in once)
    return Melody(
        len(best),
        len(best) / smaller,
        np.unique(np.concatenate([places for window in best for places in of_a[window]])),
        np.unique(np.concatenate([places for window in best for places in of_b[window]])),
        _slope(np.array(times)),
    )


def _slope(times: np.ndarray) -> float | None:
    """Median slope between places half the list apart, where enough of them tell and they go forward."""
    if len(times) < ENOUGH_ANCHORS:
        return None
    half = len(times) // 2
    run, rise = (times[half:] - times[:-half]).T
    slope = float(np.median(rise[run > 0] / run[run > 0])) if (run > 0).any() else 0.0
    return slope if 0.2 < slope < 5 else None


def draw_sample(ours: set[Pair], theirs: dict[str, set[Pair]], size: int, seed: int) -> list[tuple[str, Pair]]:
    """Who says pair, and the pair: only ours at most half; then only theirs, of each list as many, or all it has."""

    # By hash, so that a pair more or less in either changes one place of the sample.
    def drawn(pairs: set[Pair]) -> list[Pair]:
        return sorted(pairs, key=lambda pair: hashlib.sha256(repr((seed, pair)).encode()).digest())

    sample = [("ours", pair) for pair in drawn(ours)[: size // 2]]
    queues = {name: drawn(pairs)[::-1] for name, pairs in sorted(theirs.items())}
    while len(sample) < size and any(queues.values()):
        for name, queue in queues.items():
            if queue and len(sample) < size:
                sample.append((name, queue.pop()))
    return sorted(sample)


def save_picture(
    path: Path, title: str, names: Sequence[str], music: Sequence[Music], ratio: float, melody: Melody
) -> None:
    """Two piano rolls, the first one's time multiplied by `ratio`, each from its first note on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    figure = Figure(figsize=(20, 9), layout="constrained")
    FigureCanvasAgg(figure)
    rolls = figure.subplots(2, 1, sharex=True)
    for axes, name, one, scale, marked in zip(
        rolls, names, music, (ratio, 1.0), (melody.notes_a, melody.notes_b), strict=True
    ):
        begin = one.onset_sec[0]
        lines = np.empty((len(one.pitch), 2, 2))
        lines[:, :, 1] = one.pitch[:, None]
        lines[:, 0, 0], lines[:, 1, 0] = (one.onset_sec - begin) * scale, (one.offset_sec - begin) * scale
        axes.add_collection(LineCollection(list(lines), colors=GREY, linewidths=2))
        axes.add_collection(LineCollection(list(lines[marked]), colors=RED, linewidths=2.5))
        axes.autoscale_view()
        axes.set_title(name, fontsize=11, loc="left")
        axes.set_ylabel("pitch")
        axes.set_yticks(range(24, 109, 12))
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.margins(x=0.005)
    rolls[1].set_xlabel(f"seconds of the lower one; the upper one's are multiplied by {ratio:.3f}")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=80)


def save_disagreements(
    sample: Sequence[tuple[str, Pair]], lake: Lake, found: dict[Pair, dict], lists: dict[str, set[Pair]],
    titles: dict[str, str], pictures: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Write the pictures and the CSV of a sample."""
    music, rows = read_music(lake, {name for _, pair in sample for name in pair}), []
    for number, (who, (a, b)) in enumerate(sample, 1):
        pair, melody = found.get((a, b), {}), shared_melody(music[a], music[b])
        ratio = pair.get("tempo_ratio") or melody.tempo_ratio or 1.0
        said = ", ".join(name for name, pairs in lists.items() if (a, b) in pairs) or pair["relation"]
        row = {"number": number, "who": who, "said": said, "md5_a": a, "md5_b": b}
        row |= {"title_a": titles.get(a, ""), "title_b": titles.get(b, "")}
        row |= {key: pair.get(key) for key in ("relation", "score", "coverage", "semitones", "tempo_ratio")}
        rows.append(row | {"melody_windows": melody.num_windows, "melody_share": round(melody.share, 3)})
        if pictures:
            title = f"{number}: {said}; {melody.num_windows} windows of melody in common, {melody.share:.0%}"
            names = [f"{name[:8]}  {titles.get(name, '')}" for name in (a, b)]
            save_picture(pictures / f"{number:02d}.png", title, names, (music[a], music[b]), ratio, melody)
    if out:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)


def print_agreement(found: set[Pair], lists: dict[str, list[set[str]]], titles: dict[str, str]) -> None:
    """One row for each list, and one for all together."""
    columns = ["list", "clusters", "files", "their pairs", "our pairs", "both", "only ours", "only theirs", "Jaccard"]
    columns += ["theirs we have", "ours they have", "only theirs: equal titles of known"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for name, clusters in {**lists, "all": [members for each in lists.values() for members in each]}.items():
        theirs, files = pairs_of(clusters), set().union(*clusters)
        ours = {pair for pair in found if files.issuperset(pair)}
        both, only = ours & theirs, theirs - ours
        shares = [_share(len(both), len(whole)) for whole in (ours | theirs, theirs, ours)]
        same = [titles[a].casefold() == titles[b].casefold() for a, b in only if {a, b} <= titles.keys()]
        counts = [len(clusters), *map(len, (files, theirs, ours, both, ours - theirs, only))]
        print("| " + " | ".join([name, *map(str, counts), *shares, f"{sum(same)} of {len(same)}"]) + " |")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help=f"has {CLUSTERS} and {MANIFEST} (default: ../shared/data)")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the sample")
    parser.add_argument("--out", type=Path, help="CSV of the sample")
    parser.add_argument("--sample", type=int, default=50, help="disagreements to show (default: 50)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    args = parser.parse_args()
    folder = args.folder or DEFAULT
    for needed in (CLUSTERS, MANIFEST):
        if not (folder / needed).is_file():
            print(f"{folder / needed}: no such file. Name a folder: python -m benchmarks.lakh_agreement FOLDER")
            sys.exit(1 if args.folder else 0)
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
    titles = read_titles(folder)
    with tempfile.TemporaryDirectory(prefix="benchmark-lakh-") as name:
        lake = Lake(Path(name))
        found = find_pairs(lake, folder / "lakh", args.workers)
        lists = read_lists(folder, set(_files(lake).values()))
        print_agreement(set(found), lists, titles)
        pairs = {name: pairs_of(clusters) for name, clusters in lists.items()}
        files = {name: set().union(*clusters) for name, clusters in lists.items()}
        theirs = set().union(*pairs.values())
        ours = {pair for pair in set(found) - theirs if any(names.issuperset(pair) for names in files.values())}
        only, seen = {}, set(found)
        for listed in sorted(pairs, reverse=True):
            # Pairs of several lists count with the strictest.
            only[listed] = pairs[listed] - seen
            seen |= pairs[listed]
        sample = draw_sample(ours, only, args.sample, args.seed)
        save_disagreements(sample, lake, found, pairs, titles, args.pictures, args.out)


if __name__ == "__main__":
    main()
