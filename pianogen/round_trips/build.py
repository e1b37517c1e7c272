"""Round trips of every tokenizer over every dataset: a block of figures for each block of the ingest.

Which split a performance stands in is not in the blocks, so that a new split costs nothing but what is learned anew: a
tokenizer that learns, learns from train as it stands, not transposed. When train has changed, so has what it learned,
and its round trips are made again; what validation and test hold changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen import parallel
from pianogen.augment import NONE
from pianogen.lake import Lake, Manifest, Stage
from pianogen.midi.blocks import READS, READS_PARTS, read_music
from pianogen.round_trips.measures import measure_round_trip
from pianogen.round_trips.tokenizers import measured_tokenizers
from pianogen.settings import Settings
from pianogen.shards.learning import learned_settings
from pianogen.shards.members import split_members, training_music
from pianogen.tokenizers.base import Tokenizer, kept_tokenizer, make_tokenizer

STAGE = Stage(
    name="round_trips",
    modules=(
        *(f"pianogen.round_trips.{name}" for name in ("build", "decoded", "matching", "measures", "residual")),
        *(f"pianogen.midi.{name}" for name in ("blocks", "columns", "time")),
        "pianogen.owners",
        "pianogen.ordering",
    ),
    packages=("numba", "numpy", "pyarrow"),
    tables=("round_trips",),
)


def measure_round_trips(
    lake: Lake,
    settings: Settings,
    tokenizers: Mapping[str, Mapping[str, Any]] | None = None,
    progress: parallel.Progress | None = None,
) -> list[Manifest]:
    """Encode and decode all music with every tokenizer, but what has been, and say what came back.

    Args:
        lake: read, and written to: the table `round_trips`, for each tokenizer a block for each block of the ingest.
        settings: number of workers and backend, and `tokenizers`.
        tokenizers: settings by name in the tables; those of `measured_tokenizers` if not given. Others are retired.
        progress: told the number of ingest blocks done and of those to be done.

    Returns:
        The manifest of each tokenizer, its partition, with `tokenizer` (settings without what was learned), `version`,
        `num_ids` and `num_performances` in `info`.

    Raises:
        LakeError: there is no split yet.
        ContaminationError: a performance has no split.
        SettingsError: a tokenizer cannot be made.
    """
    wanted = measured_tokenizers(settings) if tokenizers is None else tokenizers
    lake.require("splits")
    train = training_music(split_members(lake))
    learned = {name: learned_settings(lake, dict(options), train, NONE) for name, options in wanted.items()}
    coders = {name: make_tokenizer(options) for name, options in learned.items()}
    blocks = [block for manifest in lake.manifests("ingest") for block in manifest.blocks]
    keys = {name: {block: _key_of(name, coder, block) for block in blocks} for name, coder in coders.items()}
    tasks = []
    for block in dict.fromkeys(blocks):
        todo = {name: keys[name][block] for name in coders if not lake.has_block(STAGE.name, keys[name][block])}
        if todo:
            tasks.append(_Task(lake.root, block, {name: (json.dumps(learned[name]), todo[name]) for name in todo}))
    parallel.map_blocks(_measure_block, tasks, settings, progress)
    for manifest in lake.manifests(STAGE.name):
        if manifest.partition not in wanted:
            lake.retire(STAGE.name, manifest.partition)
    return [_publish(lake, name, wanted[name], coder, [*keys[name].values()]) for name, coder in coders.items()]


def _publish(lake: Lake, name: str, asked: Mapping[str, Any], coder: Tokenizer, blocks: list[str]) -> Manifest:
    info = {
        "tokenizer": dict(asked),
        "version": coder.version,
        "num_ids": len(coder.vocab),
        "num_performances": sum(lake.read_block(STAGE.name, key, "round_trips", []).num_rows for key in blocks),
    }
    return lake.publish(STAGE, blocks, partition=name, info=info)


def _key_of(name: str, coder: Tokenizer, ingest_block: str) -> str:
    return STAGE.key(inputs=[ingest_block], settings=[name, coder.version])


@dataclass(frozen=True)
class _Task:
    lake: Path
    ingest_block: str
    todo: dict[str, tuple[str, str]]
    """By name: settings as JSON, and the key of the block to be."""


def _measure_block(task: _Task) -> None:
    lake = Lake(task.lake)
    coders = {name: kept_tokenizer(json.loads(options)) for name, (options, _) in task.todo.items()}
    reads = READS_PARTS if any(coder.reads_parts for coder in coders.values()) else READS
    tables = {name: lake.read_block("ingest", task.ingest_block, name, columns) for name, columns in reads.items()}
    ids = tables["performances"]["performance_id"].combine_chunks().cast(pa.string())
    # The music is read once for all tokenizers.
    music = read_music(tables)
    for name, (_, key) in task.todo.items():
        lake.write_block(STAGE.name, key, {"round_trips": measure_round_trip(coders[name], music, name, ids)})
