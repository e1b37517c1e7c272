"""What datasets say of their files: composer, title, performer, year, split, and links between files.

A module for each family of datasets. Broken metadata never end an ingest and are never silent: what could
not be used is told in `Metadata.notes`, with file and row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pianogen.catalogue import Dataset, SourceFile
from pianogen.folders import storable
from pianogen.metadata import asap, giantmidi, jsb, lakh, maestro, pop909
from pianogen.metadata.findings import FileFacts, Findings, Metadata, Notes, Reader, archive_path
from pianogen.tables import SCHEMAS

READERS: Mapping[str, Reader] = {
    "asap": asap,
    "giantmidi": giantmidi,
    "jsb": jsb,
    "lakh": lakh,
    "maestro": maestro,
    "pop909": pop909,
}
"""By the name that `Dataset.metadata` holds."""


def read_metadata(dataset: Dataset, files: Sequence[SourceFile]) -> Metadata:
    """What the dataset says of these files.

    Args:
        dataset: whose metadata lie in its folder, or in its files' names.
        files: as `list_files` gives them.

    Returns:
        One row of `sources` for each file, null where nothing is known; links; notes of what is wrong.
    """
    notes = Notes()
    found = READERS[dataset.metadata].read(dataset, files, notes) if dataset.metadata else Findings()
    unknown = FileFacts()
    facts = [found.facts.get(file.name, unknown) for file in files]
    schema = SCHEMAS["sources"]
    known = {name: [getattr(fact, name) for fact in facts] for name in FileFacts.__dataclass_fields__}
    sources = {
        **known,
        "dataset": [dataset.name] * len(files),
        "path": [file.name for file in files],
        "archive_path": [archive_path(dataset, file.name) for file in files],
        "licence": [dataset.licence] * len(files),
        "non_commercial": [dataset.non_commercial] * len(files),
    }
    links = [{"dataset": dataset.name, **vars(link)} for link in found.links]
    return Metadata(
        sources=pa.table({name: list(map(_storable, sources[name])) for name in schema.names}, schema=schema),
        links=pa.Table.from_pylist(links, schema=SCHEMAS["links"]),
        notes=notes.sentences(),
    )


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def missing_files(dataset: Dataset, names: Iterable[str]) -> tuple[str, ...] | None:
    """Archive paths that the dataset's own metadata name and that are not among `names`, in their order.

    Args:
        dataset: where the metadata lie.
        names: of the files that are here, as `list_names` gives them.

    Returns:
        None where nothing names the files that there should be: counts alone can be compared.
    """
    expected = READERS[dataset.metadata].expected_paths(dataset, Notes()) if dataset.metadata else None
    if expected is None:
        return None
    here = {archive_path(dataset, name) for name in names}
    return tuple(path for path in expected if path not in here)
