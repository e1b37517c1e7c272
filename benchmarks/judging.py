"""How samples are judged, measured on real music: the index, what is found, what is taken for a copy, the base lines.

    python -m benchmarks.judging             ../shared/data
    python -m benchmarks.judging FOLDER      a folder with such folders

Clusters of the same music are dealt to two halves by a hash: one is train, excerpts of the other are held out, so no
pair of the two is known to hold the same music. Planted: passages of train, edited, in the middle of held-out music.
At the end the test splits of MAESTRO and JSB stand against their own train splits, as they are when leaks have moved;
beside them pieces that were made to loop and to copy.
"""

import argparse
import hashlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pianogen.catalogue import load_catalogue
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.evaluation.excerpts import Excerpt, held_out_excerpts
from pianogen.evaluation.memorization import Copy, copied_shares, find_copies
from pianogen.evaluation.repetition import measure_repetition
from pianogen.evaluation.structure import measure_structure
from pianogen.evaluation.window_index import STAGE, Melody, WindowIndex, build_window_index
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings
from pianogen.splits import assign_splits

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"
SQL = Path(__file__).resolve().parents[1] / "warehouse"
NUM_NOTES = 400
PASSAGE_SEC = 8.0
NUM_PLANTED = 300

Edit = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def moved(pitch: np.ndarray, sec: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return pitch + rng.integers(-6, 7), sec * rng.uniform(0.75, 1.3)


def jittered(pitch: np.ndarray, sec: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pitch, sec = moved(pitch, sec, rng)
    return pitch, sec + rng.normal(0, 0.01, len(sec))


def thinned(pitch: np.ndarray, sec: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pitch, sec = moved(pitch, sec, rng)
    is_kept = rng.random(len(sec)) >= 0.05
    return pitch[is_kept], (sec + rng.normal(0, 0.02, len(sec)))[is_kept]


def quantised(pitch: np.ndarray, sec: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return pitch + rng.integers(-6, 7), np.round(sec / 0.125) * 0.125


EDITS: dict[str, Edit] = {
    "key and tempo": moved,
    "… and 10 ms of jitter": jittered,
    "… and 20 ms of jitter, 5% of notes left out": thinned,
    "key, quantised to 125 ms": quantised,
}


def melody_of(excerpt: Excerpt) -> Melody:
    return Melody(excerpt.notes.pitch, excerpt.notes.onset_sec, excerpt.notes.offset_sec)


def plant(source: Melody, host: Melody, edit: Edit, rng: np.random.Generator) -> tuple[Melody, np.ndarray, int] | None:
    """A piece with a passage in it, which of its notes these are, and how many they are; None where too short."""
    latest = source.onset_sec[-1] - PASSAGE_SEC
    if latest <= source.onset_sec[0] or len(host.pitch) < 80:
        return None
    begin = rng.uniform(source.onset_sec[0], latest)
    is_in = (source.onset_sec >= begin) & (source.onset_sec < begin + PASSAGE_SEC)
    if is_in.sum() < 10:
        return None
    pitch, sec = edit(source.pitch[is_in].astype(int), source.onset_sec[is_in] - begin, rng)
    at = int(rng.integers(20, len(host.pitch) - 20))
    sec = sec - sec.min() + host.onset_sec[at] + 0.2
    later = host.onset_sec[at:] + (sec.max() + 0.2 - host.onset_sec[at])
    onset = np.concatenate([host.onset_sec[:at], sec, later])
    pitches = np.concatenate([host.pitch[:at], pitch, host.pitch[at:]])
    is_planted = np.repeat([False, True, False], [at, len(sec), len(host.pitch) - at])
    order = np.lexsort((pitches, onset))
    return Melody(pitches[order], onset[order], onset[order] + 0.2), is_planted[order], len(sec)


def planted_found(index: WindowIndex, hosts: list[Melody], edit: Edit) -> dict[str, tuple[int, int]]:
    """Passages found and planted, of 40 notes or more, and of fewer."""
    rng = np.random.default_rng(8)
    sources = index.melodies(rng.choice(len(index.ids), min(NUM_PLANTED, len(index.ids)), replace=False).tolist())
    made = [plant(m, hosts[rng.integers(len(hosts))], edit, rng) for m in sources.values()]
    made = [one for one in made if one is not None]
    counts: dict[str, list[bool]] = defaultdict(list)
    for (_, is_planted, num), copies in zip(made, find_copies([one[0] for one in made], index), strict=True):
        copied = [n for copy in copies for n in copy.notes.tolist()]
        counts["40 notes or more" if num >= 40 else "fewer"].append(
            bool(is_planted[copied].sum() >= 0.5 * is_planted.sum())
        )
    return {name: (sum(found), len(found)) for name, found in counts.items()}


def summary(values: list[float | None]) -> str:
    known = np.array([value for value in values if value is not None], float)
    if not len(known):
        return "–"
    return f"{known.mean():.3f} ({np.quantile(known, 0.95):.3f}, {known.max():.3f})"


def print_base_lines(by_dataset: dict[str, list[tuple[Melody, list[Copy]]]]) -> None:
    print("\nMean (95th percentile, most):\n")
    names = (
        "copied_share", "longest_copy_sec", "cycle2_share", "cycle3_share", "repeated_4", "repeated_8",
        "compression_ratio", "structure_short", "structure_mid", "structure_long",
    )  # fmt: skip
    print(f"| measure | {' | '.join(by_dataset)} |\n|---|{'---|' * len(by_dataset)}")
    measured = {}
    for dataset, found in by_dataset.items():
        measured[dataset] = [
            {
                **measure_repetition(melody.pitch, melody.onset_sec, None),
                **measure_structure(*melody),
                **copied_shares(copies, len(melody.pitch)),
            }
            for melody, copies in found
        ]
    for name in names:
        cells = [summary([row[name] for row in rows]) for rows in measured.values()]
        print(f"| `{name}` | {' | '.join(cells)} |")


FOLDERS = {
    "asap": "asap",
    "giantmidi": "giantmidi",
    "jsb": "jsb",
    "lakh": "lakh_full",
    "maestro": "maestro_v3",
    "piano-course": "piano_course",
    "pop909": "pop909",
}
"""Names of folders, and of the datasets that lie in them."""


def settings_over(folder: Path, scratch: Path, workers: int) -> Settings:
    """Settings that name the folders which are there as datasets."""
    lines = ["starter = false", f"workers = {workers}", f"sql = {str(SQL)!r}"]
    for name, dataset in FOLDERS.items():
        if (folder / name).is_dir():
            lines += [f"[datasets.{dataset}]", f"folder = {str((folder / name).absolute())!r}"]
            lines += ['split = "auto"'] if dataset == "piano_course" else []
    path = scratch / "pianogen.toml"
    path.write_text("\n".join(lines) + "\n")
    return load_settings(path)


def looping(num_notes: int) -> Melody:
    """A bar of sixteen notes, over and over."""
    onset = np.arange(num_notes) * 0.125
    return Melody(np.resize(np.random.default_rng(1).integers(48, 80, 16), num_notes), onset, onset + 0.125)


def copying(source: Melody, num_notes: int) -> Melody:
    """The middle of a piece, a minor third higher and a quarter slower."""
    first = max(0, (len(source.pitch) - num_notes) // 2)
    pitch, onset, offset = (column[first : first + num_notes] for column in source)
    return Melody(pitch + 3, (onset - onset[0]) * 1.25, (offset - onset[0]) * 1.25)


def print_tests_against_train(lake: Lake, settings: Settings, cluster: dict[str, str]) -> None:
    """Base lines of MAESTRO and JSB, and of pieces that were made to loop and to copy."""
    rows = lake.read("splits", ["performance_id", "dataset", "split"]).to_pylist()
    by_dataset: dict[str, list[tuple[Melody, list[Copy]]]] = {}
    for dataset in ("maestro_v3", "jsb"):
        train, test = (
            [row["performance_id"] for row in rows if row["dataset"] == dataset and row["split"] == split]
            for split in ("train", "test")
        )
        if not (train and test):
            continue
        index = WindowIndex(lake, build_window_index(lake, dataset, train, settings), train, cluster)
        pieces = [melody_of(e) for e in held_out_excerpts(lake, test, NUM_NOTES)]
        made = [looping(NUM_NOTES), copying(index.melodies([0])[0], NUM_NOTES)]
        found = list(zip([*pieces, *made], find_copies([*pieces, *made], index), strict=True))
        name = f"{dataset}, {len(test)} test against {len(train)} train"
        by_dataset |= {name: found[:-2], f"{dataset}, looping": found[-2:-1], f"{dataset}, copying": found[-1:]}
    print_base_lines(by_dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description="Judging, measured on real music.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-judging-") as name:
        settings = settings_over(options.folder, Path(name), options.workers)
        lake, datasets = Lake(Path(name) / "lake"), load_catalogue(settings)
        for dataset in datasets:
            ingest_dataset(lake, dataset, settings)
            fingerprint_dataset(lake, dataset.name, settings)
        find_duplicate_pairs(lake, settings=settings)
        find_clusters(lake, [dataset.name for dataset in datasets], settings.splits)
        assign_splits(lake, datasets, settings.splits)
        of = dict(zip(*lake.read("performances", ["performance_id", "dataset"]).to_pydict().values(), strict=True))
        cluster = dict(zip(*lake.read("clusters", ["performance_id", "cluster_id"]).to_pydict().values(), strict=True))
        start = time.perf_counter()
        manifest = build_window_index(lake, "whole", list(of), settings)
        took = time.perf_counter() - start
        paths = [path for key in manifest.blocks for path in lake.block_path(STAGE.name, key).iterdir()]
        num_notes = lake.read("notes", ["is_drum"]).num_rows
        size = sum(path.stat().st_size for path in paths)
        print(f"index: {len(of):,} performances, {num_notes:,} notes, {took:.1f} s, {size / 1e6:.1f} MB")
        train = [i for i in of if hashlib.sha256(cluster[i].encode()).digest()[0] % 2]
        held_out = held_out_excerpts(lake, set(of) - set(train), NUM_NOTES)
        index = WindowIndex(lake, build_window_index(lake, "half", train, settings), train, cluster)
        start = time.perf_counter()
        copies = find_copies([melody_of(e) for e in held_out], index)
        took = time.perf_counter() - start
        print(
            f"looked up: {len(held_out):,} excerpts of {NUM_NOTES} notes in {len(train):,} performances, {took:.1f} s"
        )
        by_dataset: dict[str, list[tuple[Excerpt, list[Copy]]]] = defaultdict(list)
        for excerpt, found in zip(held_out, copies, strict=True):
            by_dataset[of[excerpt.name]].append((excerpt, found))
        print("\n| held out | excerpts | with a copy | notes copied | longest, notes |\n|---|---|---|---|---|")
        for dataset, found in sorted(by_dataset.items()):
            some = [copy for _, some in found for copy in some]
            share = sum(copy.num_notes for copy in some) / sum(len(e.notes.pitch) for e, _ in found)
            longest = max((copy.num_notes for copy in some), default=0)
            print(f"| {dataset} | {len(found)} | {sum(bool(s) for _, s in found)} | {share:.2%} | {longest} |")
        hosts = [melody_of(e) for e in held_out if of[e.name] != "jsb"]
        print(f"\n| {PASSAGE_SEC:.0f} s planted, edited by | of 40 notes or more | of fewer |\n|---|---|---|")
        for title, edit in EDITS.items():
            found = planted_found(index, hosts, edit)
            cells = ["{} of {}".format(*found.get(kind, (0, 0))) for kind in ("40 notes or more", "fewer")]
            print(f"| {title} | {' | '.join(cells)} |")
        melodies = {name: [(melody_of(e), c) for e, c in found] for name, found in sorted(by_dataset.items())}
        print_base_lines(melodies)
        print_tests_against_train(lake, settings, cluster)


if __name__ == "__main__":
    main()
