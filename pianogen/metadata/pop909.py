"""POP909: `001/001.mid` to `909/909.mid`, each with alternate versions `001/versions/001-v1.mid` ….

The index, `index.xlsx` or `index.csv`, gives a song's name, its artist (here the performer), and in `modify_times`
how many versions it has.
"""

import re
from collections.abc import Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.metadata.findings import FileFacts, Findings, Link, Notes, archive_path
from pianogen.metadata.matching import paths_of
from pianogen.metadata.tabular import Row, find_beside, read_rows

NUM_SONGS = 909
_NAME = re.compile(r"(?:.*/)?(\d{3})(?:-v(\d+))?\.midi?", re.IGNORECASE | re.DOTALL)


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Name, artist and version of each file; versions linked to their song."""
    songs = _songs(dataset, notes)
    facts: dict[str, FileFacts] = {}
    links: list[Link] = []
    for file in files:
        named = _NAME.fullmatch(archive_path(dataset, file.name))
        if named is None or not 1 <= int(named[1]) <= NUM_SONGS:
            notes.add("a file whose name is not 001.mid to 909.mid, nor 001-v1.mid …", file.name)
            continue
        song, version = named[1], named[2]
        if songs and song not in songs:
            notes.add("a song that no row of the index names", file.name)
        title, artist = songs.get(song, (None, None))
        label = f"v{version}" if version else None
        facts[file.name] = FileFacts(title=title, work=title, performer=artist, version=label)
        if version:
            main = _path(song)
            links.append(Link(path=file.name, linked_dataset=dataset.name, linked_path=main, relation="version_of"))
    return Findings(facts=facts, links=links)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """All songs; their versions too where the index says how many they have."""
    rows = _rows(dataset, notes)
    expected = []
    for song in (f"{number:03d}" for number in range(1, NUM_SONGS + 1)):
        expected.append(_path(song))
        if row := rows.get(song):
            expected += [_path(song, version) for version in range(1, _num_versions(row, notes) + 1)]
    return expected


def _path(song: str, version: int | None = None) -> str:
    return f"{song}/versions/{song}-v{version}.mid" if version else f"{song}/{song}.mid"


def _songs(dataset: Dataset, notes: Notes) -> dict[str, tuple[str | None, str | None]]:
    return {
        song: (row.values["name"] or None, row.values["artist"] or None) for song, row in _rows(dataset, notes).items()
    }


def _rows(dataset: Dataset, notes: Notes) -> dict[str, Row]:
    path = find_beside(dataset, ["index.csv", "index.xlsx"], notes)
    if path is not None:
        rows = read_rows(path, ("song_id", "name", "artist", "modify_times"), notes)
        # A spreadsheet takes the zeros of 001 away.
        for row in rows:
            row.values["song_id"] = row.values["song_id"].strip().zfill(3)
        return paths_of(rows, "song_id", notes)
    notes.add("neither index.xlsx nor index.csv is in the dataset's folder: no names and artists of songs")
    return {}


def _num_versions(row: Row, notes: Notes) -> int:
    text = row.values["modify_times"].strip()
    if text.isascii() and text.isdigit() and int(text) < 100:
        return int(text)
    notes.add("modify_times that is not a number below 100", f"{row.where}: {text!r:.40}")
    return 0
