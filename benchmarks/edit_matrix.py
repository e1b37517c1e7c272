"""Which edits of a piece are still found as its copy, and called by the right name, on real music of every dataset.

    python -m benchmarks.edit_matrix                          12 bases of each dataset in ../shared/data
    python -m benchmarks.edit_matrix FOLDER --bases 4         fewer, of a folder whose first level names datasets
    python -m benchmarks.edit_matrix --misses misses.csv --keep edited     what went wrong, and the files to look at

Bases are drawn by a seed, of 100 notes at least where the dataset has them, no two of one work by the folder's
known_pairs.csv. Every edit (`edits.EDITS`) is made of every base; originals and edited files are compared all at
once, or `--together N` edits at a time. An edited file is found when it makes a pair with its base, of any relation
but shared_melody. Counted as wrong are pairs of files that have no base and no known work in common. Bases whose
originals are a pair without being listed as one work may share music in truth: their pairs are counted apart, by
name, for a judgement by ear or eye.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.corpus import DEFAULT, load
from benchmarks.edit_files import Base, EditedFile, make_files, read_bases
from benchmarks.edit_report import print_report, save_heat_map, save_misses
from benchmarks.edits import EDITS, Edit
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset, retire_datasets
from pianogen.lake import Lake
from pianogen.settings import Settings, load_settings

ORIGINAL = "original"


@dataclass(frozen=True, kw_only=True)
class WrongPair:
    """Two files that have no base and no known work in common and were made a pair."""

    a: EditedFile | Base
    b: EditedFile | Base
    works: tuple[frozenset[str], frozenset[str]]
    relation: str
    score: float


@dataclass(kw_only=True)
class Findings:
    """What the comparison said of every file."""

    bases: list[Base]
    files: list[EditedFile] = field(default_factory=list)
    with_base: dict[tuple[str, int], dict] = field(default_factory=dict)
    """Edit and base -> the pair of edited file and base, its numbers as seen from the base."""
    rejected: set[tuple[str, int]] = field(default_factory=set)
    num_notes: dict[tuple[str, int], int] = field(default_factory=dict)
    """Of edited files."""
    wrong: list["WrongPair"] = field(default_factory=list)
    num_unrelated: int = 0
    """Pairs of files that have nothing in common, all that were compared."""
    seconds: dict[str, float] = field(default_factory=dict)


def compare(bases: list[Base], folder: Path, edits: Sequence[Edit], together: int, settings: Settings) -> Findings:
    """Write, ingest, fingerprint and compare originals and edited files."""
    found = Findings(bases=bases)
    lake = Lake(folder / "lake")
    originals = folder / ORIGINAL
    originals.mkdir(exist_ok=True)
    for base in bases:
        (originals / f"{base.number:03d}.mid").write_bytes(base.data)
    _ingest(lake, ORIGINAL, originals, settings, found)
    for number in range(0, len(edits), together):
        name = f"edited_{number // together}"
        with _timed("edits", found):
            files = make_files(bases, folder / name, edits[number : number + together], settings)
        _ingest(lake, name, folder / name, settings, found)
        with _timed("duplicate_pairs", found):
            find_duplicate_pairs(lake, settings=settings)
        _judge(lake, name, files, found)
        retire_datasets(lake, [ORIGINAL])
    return found


@contextmanager
def _timed(stage: str, found: Findings) -> Iterator[None]:
    start = time.perf_counter()
    yield
    found.seconds[stage] = found.seconds.get(stage, 0.0) + time.perf_counter() - start


def _ingest(lake: Lake, name: str, folder: Path, settings: Settings, found: Findings) -> None:
    with _timed("ingest", found):
        ingest_dataset(lake, Dataset(name=name, title=name, folder=folder.absolute()), settings)
    with _timed("fingerprints", found):
        fingerprint_dataset(lake, name, settings)


def _judge(lake: Lake, dataset: str, files: list[EditedFile], found: Findings) -> None:
    """Add what the lake says of these edited files."""
    bases = found.bases
    edited_at = {(dataset, file.path): file for file in files}
    original_at = {(ORIGINAL, f"{base.number:03d}.mid"): base for base in bases}
    num_notes = dict(zip(*lake.read("performances", ["performance_id", "num_notes"]).to_pydict().values(), strict=True))
    item_of: dict[str, EditedFile | Base] = {}
    for row in lake.read("files", ["dataset", "path", "performance_id"]).to_pylist():
        place = row["dataset"], row["path"]
        item = edited_at.get(place) or original_at[place]
        if row["performance_id"] is not None:
            item_of[row["performance_id"]] = item
            if isinstance(item, EditedFile):
                found.num_notes[item.edit, item.base] = num_notes[row["performance_id"]]
        elif isinstance(item, EditedFile):
            found.rejected.add((item.edit, item.base))
    works = {item: _works_of(item, bases) for item in item_of.values()}
    for row in lake.read("duplicate_pairs").to_pylist():
        a, b = item_of[row["performance_a"]], item_of[row["performance_b"]]
        if works[a].isdisjoint(works[b]):
            if found.files and isinstance(a, Base) and isinstance(b, Base):
                continue  # counted with the first edits
            found.wrong.append(
                WrongPair(a=a, b=b, works=(works[a], works[b]), relation=row["relation"], score=row["score"])
            )
        elif isinstance(a, EditedFile) and isinstance(b, Base) and a.base == b.number:
            found.with_base[a.edit, a.base] = _turned_round(row)
        elif isinstance(a, Base) and isinstance(b, EditedFile) and b.base == a.number:
            found.with_base[b.edit, b.base] = row
    found.num_unrelated += _count_unrelated(list(works.values()), [isinstance(item, Base) for item in works], found)
    found.files += files


def _works_of(item: EditedFile | Base, bases: Sequence[Base]) -> frozenset[str]:
    if isinstance(item, Base):
        return frozenset({item.work})
    return frozenset(bases[number].work for number in (item.base, item.other) if number is not None)


def _turned_round(row: dict) -> dict:
    """A pair as seen from its second member."""
    semitones = row["semitones"] if row.get("is_mirrored") else -row["semitones"]
    ratio = row["tempo_ratio"]
    return {**row, "semitones": semitones, "tempo_ratio": 1 / ratio if ratio else None}


def _count_unrelated(works: list[frozenset[str]], is_original: list[bool], found: Findings) -> int:
    """Pairs of files without a work in common; pairs of originals only the first time."""
    number = {work: i for i, work in enumerate(sorted(frozenset().union(*works)))}
    has_work = np.zeros((len(works), len(number)), np.float32)
    for row, of_file in enumerate(works):
        has_work[row, [number[work] for work in of_file]] = 1
    is_unrelated = has_work @ has_work.T == 0
    if found.files:
        originals = np.array(is_original)
        is_unrelated &= ~(originals[:, None] & originals)
    return int(np.triu(is_unrelated, 1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--bases", type=int, default=12, help="of each dataset (default: 12)")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--together", type=int, default=len(EDITS), help="edits compared at a time (default: all)")
    parser.add_argument("--edits", default="", help="only edits whose name holds this text")
    parser.add_argument("--out", type=Path, help="picture of the heat map, e.g. heatmap.png")
    parser.add_argument("--misses", type=Path, help="CSV of what was missed or misnamed, and of pairs that are wrong")
    parser.add_argument("--keep", type=Path, help="write originals and edited files here and leave them")
    args = parser.parse_args()
    if args.folder and not args.folder.is_dir():
        sys.exit(f"{args.folder}: no such folder. Name one with MIDI files: python -m benchmarks.edit_matrix FOLDER")
    folder = args.folder or (DEFAULT if DEFAULT.is_dir() else None)
    settings = replace(load_settings(), workers=args.workers)
    edits = [edit for edit in EDITS if args.edits in edit.name]
    if not edits:
        sys.exit(f"no edit has {args.edits!r} in its name; there are: {', '.join(edit.name for edit in EDITS)}")
    if args.keep:
        if args.keep.exists():
            sys.exit(f"{args.keep}: is there already; name a new folder for --keep, or remove it")
        args.keep.mkdir(parents=True)
    bases = read_bases(folder, args.bases, settings)
    print(f"load before: {load()}\n", flush=True)
    with nullcontext(args.keep) if args.keep else tempfile.TemporaryDirectory(prefix="benchmark-edits-") as place:
        found = compare(bases, Path(place), edits, args.together, settings)
    print_report(found, edits)
    for path in filter(None, (args.misses, args.out)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if args.misses:
        save_misses(found, args.misses)
    if args.out:
        save_heat_map(found, edits, args.out)
    print(f"load after: {load()}")


if __name__ == "__main__":
    main()
