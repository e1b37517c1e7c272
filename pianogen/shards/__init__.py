"""Token sequences in numbered Arrow files, with a manifest that says where they come from.

A shard holds the sequences of one split made from one ingest block, so a new recording costs one shard.
Each is an Arrow IPC file with one row per sequence (`files.sequence_schema`), read through a memory map.
Sequences begin with BOS and end with EOS. Train alone is transposed.

The manifest (`manifests/shards/<experiment>.json`) carries the versions and licences of datasets, the version
of the split, the certificate of the contamination gate, tokenizer, augmentation, counts, and the SHA-256 of
every shard.
"""

from pianogen.shards.build import build_shards, plan_shards
from pianogen.shards.files import SPLITS, STAGE
from pianogen.shards.sequences import Sequences, ShardSet

__all__ = ["SPLITS", "STAGE", "Sequences", "ShardSet", "build_shards", "plan_shards"]
