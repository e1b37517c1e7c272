"""MAESTRO v2 and v3: one CSV (or JSON) names every performance, with its split. Performers are not published."""

import json
from collections.abc import Sequence
from pathlib import Path

from pianogen.catalogue import Dataset, SourceFile
from pianogen.folders import printable
from pianogen.metadata.findings import FileFacts, Findings, Notes, archive_path, split_of, year_of
from pianogen.metadata.matching import match_rows, paths_of
from pianogen.metadata.tabular import Row, find_beside, read_rows, read_text

_COLUMNS = ("canonical_composer", "canonical_title", "split", "year", "midi_filename")


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Composer, title, year and split of each performance."""
    rows = match_rows(dataset, files, paths_of(_rows(dataset, notes), "midi_filename", notes), notes)
    facts = {}
    for file in files:
        if row := rows.get(archive_path(dataset, file.name)):
            facts[file.name] = FileFacts(
                title=row.values["canonical_title"] or None,
                composer=row.values["canonical_composer"] or None,
                work=row.values["canonical_title"] or None,
                year=year_of(row.values["year"], notes, row.where),
                published_split=split_of(row.values["split"], notes, row.where),
                kind="performance",
            )
    return Findings(facts=facts)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """Every MIDI file that the CSV names."""
    return list(paths_of(_rows(dataset, notes), "midi_filename", notes)) or None


def _rows(dataset: Dataset, notes: Notes) -> list[Row]:
    versions = [root.rstrip("*") for root in dataset.roots]
    path = find_beside(dataset, [f"{v}*.{kind}" for kind in ("csv", "json") for v in versions], notes)
    if path is None:
        names = " or ".join(f"{version}.csv" for version in versions)
        notes.add(f"{names} is not in the dataset's folder: no composers, titles and splits; take it from its archive")
        return []
    return read_rows(path, _COLUMNS, notes) if path.suffix.lower() == ".csv" else _json_rows(path, notes)


def _json_rows(path: Path, notes: Notes) -> list[Row]:
    """Rows of the JSON form: a list of rows (v2), or columns that map numbers of rows to values (v3)."""
    name = printable(path.name)
    text = read_text(path, notes)
    if text is None:
        return []
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        notes.add(f"{name}: not JSON ({error}); its metadata are not read")
        return []
    if isinstance(content, dict) and all(isinstance(content.get(c), dict) for c in _COLUMNS):
        content = [{c: content[c].get(number) for c in _COLUMNS} for number in content["midi_filename"]]
    if not isinstance(content, list):
        notes.add(f"{name}: neither rows nor the columns {', '.join(_COLUMNS)}; its metadata are not read")
        return []
    rows = []
    for number, values in enumerate(content):
        where = f"{name} row {number}"
        if not isinstance(values, dict) or any(not isinstance(values.get(c), (str, int)) for c in _COLUMNS):
            notes.add(f"a row without {', '.join(_COLUMNS)}, passed over", where)
        else:
            rows.append(Row(where, {column: str(values[column]) for column in _COLUMNS}))
    return rows
