"""Which performances of which blocks of the ingest stand in which split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pianogen.errors import ContaminationError, LakeError
from pianogen.lake import Lake, digest
from pianogen.midi.blocks import MusicBlock, joined_blocks
from pianogen.shards.files import SPLITS, read_block_music


class Member(NamedTuple):
    """Performances of one split in one block of the ingest."""

    split: str
    dataset: str
    ingest_block: str
    performance_ids: tuple[str, ...]
    """Ascending."""


def training_music(members: Sequence[Member]) -> list[tuple[str, tuple[str, ...]]]:
    """What may be learned from: blocks of the ingest, each with its performances that stand in train."""
    return [(member.ingest_block, member.performance_ids) for member in members if member.split == "train"]


def split_members(lake: Lake, datasets: Sequence[str] | None = None) -> list[Member]:
    """The performances of each split, by the blocks that they lie in.

    Args:
        lake: holds the current split.
        datasets: names to take; all of them without it.

    Raises:
        ContaminationError: a performance has no split.
    """
    split_of = dict(zip(*lake.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))
    found = []
    for manifest in lake.manifests("ingest"):
        if datasets is not None and manifest.partition not in datasets:
            continue
        for block in manifest.blocks:
            members = lake.read_block("ingest", block, "performances", ["performance_id"])["performance_id"].to_pylist()
            if unplaced := [p for p in members if p not in split_of]:
                raise ContaminationError(
                    f"{len(unplaced)} performances of {manifest.partition} have no split (the first: {unplaced[0]}); "
                    "find duplicate pairs, clusters and splits again (`pianogen dedupe`)"
                )
            for split in SPLITS:
                if chosen := tuple(sorted(p for p in members if split_of[p] == split)):
                    found.append(Member(split, manifest.partition, block, chosen))
    return found


def with_leak(lake: Lake, members: Sequence[Member], leak: float) -> list[Member]:
    """The same with some of the test music in train as well: whole groups of the same music, chosen by their hash.

    Args:
        lake: holds the current split.
        members: as of `split_members`.
        leak: share of the groups, 0-1.
    """
    columns = lake.read("splits", ["performance_id", "cluster_id", "split_group"]).to_pydict().values()
    group = {own: joined or cluster for own, cluster, joined in zip(*columns, strict=True)}
    trained = {(one.dataset, one.ingest_block): one for one in members if one.split == "train"}
    for one in members:
        leaked = [name for name in one.performance_ids if one.split == "test" and _drawn(group[name]) < leak]
        if leaked:
            key = (one.dataset, one.ingest_block)
            known = trained[key].performance_ids if key in trained else ()
            trained[key] = Member("train", *key, tuple(sorted({*known, *leaked})))
    return [*trained.values(), *(one for one in members if one.split != "train")]


def _drawn(group: str) -> float:
    """A number from 0 to 1 that is a group's own."""
    return int(digest("leak", group)[:12], 16) / 16**12


def music_of(lake: Lake, performance_ids: Sequence[str], *, parts: bool = False) -> MusicBlock:
    """Music of performances, in this order, from whatever blocks of the ingest it lies in.

    Args:
        lake: has it.
        performance_ids: each once.
        parts: with tracks and programs.

    Raises:
        LakeError: one is not in the lake.
    """
    wanted = set(performance_ids)
    found: list[MusicBlock] = []
    names: list[str] = []
    for block in dict.fromkeys(block for manifest in lake.manifests("ingest") for block in manifest.blocks):
        members = lake.read_block("ingest", block, "performances", ["performance_id"])["performance_id"].to_pylist()
        # Two datasets may have the same performance.
        if own := sorted(wanted.intersection(members)):
            found.append(read_block_music(lake, block, own, parts=parts))
            names += own
            wanted.difference_update(own)
    if wanted:
        raise LakeError(f"performance {min(wanted)} is not in the lake; ingest its dataset again")
    place = {name: i for i, name in enumerate(names)}
    return joined_blocks(found).take(np.array([place[name] for name in performance_ids], np.int64))
