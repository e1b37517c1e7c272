"""Who says which file stands in which split: a CSV file, or the first folder of each file's path."""

import csv
import io
import os
import posixpath
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pianogen.errors import SettingsError
from pianogen.folders import printable

PATH_COLUMNS = ("path", "file", "filename", "file_name", "file_path", "filepath", "midi_filename", "midi_path", "midi")
SPLIT_COLUMNS = ("split", "subset", "partition", "set", "fold")
TITLE_COLUMNS = ("title", "canonical_title", "name", "piece")
COMPOSER_COLUMNS = ("composer", "canonical_composer", "artist")
MAX_BYTES = 256 * 2**20

_NAMES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}
_ORDER = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class SplitTable:
    """Rows of a file that says what is in which split."""

    name: str
    """Of the file, as it may be shown."""
    splits: dict[str, str]
    """Path as the file has it -> split; the empty name where the file names none."""
    titles: dict[str, str] = field(default_factory=dict)
    """Path -> composer and title, where the file has them."""


def split_name(text: str) -> str:
    """A split by its name here: `train`, `validation` and `test` under their other names too."""
    name = printable(text.strip()).lower()
    return _NAMES.get(name, name)


def split_order(name: str) -> tuple[int, str]:
    """Sorts train before validation before test before any other."""
    return _ORDER.get(name, len(_ORDER)), name


def read_split_table(path: Path) -> SplitTable:
    """Read a CSV file (comma, semicolon or tab) whose first row names its columns.

    Raises:
        SettingsError: it cannot be read, has no column of paths or none of splits, or gives one path two splits.
    """
    rows, header = _rows(path)
    path_column = _column(header, PATH_COLUMNS)
    split_column = _column(header, SPLIT_COLUMNS)
    if path_column is None or split_column is None:
        what = "paths" if path_column is None else "splits"
        names = PATH_COLUMNS if path_column is None else SPLIT_COLUMNS
        found = printable(", ".join(header))[:200] or "none"
        raise SettingsError(
            f"{path}: no column of {what}; name one of them {' or '.join(names[:3])} in the first row; found: {found}"
        )
    title, composer = _column(header, TITLE_COLUMNS), _column(header, COMPOSER_COLUMNS)
    splits: dict[str, str] = {}
    titles: dict[str, str] = {}
    for line, row in rows:
        if len(row) <= max(path_column, split_column):
            raise SettingsError(f"{path} line {line}: {len(header)} values expected, found {len(row)}")
        file, split = row[path_column].strip(), split_name(row[split_column])
        if not file:
            raise SettingsError(f"{path} line {line}: no path; remove the row, or name its file")
        if splits.setdefault(file, split) != split:
            raise SettingsError(
                f"{path} line {line}: {printable(file)} is in {splits[file] or 'no split'} and in "
                f"{split or 'no split'}; a file stands in one split"
            )
        told = [row[i].strip() for i in (composer, title) if i is not None and i < len(row) and row[i].strip()]
        if told:
            titles[file] = printable(": ".join(told))
    if not splits:
        raise SettingsError(f"{path}: no rows under the first; one is needed for each file")
    return SplitTable(printable(path.name), splits, titles)


def _rows(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: the splits cannot be read: {error.strerror}; name a CSV file") from None
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: more than {MAX_BYTES // 2**20} MiB; name a CSV file of paths and splits")
    # Names of files need not be UTF-8; they are kept as Python keeps names of files.
    text = data.decode("utf-8-sig", "surrogateescape")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        header = next(reader, [])
        while True:
            line = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                return rows, header
            if row:
                rows.append((line, row))
    except csv.Error as error:
        raise SettingsError(f"{path} line {reader.line_num}: not CSV: {error}") from None


def _column(header: Sequence[str], names: Iterable[str]) -> int | None:
    found = {name.strip().lower().replace(" ", "_"): i for i, name in reversed(list(enumerate(header)))}
    return next((found[name] for name in names if name in found), None)


def find_listed(listed: Iterable[str], folder: Path, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Which file of a folder each path of a table means.

    A path means the file of that name. Failing that, the only file whose name is the path's without regard to case and
    spelling of accents, or of which one is the end of the other: tables are written in one folder and read in another.

    Args:
        listed: paths as the table has them.
        folder: where the files are.
        names: of the files, relative to the folder, as `folders.printable` gives them.

    Returns:
        Name of the file -> path of the table, and the paths that mean no file, or several.
    """
    exact = set(names)
    by_end: dict[str, list[str]] = {}
    for name in names:
        parts = _alike(name).split("/")
        for i in range(len(parts)):
            by_end.setdefault("/".join(parts[i:]), []).append(name)
    found: dict[str, str] = {}
    missing = []
    root = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118 - links stay as they are
    for path in listed:
        tidy = posixpath.normpath(path.removeprefix(root).replace("\\", "/"))
        name = next((one for one in (printable(path.removeprefix(root)), printable(tidy)) if one in exact), None)
        if name is None:
            name = _by_its_end(_alike(printable(tidy)), by_end)
        if name is None or name in found:
            missing.append(path)
        else:
            found[name] = path
    return found, missing


def _by_its_end(path: str, by_end: dict[str, list[str]]) -> str | None:
    parts = path.strip("/").split("/")
    same = [name for name in by_end.get("/".join(parts), []) if _alike(name) == path]
    if len(same) == 1:
        return same[0]
    # The table's path is the end of a file's name; or a file's whole name is the end of the table's path.
    ends = by_end.get("/".join(parts), [])
    if ends:
        return ends[0] if len(ends) == 1 else None
    for i in range(1, len(parts)):
        end = "/".join(parts[i:])
        whole = [name for name in by_end.get(end, []) if _alike(name) == end]
        if whole:
            return whole[0] if len(whole) == 1 else None
    return None


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
