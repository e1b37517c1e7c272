"""GiantMIDI-Piano: everything stands in the name, `Surname, First names, Title, youtubeid.mid`."""

import re
from collections.abc import Sequence

from pianogen.catalogue import Dataset, SourceFile
from pianogen.metadata.findings import FileFacts, Findings, Notes

_NAME = re.compile(r"([^,]+), ([^,]*), (.+), ([A-Za-z0-9_-]{11})\.midi?", re.IGNORECASE | re.DOTALL)


def read(dataset: Dataset, files: Sequence[SourceFile], notes: Notes) -> Findings:
    """Composer and title of each file whose name has that shape; the others are noted."""
    facts: dict[str, FileFacts] = {}
    for file in files:
        if named := _NAME.fullmatch(file.name.rpartition("/")[2]):
            composer = f"{named[2]} {named[1]}".strip()
            facts[file.name] = FileFacts(title=named[3], composer=composer, work=named[3], kind="performance")
        else:
            notes.add("a name that is not 'Surname, First names, Title, youtubeid.mid'", file.name)
    return Findings(facts=facts)


def expected_paths(dataset: Dataset, notes: Notes) -> list[str] | None:
    """None: nothing beside the files names them."""
    return None
