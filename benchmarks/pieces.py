"""Pieces for a corpus of any size, made of real ones and laid into a lake; see `dedupe_scale`."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.lake import Lake, digest
from pianogen.reading import STAGE, parse_file
from pianogen.settings import Settings
from pianogen.tables import SCHEMAS

SEED = 4
PIECES_PER_BLOCK = 250
SHARED_BY = 20
"""Pieces that share a stock passage."""


@dataclass(frozen=True)
class Block:
    """Pieces to be made, by their numbers."""

    lake: Path
    sources: Path
    first: int
    end: int
    key: str


@lru_cache(maxsize=1)
def sources_in(path: Path) -> list[np.ndarray]:
    """Pitch, onset, offset of the real pieces, each of shape (3, num_notes)."""
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files]


def write_sources(paths: list[Path], path: Path) -> None:
    arrays = {}
    for i, file in enumerate(paths):
        notes = parse_file(file).tables["notes"]
        column = {name: notes[name].to_numpy() for name in ("pitch", "onset_sec", "offset_sec", "is_drum")}
        kept = ~column["is_drum"]
        arrays[f"{i:06d}"] = np.stack([column[name][kept] for name in ("pitch", "onset_sec", "offset_sec")])
    np.savez(path, **arrays)


def is_copy(number: int) -> bool:
    return number % 5 == 4


def piece(number: int, sources: list[np.ndarray]) -> np.ndarray:
    """Pitch, onset and offset of the piece of that number."""
    if is_copy(number):
        rng = np.random.default_rng((SEED, 1, number))
        pitch, onset, offset = piece(number - 4, sources)
        kept = rng.random(len(pitch)) >= 0.1
        pace = rng.uniform(0.7, 1.4)
        return np.stack((np.clip(pitch + rng.integers(-5, 6), 0, 127), onset * pace, offset * pace))[:, kept]
    rng = np.random.default_rng((SEED, 0, number))
    source = sources[number % len(sources)].copy()
    size = source.shape[1]
    moved = rng.random(size) < 0.3
    steps = rng.integers(1, 5, size) * rng.choice([-1, 1], size) * moved
    # What pieces share, they share with few, however many there are.
    stock = slice(size // 3, size // 3 + min(32, size // 20))
    of_few = np.random.default_rng((SEED, 2, number % len(sources), number // len(sources) // SHARED_BY))
    steps[stock] = of_few.integers(-4, 5, stock.stop - stock.start)
    source[0] = np.clip(source[0] + steps, 0, 127)
    return source


def performance_id(number: int) -> str:
    return digest("piece", number)[:24]


def make_block(block: Block) -> None:
    sources = sources_in(block.sources)
    pieces = {performance_id(n): piece(n, sources) for n in range(block.first, block.end)}
    ids = sorted(pieces)
    order = [np.lexsort((pieces[i][0], pieces[i][1])) for i in ids]
    pitch, onset, offset = np.concatenate([pieces[i][:, o] for i, o in zip(ids, order, strict=True)], axis=1)
    which = np.repeat(np.arange(len(ids), dtype=np.int32), [len(o) for o in order])
    num = len(pitch)
    columns = {
        "performance_id": pa.DictionaryArray.from_arrays(pa.array(which), pa.array(ids)),
        "pitch": pitch.astype(np.uint8),
        "velocity": np.full(num, 80, np.uint8),
        "onset_sec": onset,
        "offset_sec": offset,
    }
    arrays = [
        columns[field.name]
        if field.name in columns
        else pa.array(np.zeros(num), field.type)
        if field.type != pa.bool_()
        else pa.array(np.zeros(num, bool))
        for field in SCHEMAS["notes"]
    ]
    rows = [
        dict.fromkeys(SCHEMAS["performances"].names)
        | {"performance_id": i, "dataset": "made", "file_id": i, "num_notes": len(o)}
        for i, o in zip(ids, order, strict=True)
    ]
    Lake(block.lake).write_block(
        STAGE.name,
        block.key,
        {
            "performances": pa.Table.from_pylist(rows, schema=SCHEMAS["performances"]),
            "notes": pa.Table.from_arrays(arrays, names=SCHEMAS["notes"].names),
        },
    )


def lay(lake: Lake, dataset: str, first: int, end: int, sources: Path, settings: Settings) -> None:
    """Make the pieces numbered from `first` up to `end` a dataset of the lake."""
    blocks = [
        Block(lake.root, sources, i, min(i + PIECES_PER_BLOCK, end), digest(dataset, i, min(i + PIECES_PER_BLOCK, end)))
        for i in range(first, end, PIECES_PER_BLOCK)
    ]
    parallel.map_blocks(make_block, [block for block in blocks if not lake.has_block(STAGE.name, block.key)], settings)
    info = {"num_performances": end - first}
    lake.publish(STAGE, [block.key for block in blocks], partition=dataset, info=info)
