"""Where things are: `pianogen.toml` read into one frozen object.

Paths in the file are relative to the file. Without a file, the defaults below hold, relative to the
working directory. The library reads no environment variable.
"""

import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pianogen.errors import SettingsError

SETTINGS_FILE = "pianogen.toml"
SPLIT_POLICIES = ("auto", "train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class FolderDataset:
    """A folder of music files that the user names."""

    name: str
    folder: Path
    split: str = "auto"
    """`auto`: clusters decide. A split's name: every file of the folder belongs to it."""
    licence: str = "not stated"


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
    workers: int = 0
    """Processes for block stages; 0 means one per core."""
    backend: str = "processes"
    """`processes`, or one of joblib: `threading`, `ray`."""
    starter: bool = True
    """Ingest the Bach chorales that the music21 package carries."""
    folders: tuple[FolderDataset, ...] = field(default=())

    @property
    def num_workers(self) -> int:
        """Worker processes to start, at least 1."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_PATHS = {
    "lake": "data/lake",
    "runs": "data/runs",
    "warehouse": "warehouse/pianogen.duckdb",
    "report": "data/report",
    "sql": "warehouse",
    "experiments": "experiments",
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
    known = {*_PATHS, *_PLAIN, "datasets"}
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
    return Settings(root=root, folders=datasets, **paths, **plain)


def _folder_dataset(name: str, table: Any, root: Path, origin: str) -> FolderDataset:
    allowed = {f.name for f in fields(FolderDataset)} - {"name"}
    where = f"{origin}: [datasets.{name}]"
    # Dagster shows partition keys in web addresses, where commas and spaces break pages.
    if not name or not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-"):
        raise SettingsError(f"{where}: a dataset's name has only a-z, 0-9, _ and -")
    if not isinstance(table, dict) or not isinstance(table.get("folder"), str):
        raise SettingsError(f'{where}: needs folder = "PATH"')
    if unknown := sorted(set(table) - allowed):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(allowed))}")
    if (split := table.get("split", "auto")) not in SPLIT_POLICIES:
        raise SettingsError(f"{where}: split must be one of {', '.join(SPLIT_POLICIES)}, found {split!r}")
    if not isinstance(licence := table.get("licence", "not stated"), str):
        raise SettingsError(f"{where}: licence must be text in quotes, found {licence!r}")
    folder = (root / Path(table["folder"]).expanduser()).absolute()
    return FolderDataset(name=name, folder=folder, split=split, licence=licence)
