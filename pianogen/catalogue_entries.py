"""`datasets.yaml` read and checked: what is known of each dataset, every fact with its source.

An entry has keys that the program follows (`pattern`, `reader`, `archives` …) and `facts`: a name to
`value`, `source` and, where nobody could check it, `verified: false`. The facts `licence`, `num_files`
and `splits` are read by the program too, so that they are stated once.
"""

import functools
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib import resources
from typing import Any

import yaml

from pianogen.errors import SettingsError

SPLIT_POLICIES = ("auto", "train", "validation", "test")
READERS = ("files", "jsb")
PARTS = ("all", "piano")
METADATA_READERS = ("asap", "giantmidi", "jsb", "lakh", "maestro", "pop909")
ARCHIVE_KINDS = ("zip", "tar.gz", "file")

_FILE = "datasets.yaml"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing known of a dataset."""

    name: str
    value: Any
    """A number, text, or names to numbers."""
    source: str
    """Where it was read."""
    verified: bool = True
    """False: one unchecked source alone, or sources that disagree."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file to fetch for a dataset."""

    name: str
    """Its file name, e.g. `maestro-v3.0.0-midi.zip`."""
    url: str
    """The official address."""
    kind: str
    """`zip`, `tar.gz`, or `file` (kept as it is)."""
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    source: str = ""
    """Where size and checksums were read."""
    verified: bool = True
    """False: no source that was checked gives size or checksum."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One dataset of the catalogue, wherever its files lie."""

    name: str
    title: str
    homepage: str
    pattern: str
    """Patterns of file names, with spaces between; other files of the folder are none of the dataset's."""
    facts: tuple[Fact, ...]
    split: str = "auto"
    reader: str = "files"
    sixteenth_sec: float | None = None
    metadata: str | None = None
    parts: str = "all"
    roots: tuple[str, ...] = ()
    non_commercial: bool = False
    archives: tuple[Archive, ...] = ()
    package: str | None = None
    """An installed package that carries the files."""
    folder: str | None = None
    """Where in the package."""

    def value(self, fact: str) -> Any:
        """Value of a fact; None where it is not known."""
        return next((known.value for known in self.facts if known.name == fact), None)


@functools.cache
def load_entries() -> Mapping[str, Entry]:
    """Entries of the catalogue by name, in its order.

    Raises:
        SettingsError: the file has an unknown key or a wrong value.
    """
    return parse_entries(resources.files("pianogen").joinpath(_FILE).read_text(encoding="utf-8"))


def parse_entries(text: str) -> dict[str, Entry]:
    """Entries from YAML.

    Raises:
        SettingsError: not YAML, or an entry with an unknown key or a wrong value; names entry and key.
    """
    try:
        # The safe loader in C reads the same and ten times as fast; some builds of PyYAML lack it.
        known = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise SettingsError(f"{_FILE}: not valid YAML: {' '.join(str(error).split())}") from None
    _require(isinstance(known, dict), _FILE, "names of datasets expected, each with its keys", known)
    return {str(name): _entry(str(name), values) for name, values in known.items()}


def _entry(name: str, values: Any) -> Entry:
    where = f"{_FILE}: {name}"
    values = dict(_checked(Entry, values, where, given={"name"}))
    facts, archives = values.pop("facts"), values.pop("archives", [])
    _require(isinstance(facts, dict), f"{where}: facts", "names expected, each with value and source", facts)
    _require(isinstance(archives, list), f"{where}: archives", "a list expected", archives)
    entry = Entry(
        name=name,
        facts=tuple(_fact(str(fact), given, f"{where}: facts: {fact}") for fact, given in facts.items()),
        archives=tuple(_archive(given, f"{where}: archives[{i}]") for i, given in enumerate(archives)),
        roots=tuple(values.pop("roots", ())),
        **values,
    )
    for key, allowed in (("split", SPLIT_POLICIES), ("reader", READERS), ("parts", PARTS)):
        _require(getattr(entry, key) in allowed, f"{where}: {key}", f"one of {', '.join(allowed)}", getattr(entry, key))
    _require(
        entry.metadata in (None, *METADATA_READERS),
        f"{where}: metadata",
        f"one of {', '.join(METADATA_READERS)}",
        entry.metadata,
    )
    _require(isinstance(entry.value("licence"), str), f"{where}: facts: licence", "text expected", None)
    num_files, splits = entry.value("num_files"), entry.value("splits")
    _require(type(num_files) in (int, type(None)), f"{where}: facts: num_files", "a whole number expected", num_files)
    _require(splits is None or isinstance(splits, dict), f"{where}: facts: splits", "counts by split expected", splits)
    _require(
        (entry.reader == "jsb") == isinstance(entry.sixteenth_sec, float),
        f"{where}: sixteenth_sec",
        "seconds with a point, for the reader jsb alone",
        entry.sixteenth_sec,
    )
    return entry


def _fact(name: str, values: Any, where: str) -> Fact:
    return Fact(name=name, **_checked(Fact, values, where, given={"name"}))


def _archive(values: Any, where: str) -> Archive:
    archive = Archive(**_checked(Archive, values, where))
    _require(archive.kind in ARCHIVE_KINDS, f"{where}: kind", f"one of {', '.join(ARCHIVE_KINDS)}", archive.kind)
    return archive


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "verified": bool,
    "non_commercial": bool,
    "size_bytes": int,
    "roots": list,
    "facts": dict,
    "archives": list,
    "sixteenth_sec": float,
    "value": (int, float, str, dict),
}
"""Types of the values in the file; the others are text."""


def _checked(kind: type, values: Any, where: str, given: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    """The values, when their keys and types are those of the dataclass."""
    _require(isinstance(values, dict), where, "keys with values expected", values)
    known = {f.name: f for f in fields(kind) if f.name not in given}
    for key in values:
        if key not in known:
            raise SettingsError(f"{where}: unknown key {key!r}; known keys: {', '.join(known)}")
        expected = _TYPES.get(key, str)
        if not isinstance(values[key], expected) or (expected is int and isinstance(values[key], bool)):
            names = " or ".join(t.__name__ for t in (expected if isinstance(expected, tuple) else (expected,)))
            raise SettingsError(f"{where}: {key}: {names} expected, found {values[key]!r}")
    for key, spec in known.items():
        if key not in values and spec.default is MISSING and spec.default_factory is MISSING:
            raise SettingsError(f"{where}: the key {key!r} is missing")
    return values


def _require(holds: bool, where: str, expected: str, found: Any) -> None:
    if not holds:
        raise SettingsError(f"{where}: {expected}, found {found!r}")
