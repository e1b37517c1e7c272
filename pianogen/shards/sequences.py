"""Finished shards: the sequences of each split, memory-mapped."""

import hashlib
import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Lake
from pianogen.shards.files import FILE_NAME, STAGE, read_shard, sequence_schema
from pianogen.tokenizers.base import make_tokenizer
from pianogen.tokenizers.lists import tokens_of


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, memory-mapped; `sequences[i]` costs the same for every i."""

    performance_ids: tuple[str, ...]
    semitones: np.ndarray
    num_notes: np.ndarray
    _values: tuple[np.ndarray, ...]
    _starts: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self._starts)

    def __getitem__(self, i: int) -> np.ndarray:
        """Tokens of the scheme's type, ids with BOS and EOS, shape (num_tokens,) or (num_tokens, width); no copy."""
        shard, start, end = self._starts[i]
        return self._values[shard][start:end]

    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, int64, shape (num_sequences,)."""
        return np.asarray([end - start for _, start, end in self._starts], np.int64)


class ShardSet:
    """A finished shard set, opened by its experiment's name.

    Raises:
        LakeError: it was never built.
    """

    def __init__(self, lake: Lake, name: str) -> None:
        self.lake = lake
        self.manifest = lake.require(STAGE.name, name)
        self.info = self.manifest.info
        self.version = self.manifest.version
        self.tokenizer = make_tokenizer(
            {k: v for k, v in self.info["tokenizer"].items() if k not in ("version", "num_ids")}
        )
        if self.tokenizer.version != self.info["tokenizer"]["version"]:
            raise ShardError(f"shards of {name!r} were made by another version of the tokenizer; build them again")

    def sequences(self, split: str) -> Sequences:
        """The sequences of train, validation or test."""
        tables = [
            read_shard(self.lake.block_path(STAGE.name, shard["block"]) / FILE_NAME)
            for shard in self.info["shards"]
            if shard["split"] == split
        ]
        columns = [table["token_ids"].combine_chunks() for table in tables]
        starts = []
        for shard, column in enumerate(columns):
            offsets = column.offsets.to_numpy()
            starts += [(shard, int(a), int(b)) for a, b in itertools.pairwise(offsets)]
        joined = pa.concat_tables([sequence_schema(self.tokenizer).empty_table(), *tables])
        return Sequences(
            performance_ids=tuple(joined["performance_id"].to_pylist()),
            semitones=joined["semitones"].to_numpy(),
            num_notes=joined["num_notes"].to_numpy(),
            _values=tuple(tokens_of(column.values) for column in columns),
            _starts=tuple(starts),
        )

    def verify(self) -> None:
        """Compare every shard's bytes with the manifest.

        Raises:
            ShardError: a shard changed after it was built, or is gone.
        """
        for shard in self.info["shards"]:
            path = self.lake.block_path(STAGE.name, shard["block"]) / FILE_NAME
            try:
                found = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise ShardError(
                    f"shard_{shard['shard']:05d} ({path}): {error.strerror}; build the shards again"
                ) from None
            if found != shard["sha256"]:
                raise ShardError(
                    f"shard_{shard['shard']:05d} ({path}): SHA-256 {found[:12]}… found, manifest says "
                    f"{shard['sha256'][:12]}…; delete its folder and build the shards again"
                )
