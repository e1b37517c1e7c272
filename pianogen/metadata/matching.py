"""Rows of metadata and the files they name: what stands on one side alone is noted."""

from collections.abc import Mapping, Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.folders import printable
from pianogen.metadata.findings import Notes, archive_path
from pianogen.metadata.tabular import Row


def paths_of(rows: Sequence[Row], column: str, notes: Notes) -> dict[str, Row]:
    """Rows by the path in a column; of several rows for one path the first counts, and the others are noted."""
    by_path: dict[str, Row] = {}
    for row in rows:
        path = printable(row.values[column])
        if not path:
            notes.add(f"a row without {column}, passed over", row.where)
        elif path in by_path:
            notes.add("a second row for the same file, passed over", f"{row.where}: {path}")
        else:
            by_path[path] = row
    return by_path


def match_rows(
    dataset: Dataset, files: Sequence[SourceFile], rows: Mapping[str, Row], notes: Notes
) -> Mapping[str, Row]:
    """The same rows, by archive path, once it is noted which of them name no file and which files have no row."""
    here = {archive_path(dataset, file.name) for file in files}
    for path, row in rows.items():
        if path not in here:
            notes.add("a row names a file that is not here", f"{row.where}: {path}")
    if rows:
        for file in files:
            if archive_path(dataset, file.name) not in rows:
                notes.add("a file that no row names", file.name)
    return rows
