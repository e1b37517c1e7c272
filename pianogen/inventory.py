"""What is known of each dataset, and how much of it is here."""

from collections import Counter
from typing import Any

import pyarrow as pa

from pianogen.catalogue import STARTER, Dataset, find_dataset, known_datasets, list_names, load_catalogue
from pianogen.errors import SettingsError
from pianogen.folders import printable
from pianogen.lake import Lake
from pianogen.metadata import missing_files
from pianogen.settings import Settings

OVERVIEW = pa.schema(
    [
        ("dataset", pa.string()),
        ("title", pa.string()),
        ("licence", pa.string()),
        ("non_commercial", pa.bool_()),
        ("download", pa.string()),
        ("download_bytes", pa.int64()),  # null: not known, or nothing to fetch
        ("files_expected", pa.int64()),
        ("files_here", pa.int64()),  # null: the folder cannot be opened
        ("here", pa.string()),
        ("performances", pa.int64()),  # in the lake; null: not ingested
        ("rejections", pa.int64()),
        ("split", pa.string()),
        ("parts", pa.string()),
        ("folder", pa.string()),
    ]
)
"""Columns of `overview`: one row per known dataset."""

SHOWN = ("dataset", "title", "licence", "download", "files_expected", "here", "performances", "split", "folder")
"""Columns of `overview` that fit a terminal."""


def overview(settings: Settings) -> pa.Table:
    """Every known dataset, at hand or not; rows of `OVERVIEW`."""
    lake = Lake(settings.lake)
    return pa.Table.from_pylist([_row(dataset, lake) for dataset in known_datasets(settings)], schema=OVERVIEW)


def _row(dataset: Dataset, lake: Lake) -> dict[str, Any]:
    ingested = lake.manifest("ingest", dataset.name)
    info = ingested.info if ingested else {}
    try:
        num_here, here = _here(dataset, list_names(dataset))
    except SettingsError as error:
        num_here, here = None, str(error)
    return {
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": licence_text(dataset),
        "non_commercial": dataset.non_commercial,
        "download": _download_text(dataset),
        "download_bytes": _download_bytes(dataset),
        "files_expected": dataset.num_files,
        "files_here": num_here,
        "here": here,
        "performances": info.get("num_performances"),
        "rejections": info.get("num_rejections"),
        "split": dataset.split,
        "parts": dataset.parts,
        "folder": printable(dataset.folder),
    }


def licence_text(dataset: Dataset) -> str:
    """The licence, with its ban on commercial use in words."""
    return f"{dataset.licence} (non-commercial)" if dataset.non_commercial else dataset.licence


def _here(dataset: Dataset, names: list[str]) -> tuple[int, str]:
    expected = dataset.num_files
    if not names:
        if not dataset.archives and expected and not dataset.folder.is_dir():
            return 0, f"not here; only from a folder of yours, see {dataset.homepage}"
        return 0, "not here" if expected or dataset.archives else "no files"
    if expected is None:
        return len(names), f"{len(names)} file{'' if len(names) == 1 else 's'}"
    return len(names), f"{len(names)} of {expected} files"


def _download_bytes(dataset: Dataset) -> int | None:
    sizes = [archive.size_bytes for archive in dataset.archives]
    return sum(size or 0 for size in sizes) if sizes and None not in sizes else None


def _download_text(dataset: Dataset) -> str:
    if not dataset.archives:
        return "none"
    size = _download_bytes(dataset)
    return "size not known" if size is None else f"{size / 1e6:,.1f} MB"


def describe(settings: Settings, name: str) -> dict[str, Any]:
    """Everything known of one dataset.

    Returns:
        The columns of `overview`, and: `homepage`, `published_splits`, `archives`, `facts` (each with source
        and whether verified), `missing` (archive paths; None where nothing names them) and `advice`.

    Raises:
        SettingsError: there is no dataset of that name, or its folder cannot be opened.
    """
    dataset = find_dataset(settings, name)
    names = list_names(dataset)
    missing = missing_files(dataset, names) if names else None
    return {
        **_row(dataset, Lake(settings.lake)),
        "homepage": dataset.homepage,
        "reader": dataset.reader,
        "published_splits": dict(dataset.published_splits),
        "archives": [vars(archive) for archive in dataset.archives],
        "facts": [vars(fact) for fact in dataset.facts],
        "missing": None if missing is None else list(missing),
        "advice": _advice(dataset, names, missing),
    }


def _advice(dataset: Dataset, names: list[str], missing: tuple[str, ...] | None) -> str:
    """What to do for the files that are not here; empty where none is known to be missing."""
    is_short = dataset.num_files is not None and len(names) < dataset.num_files
    if not (missing or is_short):
        return ""
    own = f'name your copy in pianogen.toml: [datasets.{dataset.name}] folder = "PATH"'
    if not dataset.archives:
        return f"it cannot be fetched from here, only read from a folder of yours: see {dataset.homepage}, then {own}"
    return f"pianogen download {dataset.name}, or {own}"


def require_at_hand(settings: Settings, name: str) -> Dataset:
    """The dataset of that name, when there is something of it to read.

    A folder of the user's own may be empty; a dataset of the catalogue without a file is not here, and reading
    it would take out what an earlier ingest found.

    Raises:
        SettingsError: it is not known, or not here; says how to get it.
    """
    dataset = find_dataset(settings, name)
    if name == STARTER and not settings.starter:
        raise SettingsError(f"{name} is switched off; set starter = true in pianogen.toml")
    is_catalogued = dataset.num_files is not None or bool(dataset.archives)
    if dataset in load_catalogue(settings) and not (is_catalogued and not list_names(dataset)):
        return dataset
    advice = _advice(dataset, [], None) or f'name a folder of it: [datasets.{name}] folder = "PATH"'
    raise SettingsError(f"{name} is not here (no file in {printable(dataset.folder)}): {advice}")


def rejections_by_reason(lake: Lake, dataset: str) -> dict[str, int]:
    """How many files of a dataset its last ingest rejected, by reason, the most frequent first."""
    manifest = lake.manifest("listing", dataset)
    counts: Counter[str] = Counter()
    for key in manifest.blocks if manifest else ():
        counts.update(lake.read_block("listing", key, "rejections")["reason"].to_pylist())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def value_text(value: Any) -> str:
    """A fact's value in words: numbers with separators, names with their numbers."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {value_text(part)}" for name, part in value.items())
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
