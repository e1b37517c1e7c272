"""Real pieces of every dataset, and the files that are made of them by every edit."""

import csv
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.edits import EDITS, Edit, Source
from benchmarks.note_edits import Notes, notes_of, render
from pianogen import parallel
from pianogen.catalogue import STARTER, find_dataset, list_files
from pianogen.chorales import list_members, parse_chorale
from pianogen.errors import RejectedFileError
from pianogen.reading import MIDI_SUFFIXES, parse_file
from pianogen.settings import Settings

LIST = "known_pairs.csv"
SEED = "edits 4"
MIN_NOTES = 100
FEWEST_NOTES = 20
"""Of bases where a dataset has too few longer ones."""
SIXTEENTH_SEC = 0.125
"""Of the chorales in JSON, which have no tempo."""
LOOSE = "(no folder)"
"""Dataset of files that lie in no folder below the one given."""
ALSO_ONE_WORK = (("asap/Schumann/Toccata/Dulu03.mid", "giantmidi/ground_truth/schumann_toccata_op_7_siu_cut.mid"),)
"""One work by their titles, which the list does not say."""
NO_MUSIC = ("corrupt",)
"""Folders of test files that are broken on purpose."""


@dataclass(frozen=True, eq=False)
class Base:
    """A real piece, and what is edited of it."""

    number: int
    dataset: str
    name: str
    """Path below the folder; of a chorale, with its place in the file."""
    data: bytes
    notes: Notes
    work: str
    """The same for all files that known_pairs.csv joins."""


@dataclass(frozen=True, kw_only=True)
class EditedFile:
    """One edited file, and what is true of it."""

    path: str
    edit: str
    base: int
    other: int | None
    """The base that follows, of concatenations."""
    relations: frozenset[str]
    semitones: frozenset[int]
    is_mirrored: bool
    tempo_ratio: float | None


def read_bases(folder: Path | None, per_dataset: int, settings: Settings) -> list[Base]:
    """Seeded bases of each dataset, ordered by dataset, no two of one work.

    Args:
        folder: its first level names the datasets; None: only the chorales that a package brings.
        per_dataset: how many, where a dataset has as many.
        settings: where that package's chorales are looked up.
    """
    works = known_works(folder) if folder else {}
    bases: list[Base] = []
    taken: set[str] = set()
    for dataset, members in candidates(folder, settings).items():
        chosen: list[Base] = []
        short: list[Base] = []
        for name in sorted(members, key=lambda name: zlib.crc32(f"{SEED} {name}".encode())):
            if len(chosen) == per_dataset:
                break
            work = works.get(name, name)
            if work in taken or (base := members[name].as_base(dataset, name, work)) is None:
                continue
            if len(base.notes) >= MIN_NOTES:
                chosen.append(base)
                taken.add(work)
            elif len(base.notes) >= FEWEST_NOTES:
                short.append(base)
        for base in short:
            if len(chosen) < per_dataset and base.work not in taken:
                chosen.append(base)
                taken.add(base.work)
        bases += [replace(base, number=len(bases) + i) for i, base in enumerate(chosen)]
    return bases


@dataclass(frozen=True)
class Candidate:
    """A file, or a chorale in a file, that may become a base."""

    path: Path
    chorale: bytes | None = None

    def as_base(self, dataset: str, name: str, work: str) -> Base | None:
        """The base, not yet numbered; None where the file is rejected."""
        try:
            parsed = parse_file(self.path) if self.chorale is None else parse_chorale(self.chorale, SIXTEENTH_SEC)
        except RejectedFileError:
            return None
        notes = notes_of(parsed.notes)
        data = self.path.read_bytes() if parsed.format == "midi" else render(notes)
        return Base(-1, dataset, name, data, notes, work)


def candidates(folder: Path | None, settings: Settings) -> dict[str, dict[str, Candidate]]:
    """By dataset and name; the chorales that a package brings where the folder has none in JSON."""
    found: dict[str, dict[str, Candidate]] = {}
    has_chorales = False
    named = (
        {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()} if folder else {}
    )
    for name, path in sorted(named.items()):
        dataset = name.split("/")[0] if "/" in name else LOOSE
        if dataset in NO_MUSIC:
            continue
        if path.suffix.lower() in MIDI_SUFFIXES:
            found.setdefault(dataset, {})[name] = Candidate(path)
        elif path.suffix.lower() == ".json":
            try:
                members = list_members(path)
            except RejectedFileError:
                continue
            has_chorales = True
            found.setdefault(dataset, {}).update({f"{name}#{m.name}": Candidate(path, m.data) for m in members})
    if not has_chorales:
        starter = list_files(find_dataset(settings, STARTER))
        found[STARTER] = {f"{STARTER}/{file.name}": Candidate(Path(file.path)) for file in starter}
    return found


def known_works(folder: Path) -> dict[str, str]:
    """A name for each file in known_pairs.csv, the same for files that its pairs join; empty without the list."""
    if not (folder / LIST).is_file():
        return {}
    with (folder / LIST).open(newline="", encoding="utf-8") as file:
        pairs = [*ALSO_ONE_WORK, *((row["path_a"], row["path_b"]) for row in csv.DictReader(file))]
    name_of = {path: path for pair in pairs for path in pair}

    def root(path: str) -> str:
        while name_of[path] != path:
            path = name_of[path]
        return path

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        name_of[second] = first
    return {path: root(path) for path in name_of}


@dataclass(frozen=True)
class _Task:
    base: Base
    other: Base
    folder: Path
    edits: tuple[str, ...]


def _make_files(task: _Task) -> list[EditedFile]:
    base, made = task.base, []
    source = Source(base.data, base.notes, None if task.other is base else task.other.notes)
    for number, edit in enumerate(EDITS):
        if edit.name not in task.edits or (edited := edit.apply(source, f"{SEED} {base.name}")) is None:
            continue
        path = f"{number:02d}/{base.number:03d}.mid"
        (task.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (task.folder / path).write_bytes(edited.data)
        made.append(
            EditedFile(
                path=path,
                edit=edit.name,
                base=base.number,
                other=task.other.number if edited.has_other else None,
                relations=edit.relations_of(edited),
                semitones=edited.semitones,
                is_mirrored=edited.is_mirrored,
                tempo_ratio=edited.tempo_ratio,
            )
        )
    return made


def make_files(bases: Sequence[Base], folder: Path, edits: Sequence[Edit], settings: Settings) -> list[EditedFile]:
    """Write every edit of every base below the folder; edits that do not fit a base are left out."""
    followers: dict[int, Base] = {}
    for _, group in itertools.groupby(bases, key=lambda base: base.dataset):
        members = list(group)
        followers.update(zip((base.number for base in members), members[1:] + members[:1], strict=True))
        if len(members) == 1:
            followers[members[0].number] = bases[(members[0].number + 1) % len(bases)]
    names = tuple(edit.name for edit in edits)
    tasks = [_Task(base, followers[base.number], folder, names) for base in bases]
    return [file for files in parallel.map_blocks(_make_files, tasks, settings) for file in files]
