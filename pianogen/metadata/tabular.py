"""Tables beside a dataset's music, read row by row: a broken row costs that row and is noted."""

import csv
import fnmatch
import io
import itertools
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pianogen.catalogue import Dataset
from pianogen.folders import printable
from pianogen.metadata.findings import Notes

MAX_BYTES = 64 * 2**20
MAX_SHEET_ROWS = 2**20


class Row(NamedTuple):
    """One row of a file."""

    where: str
    """File and line where the row begins, for notes."""
    values: dict[str, str]


def find_beside(dataset: Dataset, patterns: Sequence[str], notes: Notes) -> Path | None:
    """The first file that fits the first pattern that any fits, in the dataset's folder or a leading folder.

    A link that leaves the dataset's folder is noted and passed over, unless the dataset follows links.
    """
    beside = sorted(_beside(dataset.folder, dataset.roots))
    inside = os.path.join(os.path.realpath(dataset.folder), "")  # noqa: PTH118
    for pattern in patterns:
        for path in beside:
            if not fnmatch.fnmatch(path.name.lower(), pattern.lower()):
                continue
            if dataset.follow_links or os.path.realpath(path).startswith(inside):
                return path
            notes.add(f"{printable(path.name)}: a link that leaves the dataset's folder; not read")
    return None


def _beside(folder: Path, roots: Sequence[str], depth: int = 3) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file():
                    yield Path(entry.path)
                elif depth and entry.is_dir() and any(fnmatch.fnmatchcase(entry.name, root) for root in roots):
                    yield from _beside(Path(entry.path), roots, depth - 1)
    except OSError:
        return  # list_files tells of folders that cannot be opened


def _read_bytes(path: Path, notes: Notes) -> bytes | None:
    name = printable(path.name)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        notes.add(f"{name}: cannot be read: {error.strerror or error}")
        return None
    if len(data) > MAX_BYTES:
        notes.add(f"{name}: more than {MAX_BYTES // 2**20} MiB; not read")
        return None
    return data


def read_text(path: Path, notes: Notes) -> str | None:
    """The file's text; None, noted, where it cannot be read.

    Bytes that are not UTF-8 are noted and kept as in names of files (PEP 383), so that they still name theirs.
    """
    name = printable(path.name)
    data = _read_bytes(path, notes)
    if data is None:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        for number, line in enumerate(data.split(b"\n"), 1):
            if not _is_utf8(line):
                notes.add("bytes that are not UTF-8, kept as \\x..", f"{name} line {number}")
        return data.decode("utf-8-sig", "surrogateescape")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_rows(path: Path, required: Sequence[str], notes: Notes) -> list[Row]:
    """Rows of a CSV file, or of the first sheet of an Excel workbook, whose first row names its columns.

    Args:
        path: the file.
        required: columns that it must have; without one of them no row is read.
        notes: told what is wrong, with file and line.
    """
    if path.suffix.lower() == ".xlsx":
        return _read_sheet(path, required, notes)
    name = printable(path.name)
    text = read_text(path, notes)
    if text is None:
        return []
    # Strict: text after a closing quote, or a quote that never closes, is told and not guessed at.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[Row] = []
    while True:
        where = f"{name} line {reader.line_num + 1}"
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            notes.add("a row that is not CSV", f"{where} ({error})")
            continue
        if not header:
            header = values
            if not _has_columns(header, required, name, notes):
                return []
        elif len(values) != len(header):
            if values:  # an empty line is no row
                notes.add(f"a row without exactly {len(header)} values, passed over", f"{where} ({len(values)})")
        else:
            rows.append(Row(where, dict(zip(header, values, strict=True))))
    if not header:
        notes.add(f"{name}: empty; no metadata")
    return rows


def _read_sheet(path: Path, required: Sequence[str], notes: Notes) -> list[Row]:
    import openpyxl  # takes a quarter of a second, and few have a workbook

    name = printable(path.name)
    data = _read_bytes(path, notes)
    if data is None:
        return []
    rows: list[Row] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                notes.add(f"{name}: more than {MAX_BYTES // 2**20} MiB unpacked; not read")
                return []
        sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True).worksheets[0]
        cells = sheet.iter_rows(values_only=True, max_row=MAX_SHEET_ROWS)
        header = [_as_text(cell) for cell in next(iter(cells), ())]
        if not _has_columns(header, required, name, notes):
            return []
        for number, values in enumerate(cells, 2):
            texts = [_as_text(cell) for cell in values]
            if any(texts):
                # A sheet has no end of row: cells that are not there are empty.
                rows.append(
                    Row(f"{name} row {number}", dict(itertools.zip_longest(header, texts[: len(header)], fillvalue="")))
                )
    # Whatever openpyxl stumbles over, it says in errors of its own, of zipfile's and of Python's.
    except Exception as error:
        notes.add(f"{name}: not a workbook that can be read ({type(error).__name__}: {printable(str(error))[:200]})")
        return []
    return rows


def _as_text(cell: object) -> str:
    # 001 and 9420 typed into a sheet come back as numbers, at times as 9420.0.
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell)


def _has_columns(header: Sequence[str], required: Sequence[str], name: str, notes: Notes) -> bool:
    missing = [column for column in required if column not in header]
    if missing:
        found = printable(", ".join(header)[:200])
        notes.add(f"{name}: no column {', '.join(missing)}; found: {found}; its metadata are not read")
    return not missing
