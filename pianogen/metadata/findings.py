"""What a reader of metadata hands back, and the notes of what it could not use."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from pianogen.catalogue import Dataset, SourceFile

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Publishers' names of the three splits."""

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known of a dataset's files."""

    sources: pa.Table
    """Rows of the lake's `sources`, one per file, in the order of the files."""
    links: pa.Table
    """Rows of the lake's `links`."""
    notes: tuple[str, ...]
    """What could not be read or does not agree, in words; empty when all went well."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What metadata say of one file; the columns of `sources`."""

    title: str | None = None
    composer: str | None = None
    work: str | None = None
    performer: str | None = None
    year: int | None = None
    published_split: str | None = None
    kind: str | None = None
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """One row of `links`; its dataset is that of the file."""

    path: str
    linked_dataset: str
    linked_path: str
    relation: str
    start_sec: float | None = None
    end_sec: float | None = None


class Notes:
    """Sentences of what is wrong, each with the places where: many places make one sentence."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, where: str = "") -> None:
        """Note `what` is wrong, and the row or file where."""
        places = self._places.setdefault(what, [])
        if where:
            places.append(where)

    def sentences(self) -> tuple[str, ...]:
        """The notes, with the first places of each named and the others counted."""
        return tuple(_sentence(what, places) for what, places in self._places.items())


def _sentence(what: str, places: Sequence[str]) -> str:
    if not places:
        return what
    times = f" ({len(places)} times)" if len(places) > 1 else ""
    return f"{what}{times}: {'; '.join(places[:_SHOWN])}{'; …' if len(places) > _SHOWN else ''}"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one reader found."""

    facts: Mapping[str, FileFacts] = field(default_factory=dict)
    """By the file's name; a file may be missing."""
    links: Sequence[Link] = ()


class Reader(Protocol):
    """The metadata of one family of datasets."""

    def read(self, dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
        """What metadata say of these files."""
        ...

    def expected_paths(self, dataset: Dataset, notes: Notes) -> list[str] | None:
        """Archive paths of all files that the dataset should have; None where nothing names them."""
        ...


def archive_path(dataset: Dataset, name: str) -> str:
    """A file's name without the leading folders of its dataset's archive (`Dataset.roots`)."""
    while "/" in name:
        first, _, rest = name.partition("/")
        if not any(fnmatch.fnmatchcase(first, root) for root in dataset.roots):
            break
        name = rest
    return name


def split_of(name: str | None, notes: Notes, where: str) -> str | None:
    """One of our three splits for a publisher's; None, noted, where it is none."""
    split = SPLIT_NAMES.get((name or "").strip().lower())
    if split is None:
        notes.add("a published split that is not train, validation or test", f"{where}: {name!r}")
    return split


def year_of(text: str, notes: Notes, where: str) -> int | None:
    """A year; None, noted, where the text is none."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 3000:
        return int(text)
    notes.add("a year that is not a number from 1 to 2999", f"{where}: {text!r:.40}")
    return None


def seconds_of(text: str, notes: Notes, where: str) -> float | None:
    """A time in seconds; None where there is no text (or `None`), and, noted, where it is no time."""
    if text.strip().lower() in ("", "none", "nan"):
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds < float("inf"):
        return seconds
    notes.add("a time that is not in seconds", f"{where}: {text!r:.40}")
    return None
