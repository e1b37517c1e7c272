"""Where things are: `pianogen.toml` read into one frozen object.

Paths in the file are relative to the file. Without a file, the defaults below hold, relative to the
working directory. The library reads no environment variable.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pianogen.catalogue_entries import METADATA_READERS, PARTS, SPLIT_POLICIES, load_entries
from pianogen.errors import SettingsError

SETTINGS_FILE = "pianogen.toml"

_NON_COMMERCIAL = re.compile(r"\b(?:CC|BY)[\s-]+(?:[A-Z]{2}[\s-]+)*NC\b|\bAttribution-NonCommercial\b", re.IGNORECASE)
"""Names of Creative Commons licences that forbid commercial use: CC BY-NC-SA 4.0, by-nc, CC-BY-NC …"""


@dataclass(frozen=True, kw_only=True)
class FolderDataset:
    """What the user says of a dataset: a folder of theirs, or a choice for one of the catalogue.

    None stands for what the catalogue says; for a folder that is not in the catalogue nothing is None but
    `metadata`.
    """

    name: str
    folder: Path | None
    split: str | None = "auto"
    """`auto`: clusters decide. A split's name: every file of the folder belongs to it."""
    parts: str | None = "all"
    """`all`, or `piano`: programs 0-7 and no drums."""
    licence: str | None = "not stated"
    non_commercial: bool | None = False
    """The licence forbids commercial use; where the file does not say so, the licence's name does."""
    metadata: str | None = None
    """Whose layout of metadata the folder has, e.g. `maestro`."""
    follow_links: bool = False
    """Whether links that leave the folder are followed."""


@dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """Where archives come from, before the official addresses."""

    mirrors: tuple[str, ...] = ()
    """Addresses of folders that hold archives under their names; https, http or file."""
    offline: bool = False
    """Ask no server, only mirrors on this disk."""


PUBLISHED = ("keep", "ignore")
KEPT = ("all", "one")
EARLIER = ("keep", "ignore")


@dataclass(frozen=True, kw_only=True)
class SplitPolicy:
    """What decides where music goes: `[splits]` in the settings; see `splits`.

    Raises:
        SettingsError: a value is not among its choices, or the shares leave no train.
    """

    validation_fraction: float = 0.1
    """Share of the groups that are drawn; what is not held out is train."""
    test_fraction: float = 0.1
    salt: str = "v1"
    """Changing it redraws every split that is drawn."""
    published: str = "keep"
    """`keep`: validation and test sets that datasets publish stay as they are; `ignore`: they are drawn as well."""
    keep: str = "all"
    """`all`, or `one` of each set of copies; the others are left out."""
    group_works: bool = True
    """All renditions of a work stand on one side; without it only copies and excerpts do."""
    group_shared_melodies: bool = False
    """Pieces that share no more than their melody count as the same music."""
    earlier: str = "keep"
    """`keep`: what earlier runs drew stays where it can; `ignore`: all is drawn as in a new lake."""
    max_group: int = 500
    """Groups of more performances are broken up by leaving out those that join their clusters; 0: no group is."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        held_out = self.validation_fraction + self.test_fraction
        if not (min(self.validation_fraction, self.test_fraction) >= 0 and held_out < 1):
            raise SettingsError(
                f"held-out fractions must be 0 or more and sum to less than 1, found "
                f"{self.validation_fraction} and {self.test_fraction}"
            )
        for key, choices in (("published", PUBLISHED), ("keep", KEPT), ("earlier", EARLIER)):
            if (value := getattr(self, key)) not in choices:
                raise SettingsError(f"{key} must be one of {', '.join(choices)}, found {value!r}")
        if self.max_group < 0:
            raise SettingsError(f"max_group must be 0 (no limit) or more, found {self.max_group}")


@dataclass(frozen=True, kw_only=True)
class CheckpointLimits:
    """Room that checkpoints may take: `[checkpoints]` in the settings, in gigabytes (10^9 bytes); see `training.room`.

    Raises:
        SettingsError: a value is below 0.
    """

    max_gb_per_experiment: float = 20.0
    """Of all runs of an experiment; 0: no limit."""
    max_gb: float = 100.0
    """Of all runs; 0: no limit."""
    min_free_gb: float = 1.0
    """Of the disk, left free for others."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("max_gb_per_experiment", "max_gb", "min_free_gb"):
            if not getattr(self, name) >= 0:
                raise SettingsError(f"{name} must be 0 or more, found {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every place and default that a stage is given by its caller."""

    root: Path
    lake: Path
    runs: Path
    warehouse: Path
    report: Path
    sql: Path
    """Folder with `views/` and `checks/`."""
    experiments: Path
    raw: Path = Path("data/raw")
    """Where downloaded datasets lie, each in a folder of its name."""
    data_cards: Path = Path("docs/data")
    """Where the page of each dataset is written, in Markdown."""
    download: DownloadConfig = DownloadConfig()
    splits: SplitPolicy = SplitPolicy()
    checkpoints: CheckpointLimits = CheckpointLimits()
    workers: int = 0
    """Processes for block stages; 0 means one per core."""
    backend: str = "processes"
    """`processes`, or one of joblib: `threading`, `ray`."""
    starter: bool = True
    """Ingest the Bach chorales that the music21 package carries."""
    folders: tuple[FolderDataset, ...] = field(default=())
    tokenizers: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Tokenizers whose round trips are measured beside the built-in ones, by name; None: a built-in one is not."""

    @property
    def num_workers(self) -> int:
        """Worker processes to start, at least 1."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
_PATHS = {
    "lake": "data/lake",
    "runs": "data/runs",
    "warehouse": "warehouse/pianogen.duckdb",
    "report": "data/report",
    "sql": "warehouse",
    "experiments": "experiments",
    "raw": "data/raw",
    "data_cards": "docs/data",
}
_PLAIN = {"workers": int, "backend": str, "starter": bool}


def load_settings(path: Path | None = None) -> Settings:
    """Read `pianogen.toml`.

    Args:
        path: the file; without one, the nearest `pianogen.toml` in the working directory or above it,
            and where there is none, the defaults relative to the working directory.

    Raises:
        SettingsError: the file is missing, is not TOML, or holds a key or value that is not known.
    """
    if path is None:
        here = Path.cwd()
        path = next((p / SETTINGS_FILE for p in (here, *here.parents) if (p / SETTINGS_FILE).is_file()), None)
        if path is None:
            return _settings_from({}, here, "defaults")
    path = Path(path).resolve()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file; pass --config, or leave it out for defaults") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}; name a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    return _settings_from(values, path.parent, str(path))


def _settings_from(values: dict[str, Any], root: Path, origin: str) -> Settings:
    known = {*_PATHS, *_PLAIN, "checkpoints", "datasets", "download", "splits", "tokenizers"}
    if unknown := sorted(set(values) - known):
        raise SettingsError(f"{origin}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(known))}")
    plain = {}
    for key, kind in _PLAIN.items():
        if key in values:
            if type(values[key]) is not kind:
                raise SettingsError(f"{origin}: {key} must be {kind.__name__}, found {values[key]!r}")
            plain[key] = values[key]
    if plain.get("workers", 0) < 0:
        raise SettingsError(f"{origin}: workers must be 0 (one per core) or more, found {plain['workers']}")
    if (backend := plain.get("backend", "processes")) not in ("processes", "threading", "ray"):
        raise SettingsError(f"{origin}: backend must be processes, threading or ray, found {backend!r}")
    paths = {}
    for key, default in _PATHS.items():
        value = values.get(key, default)
        if not isinstance(value, str):
            raise SettingsError(f"{origin}: {key} must be a path in quotes, found {value!r}")
        paths[key] = (root / Path(value).expanduser()).absolute()
    folders = values.get("datasets", {"custom": {"folder": "data/custom", "split": "train"}})
    if not isinstance(folders, dict):
        raise SettingsError(f"{origin}: [datasets.NAME] tables expected, found {folders!r}")
    datasets = tuple(_folder_dataset(name, table, root, origin) for name, table in folders.items())
    download = _download_config(values.get("download", {}), origin)
    splits = _section(SplitPolicy, "splits", values.get("splits", {}), origin)
    checkpoints = _section(CheckpointLimits, "checkpoints", values.get("checkpoints", {}), origin)
    tokenizers = _tokenizers(values.get("tokenizers", {}), origin)
    sections = {"download": download, "splits": splits, "checkpoints": checkpoints, "tokenizers": tokenizers}
    return Settings(root=root, folders=datasets, **sections, **paths, **plain)


def _tokenizers(tables: Any, origin: str) -> dict[str, dict[str, Any] | None]:
    if not isinstance(tables, dict):
        raise SettingsError(f"{origin}: [tokenizers.NAME] tables expected, found {tables!r}")
    found: dict[str, dict[str, Any] | None] = {}
    for name, table in tables.items():
        if not name or not set(name) <= set(_NAME_LETTERS):
            raise SettingsError(f"{origin}: [tokenizers.{name}]: a tokenizer's name has only a-z, 0-9, _ and -")
        if table is not False and not (isinstance(table, dict) and isinstance(table.get("name"), str)):
            raise SettingsError(
                f'{origin}: [tokenizers.{name}]: needs name = "SCHEME" and its options, or {name} = false to leave it '
                f"out; found {table!r}"
            )
        found[name] = table or None
    return found


def _section(kind: type, name: str, table: Any, origin: str) -> Any:
    """A section whose keys are the fields of the dataclass `kind`, with values of the types of their defaults."""
    where = f"{origin}: [{name}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: a table expected, found {table!r}")
    kinds = {f.name: type(f.default) for f in fields(kind)}
    if unknown := sorted(set(table) - set(kinds)):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(kinds))}")
    # 0 and 1 are fractions too, but true is no number.
    values: dict[str, Any] = {
        key: float(v) if kinds[key] is float and type(v) is int else v for key, v in table.items()
    }
    for key, value in values.items():
        if type(value) is not kinds[key]:
            raise SettingsError(f"{where}: {key} must be {kinds[key].__name__}, found {value!r}")
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None


def _download_config(table: Any, origin: str) -> DownloadConfig:
    where = f"{origin}: [download]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: a table expected, found {table!r}")
    allowed = {f.name for f in fields(DownloadConfig)}
    if unknown := sorted(set(table) - allowed):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(allowed))}")
    mirrors, offline = table.get("mirrors", []), table.get("offline", False)
    schemes = ("https://", "http://", "file:///")
    if not isinstance(mirrors, list) or not all(isinstance(m, str) and m.startswith(schemes) for m in mirrors):
        raise SettingsError(
            f"{where}: mirrors must be a list of addresses that begin with {', '.join(schemes)}, found {mirrors!r}"
        )
    if type(offline) is not bool:
        raise SettingsError(f"{where}: offline must be true or false, found {offline!r}")
    return DownloadConfig(mirrors=tuple(mirrors), offline=offline)


def _folder_dataset(name: str, table: Any, root: Path, origin: str) -> FolderDataset:
    where = f"{origin}: [datasets.{name}]"
    # Dagster shows partition keys in web addresses, where commas and spaces break pages.
    if not name or not set(name) <= set(_NAME_LETTERS):
        raise SettingsError(f"{where}: a dataset's name has only a-z, 0-9, _ and -")
    catalogued = name in load_entries()
    folder = table.get("folder") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(folder, (str, type(None)) if catalogued else str):
        raise SettingsError(f'{where}: needs folder = "PATH"')
    # Licence and metadata of a catalogued dataset are facts, not choices.
    allowed = {f.name for f in fields(FolderDataset)} - {
        "name",
        *(("licence", "non_commercial", "metadata") if catalogued else ()),
    }
    if unknown := sorted(set(table) - allowed):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(allowed))}")
    for key, choices in (("split", SPLIT_POLICIES), ("parts", PARTS), ("metadata", METADATA_READERS)):
        if key in table and table[key] not in choices:
            raise SettingsError(f"{where}: {key} must be one of {', '.join(choices)}, found {table[key]!r}")
    if not isinstance(licence := table.get("licence", "not stated"), str):
        raise SettingsError(f"{where}: licence must be text in quotes, found {licence!r}")
    for key in ("follow_links", "non_commercial"):
        if type(table.get(key, False)) is not bool:
            raise SettingsError(f"{where}: {key} must be true or false, found {table[key]!r}")
    unsaid: dict[str, Any] = {"non_commercial": _NON_COMMERCIAL.search(licence) is not None}
    if catalogued:
        unsaid = dict.fromkeys(("split", "parts", "licence", "non_commercial"))
    place = (root / Path(folder).expanduser()).absolute() if folder is not None else None
    return FolderDataset(name=name, **{**unsaid, **table, "folder": place})
