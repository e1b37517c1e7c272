"""Folders, or a folder and a table of splits, to datasets of which every file has a split.

Nothing is skipped in silence: paths of the table that are not on the disk, and files on the disk that have no split,
are told. Those are not compared.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pianogen.audit.split_table import SplitTable, find_listed, read_split_table, split_name, split_order
from pianogen.catalogue import Dataset
from pianogen.chorales import list_members
from pianogen.errors import RejectedFileError, SettingsError
from pianogen.folders import Found, printable, walk

SIXTEENTH_SEC = 0.125
"""How long a 16th of chorales in JSON lasts, as in the catalogue's `jsb`."""
_LISTED = "listed"


@dataclass(frozen=True)
class Source:
    """What is audited."""

    title: str
    datasets: tuple[Dataset, ...]
    split_of: Mapping[str, Mapping[str, str]]
    """Dataset -> name of a file -> its split; a dataset without an entry is one split, of its own name."""
    prefix: str = ""
    """Of the names of files, which paths are shown without."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Name of a file -> composer and title, where the table of splits has them."""
    missing: tuple[str, ...] = ()
    """Paths of the table that mean no file."""
    without_split: tuple[str, ...] = ()
    """Files of the folder that have no split."""

    def split(self, dataset: str, name: str) -> str:
        """The split of a file."""
        return self.split_of[dataset][name] if dataset in self.split_of else dataset


def from_folders(folders: Mapping[str, Path]) -> Source:
    """One folder for each split.

    Raises:
        SettingsError: a folder is not there, or lies within another one.
    """
    for split, folder in folders.items():
        if not folder.is_dir():
            raise SettingsError(f"{folder}: no such folder; --{split} names the folder of that split's files")
    real = {split: Path(os.path.realpath(folder)) for split, folder in folders.items()}
    for inner, path in real.items():
        for outer, other in real.items():
            if inner != outer and path.is_relative_to(other):
                raise SettingsError(
                    f"{folders[inner]} of --{inner} lies in the folder of --{outer}: its files would be in both; "
                    "name folders apart, or one folder with --splits file.csv"
                )
    title = ", ".join(f"{split} {printable(real[split].name)}" for split in folders)
    datasets = tuple(_dataset(split, folder) for split, folder in folders.items())
    return Source(title=title, datasets=datasets, split_of={})


def from_folder(folder: Path, table: Path | None, scratch: Path) -> Source:
    """One folder, or one JSON file of chorales, and who stands in which split.

    Args:
        folder: of the files; or a JSON file that maps names of splits to chorales.
        table: CSV file of paths and splits; None: the first folder of each path names its split.
        scratch: an empty folder, where links to the files that are compared are made.

    Raises:
        SettingsError: the folder or the table is not there or cannot be understood, or no file has a split.
    """
    if folder.suffix.lower() == ".json" and folder.is_file():
        if table is not None:
            raise SettingsError(f"{folder}: a JSON file has its splits in it; leave --splits out")
        return _from_json(folder, scratch)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder")
    told = read_split_table(table) if table is not None else None
    known = {found.name: found for found in walk(folder, follow_links=True) if not _is(found, table)}
    if told is None:
        splits, missing, titles = _by_first_folder(folder, known), (), {}
        title = printable(folder.resolve().name)
    else:
        splits, missing, titles = _by_table(told, folder, known)
        title = f"{printable(folder.resolve().name)}, split by {told.name}"
    _link(folder, [known[name] for name in splits], scratch)
    return Source(
        title=title,
        datasets=(_dataset(_LISTED, scratch),),
        split_of={_LISTED: splits},
        titles=titles,
        missing=missing,
        without_split=tuple(sorted(known.keys() - splits.keys())),
    )


def _dataset(name: str, folder: Path) -> Dataset:
    # Links that leave the folder are followed: whoever gathers links from several places wants them compared.
    return Dataset(name=name, title=printable(folder.name), folder=folder.absolute(), follow_links=True)


def _is(found: Found, table: Path | None) -> bool:
    return table is not None and os.path.realpath(found.path) == os.path.realpath(table)


def _by_table(
    told: SplitTable, folder: Path, known: Mapping[str, Found]
) -> tuple[dict[str, str], tuple[str, ...], dict[str, str]]:
    files, missing = find_listed(told.splits, folder, sorted(known))
    splits = {name: told.splits[path] for name, path in files.items() if told.splits[path]}
    if not splits:
        raise SettingsError(
            f"{folder}: none of the {len(told.splits)} paths of {told.name} is a file here with a split, "
            f"the first is {printable(next(iter(told.splits)))}; name the folder that the paths begin in"
        )
    titles = {name: told.titles[path] for name, path in files.items() if path in told.titles}
    return splits, tuple(sorted(map(printable, missing))), titles


def _by_first_folder(folder: Path, known: Mapping[str, Found]) -> dict[str, str]:
    first = {name: split_name(name.partition("/")[0]) for name in known if "/" in name}
    splits = {name: split for name, split in first.items() if split_order(split) < split_order("")}
    if len(set(splits.values())) < 2:
        raise SettingsError(
            f"{folder}: which file is in which split? Name a table by --splits file.csv (columns path, split), or "
            "folders by --train and --test; folders train, validation and test in it are taken as splits"
        )
    return splits


def _link(folder: Path, files: list[Found], scratch: Path) -> None:
    """Links under the files' own names, so that what is read is what has a split and nothing else."""
    root = os.path.join(os.fspath(folder), "")  # noqa: PTH118 - bytes of names stay as they are
    for found in files:
        link = scratch / found.path.removeprefix(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.abspath(found.path))  # noqa: PTH100 - not what a link points to


def _from_json(path: Path, scratch: Path) -> Source:
    try:
        names = [printable(member.name) for member in list_members(path)]
    except RejectedFileError as error:
        raise SettingsError(f"{path}: {error.detail}; a JSON file maps names of splits to chorales") from None
    (scratch / "chorales.json").symlink_to(path.absolute())
    prefix = "chorales.json/"
    dataset = Dataset(
        name=_LISTED,
        title=printable(path.name),
        folder=scratch,
        follow_links=True,
        reader="jsb",
        sixteenth_sec=SIXTEENTH_SEC,
    )
    splits = {prefix + name: split_name(PurePosixPath(name).parts[0]) for name in names}
    return Source(title=printable(path.name), datasets=(dataset,), split_of={_LISTED: splits}, prefix=prefix)
