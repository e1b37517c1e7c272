"""A shard on disk: its schema, its file, and how it is read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Lake, Stage
from pianogen.midi.blocks import READS, MusicBlock, read_music
from pianogen.tokenizers.base import Tokenizer

STAGE = Stage(
    name="shards",
    modules=(
        "pianogen.shards.build",
        "pianogen.shards.files",
        "pianogen.shards.learning",
        "pianogen.shards.rows",
        "pianogen.augment",
        "pianogen.midi.blocks",
        "pianogen.midi.columns",
        "pianogen.tokenizers.base",
    ),
    packages=("numba", "numpy", "pyarrow"),
    tables=(),
)
SPLITS = ("train", "validation", "test")


def sequence_schema(coder: Tokenizer) -> pa.Schema:
    """Columns of a shard: a row is a sequence; its tokens are of the smallest type that the scheme has."""
    kind = pa.from_numpy_dtype(coder.dtype)
    return pa.schema(
        [
            ("performance_id", pa.string()),
            ("semitones", pa.int8()),
            ("num_notes", pa.int32()),  # in the source, not by the tokenizer
            ("token_ids", pa.list_(kind if coder.width == 1 else pa.list_(kind, coder.width))),
        ]
    )


FILE_NAME = "sequences.arrow"


def read_shard(path: Path) -> pa.Table:
    """All rows, memory-mapped.

    Raises:
        ShardError: it is not whole, or not there.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise ShardError(
            f"{path}: not a readable shard ({error}); delete its folder and build the shards again"
        ) from None


def read_block_music(lake: Lake, ingest_block: str, performance_ids: Sequence[str]) -> MusicBlock:
    """Music of some performances of one block of the ingest, in this order."""
    tables = {name: lake.read_block("ingest", ingest_block, name, columns) for name, columns in READS.items()}
    number = {name: i for i, name in enumerate(tables["performances"]["performance_id"].to_pylist())}
    return read_music(tables).take(np.array([number[name] for name in performance_ids], np.int64))
