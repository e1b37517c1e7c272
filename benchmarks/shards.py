"""Shards: how long they take, how large they are, how fast they are read, and what becomes of that with more music.

    python -m benchmarks.shards                          the files in ../shared/data
    python -m benchmarks.shards FOLDER                   the MIDI files below FOLDER
    python -m benchmarks.shards --peers                  also the loaders of others
    python -m benchmarks.shards --notes 100000000        shards of so many notes, made of the files (15 GB of disk)

Files are ingested and split; then the shards of each scheme are made from nothing, with train in twelve transpositions
and two workers, up to the manifest: vocabulary, tokens, gate. Bare ids are the tokens alone.

Loaders read the REMI shards in one process: batches of 32 rows of 1,024 tokens, as int64. Peers read the same
sequences: `memmap` a file of the bare ids with one random window a row; `datasets` (HF) the Arrow files, a row of it
cut to a window; `DatasetMIDI` (MidiTok) the files of the test split, which it tokenizes beforehand. Each makes rows for
two seconds or more.

More music is that of `benchmarks.statistics_scale`: copies of the files, of which all of one music are in one split.
Memory is that of the process and its workers, shared pages counted once (PSS), looked at every quarter of a second.
Growth is the slope of a line through the logarithms of notes and seconds.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.corpus import core_seconds, folder_to_read, load
from benchmarks.scale import watched
from benchmarks.statistics_scale import BASE, Corpus, performance_id_of
from pianogen.augment import AugmentConfig
from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, Stage, digest
from pianogen.settings import Settings, load_settings
from pianogen.shards import ShardSet, build_shards
from pianogen.shards.examples import ExampleConfig, Examples, Loader
from pianogen.shards.files import FILE_NAME
from pianogen.splits import assign_splits
from pianogen.tables import SCHEMAS
from pianogen.workers import dismiss_idle

SCHEMES: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ("remi", "tsd", "midi_like", "performance", "continuous", "jsb", "craykh")},
    "note_chord": {"name": "note_chord"},
    "remi_bpe": {"name": "subwords", "base": {"name": "remi"}, "vocab_size": 3000},
}
CONTEXT = 1024
ROWS = 32
SECONDS = 2.0


def prepare(folder: Path, root: Path, settings: Settings) -> Lake:
    """A lake of the files with its splits."""
    lake = Lake(root)
    dataset = Dataset(name=BASE, title=BASE, folder=folder.absolute())
    ingest_dataset(lake, dataset, settings)
    fingerprint_dataset(lake, BASE, settings)
    find_duplicate_pairs(lake, settings=settings)
    find_clusters(lake, [BASE], settings.splits)
    assign_splits(lake, [dataset], settings.splits)
    return lake


def print_shards(lake: Lake, settings: Settings) -> None:
    print("| scheme | s | core s | sequences | tokens | MiB | / bare ids |")
    print("|---|" + "---:|" * 6)
    for name, tokenizer in SCHEMES.items():
        dismiss_idle()
        begin, core = time.perf_counter(), core_seconds()
        info = build_shards(lake, settings, name=name, tokenizer=tokenizer, augment=AugmentConfig()).info
        took, core = time.perf_counter() - begin, core_seconds() - core
        tokens, size, ratio = sizes(lake, name)
        num = sum(counts["num_sequences"] for counts in info["counts"].values())
        print(
            f"| {name} | {took:.1f} | {core:.1f} | {num:,} | {tokens:,} | {size / 2**20:,.0f} | {ratio:.4f} |",
            flush=True,
        )


def sizes(lake: Lake, name: str) -> tuple[int, int, float]:
    """Tokens, bytes of the files, and those to the bytes of the tokens alone."""
    shards = ShardSet(lake, name)
    tokens = sum(shard["num_tokens"] for shard in shards.info["shards"])
    size = sum(shard["num_bytes"] for shard in shards.info["shards"])
    bare = tokens * shards.tokenizer.dtype.itemsize * shards.tokenizer.width
    return tokens, size, size / bare


def rate(batches: Iterator[Any], tokens_of: Callable[[Any], int]) -> float:
    """Tokens a second, once the first batch is there."""
    next(batches)
    begin, num = time.perf_counter(), 0
    for batch in batches:
        num += tokens_of(batch)
        if time.perf_counter() - begin >= SECONDS:
            break
    return num / (time.perf_counter() - begin)


def print_loaders(lake: Lake, folder: Path, scratch: Path, *, peers: bool) -> None:
    sequences = ShardSet(lake, "remi").sequences("train")
    found: dict[str, float] = {}
    for view, shuffle in itertools.product(("chunks", "packed", "bars"), (False, True)):
        config = ExampleConfig(view=view, context_length=CONTEXT, shuffle=shuffle)
        source = Examples(sequences, config, ShardSet(lake, "remi").tokenizer)
        name = f"pianogen, {view}, {'shuffled' if shuffle else 'in sequence'}"
        found[name] = rate(Loader(source, ROWS), lambda batch: int((batch.sequence > 0).sum()))
    augment = AugmentConfig(semitones=(-2, -1, 0, 1, 2), while_loading=True)
    drawn = Examples(
        sequences, ExampleConfig(context_length=CONTEXT, augment=augment), ShardSet(lake, "remi").tokenizer
    )
    found["pianogen, chunks, shuffled, transposed while loading"] = rate(
        Loader(drawn, ROWS), lambda batch: int((batch.sequence > 0).sum())
    )
    found["memmap, in sequence"], found["memmap, shuffled"] = (
        rate(memmap_rows(sequences, scratch / "bare.bin", shuffle=shuffle), lambda batch: batch[0].size)
        for shuffle in (False, True)
    )
    if peers:
        found["datasets (HF), shuffled rows"] = rate(hf_rows(lake, scratch), lambda batch: batch[0].size)
        found["DatasetMIDI (MidiTok), shuffled"] = rate(
            miditok_rows(lake, folder), lambda batch: int((batch > 0).sum())
        )
    best = found["memmap, shuffled"]
    print("\n| loader | M tokens/s | / memmap, shuffled |")
    print("|---|---:|---:|")
    for name, value in found.items():
        print(f"| {name} | {value / 1e6:,.1f} | {value / best:.2f} |", flush=True)


def memmap_rows(sequences: Any, path: Path, *, shuffle: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    np.concatenate(sequences.values).tofile(path)
    ids = np.memmap(path, sequences.values[0].dtype, "r")
    rng, at = np.random.default_rng(0), 0
    while True:
        if shuffle:
            starts = rng.integers(0, len(ids) - CONTEXT - 1, ROWS)
        else:
            starts = (at + np.arange(ROWS) * CONTEXT) % (len(ids) - CONTEXT - 1)
            at += ROWS * CONTEXT
        yield (
            np.stack([ids[s : s + CONTEXT] for s in starts]).astype(np.int64),
            np.stack([ids[s + 1 : s + 1 + CONTEXT] for s in starts]).astype(np.int64),
        )


def hf_rows(lake: Lake, scratch: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    import datasets

    datasets.disable_progress_bars()
    shards = [shard for shard in ShardSet(lake, "remi").info["shards"] if shard["split"] == "train"]
    paths = [str(lake.block_path("shards", shard["block"]) / FILE_NAME) for shard in shards]
    rows = datasets.load_dataset("arrow", data_files=paths, cache_dir=str(scratch / "hf"), split="train")
    rows = rows.select_columns(["token_ids"]).with_format("numpy")
    rng = np.random.default_rng(0)
    while True:
        read, target = np.zeros((ROWS, CONTEXT), np.int64), np.zeros((ROWS, CONTEXT), np.int64)
        for r, i in enumerate(rng.integers(0, len(rows), ROWS)):
            ids = rows[int(i)]["token_ids"]
            start = int(rng.integers(0, max(len(ids) - CONTEXT - 1, 1)))
            window = ids[start : start + CONTEXT + 1]
            read[r, : len(window) - 1], target[r, : len(window) - 1] = window[:-1], window[1:]
        yield read, target


def miditok_rows(lake: Lake, folder: Path) -> Iterator[Any]:
    import miditok
    from miditok.pytorch_data import DataCollator, DatasetMIDI
    from torch.utils.data import DataLoader

    held_out = {row["performance_id"] for row in lake.read("splits").to_pylist() if row["split"] == "test"}
    paths = [folder / row["path"] for row in lake.read("files").to_pylist() if row["performance_id"] in held_out]
    paths = [path for path in paths if path.suffix.lower() in (".mid", ".midi")]
    tokenizer = miditok.REMI(miditok.TokenizerConfig())
    data = DatasetMIDI(paths, tokenizer, CONTEXT, bos_token_id=1, eos_token_id=2, pre_tokenize=True)
    collator = DataCollator(tokenizer.pad_token_id, copy_inputs_as_labels=True)
    while True:
        yield from (batch["input_ids"].numpy() for batch in DataLoader(data, ROWS, shuffle=True, collate_fn=collator))


def print_growth(base: Lake, scratch: Path, settings: Settings, num_notes: int) -> None:
    corpus = Corpus(base, scratch / "copies")
    split_of = dict(zip(*base.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))
    print("\n| notes | s | core s | peak MiB | MiB of shards | / bare ids |")
    print("|---:|---:|---:|---:|---:|---:|", flush=True)
    points = []
    for part in (8, 4, 2, 1):
        corpus.grow(num_notes // part, settings)
        publish_splits(corpus, split_of)
        dismiss_idle()
        begin, core = time.perf_counter(), core_seconds()
        with watched() as peaks:
            build_shards(corpus.lake, settings, name="remi", tokenizer={"name": "remi"}, augment=AugmentConfig())
        took, core = time.perf_counter() - begin, core_seconds() - core
        points.append((corpus.num_notes, took))
        _, size, ratio = sizes(corpus.lake, "remi")
        cells = f"{took:.1f} | {core:.1f} | {peaks.memory_bytes / 2**20:,.0f} | {size / 2**20:,.0f} | {ratio:.4f}"
        print(f"| {corpus.num_notes:,} | {cells} |", flush=True)
        corpus.forget()
    notes, seconds = np.log(np.array(points, float)).T
    slope = np.polyfit(notes, seconds, 1)[0]
    print(f"\ngrowth: seconds as notes to the power of {slope:.2f}")


def publish_splits(corpus: Corpus, split_of: dict[str, str]) -> None:
    """Each copy in the split of its original, as a comparison that has found no pairs would leave it."""
    lake, rows = corpus.lake, []
    for copy in corpus.copies:
        for name in corpus.base.read_block("ingest", copy.block, "performances", ["performance_id"])[0].to_pylist():
            one = performance_id_of(copy, name)
            rows.append({"performance_id": one, "dataset": copy.dataset, "cluster_id": name, "split": split_of[name]})
    tables = {"splits": pa.Table.from_pylist([row | {"reason": "cluster"} for row in rows], schema=SCHEMAS["splits"])}

    def publish(stage: str, tables: dict[str, pa.Table], info: dict, partition: str = "all") -> Any:
        key = digest(stage, partition, corpus.num_notes)
        lake.write_block(stage, key, tables)
        return lake.publish(Stage(name=stage, modules=(), tables=tuple(tables)), [key], partition=partition, info=info)

    compared = []
    for manifest in lake.manifests("ingest"):
        done = publish("fingerprints", {}, {"ingest_blocks": digest(manifest.blocks)}, manifest.partition)
        compared.append((manifest.partition, done.blocks))
    none = {name: SCHEMAS[name].empty_table() for name in ("duplicate_pairs", "contamination")}
    pairs = {"duplicate_pairs": none["duplicate_pairs"]}
    publish("duplicate_pairs", pairs, {"fingerprint_blocks": digest(compared)})
    splits = publish("splits", tables, {})
    publish("contamination", {"contamination": none["contamination"]}, {"splits_version": splits.version})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--notes", type=int, default=0, help="shards of so many notes instead")
    parser.add_argument("--peers", action="store_true", help="also the loaders of others")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "shards")
    print(f"load before: {load()}\n")
    settings = replace(load_settings(), workers=2)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        lake = prepare(folder, scratch / "lake", settings)
        if args.notes:
            print_growth(lake, scratch, settings, args.notes)
        else:
            # Compiled code is loaded once a process; a first build would tell of that.
            warm = {"name": "tsd", "num_velocities": 5}
            build_shards(lake, settings, name="warm", tokenizer=warm, augment=AugmentConfig())
            print_shards(lake, settings)
            print_loaders(lake, folder, scratch, peers=args.peers)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    main()
