"""A dataset of the catalogue in a folder of the test, and what its metadata say."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders import settings_in

from pianogen.catalogue import Dataset, find_dataset, list_files, list_names
from pianogen.metadata import missing_files, read_metadata
from pianogen.metadata.findings import Metadata


def catalogued(name: str, folder: Path, **changes: Any) -> Dataset:
    return replace(find_dataset(settings_in(folder), name), folder=folder, **changes)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(dataset: Dataset) -> Metadata:
    return read_metadata(dataset, list_files(dataset))


def known(metadata: Metadata) -> dict[str, dict[str, Any]]:
    """What is known of each file beyond what every row has."""
    everywhere = ("dataset", "path", "archive_path", "licence", "non_commercial")
    return {
        row["path"]: {key: value for key, value in row.items() if key not in everywhere and value is not None}
        for row in metadata.sources.to_pylist()
    }


def missing(dataset: Dataset) -> tuple[str, ...] | None:
    return missing_files(dataset, list_names(dataset))
