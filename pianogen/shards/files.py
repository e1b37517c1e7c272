"""A shard on disk: its schema, its file, and how it is read."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Lake, Stage
from pianogen.midi.blocks import READS, READS_PARTS, MusicBlock, read_music
from pianogen.tokenizers.base import Tokenizer

STAGE = Stage(
    name="shards",
    modules=(
        "pianogen.shards.build",
        "pianogen.shards.files",
        "pianogen.shards.learning",
        "pianogen.shards.members",
        "pianogen.shards.rows",
        "pianogen.augment",
        "pianogen.varied",
        "pianogen.midi.blocks",
        "pianogen.ordering",
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
            ("semitones", pa.int8()),  # this and what follows up to the pedal: see `augment.Variation`
            ("stretch", pa.float64()),
            ("velocity_scale", pa.float64()),
            ("velocity_shift", pa.int8()),
            ("jitter_ms", pa.float64()),
            ("pedal", pa.string()),
            ("num_notes", pa.int32()),  # in the source, not by the tokenizer
            ("token_ids", pa.list_(kind if coder.width == 1 else pa.list_(kind, coder.width))),
        ]
    )


FILE_NAME = "sequences.arrow"
FACTS_NAME = "shard.json"
"""Counts and SHA-256 of the file beside it."""
COUNTS = ("num_sequences", "num_tokens", "num_notes", "num_performances", "num_identical")
MAX_TOKENS = 2**31 - 1
"""Of one batch: Arrow's lists count their values with 32 bits."""


BUILD_AGAIN = "delete its folder and build the shards again"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_shard(path: Path) -> pa.Table:
    """All rows, memory-mapped.

    Raises:
        ShardError: it is not whole, or not there.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise ShardError(f"{path}: not a readable shard ({error}); {BUILD_AGAIN}") from None


def read_facts(path: Path) -> dict[str, Any]:
    """What was written down beside a shard: its SHA-256, bytes and COUNTS.

    Args:
        path: of the shard.

    Raises:
        ShardError: that is not there, or tells of another size.
    """
    beside = path.with_name(FACTS_NAME)
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
        wrong = None if facts["num_bytes"] == path.stat().st_size else f"{path.stat().st_size} bytes long"
    except (OSError, ValueError, KeyError) as error:
        raise ShardError(f"{beside}: {error}; {BUILD_AGAIN}") from None
    if wrong:
        raise ShardError(f"{path}: not a readable shard (it is {wrong}, and was {facts['num_bytes']}); {BUILD_AGAIN}")
    return facts


def read_block_music(
    lake: Lake, ingest_block: str, performance_ids: Sequence[str], *, parts: bool = False
) -> MusicBlock:
    """Music of some performances of one block of the ingest, in this order; with their parts, if asked."""
    reads = READS_PARTS if parts else READS
    tables = {name: lake.read_block("ingest", ingest_block, name, columns) for name, columns in reads.items()}
    number = {name: i for i, name in enumerate(tables["performances"]["performance_id"].to_pylist())}
    return read_music(tables).take(np.array([number[name] for name in performance_ids], np.int64))
