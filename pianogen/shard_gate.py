"""The gate once more, on what a model will see: notes decoded from the tokens of finished shards.

Between a clean split and its shards lie tokenizer and augmentation, and a fault of either could bring music of the test
set back. So the sequences of all splits are decoded, fingerprinted and compared like files nobody has seen
before. A sequence whose tokens are those of another one, transposed, holds the same music, and one of them is decoded.

Two performances may lie so near the line between related and unrelated that rounding to the tokenizer's grid
takes them across it. What the gate calls a leak must therefore lie well within it (`CONFIG`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.dedupe.candidates import PairConfig, find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.dedupe.groups import splitting_relations
from pianogen.dedupe.relations import RelationConfig
from pianogen.lake import Lake, Stage, digest
from pianogen.reading import STAGE as INGEST
from pianogen.settings import Settings, SplitPolicy
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import Tokenizer, make_tokenizer
from pianogen.tokenizers.lists import tokens_of

CONFIG = PairConfig(relations=RelationConfig(min_score=0.15, min_score_when_matched=0.1, min_matched=0.65))
STAGE = Stage(
    name="shard_contamination",
    modules=("pianogen.shard_gate",),
    packages=("miditok", "symusic", "pyarrow"),
    tables=("shard_contamination",),
)
SECONDS_PER_QUARTER = 0.5
_SEQUENCES_PER_BLOCK = 256


def leaks_in_shards(
    lake: Lake,
    settings: Settings,
    shards: Mapping[str, pa.Table],
    inputs: object,
    tokenizer: Mapping,
    policy: SplitPolicy,
    progress: parallel.Progress | None = None,
) -> list[dict]:
    """Pairs of sequences in different splits that hold the same music.

    Args:
        lake: where the answer is kept, under a key made of `inputs`.
        settings: number of workers and backend.
        shards: sequences of each split, with the columns of `shards.files.sequence_schema`.
        inputs: names the shards by their content, as JSON values.
        tokenizer: name and options, see `make_tokenizer`.
        policy: says which relations may not stand in two splits.
        progress: told of sequences decoded and all.

    Returns:
        Rows of the lake's `shard_contamination`.
    """
    relations = sorted(splitting_relations(policy))
    key = STAGE.key(inputs=[inputs, make_tokenizer(tokenizer).version], settings=relations)
    if not lake.has_block(STAGE.name, key):
        with lake.scratch() as folder:
            rows = _find_leaks(Lake(folder), settings, shards, tokenizer, relations, progress)
        table = pa.Table.from_pylist(rows, schema=SCHEMAS["shard_contamination"])
        lake.write_block(STAGE.name, key, {"shard_contamination": table})
    return lake.read_block(STAGE.name, key, "shard_contamination").to_pylist()


def _find_leaks(
    lake: Lake,
    settings: Settings,
    shards: Mapping[str, pa.Table],
    tokenizer: Mapping,
    relations: list[str],
    progress: parallel.Progress | None,
) -> list[dict]:
    source: dict[str, tuple[str, str]] = {}
    tasks: list[_DecodeTask] = []
    for split, table in shards.items():
        held = _different(table, make_tokenizer(tokenizer))
        for start in range(0, len(held), _SEQUENCES_PER_BLOCK):
            part = held[start : start + _SEQUENCES_PER_BLOCK]
            ids = [digest(split, performance_id, number)[:24] for performance_id, number, _ in part]
            source.update(zip(ids, ((split, row[0]) for row in part), strict=True))
            sequences = [row[2] for row in part]
            tasks.append(_DecodeTask(lake.root, split, digest(split, ids), dict(tokenizer), ids, sequences))
    parallel.map_blocks(_decode_block, tasks, settings, progress)
    for split in shards:
        blocks = [task.key for task in tasks if task.split == split]
        lake.publish(INGEST, blocks, partition=split, info={"num_performances": 0})
        fingerprint_dataset(lake, split, settings)
    find_duplicate_pairs(lake, CONFIG, settings)
    rows = []
    for row in lake.read("duplicate_pairs").to_pylist():
        (split_a, performance_a), (split_b, performance_b) = (
            source[row["performance_a"]],
            source[row["performance_b"]],
        )
        if split_a != split_b and row["relation"] in relations:
            place = {"performance_a": performance_a, "performance_b": performance_b}
            place |= {"split_a": split_a, "split_b": split_b}
            kept = {name: row[name] for name in SCHEMAS["shard_contamination"].names if name in row}
            rows.append({**kept, **place})
    return rows


def _different(table: pa.Table, coder: Tokenizer) -> list[tuple[str, int, np.ndarray]]:
    """Performance, number and tokens of each sequence that is no transposition of one before it."""
    kept: list[tuple[str, int, np.ndarray]] = []
    first: dict[str, tuple[int, np.ndarray]] = {}
    columns = (table["performance_id"].to_pylist(), table["semitones"].to_pylist(), table["token_ids"])
    for number, (performance_id, semitones, ids) in enumerate(zip(*columns, strict=True)):
        tokens = tokens_of(ids.values)
        if performance_id in first and _is_transposition(*first[performance_id], tokens, semitones, coder):
            continue
        first.setdefault(performance_id, (semitones, tokens))
        kept.append((performance_id, number, tokens))
    return kept


def _is_transposition(
    semitones: int, tokens: np.ndarray, others: np.ndarray, to_semitones: int, coder: Tokenizer
) -> bool:
    try:
        moved = coder.transpose(tokens, to_semitones - semitones)
    except ValueError:
        return False
    return np.array_equal(moved, others)


@dataclass(frozen=True)
class _DecodeTask:
    lake: Path
    split: str
    key: str
    tokenizer: dict
    ids: list[str]
    sequences: list[np.ndarray]


def _decode_block(task: _DecodeTask) -> None:
    """Write decoded sequences as a block of performances and notes, all that fingerprints ask for."""
    coder = make_tokenizer(task.tokenizer)
    order = np.argsort(task.ids)
    parts = [coder.decode(task.sequences[i]).sorted() for i in order]
    ids = [task.ids[i] for i in order]
    which = np.repeat(np.arange(len(ids), dtype=np.int32), [len(part) for part in parts])
    num = len(which)
    pitch, velocity, onset, offset = (np.empty(0, kind) for kind in (np.uint8, np.uint8, float, float))
    if parts:
        pitch = np.concatenate([part.pitch for part in parts])
        velocity = np.concatenate([part.velocity for part in parts])
        seconds = [SECONDS_PER_QUARTER / part.ticks_per_quarter for part in parts]
        onset = np.concatenate([part.onset_tick * s for part, s in zip(parts, seconds, strict=True)])
        length = np.concatenate([part.duration_tick * s for part, s in zip(parts, seconds, strict=True)])
        offset = onset + length
    known = {
        "performance_id": pa.DictionaryArray.from_arrays(pa.array(which), pa.array(ids, pa.string())),
        "pitch": pitch,
        "velocity": velocity,
        "onset_sec": onset,
        "offset_sec": offset,
    }
    columns = {
        field.name: pa.array([0] * num).cast(field.type) for field in SCHEMAS["notes"] if field.name not in known
    }
    names = SCHEMAS["notes"].names
    notes = pa.table({name: known.get(name, columns.get(name)) for name in names})
    rows = [
        {
            **dict.fromkeys(SCHEMAS["performances"].names),
            "performance_id": i,
            "dataset": task.split,
            "file_id": i,
            "num_notes": len(part),
        }
        for i, part in zip(ids, parts, strict=True)
    ]
    performances = pa.Table.from_pylist(rows, schema=SCHEMAS["performances"])
    Lake(task.lake).write_block(INGEST.name, task.key, {"performances": performances, "notes": notes})
