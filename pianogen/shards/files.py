"""A shard on disk: its schema, its file, and how it is read."""

from pathlib import Path

import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Stage

STAGE = Stage(
    name="shards",
    modules=(
        "pianogen.shards.build",
        "pianogen.shards.files",
        "pianogen.augment",
        "pianogen.midi.columns",
        "pianogen.tokenizers.base",
        "pianogen.tokenizers.remi",
    ),
    packages=("miditok", "symusic", "pyarrow"),
    tables=(),
)
SPLITS = ("train", "validation", "test")
SEQUENCE_SCHEMA = pa.schema(
    [
        ("performance_id", pa.string()),
        ("semitones", pa.int8()),
        ("num_notes", pa.int32()),  # in the source, not by the tokenizer
        ("token_ids", pa.list_(pa.uint16())),
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
