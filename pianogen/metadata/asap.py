"""ASAP: `metadata.csv` names each performance, its score, and the MAESTRO recording that it is part of.

The performer is the file's name without number and mark (`Shi05M.mid` is Shi's). The year is that of the
MAESTRO recording.
"""

import re
from collections.abc import Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.folders import printable
from pianogen.metadata.findings import FileFacts, Findings, Link, Notes, archive_path, seconds_of
from pianogen.metadata.matching import match_rows, paths_of
from pianogen.metadata.tabular import Row, find_beside, read_rows

LINKED = ("maestro_v2", "maestro_v3")
"""ASAP was cut from v2.0.0; v3.0.0 keeps its names, less six recordings."""

_COLUMNS = ("composer", "title", "midi_score", "midi_performance", "maestro_midi_performance", "start", "end")
_MAESTRO = "{maestro}/"


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Composer, title, performer and kind of each file; scores linked to performances, these to MAESTRO."""
    performances = paths_of(_rows(dataset, notes), "midi_performance", notes)
    scores: dict[str, list[tuple[str, Row]]] = {}
    for path, row in performances.items():
        scores.setdefault(printable(row.values["midi_score"]), []).append((path, row))
    scores.pop("", None)
    named = {**{path: rows[0][1] for path, rows in scores.items()}, **performances}
    match_rows(dataset, files, named, notes)
    facts: dict[str, FileFacts] = {}
    links: list[Link] = []
    for file in files:
        path = archive_path(dataset, file.name)
        if row := performances.get(path):
            facts[file.name] = _facts(row, "performance", _performer(path), _year(row))
            links += _maestro_links(file.name, row, notes)
        elif played := scores.get(path):
            facts[file.name] = _facts(played[0][1], "score", None, None)
            links += [
                Link(path=file.name, linked_dataset=dataset.name, linked_path=performance, relation="score_of")
                for performance, _ in played
            ]
    return Findings(facts=facts, links=links)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """Every performance and every score that the CSV names."""
    rows = paths_of(_rows(dataset, notes), "midi_performance", notes)
    scores = dict.fromkeys(printable(row.values["midi_score"]) for row in rows.values())
    scores.pop("", None)
    return [*rows, *scores] or None


def _rows(dataset: Dataset, notes: Notes) -> list[Row]:
    path = find_beside(dataset, ["metadata.csv"], notes)
    if path is None:
        notes.add("metadata.csv is not in the dataset's folder: no titles, scores and links; take it from its archive")
        return []
    return read_rows(path, _COLUMNS, notes)


def _facts(row: Row, kind: str, performer: str | None, year: int | None) -> FileFacts:
    title = row.values["title"] or None
    return FileFacts(
        title=title, composer=row.values["composer"] or None, work=title, performer=performer, year=year, kind=kind
    )


def _performer(path: str) -> str | None:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return re.sub(r"\d+M?$", "", stem) or None


def _year(row: Row) -> int | None:
    found = re.match(r"\{maestro\}/(\d{4})/", row.values["maestro_midi_performance"])
    return int(found[1]) if found else None


def _maestro_links(name: str, row: Row, notes: Notes) -> list[Link]:
    target = row.values["maestro_midi_performance"]
    if not target:
        return []
    if not target.startswith(_MAESTRO):
        notes.add(f"a link to MAESTRO that does not begin with {_MAESTRO}", f"{row.where}: {printable(target)}")
        return []
    start_sec = seconds_of(row.values["start"], notes, row.where)
    end_sec = seconds_of(row.values["end"], notes, row.where)
    if start_sec is not None and end_sec is not None and end_sec <= start_sec:
        notes.add("an excerpt that ends before it begins", f"{row.where}: {start_sec:g} to {end_sec:g} s")
    whole = start_sec is None and end_sec is None
    return [
        Link(
            path=name,
            linked_dataset=linked,
            linked_path=printable(target.removeprefix(_MAESTRO)),
            relation="copy_of" if whole else "excerpt_of",
            start_sec=start_sec,
            end_sec=end_sec,
        )
        for linked in LINKED
    ]
