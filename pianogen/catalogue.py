"""The datasets that are known, and those at hand: the catalogue's (`datasets.yaml`) and the user's folders.

A dataset is a folder of files, or one file of many members. Of a catalogued dataset the files that fit its
pattern count, whatever else lies beside them; of a user's folder everything counts.
"""

import hashlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pianogen.catalogue_entries import Archive, Entry, Fact, load_entries
from pianogen.chorales import list_members
from pianogen.errors import RejectedFileError, SettingsError
from pianogen.folders import Digests, Found, hash_file, name_matcher, printable, walk
from pianogen.parallel import map_blocks
from pianogen.settings import FolderDataset, Settings
from pianogen.workers import num_waiting

STARTER = "music21_bach"
"""The dataset that needs no download."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named collection of files in a folder."""

    name: str
    title: str
    folder: Path
    pattern: str = "*"
    """Patterns of file names, with spaces between; case does not count."""
    split: str = "auto"
    """`auto`: clusters decide. A split's name: every file belongs to it."""
    parts: str = "all"
    """`all`, or `piano`: of its MIDI files only programs 0-7 without drums are kept."""
    licence: str = "not stated"
    non_commercial: bool = False
    """Its licence forbids commercial use."""
    source: str = ""
    homepage: str = ""
    num_files: int | None = None
    """How many files there should be, where that is known."""
    published_splits: Mapping[str, int] = field(default_factory=dict)
    """How many files each split has by the publisher, under the publisher's names."""
    archives: tuple[Archive, ...] = ()
    """What to fetch; none where a dataset cannot be fetched from one address."""
    reader: str = "files"
    """`files`, or `jsb`: the chorales of one JSON file."""
    sixteenth_sec: float | None = None
    """Reader `jsb`: how long a 16th lasts, seconds."""
    metadata: str | None = None
    """Name of the metadata reader (see `metadata`)."""
    roots: tuple[str, ...] = ()
    """Patterns of the leading folders that the dataset's archive has; they may be missing."""
    facts: tuple[Fact, ...] = ()
    """What else is known, each with its source."""
    follow_links: bool = False
    """Whether links that leave the folder are followed."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a dataset, or one member of a file."""

    path: str
    """Where it lies; text, since a `Path` costs more than a small file's reading."""
    name: str
    """Path relative to the dataset's folder with forward slashes, as `printable` gives it."""
    file_id: str | None
    """SHA-256 of the bytes; None when they could not be read."""
    size_bytes: int
    problem: str = ""
    """Why the bytes could not be read."""
    data: bytes | None = None
    """Bytes of a member; None: the file at `path`."""
    stamp: tuple[int, int, int] | None = None
    """Size, time of change and number of the file when it was hashed: while they hold, so does `file_id`. None where
    it had changed so lately that another change could hide behind the same time."""
    md5: str | None = None
    """MD5 of the bytes, where the dataset names its files by it."""


def load_catalogue(settings: Settings) -> tuple[Dataset, ...]:
    """Every dataset at hand, in the order that decides between twins: the catalogue's, then the user's.

    At hand are the starter, unless it is switched off, the datasets that the settings give a folder, and those
    that were downloaded.
    """
    named = {entry.name for entry in settings.folders if entry.folder is not None}
    return tuple(
        dataset
        for dataset in known_datasets(settings)
        if dataset.name in named or (settings.starter if dataset.name == STARTER else _has_files(dataset.folder))
    )


def known_datasets(settings: Settings) -> tuple[Dataset, ...]:
    """Every dataset of the catalogue, at hand or not, then the user's folders."""
    said = {entry.name: entry for entry in settings.folders}
    catalogued = load_entries()
    known = [_catalogued(entry, settings, said.get(name)) for name, entry in catalogued.items()]
    return (*known, *(_of_the_user(entry) for name, entry in said.items() if name not in catalogued))


def find_dataset(settings: Settings, name: str) -> Dataset:
    """The dataset of that name, at hand or not.

    Raises:
        SettingsError: there is none.
    """
    known = known_datasets(settings)
    for dataset in known:
        if dataset.name == name:
            return dataset
    raise SettingsError(
        f"dataset {name!r} is not known; known: {', '.join(d.name for d in known)}; "
        f"a folder of yours becomes one by [datasets.NAME] in pianogen.toml"
    )


def _catalogued(entry: Entry, settings: Settings, said: FolderDataset | None) -> Dataset:
    dataset = Dataset(
        name=entry.name,
        title=entry.title,
        folder=_default_folder(entry, settings),
        pattern=entry.pattern,
        split=entry.split,
        parts=entry.parts,
        licence=entry.value("licence"),
        non_commercial=entry.non_commercial,
        source=entry.homepage,
        homepage=entry.homepage,
        num_files=entry.value("num_files"),
        published_splits=entry.value("splits") or {},
        archives=entry.archives,
        reader=entry.reader,
        sixteenth_sec=entry.sixteenth_sec,
        metadata=entry.metadata,
        roots=entry.roots,
        facts=entry.facts,
    )
    if said is None:
        return dataset
    chosen = {key: getattr(said, key) for key in ("folder", "split", "parts") if getattr(said, key) is not None}
    return replace(dataset, **chosen, follow_links=said.follow_links)


def _of_the_user(said: FolderDataset) -> Dataset:
    if said.folder is None:
        raise SettingsError(f'[datasets.{said.name}]: needs folder = "PATH"')
    return Dataset(
        name=said.name,
        title=f"Folder {printable(said.folder.name)}",
        folder=said.folder,
        split=said.split or "auto",
        parts=said.parts or "all",
        licence=said.licence or "not stated",
        non_commercial=bool(said.non_commercial),
        metadata=said.metadata,
        follow_links=said.follow_links,
        # Whoever names a reader has that dataset's archive, with or without its leading folder.
        roots=tuple({r: None for e in load_entries().values() if said.metadata == e.metadata for r in e.roots})
        if said.metadata
        else (),
    )


def _default_folder(entry: Entry, settings: Settings) -> Path:
    if entry.package is None:
        return settings.raw / entry.name
    spec = importlib.util.find_spec(entry.package)
    if spec is None or spec.origin is None:
        raise SettingsError(f"dataset {entry.name!r} needs the package {entry.package}; install it with pip")
    return Path(spec.origin).parent / (entry.folder or "")


def _has_files(folder: Path) -> bool:
    return any(not found.problem for found in walk(folder))


def list_files(dataset: Dataset, settings: Settings | None = None) -> list[SourceFile]:
    """Every file of a dataset, in the order of its names; none where the folder is missing.

    Args:
        dataset: whose files.
        settings: number of workers that may share the reading; None: this process alone.

    Raises:
        SettingsError: the folder is there and cannot be opened.
    """
    found = _found_files(dataset)
    if dataset.reader == "jsb":
        files = [file for one in found for file in ([_unread(one, one.problem)] if one.problem else _members(one))]
    else:
        files = [_unread(one, one.problem) for one in found if one.problem]
        readable = [one for one in found if not one.problem]
        digests = _hash_files([one.path for one in readable], dataset.metadata == "lakh", settings)
        files += [_source_file(one, digest) for one, digest in zip(readable, digests, strict=True)]
    # A name tells one path from every other, so it alone gives the order.
    return sorted(files, key=lambda file: file.name)


def list_names(dataset: Dataset) -> list[str]:
    """Names of the files that `list_files` gives, in its order, without reading files of music.

    Raises:
        SettingsError: the folder is there and cannot be opened.
    """
    if dataset.reader != "files":
        return [file.name for file in list_files(dataset)]
    return sorted(found.name for found in _found_files(dataset))


def _found_files(dataset: Dataset) -> list[Found]:
    fits = name_matcher(dataset.pattern)
    return [
        found
        for found in walk(dataset.folder, follow_links=dataset.follow_links)
        # A folder that could not be walked may hide files, whatever its name.
        if found.is_folder or fits(found.path.rpartition(os.sep)[2])
    ]


def _members(found: Found) -> list[SourceFile]:
    try:
        members = list_members(Path(found.path))
    except RejectedFileError as error:
        return [_unread(found, error.detail)]
    return [
        SourceFile(
            path=found.path,
            name=f"{found.name}/{printable(member.name)}",
            file_id=hashlib.sha256(member.data).hexdigest(),
            size_bytes=len(member.data),
            data=member.data,
        )
        for member in members
    ]


_FILES_PER_TASK = 64
_MANY_FILES = 20_000
"""To hash so many takes this process longer than to start workers."""


def _hash_files(paths: Sequence[str], with_md5: bool, settings: Settings | None) -> list[Digests | str]:
    """Digests of each file, or why it has none."""
    tasks = [(paths[i : i + _FILES_PER_TASK], with_md5) for i in range(0, len(paths), _FILES_PER_TASK)]
    if settings and settings.backend == "processes" and (num_waiting() > 1 or len(paths) >= _MANY_FILES):
        parts = map_blocks(_hash_some, tasks, settings)
    else:
        parts = map(_hash_some, tasks)
    return [digest for part in parts for digest in part]


def _hash_some(task: tuple[Sequence[str], bool]) -> list[Digests | str]:
    paths, with_md5 = task
    digests: list[Digests | str] = []
    for path in paths:
        try:
            digests.append(hash_file(path, with_md5=with_md5))
        except FileNotFoundError:
            digests.append("gone since its folder was listed")
        except OSError as error:
            digests.append(error.strerror or str(error))
    return digests


def _source_file(found: Found, digests: Digests | str) -> SourceFile:
    if isinstance(digests, str):
        return _unread(found, digests)
    return SourceFile(
        path=found.path,
        name=found.name,
        file_id=digests.sha256,
        size_bytes=digests.size_bytes,
        stamp=digests.stamp,
        md5=digests.md5,
    )


def _unread(found: Found, problem: str) -> SourceFile:
    return SourceFile(path=found.path, name=found.name, file_id=None, size_bytes=0, problem=problem)


def look_at(folder: Path, *, follow_links: bool = False) -> tuple[str, float]:
    """The state of a folder by names, sizes and times, without reading its files.

    Returns:
        A hash that changes when a file comes, goes or is written to, and the latest time of change
        (seconds since 1970; 0 without files).
    """
    newest, state = 0.0, hashlib.sha256()
    for found in sorted(walk(folder, follow_links=follow_links), key=lambda found: found.name):
        try:
            status = Path(found.path).stat()
        except OSError:
            continue  # gone since it was listed: the next look tells
        newest = max(newest, status.st_mtime)
        state.update(f"{found.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return state.hexdigest()[:32], newest
