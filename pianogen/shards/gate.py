"""The gate once more, on what a model will see: notes decoded from the tokens of finished shards.

Between a clean split and its shards lie tokenizer and augmentation, and a fault of either could bring music of the test
set back. So the sequences of all splits are decoded, fingerprinted and compared across splits like files nobody has
seen before. A sequence whose tokens are those of another one, transposed, holds the same music, and one of them is
decoded; of those that decode to the same notes, but for key and velocity, one is compared.

Two performances may lie so near the line between related and unrelated that rounding to the tokenizer's grid
takes them across it. What the gate calls a leak must therefore lie well within it (`CONFIG`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.compiled import njit
from pianogen.dedupe.candidates import PairConfig, find_duplicate_pairs
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.dedupe.first_looks import CandidateConfig
from pianogen.dedupe.groups import splitting_relations
from pianogen.dedupe.relations import RelationConfig
from pianogen.lake import Lake, Stage, digest
from pianogen.midi.blocks import MusicBlock, music_block
from pianogen.ordering import order_of
from pianogen.reading import STAGE as INGEST
from pianogen.settings import Settings, SplitPolicy
from pianogen.shards.files import SPLITS, read_shard
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import (
    LayeredTokenizer,
    ShiftedTokenizer,
    TokenBlock,
    Tokenizer,
    kept_tokenizer,
)
from pianogen.tokenizers.lists import token_block_of

# pyright: reportArgumentType=false
# Its scalars are what numba makes of them.

CONFIG = PairConfig(
    candidates=CandidateConfig(across_datasets=True),
    relations=RelationConfig(min_score=0.15, min_score_when_matched=0.1, min_matched=0.65),
)
STAGE = Stage(
    name="shard_contamination",
    modules=("pianogen.shards.gate", "pianogen.ordering"),
    packages=("miditok", "symusic", "pyarrow"),
    tables=("shard_contamination",),
)
SECONDS_PER_QUARTER = 0.5


@dataclass(frozen=True)
class JudgedShard:
    """A finished shard, and the split that it belongs to."""

    split: str
    key: str
    """Names its content."""
    path: Path


def leaks_in_shards(
    lake: Lake,
    settings: Settings,
    shards: Sequence[JudgedShard],
    tokenizer: Mapping,
    policy: SplitPolicy,
    progress: parallel.Progress | None = None,
) -> list[dict]:
    """Pairs of sequences in different splits that hold the same music.

    Args:
        lake: where the answer is kept, under a key made of those of the shards.
        settings: number of workers and backend.
        shards: of all splits.
        tokenizer: name and options, see `make_tokenizer`.
        policy: says which relations may not stand in two splits.
        progress: told of shards decoded and all.

    Returns:
        Rows of the lake's `shard_contamination`.
    """
    relations = sorted(splitting_relations(policy))
    inputs = [[(shard.split, shard.key) for shard in shards], kept_tokenizer(tokenizer).version]
    key = STAGE.key(inputs=inputs, settings=relations)
    if not lake.has_block(STAGE.name, key):
        with lake.scratch() as folder:
            rows = _find_leaks(Lake(folder), settings, shards, tokenizer, relations, progress)
        table = pa.Table.from_pylist(rows, schema=SCHEMAS["shard_contamination"])
        lake.write_block(STAGE.name, key, {"shard_contamination": table})
    return lake.read_block(STAGE.name, key, "shard_contamination").to_pylist()


def _find_leaks(
    lake: Lake,
    settings: Settings,
    shards: Sequence[JudgedShard],
    tokenizer: Mapping,
    relations: list[str],
    progress: parallel.Progress | None,
) -> list[dict]:
    """The same in a lake of its own, whose datasets are the splits."""
    tasks = [_DecodeTask(lake.root, shard, dict(tokenizer)) for shard in shards]
    decoded = parallel.map_blocks(_decode_shard, tasks, settings, progress)
    source = {i: (shard.split, one) for shard, ids in zip(shards, decoded, strict=True) for i, one in ids.items()}
    for split in SPLITS:
        blocks = [shard.key for shard in shards if shard.split == split]
        lake.publish(INGEST, blocks, partition=split, info={"num_performances": 0})
        fingerprint_dataset(lake, split, settings)
    find_duplicate_pairs(lake, CONFIG, settings)
    rows = []
    for row in lake.read("duplicate_pairs").to_pylist():
        (split_a, performance_a), (split_b, performance_b) = (
            source[row["performance_a"]],
            source[row["performance_b"]],
        )
        if row["relation"] in relations:
            place = {"performance_a": performance_a, "performance_b": performance_b}
            place |= {"split_a": split_a, "split_b": split_b}
            kept = {name: row[name] for name in SCHEMAS["shard_contamination"].names if name in row}
            rows.append({**kept, **place})
    return rows


@dataclass(frozen=True)
class _DecodeTask:
    lake: Path
    shard: JudgedShard
    tokenizer: dict


def _decode_shard(task: _DecodeTask) -> dict[str, str]:
    """Write decoded sequences as a block of performances and notes, all that fingerprints ask for.

    Returns:
        The name of each sequence there, and the performance that it was made of.
    """
    coder, key = kept_tokenizer(task.tokenizer), task.shard.key
    source: dict[str, str] = {}
    seen: set[tuple] = set()
    tables, row = [_tables_of(task.shard.split, [], music_block([]))], 0
    for batch in read_shard(task.shard.path).to_batches():
        tokens, owners = token_block_of(batch["token_ids"]), batch["performance_id"].to_pylist()
        new = np.flatnonzero(_is_new(coder, tokens, owners, batch["semitones"].to_numpy().astype(np.int64)))
        music = coder.decode_block(tokens.take(new))
        is_other = _is_other_music(music, [owners[k] for k in new], seen)
        names = [digest(key, row + int(k))[:24] for k in new[is_other]]
        source.update(zip(names, (owners[k] for k in new[is_other]), strict=True))
        tables.append(_tables_of(task.shard.split, names, music.take(np.flatnonzero(is_other))))
        row += batch.num_rows
    whole = {name: pa.concat_tables([table[name] for table in tables]) for name in tables[0]}
    Lake(task.lake).write_block(INGEST.name, key, whole)
    return source


def _is_new(coder: Tokenizer, tokens: TokenBlock, owners: Sequence[str], semitones: np.ndarray) -> np.ndarray:
    """Whether a sequence is no transposition of the first that was made of its performance."""
    first: dict[str, int] = {}
    other = np.array([first.setdefault(owner, k) for k, owner in enumerate(owners)], np.int64)
    if isinstance(coder, LayeredTokenizer):
        return _is_new(coder.base, coder.expand(tokens), owners, semitones)
    if isinstance(coder, ShiftedTokenizer) and coder.is_shifted:
        ids = np.flatnonzero(coder.pitch_of_id >= 0)
        return ~_are_shifted(tokens.values, tokens.edges, other, semitones, int(ids[0]), int(ids[-1]))
    is_new = np.ones(len(owners), bool)
    for k in np.flatnonzero(other != np.arange(len(owners))):
        try:
            moved = coder.transpose(tokens[other[k]], int(semitones[k] - semitones[other[k]]))
        except ValueError:
            continue
        is_new[k] = not np.array_equal(moved, tokens[k])
    return is_new


@njit
def _are_shifted(values, edges, other, semitones, first, last):
    """Whether k is another sequence, other[k], whose ids from first to last are moved and stay among them."""
    found = np.zeros(len(other), np.bool_)
    for k in range(len(other)):
        one, two = edges[other[k]], edges[k]
        length, up = edges[k + 1] - two, semitones[k] - semitones[other[k]]
        is_same = other[k] != k and edges[other[k] + 1] - one == length
        n = 0
        while is_same and n < length:
            token = np.int64(values[one + n])
            if first <= token <= last:
                token += up
                is_same = first <= token <= last
            is_same = is_same and token == np.int64(values[two + n])
            n += 1
        found[k] = is_same
    return found


def _is_other_music(music: MusicBlock, owners: Sequence[str], seen: set[tuple]) -> np.ndarray:
    """Whether the notes are not those, moved by some semitones, that were seen of the same performance."""
    is_other = np.ones(len(music), bool)
    for k, owner in enumerate(owners):
        notes = slice(music.note_edges[k], music.note_edges[k + 1])
        pitch = music.pitch[notes].astype(np.int16)
        quarter = int(music.ticks_per_quarter[k])
        what = owner, quarter, blake2b((pitch - pitch[:1]).tobytes() + music.onset_tick[notes].tobytes()).digest()
        is_other[k] = what not in seen
        seen.add(what)
    return is_other


def _tables_of(split: str, ids: list[str], music: MusicBlock) -> dict[str, pa.Table]:
    """Performances and notes as of an ingest; columns that no fingerprint asks for hold nothing."""
    lengths = np.diff(music.note_edges)
    which = np.repeat(np.arange(len(ids), dtype=np.int32), lengths)
    seconds = np.repeat(SECONDS_PER_QUARTER / music.ticks_per_quarter, lengths)
    onset, duration = music.onset_tick * seconds, music.duration_tick * seconds
    order = order_of(which, onset, music.pitch, duration)
    order = slice(None) if order is None else order
    known = {
        "performance_id": pa.DictionaryArray.from_arrays(pa.array(which), pa.array(ids, pa.string())),
        "pitch": music.pitch[order],
        "velocity": music.velocity[order],
        "onset_sec": onset[order],
        "offset_sec": (onset + duration)[order],
    }
    empty = np.zeros(len(which), np.int8)
    columns = [
        known[field.name] if field.name in known else pa.array(empty).cast(field.type) for field in SCHEMAS["notes"]
    ]
    notes = pa.table(columns, names=SCHEMAS["notes"].names)
    blank = dict.fromkeys(SCHEMAS["performances"].names)
    rows = [
        {**blank, "performance_id": i, "dataset": split, "file_id": i, "num_notes": num}
        for i, num in zip(ids, lengths.tolist(), strict=True)
    ]
    return {"performances": pa.Table.from_pylist(rows, schema=SCHEMAS["performances"]), "notes": notes}
