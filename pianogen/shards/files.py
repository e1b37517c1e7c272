"""A shard on disk: its schema, its file, and how it is read."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Stage
from pianogen.tokenizers.base import TokenBlock, Tokenizer

STAGE = Stage(
    name="shards",
    modules=(
        "pianogen.shards.build",
        "pianogen.shards.files",
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


def as_lists(tokens: TokenBlock) -> pa.Array:
    """Sequences as an Arrow column, without a copy."""
    values = pa.array(tokens.values.reshape(-1))
    if tokens.values.ndim == 2:
        values = pa.FixedSizeListArray.from_arrays(values, tokens.values.shape[1])
    return pa.ListArray.from_arrays(pa.array(tokens.edges.astype(np.int32)), values)


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
