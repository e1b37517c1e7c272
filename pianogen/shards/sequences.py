"""Finished shards: the sequences of each split, memory-mapped."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pianogen.errors import ShardError
from pianogen.lake import Lake, digest
from pianogen.shards.files import BUILD_AGAIN, FILE_NAME, SPLITS, STAGE, file_hash, read_shard, sequence_schema
from pianogen.tokenizers.base import make_tokenizer
from pianogen.tokenizers.lists import token_block_of


@dataclass(frozen=True, eq=False)
class Sequences:
    """The sequences of one split, memory-mapped; `sequences[i]` costs the same for every i."""

    facts: pa.Table
    """The other columns of `files.sequence_schema`, a row for each sequence."""
    values: tuple[np.ndarray, ...]
    """Tokens of each batch."""
    batch: np.ndarray
    """In which batch a sequence lies, shape (num_sequences,),"""
    start: np.ndarray
    """where it begins there, int64,"""
    end: np.ndarray
    """and ends."""
    version: str = ""
    """Of the shard set, with what was taken of it."""
    origin: "Origin | None" = None
    """Where they can be opened again."""

    def __reduce__(self) -> tuple[Callable, tuple]:
        """To another process goes where they lie, not what they are."""
        if self.origin is None:
            return Sequences, (self.facts, self.values, self.batch, self.start, self.end, self.version)
        return _opened_again, (self.origin, self.version)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.batch)

    def __getitem__(self, i: int) -> np.ndarray:
        """Tokens of the scheme's type, ids with BOS and EOS, shape (num_tokens,) or (num_tokens, width); no copy."""
        return self.values[self.batch[i]][self.start[i] : self.end[i]]

    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, int64, shape (num_sequences,)."""
        return self.end - self.start

    @cached_property
    def performance_ids(self) -> tuple[str, ...]:
        """What each sequence was made of."""
        return tuple(self.facts["performance_id"].to_pylist())

    @cached_property
    def semitones(self) -> np.ndarray:
        """That each is moved by, int8."""
        return self.facts["semitones"].to_numpy()

    @cached_property
    def num_notes(self) -> np.ndarray:
        """Notes of its performance, int32."""
        return self.facts["num_notes"].to_numpy()


class Origin(NamedTuple):
    """What sequences were opened by."""

    lake: Path
    name: str
    split: str
    datasets: tuple[str, ...] | None


def _opened_again(origin: Origin, version: str) -> Sequences:
    again = ShardSet(Lake(origin.lake), origin.name).sequences(origin.split, origin.datasets)
    if again.version != version:
        raise ShardError(f"the shards of {origin.name} were built anew while they were read; begin anew")
    return again


class ShardSet:
    """A finished shard set, opened by its experiment's name.

    Raises:
        LakeError: it was never built.
        ShardError: it was built by another version of the tokenizer.
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

    def sequences(self, split: str, datasets: Collection[str] | None = None) -> Sequences:
        """The sequences of train, validation or test, in the order of the manifest's shards.

        Args:
            split: which.
            datasets: of these alone.

        Raises:
            ShardError: the shard set has no such split or dataset.
        """
        if split not in SPLITS:
            raise ShardError(f"split must be one of {', '.join(SPLITS)}, found {split!r}")
        datasets = [datasets] if isinstance(datasets, str) else datasets
        if unknown := sorted(set(datasets or ()) - set(self.info["datasets"])):
            there = ", ".join(self.info["datasets"])
            raise ShardError(f"{self.manifest.partition}: no dataset {unknown[0]!r} in its shards, which hold {there}")
        tables = [
            self._read(shard)
            for shard in self.info["shards"]
            if shard["split"] == split and (datasets is None or shard["dataset"] in datasets)
        ]
        version = digest(self.version, split, sorted(datasets) if datasets is not None else None)
        taken = None if datasets is None else tuple(datasets)
        return self._sequences(tables, version, Origin(self.lake.root, self.manifest.partition, split, taken))

    def of_shard(self, shard: Mapping[str, Any]) -> Sequences:
        """The sequences of one shard, as `info` lists it; to another process they go as they are."""
        return self._sequences([self._read(shard)], digest(self.version, shard["block"]), None)

    def _read(self, shard: Mapping[str, Any]) -> pa.Table:
        return read_shard(self.lake.block_path(STAGE.name, shard["block"]) / FILE_NAME)

    def _sequences(self, tables: Sequence[pa.Table], version: str, origin: Origin | None) -> Sequences:
        # Batches of all files: to join them would be to copy them.
        batches = [token_block_of(chunk) for table in tables for chunk in table["token_ids"].chunks]
        empty = sequence_schema(self.tokenizer).empty_table()
        none = np.empty(0, np.int64)
        return Sequences(
            facts=pa.concat_tables([empty, *tables]).drop_columns(["token_ids"]),
            values=tuple(one.values for one in batches),
            batch=np.repeat(np.arange(len(batches), dtype=np.int32), [len(one) for one in batches]),
            start=np.concatenate([none, *(one.edges[:-1] for one in batches)]),
            end=np.concatenate([none, *(one.edges[1:] for one in batches)]),
            version=version,
            origin=origin,
        )

    def verify(self) -> None:
        """Compare every shard's bytes with the manifest.

        Raises:
            ShardError: a shard changed after it was built, or is gone.
        """
        for shard in self.info["shards"]:
            path = self.lake.block_path(STAGE.name, shard["block"]) / FILE_NAME
            try:
                found = file_hash(path)
            except OSError as error:
                raise ShardError(
                    f"shard_{shard['shard']:05d} ({path}): {error.strerror}; build the shards again"
                ) from None
            if found != shard["sha256"]:
                raise ShardError(
                    f"shard_{shard['shard']:05d} ({path}): SHA-256 {found[:12]}… found, manifest says "
                    f"{shard['sha256'][:12]}…; {BUILD_AGAIN}"
                )
