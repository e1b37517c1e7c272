"""Builds the shards of an experiment: one for each split of each ingest block."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen import contamination, parallel
from pianogen.augment import NONE, AugmentConfig
from pianogen.errors import ContaminationError, SettingsError, ShardError
from pianogen.lake import Lake, Manifest, digest
from pianogen.licences import recorded_licences
from pianogen.midi.blocks import MusicBlock
from pianogen.settings import Settings
from pianogen.shards.files import (
    COUNTS,
    FACTS_NAME,
    FILE_NAME,
    MAX_TOKENS,
    SPLITS,
    STAGE,
    file_hash,
    read_block_music,
    read_facts,
    read_shard,
    sequence_schema,
)
from pianogen.shards.gate import JudgedShard, leaks_in_shards
from pianogen.shards.learning import known_settings, learned_settings
from pianogen.shards.members import Member, split_members, training_music, with_leak
from pianogen.shards.rows import Rows, augmented_rows, require_told
from pianogen.splits import policy_of
from pianogen.tokenizers.base import Tokenizer, kept_tokenizer
from pianogen.tokenizers.lists import as_lists


@dataclass(frozen=True, kw_only=True)
class _ShardTask:
    member: Member
    augment: AugmentConfig
    key: str


@dataclass(frozen=True, kw_only=True)
class _BlockTask:
    """Shards whose music lies in one block, which is read once."""

    lake: Path
    tokenizer: dict[str, Any]
    shards: tuple[_ShardTask, ...]


def build_shards(
    lake: Lake,
    settings: Settings,
    *,
    name: str,
    tokenizer: Mapping[str, Any],
    augment: AugmentConfig,
    datasets: Sequence[str] | None = None,
    leak: float = 0.0,
    progress: parallel.Progress | None = None,
) -> Manifest:
    """Tokenize the current split into shards.

    Args:
        lake: where the split lies and the shards go.
        settings: number of workers and backend.
        name: the experiment that the shards are for; partition of the manifest.
        tokenizer: name and options, see `make_tokenizer`.
        augment: transpositions of the training music.
        datasets: names to take; all of them without it.
        leak: share of the groups of test music that is put into train as well, to show what that buys; the manifest
            then says so and has no certificate.
        progress: told after each shard.

    Raises:
        ContaminationError: the split did not pass the gate, or leaves a performance out.
        SettingsError: a dataset is not in the lake, or `augment` asks for copies that the tokenizer cannot draw.
        ShardError: a split, or a dataset that was named, holds no music.
    """
    certificate = contamination.require_clean(lake)
    members = _members(lake, tokenizer, augment, datasets, leak)
    tokenizer = learned_settings(lake, tokenizer, training_music(members), augment)
    tasks = _tasks(tokenizer, augment, members)
    _write(lake, settings, tokenizer, tasks, progress)
    shards = [{"shard": number, **_facts(lake, task)} for number, task in enumerate(tasks)]
    counts = {
        split: {name: sum(shard[name] for shard in shards if shard["split"] == split) for name in COUNTS}
        for split in SPLITS
    }
    shard_certificate = None if leak else _pass_gate(lake, settings, tasks, tokenizer, certificate, progress)
    coder = kept_tokenizer(tokenizer)
    versions = {m.partition: m.info["dataset_version"] for m in _ingested(lake, datasets)}
    info = {
        "datasets": sorted(versions),
        "dataset_versions": versions,
        **recorded_licences(lake, datasets),
        "split_version": lake.require("splits").version,
        "split_certificate": certificate,
        "certificate": shard_certificate,
        **({"leak": leak} if leak else {}),
        "tokenizer": {**dict(tokenizer), "version": coder.version, "num_ids": len(coder.vocab)},
        "augmentation": _as_json(augment),
        "counts": counts,
        "shards": shards,
    }
    return lake.publish(STAGE, [task.key for task in tasks], partition=name, info=info)


@dataclass(frozen=True)
class ShardPlan:
    """What a build would do."""

    num_performances: dict[str, int]
    """By split."""
    num_shards: int
    num_there: int
    """Of them, from an earlier build; 0 where a vocabulary is still to be learned."""
    is_learned: bool
    """Whether nothing has to be learned first."""


def plan_shards(
    lake: Lake,
    *,
    tokenizer: Mapping[str, Any],
    augment: AugmentConfig,
    datasets: Sequence[str] | None = None,
    leak: float = 0.0,
) -> ShardPlan:
    """What `build_shards` would do with these arguments, which it would refuse for the same reasons."""
    contamination.require_clean(lake)
    members = _members(lake, tokenizer, augment, datasets, leak)
    learned = known_settings(lake, tokenizer, training_music(members), augment)
    keys = [task.key for task in _tasks(learned or tokenizer, augment, members)]
    num = {split: sum(len(one.performance_ids) for one in members if one.split == split) for split in SPLITS}
    num_there = sum(lake.has_block(STAGE.name, key) for key in keys) if learned else 0
    return ShardPlan(num, len(keys), num_there, learned is not None)


def _ingested(lake: Lake, datasets: Sequence[str] | None) -> list[Manifest]:
    """Manifests of the datasets that are taken.

    Raises:
        SettingsError: one of them is not there.
    """
    there = {m.partition: m for m in lake.manifests("ingest")}
    if absent := sorted(set(datasets or ()) - set(there)):
        raise SettingsError(
            f"dataset {absent[0]!r} is not in the lake, which has {', '.join(there) or 'none'}; ingest it"
        )
    return [m for name, m in there.items() if datasets is None or name in datasets]


def _members(
    lake: Lake,
    tokenizer: Mapping[str, Any],
    augment: AugmentConfig,
    datasets: Sequence[str] | None,
    leak: float,
) -> list[Member]:
    """What shards are made of; refused where they would not be what was asked for."""
    _ingested(lake, datasets)
    if augment.while_loading:
        require_told(kept_tokenizer(tokenizer), augment)
    members = split_members(lake, datasets)
    if silent := sorted(set(datasets or ()) - {member.dataset for member in members}):
        raise ShardError(f"dataset {silent[0]} has no performance in any split; leave it out, or add music to it")
    if missing := [split for split in SPLITS if not any(member.split == split for member in members)]:
        wanted = ", ".join(datasets) if datasets else "all datasets"
        raise ShardError(f"no music in {', '.join(missing)} of {wanted}; add performances, or name more datasets")
    return with_leak(lake, members, leak) if leak else members


def _as_json(augment: AugmentConfig) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(augment).items()}


def _pass_gate(
    lake: Lake,
    settings: Settings,
    tasks: Sequence[_ShardTask],
    tokenizer: Mapping,
    certificate: str,
    progress: parallel.Progress | None,
) -> str:
    """The certificate of the shards, once what their tokens say was compared across splits."""
    shards = [JudgedShard(task.member.split, task.key, _path_of(lake, task)) for task in tasks]
    leaks = leaks_in_shards(lake, settings, shards, tokenizer, policy_of(lake.require("splits")), progress)
    if leaks:
        raise ContaminationError(contamination.explain_shards(lake, leaks))
    return digest("shards", certificate, [(shard.split, shard.key) for shard in shards])


def _path_of(lake: Lake, task: _ShardTask) -> Path:
    return lake.block_path(STAGE.name, task.key) / FILE_NAME


def _tasks(tokenizer: Mapping, augment: AugmentConfig, members: Sequence[Member]) -> list[_ShardTask]:
    version = kept_tokenizer(tokenizer).version
    tasks = []
    for member in members:
        is_varied = member.split == "train" and not augment.while_loading
        used = replace(augment, while_loading=False) if is_varied else NONE
        key = STAGE.key(inputs=[member.ingest_block, member.performance_ids], settings=[version, asdict(used)])
        tasks.append(_ShardTask(member=member, augment=used, key=key))
    return sorted(tasks, key=lambda task: (SPLITS.index(task.member.split), task.key))


def _write(
    lake: Lake,
    settings: Settings,
    tokenizer: Mapping[str, Any],
    tasks: Sequence[_ShardTask],
    progress: parallel.Progress | None,
) -> None:
    """Write the shards that are not there."""
    by_block: dict[str, list[_ShardTask]] = {}
    for task in tasks:
        if not lake.has_block(STAGE.name, task.key):
            by_block.setdefault(task.member.ingest_block, []).append(task)
    todo = [_BlockTask(lake=lake.root, tokenizer=dict(tokenizer), shards=tuple(shards)) for shards in by_block.values()]
    parallel.map_blocks(_write_shards, todo, settings, progress)


def _write_shards(task: _BlockTask) -> None:
    lake, coder = Lake(task.lake), kept_tokenizer(task.tokenizer)
    names = [name for shard in task.shards for name in shard.member.performance_ids]
    music = read_block_music(lake, task.shards[0].member.ingest_block, names, parts=coder.reads_parts)
    begin = 0
    for shard in task.shards:
        end = begin + len(shard.member.performance_ids)
        _write_shard(lake, coder, shard, music.take(np.arange(begin, end)))
        begin = end


def _write_shard(lake: Lake, coder: Tokenizer, task: _ShardTask, music: MusicBlock) -> None:
    """Write one shard and what is said of it: a batch for each variation but its semitones, so that each is small."""
    ids, schema = task.member.performance_ids, sequence_schema(coder)
    num_notes, counts = np.diff(music.note_edges).astype(np.int32), dict.fromkeys(COUNTS, 0)
    counts["num_performances"] = len(ids)
    with lake.new_block(STAGE.name, task.key) as folder:
        path = folder / FILE_NAME
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for rows in augmented_rows(coder, music, task.augment, ids):
                if len(rows.tokens.values) > MAX_TOKENS:
                    raise ShardError(
                        f"{task.member.dataset}: {len(rows.tokens.values):,} tokens of one block, and a shard takes "
                        f"{MAX_TOKENS:,}; take fewer transpositions"
                    )
                own_notes = num_notes[rows.performance]
                writer.write_batch(_batch(rows, ids, own_notes, schema))
                counts["num_sequences"] += len(rows.performance)
                counts["num_tokens"] += len(rows.tokens.values)
                counts["num_notes"] += int(own_notes.sum())
                counts["num_identical"] += rows.num_identical
        facts = {"sha256": file_hash(path), "num_bytes": path.stat().st_size, **counts}
        (folder / FACTS_NAME).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _batch(rows: Rows, ids: Sequence[str], num_notes: np.ndarray, schema: pa.Schema) -> pa.RecordBatch:
    num = len(rows.performance)
    base = rows.base
    same = {
        "stretch": np.full(num, base.stretch),
        "velocity_scale": np.full(num, base.velocity_scale),
        "velocity_shift": np.full(num, base.velocity_shift, np.int8),
        "jitter_ms": np.full(num, base.jitter_ms),
        "pedal": pa.array([base.pedal] * num, pa.string()),
    }
    columns = {
        "performance_id": pa.array(ids, pa.string()).take(pa.array(rows.performance)),
        "semitones": rows.semitones,
        **same,
        "num_notes": num_notes,
        "token_ids": as_lists(rows.tokens),
    }
    return pa.record_batch([pa.array(columns[name]) for name in schema.names], schema=schema)


def _facts(lake: Lake, task: _ShardTask) -> dict[str, Any]:
    """What the manifest says of a shard: as it was counted when it was written.

    Raises:
        ShardError: the shard is no longer whole.
    """
    path = _path_of(lake, task)
    read_shard(path)
    facts = read_facts(path)
    return {"split": task.member.split, "dataset": task.member.dataset, "block": task.key, **facts}
