"""Builds the shards of an experiment: one for each split of each ingest block."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pianogen import contamination, parallel
from pianogen.augment import AugmentConfig
from pianogen.errors import ContaminationError, SettingsError, ShardError
from pianogen.lake import Lake, Manifest, digest
from pianogen.licences import recorded_licences
from pianogen.settings import Settings
from pianogen.shard_gate import leaks_in_shards
from pianogen.shards.files import FILE_NAME, SPLITS, STAGE, read_block_music, read_shard, sequence_schema
from pianogen.shards.learning import learned_settings
from pianogen.shards.rows import transposed_sequences
from pianogen.splits import policy_of
from pianogen.tokenizers.base import make_tokenizer
from pianogen.tokenizers.lists import as_lists


@dataclass(frozen=True, kw_only=True)
class _ShardTask:
    lake: Path
    ingest_block: str
    performance_ids: tuple[str, ...]
    split: str
    tokenizer: dict[str, Any]
    augment: AugmentConfig
    key: str


def build_shards(
    lake: Lake,
    settings: Settings,
    *,
    name: str,
    tokenizer: Mapping[str, Any],
    augment: AugmentConfig,
    datasets: Sequence[str] | None = None,
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
        progress: told after each shard.

    Raises:
        ContaminationError: the split did not pass the gate, or leaves a performance out.
        SettingsError: a dataset is not in the lake.
        ShardError: a split holds no music.
    """
    there = [m.partition for m in lake.manifests("ingest")]
    if absent := sorted(set(datasets or ()) - set(there)):
        raise SettingsError(
            f"dataset {absent[0]!r} is not in the lake, which has {', '.join(there) or 'none'}; ingest it"
        )
    certificate = contamination.require_clean(lake)
    members = _members(lake, datasets)
    train = [(block, chosen) for split, block, chosen in members if split == "train"]
    tokenizer = learned_settings(lake, tokenizer, train, augment)
    tasks = _tasks(lake, tokenizer, augment, members)
    todo = [task for task in tasks if not lake.has_block(STAGE.name, task.key)]
    parallel.map_blocks(_write_shard, todo, settings, progress)
    shards = [_describe(lake, number, task) for number, task in enumerate(tasks)]
    counts = {
        split: {
            f"num_{what}": sum(shard[f"num_{what}"] for shard in shards if shard["split"] == split)
            for what in ("sequences", "tokens", "notes", "performances")
        }
        for split in SPLITS
    }
    if missing := [split for split in SPLITS if not counts[split]["num_performances"]]:
        wanted = ", ".join(datasets) if datasets else "all datasets"
        raise ShardError(f"no music in {', '.join(missing)} of {wanted}; add performances, or name more datasets")
    shard_certificate = _pass_gate(lake, settings, tasks, tokenizer, certificate, progress)
    coder = make_tokenizer(tokenizer)
    info = {
        "datasets": sorted(there if datasets is None else set(datasets)),
        "dataset_versions": _dataset_versions(lake, datasets),
        **recorded_licences(lake, datasets),
        "split_version": lake.require("splits").version,
        "split_certificate": certificate,
        "certificate": shard_certificate,
        "tokenizer": {**dict(tokenizer), "version": coder.version, "num_ids": len(coder.vocab)},
        "augmentation": {**asdict(augment), "semitones": list(augment.semitones)},
        "counts": counts,
        "shards": shards,
    }
    return lake.publish(STAGE, [task.key for task in tasks], partition=name, info=info)


def _pass_gate(
    lake: Lake,
    settings: Settings,
    tasks: Sequence[_ShardTask],
    tokenizer: Mapping,
    certificate: str,
    progress: parallel.Progress | None,
) -> str:
    """The certificate of the shards, once what their tokens say was compared across splits."""
    tables = {
        split: pa.concat_tables(
            [
                sequence_schema(make_tokenizer(tokenizer)).empty_table(),
                *(read_shard(_path_of(lake, task)) for task in tasks if task.split == split),
            ]
        )
        for split in SPLITS
    }
    inputs = [(task.split, task.key) for task in tasks]
    policy = policy_of(lake.require("splits"))
    leaks = leaks_in_shards(lake, settings, tables, inputs, tokenizer, policy, progress)
    if leaks:
        raise ContaminationError(contamination.explain_shards(lake, leaks))
    return digest("shards", certificate, inputs)


def _path_of(lake: Lake, task: _ShardTask) -> Path:
    return lake.block_path(STAGE.name, task.key) / FILE_NAME


def _dataset_versions(lake: Lake, datasets: Sequence[str] | None) -> dict[str, str]:
    return {
        m.partition: m.info["dataset_version"]
        for m in lake.manifests("ingest")
        if datasets is None or m.partition in datasets
    }


def _members(lake: Lake, datasets: Sequence[str] | None) -> list[tuple[str, str, tuple[str, ...]]]:
    """Split, ingest block and performances, sorted, of each shard to be."""
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
                    found.append((split, block, chosen))
    return found


def _tasks(
    lake: Lake, tokenizer: Mapping, augment: AugmentConfig, members: Sequence[tuple[str, str, tuple[str, ...]]]
) -> list[_ShardTask]:
    version = make_tokenizer(tokenizer).version
    tasks = []
    for split, block, chosen in members:
        used = augment if split == "train" else AugmentConfig(semitones=(0,))
        tasks.append(
            _ShardTask(
                lake=lake.root,
                ingest_block=block,
                performance_ids=chosen,
                split=split,
                tokenizer=dict(tokenizer),
                augment=used,
                key=STAGE.key(inputs=[block, chosen], settings=[version, asdict(used)]),
            )
        )
    return sorted(tasks, key=lambda task: (SPLITS.index(task.split), task.key))


def _write_shard(task: _ShardTask) -> None:
    lake = Lake(task.lake)
    coder = make_tokenizer(task.tokenizer)
    # The keys of a shard are sorted, and so are its rows.
    music = read_block_music(lake, task.ingest_block, task.performance_ids)
    performance, semitones, tokens = transposed_sequences(coder, music, task.augment)
    num_notes = np.diff(music.note_edges)[performance].astype(np.int32)
    names = pa.array(task.performance_ids, pa.string())
    schema = sequence_schema(coder)
    batch = pa.record_batch(
        [names.take(pa.array(performance)), pa.array(semitones), pa.array(num_notes), as_lists(tokens)], schema=schema
    )
    with (
        lake.new_block(STAGE.name, task.key) as folder,
        pa.OSFile(str(folder / FILE_NAME), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_batch(batch)


def _describe(lake: Lake, number: int, task: _ShardTask) -> dict[str, Any]:
    path = _path_of(lake, task)
    table = read_shard(path)
    return {
        "shard": number,
        "split": task.split,
        "block": task.key,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "num_sequences": table.num_rows,
        "num_tokens": len(table["token_ids"].combine_chunks().values),
        "num_notes": int(table["num_notes"].to_numpy().sum()),
        "num_performances": int((table["semitones"].to_numpy() == 0).sum()),
    }
