"""Lakh MIDI: files named by the MD5 of their bytes (full, matched), or by artist and title (clean).

- `Artist/Title.2.mid` is version `.2` of that title. A title that ends in a point and a number of its own
  reads the same and is taken for a version.
- A file of the matched set lies in a folder named by its song in the Million Song Dataset, `TRAAAGR128F425B14B`:
  the `work`.
- Where `clean_midi_labels.csv` (columns `md5`, `artist`, `title`) lies beside the files, it names those that
  are named by MD5. The artist is the performer; composers are not known.
"""

import re
from collections.abc import Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.metadata.findings import FileFacts, Findings, Notes, archive_path
from pianogen.metadata.matching import paths_of
from pianogen.metadata.tabular import Row, find_beside, read_rows

_MD5 = re.compile(r"[0-9a-f]{32}")
_SONG = re.compile(r"TR[A-Z]{5}[0-9A-F]{11}")
_VERSION = re.compile(r"(.+?)(\.\d+)?", re.DOTALL)


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Title, artist and version of each file, as far as names tell; names that are not the bytes' MD5 are noted."""
    labels = _labels(dataset, notes)
    facts: dict[str, FileFacts] = {}
    for file in files:
        parts = archive_path(dataset, file.name).split("/")
        stem = parts[-1].rpartition(".")[0]
        if _MD5.fullmatch(stem):
            if file.md5 not in (None, stem):
                notes.add("a file whose name is not the MD5 of its bytes", f"{file.name} ({file.md5})")
            work = parts[-2] if len(parts) > 1 and _SONG.fullmatch(parts[-2]) else None
            label = labels.get(stem)
            facts[file.name] = FileFacts(
                title=(label.values["title"] or None) if label else None,
                performer=(label.values["artist"] or None) if label else None,
                work=work,
                version=_version(label.values.get("clean_midi_path", "")) if label else None,
            )
        elif len(parts) > 1 and (named := _VERSION.fullmatch(stem)):
            facts[file.name] = FileFacts(title=named[1], performer=parts[-2], version=named[2])
        else:
            notes.add("a file named neither by an MD5 nor by artist and title", file.name)
    return Findings(facts=facts)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """None: the archives carry no list of their files."""
    return None


def _labels(dataset: Dataset, notes: Notes) -> dict[str, Row]:
    path = find_beside(dataset, ["clean_midi_labels.csv"], notes)
    return paths_of(read_rows(path, ("md5", "artist", "title"), notes), "md5", notes) if path else {}


def _version(clean_path: str) -> str | None:
    named = _VERSION.fullmatch(clean_path.rpartition("/")[2].rpartition(".")[0])
    return named[2] if named else None
