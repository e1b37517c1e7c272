"""The datasets at hand: those of `datasets.yaml`, and the folders that the user names.

A dataset is a folder of files. Every file below it counts, but those whose name, or a folder's on the
way, begins with a dot. Links are followed, each folder once.
"""

import fnmatch
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

from pianogen.errors import SettingsError
from pianogen.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named collection of files in a folder."""

    name: str
    title: str
    folder: Path
    pattern: str = "*"
    split: str = "auto"
    """`auto`: clusters decide. A split's name: every file belongs to it."""
    licence: str = "not stated"
    source: str = ""
    num_files: int | None = None
    """How many files there should be, where that is known."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a dataset."""

    path: Path
    name: str
    """Path relative to the dataset's folder with forward slashes; bytes that are not UTF-8 escaped."""
    file_id: str | None
    """SHA-256 of the bytes; None when they could not be read."""
    size_bytes: int
    problem: str = ""
    """Why the bytes could not be read."""


def load_catalogue(settings: Settings) -> tuple[Dataset, ...]:
    """Every dataset at hand, in the order that decides between twins: the catalogue's, then the user's.

    Raises:
        SettingsError: two datasets have one name.
    """
    known = yaml.safe_load(resources.files("pianogen").joinpath("datasets.yaml").read_text(encoding="utf-8"))
    found = [_packaged(name, entry) for name, entry in known.items()] if settings.starter else []
    for entry in settings.folders:
        if entry.name in known:
            raise SettingsError(f"[datasets.{entry.name}]: the catalogue has a dataset of that name; choose another")
        found.append(
            Dataset(
                name=entry.name,
                title=f"Folder {entry.folder.name}",
                folder=entry.folder,
                split=entry.split,
                licence=entry.licence,
            )
        )
    return tuple(found)


def find_dataset(settings: Settings, name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        SettingsError: there is none.
    """
    catalogue = load_catalogue(settings)
    for dataset in catalogue:
        if dataset.name == name:
            return dataset
    raise SettingsError(f"dataset {name!r} is not known; known: {', '.join(d.name for d in catalogue)}")


def _packaged(name: str, entry: dict) -> Dataset:
    spec = importlib.util.find_spec(entry["package"])
    if spec is None or spec.origin is None:
        raise SettingsError(f"dataset {name!r} needs the package {entry['package']}; install it with pip")
    fields = {key: entry[key] for key in ("title", "pattern", "split", "licence", "source", "num_files")}
    return Dataset(name=name, folder=Path(spec.origin).parent / entry["folder"], **fields)


def list_files(dataset: Dataset) -> list[SourceFile]:
    """Every file of a dataset, in the order of its names; none where the folder is missing.

    Raises:
        SettingsError: the folder is there and cannot be opened.
    """
    found = [
        _source_file(path, printable(path.relative_to(dataset.folder)))
        for path in _walk(dataset.folder)
        if fnmatch.fnmatch(path.name, dataset.pattern)
    ]
    return sorted(found, key=lambda file: (file.name, os.fsencode(file.path)))


def printable(path: Path) -> str:
    """A path as text that any table and terminal can hold: what is not UTF-8 or a control is escaped."""
    text = os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match.group()):02x}", text)


def _walk(folder: Path) -> Iterator[Path]:
    """Files, and folders that cannot be opened, below `folder`."""
    seen: set[tuple[int, int]] = set()
    closed: list[Path] = []

    def note(error: OSError) -> None:
        if Path(error.filename) != folder:
            closed.append(Path(error.filename))
        elif not isinstance(error, FileNotFoundError):
            # Taken as empty, it would take every performance of the dataset away.
            raise SettingsError(f"{folder}: the folder of a dataset cannot be opened: {error.strerror}")

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=note):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))
    yield from closed


def _source_file(path: Path, name: str) -> SourceFile:
    problem = ""
    try:
        # Asked before opening: a named pipe would wait for its writer.
        if path.is_file():
            with path.open("rb") as file:
                file_id = hashlib.file_digest(file, "sha256").hexdigest()
                return SourceFile(path=path, name=name, file_id=file_id, size_bytes=file.tell())
        if path.is_dir():
            problem = "a folder that cannot be opened"
        else:
            problem = "a link to nowhere" if path.is_symlink() and not path.exists() else "not a regular file"
    except OSError as error:
        problem = error.strerror or str(error)
    return SourceFile(path=path, name=name, file_id=None, size_bytes=0, problem=problem)


def look_at(folder: Path) -> tuple[str, float]:
    """The state of a folder by names, sizes and times, without reading its files.

    Returns:
        A hash that changes when a file comes, goes or is written to, and the latest time of change
        (seconds since 1970; 0 without files).
    """
    newest, state = 0.0, hashlib.sha256()
    for path in sorted(_walk(folder)):
        try:
            status = path.stat()
        except OSError:
            continue  # gone since it was listed: the next look tells
        newest = max(newest, status.st_mtime)
        state.update(f"{printable(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return state.hexdigest()[:32], newest
