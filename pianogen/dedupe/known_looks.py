"""What the last comparison saw, kept in the lake so that more music costs what is new.

Nothing but time depends on it.
"""

import numpy as np
import pyarrow as pa

from pianogen.dedupe.alignment import FIGURES
from pianogen.dedupe.comparison import Comparison, KnownLooks, nothing_known
from pianogen.dedupe.corpus import Corpus
from pianogen.dedupe.first_looks import FirstLooks
from pianogen.dedupe.looks import SecondLooks
from pianogen.errors import LakeError
from pianogen.lake import Lake, Stage
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="looks",
    modules=("pianogen.dedupe.known_looks",),
    packages=("pyarrow",),
    tables=("compared_performances", "first_looks", "second_looks"),
)


def read_known_looks(lake: Lake, corpus: Corpus, version: str) -> KnownLooks:
    """What the last comparison saw, as far as it holds for the performances of now.

    Args:
        lake: where it is kept.
        corpus: the performances of now.
        version: of code and settings; what was seen under another is not used.
    """
    nothing = nothing_known(corpus)
    manifest = lake.manifest(STAGE.name)
    if manifest is None or manifest.info.get("version") != _own(version):
        return nothing
    try:
        first, compared, second = (
            lake.read_block(STAGE.name, manifest.blocks[0], name)
            for name in ("first_looks", "compared_performances", "second_looks")
        )
    except (LakeError, OSError, pa.ArrowException):
        # Lost or cut short: what it holds is found again.
        return nothing
    columns = {name: second[name].to_numpy() for name in SecondLooks._fields[:-1]}
    looks = SecondLooks(**columns, figures=_figures(second))
    ids, digests = np.array(corpus.ids, dtype=str), corpus.facts["notes_digest"]
    known_ids = np.array(compared["performance_id"].to_pylist(), dtype=str)
    number = np.searchsorted(ids, known_ids)
    is_there = number < len(ids)
    at = number[is_there]
    is_same = (ids[at] == known_ids[is_there]) & (digests[at] == compared["notes_digest"].to_numpy()[is_there])
    # Where music has gone, shingles may be common no longer, and bring others together.
    if not (is_there.all() and is_same.all()):
        return KnownLooks(nothing.first, nothing.is_new, looks)
    is_new = np.ones(len(corpus.ids), bool)
    is_new[number] = False
    a, b, met, met_chroma = (first[name].to_numpy().astype(np.int64) for name in FirstLooks._fields[:-1])
    return KnownLooks(FirstLooks(number[a], number[b], met, met_chroma, _figures(first)), is_new, looks)


def keep_looks(lake: Lake, corpus: Corpus, found: Comparison, inputs: list, version: str) -> None:
    """Keep what a comparison saw.

    Args:
        lake: where.
        corpus: the performances that were compared.
        found: what was seen.
        inputs: names the performances.
        version: as of `read_known_looks`.
    """
    key = STAGE.key(inputs=[inputs, version])
    if not lake.has_block(STAGE.name, key):
        looks = found.second_looks
        order = np.argsort(looks.pair, kind="stable")
        columns = {
            "compared_performances": [pa.array(corpus.ids, pa.string()), corpus.facts["notes_digest"]],
            "first_looks": [*found.first_looks[:-1], *found.first_looks.figures.T],
            "second_looks": [column[order] for column in (*looks[:-1], *looks.figures.T)],
        }
        tables = {name: pa.table(columns[name], names=SCHEMAS[name].names).cast(SCHEMAS[name]) for name in columns}
        lake.write_block(STAGE.name, key, tables)
    lake.publish(STAGE, [key], info={"version": _own(version)})


def _own(version: str) -> str:
    """With the code that keeps them."""
    return STAGE.key(inputs=[version])


def _figures(table: pa.Table) -> np.ndarray:
    """Rows of figures, shape (num_rows, NUM_FIGURES)."""
    return np.stack([table[name].to_numpy() for name in FIGURES], axis=1)
