"""Time of all statistics of up to 200 million notes, of comparing their datasets, and of asking the warehouse of them.

    python -m benchmarks.statistics_scale                      made from the files in ../shared/data (10 GB of disk)
    python -m benchmarks.statistics_scale FOLDER               made from the MIDI files below FOLDER
    python -m benchmarks.statistics_scale --notes 5000000      fewer notes

The notes are those of real files over and over, block by block through the lake as an ingest leaves it: each copy of
a performance is transposed, played at other velocities and at another tempo, all seeded. They lie in several
datasets. An eighth, a quarter and so on up to all of them are measured, each time from nothing, with two workers, whose
start is part of the time; then the datasets are compared and the warehouse is published. Memory is that of the process
and its workers, shared pages counted once (PSS), looked at every quarter of a second. Growth is the slope of a line
through the logarithms of notes and seconds. At the largest size the warehouse is asked every query of the report's
pages and every named query, each on a connection of its own, with its defaults.
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.corpus import core_seconds, folder_to_read, load
from benchmarks.scale import watched
from pianogen import ingest, parallel, reading
from pianogen.catalogue import Dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake, digest
from pianogen.midi.time import SEC_STEPS
from pianogen.report.data_queries import all_queries
from pianogen.settings import Settings, load_settings
from pianogen.statistics.build import build_statistics
from pianogen.statistics.comparison import build_comparison
from pianogen.tables import SCHEMAS
from pianogen.warehouse import list_queries, publish_warehouse, query_warehouse
from pianogen.workers import dismiss_idle

SEED = 5
SIZES = 4
DATASETS = 4
MOST_SEMITONES = 6
MOST_VELOCITY = 12
BASE = "files"


@dataclass(frozen=True)
class Copy:
    """A block of the real ingest, and which copy of it to make."""

    source: Path
    target: Path
    block: str
    number: int

    @property
    def dataset(self) -> str:
        """To which it belongs."""
        return f"copies_{self.number % DATASETS}"

    @property
    def key(self) -> str:
        """Of the block that is written."""
        return digest("copy", self.block, self.number)


def performance_id_of(copy: Copy, performance_id: str) -> str:
    return digest("performance", performance_id, copy.number)[:24]


def copy_block(copy: Copy) -> int:
    """Write one block as an ingest of other music of that size and shape would; the number of its notes."""
    source, target = Lake(copy.source), Lake(copy.target)
    tables = {name: source.read_block("ingest", copy.block, name) for name in reading.STAGE.tables}
    performances = tables["performances"]
    names = performances["performance_id"].to_pylist()
    rng = np.random.default_rng([SEED, copy.number, int(copy.block[:8], 16)])
    of_note = _owners(tables["notes"], names)
    pitch = tables["notes"]["pitch"].to_numpy().astype(np.int64)
    low, high = np.full(len(names), 127), np.zeros(len(names), np.int64)
    np.minimum.at(low, of_note, pitch)
    np.maximum.at(high, of_note, pitch)
    semitones = np.clip(rng.integers(-MOST_SEMITONES, MOST_SEMITONES + 1, len(names)), -low, 127 - high)
    louder = rng.integers(-MOST_VELOCITY, MOST_VELOCITY + 1, len(names))
    slower = 2.0 ** rng.uniform(-0.2, 0.2, len(names))

    notes = tables["notes"]
    velocity = np.clip(notes["velocity"].to_numpy().astype(np.int64) + louder[of_note], 1, 127)
    is_drum = notes["is_drum"].to_numpy()
    changed = {
        "pitch": np.where(is_drum, pitch, pitch + semitones[of_note]).astype(np.uint8),
        "velocity": velocity.astype(np.uint8),
        **{name: _steps(notes[name].to_numpy() * slower[of_note]) for name in ("onset_sec", "offset_sec")},
        "held_sec": _steps(notes["held_sec"].to_numpy() * slower[of_note]).astype(np.float32),
    }
    tables["notes"] = _with(notes, changed)
    for name, columns in (
        ("controls", ["time_sec"]),
        ("pedal_presses", ["press_sec", "lift_sec"]),
        ("tempos", ["time_sec"]),
        ("time_signatures", ["time_sec"]),
        ("key_signatures", ["time_sec"]),
    ):
        factor = slower[_owners(tables[name], names)]
        new = {column: _steps(tables[name][column].to_numpy() * factor) for column in columns}
        if name == "tempos":
            new["tempo_qpm"] = tables[name]["tempo_qpm"].to_numpy() / factor
        tables[name] = _with(tables[name], new)
    new_ids = [performance_id_of(copy, name) for name in names]
    for name in reading.STAGE.tables[1:]:
        owners = pa.array(_owners(tables[name], names).astype(np.int32))
        ids = pa.DictionaryArray.from_arrays(owners, pa.array(new_ids, pa.string()))
        tables[name] = tables[name].set_column(0, tables[name].schema.field(0).with_type(ids.type), ids)
    tables["performances"] = _with(
        performances,
        {
            "performance_id": new_ids,
            "dataset": [copy.dataset] * len(names),
            "file_id": [digest("file", name) * 2 for name in new_ids],
            "duration_sec": _steps(performances["duration_sec"].to_numpy() * slower),
        },
    )
    target.write_block("ingest", copy.key, tables)
    return len(pitch)


def _owners(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    encoded = table["performance_id"].combine_chunks().dictionary_encode()
    number = {name: i for i, name in enumerate(names)}
    numbers = np.array([number[name] for name in encoded.dictionary.to_pylist()], np.int64)
    return numbers[encoded.indices.to_numpy()]


def _steps(seconds: np.ndarray) -> np.ndarray:
    return np.rint(seconds * SEC_STEPS) / SEC_STEPS


def _with(table: pa.Table, columns: dict) -> pa.Table:
    for name, values in columns.items():
        i = table.schema.get_field_index(name)
        table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.field(i).type))
    return table


class Corpus:
    """A lake that grows by copies of a real one."""

    def __init__(self, base: Lake, root: Path) -> None:
        self.base, self.lake = base, Lake(root)
        self.blocks = base.require("ingest", BASE).blocks
        self.copies: list[Copy] = []
        self.num_notes = 0
        files = {file["performance_id"]: file["path"] for file in base.read("files").to_pylist()}
        self.paths = {performance: path for performance, path in files.items() if performance}

    def grow(self, num_notes: int, settings: Settings) -> None:
        """Copies until there are so many notes, as an ingest of each dataset would publish them."""
        per_copy = self.base.read("notes", ["pitch"]).num_rows
        # Blocks of one copy after those of the other, so that every size has its share of each.
        missing = max(0, num_notes - self.num_notes) / per_copy * len(self.blocks)
        first = len(self.copies)
        numbered = (divmod(k, len(self.blocks)) for k in range(first, first + math.ceil(missing)))
        new = [Copy(self.base.root, self.lake.root, self.blocks[block], number) for number, block in numbered]
        self.num_notes += sum(parallel.map_blocks(copy_block, new, settings))
        self.copies += new
        for dataset in {copy.dataset for copy in self.copies}:
            self._publish(dataset, [copy for copy in self.copies if copy.dataset == dataset])

    def _publish(self, dataset: str, copies: Sequence[Copy]) -> None:
        files, sources = [], []
        for copy in copies:
            rows = self.base.read_block("ingest", copy.block, "performances", ["performance_id"]).to_pylist()
            originals = [row["performance_id"] for row in rows]
            for original in originals:
                performance_id = performance_id_of(copy, original)
                path = f"{copy.number:04d}/{self.paths[original]}"
                file_id = digest("file", performance_id) * 2
                row = {"dataset": dataset, "path": path}
                files.append({**row, "file_id": file_id, "size_bytes": 1, "performance_id": performance_id})
                sources.append({**row, "archive_path": path, "title": Path(path).stem, "licence": "not stated"})
        listing = {
            name: pa.Table.from_pylist(rows, schema=SCHEMAS[name])
            for name, rows in (("files", files), ("rejections", []), ("sources", sources), ("links", []))
        }
        key = digest("listing", dataset, len(files))
        self.lake.write_block(ingest.LISTING.name, key, listing)
        self.lake.publish(ingest.LISTING, [key], partition=dataset, info={"metadata_notes": []})
        info = {
            "dataset_version": digest(dataset, len(files)),
            "num_files": len(files),
            "num_performances": len(files),
            "num_rejections": 0,
            "licence": "not stated",
            "non_commercial": False,
        }
        self.lake.publish(reading.STAGE, [copy.key for copy in copies], partition=dataset, info=info)

    def forget(self) -> None:
        """Take away all that was made of the ingest."""
        kept = {reading.STAGE.name, ingest.LISTING.name}
        for kind in ("blocks", "manifests"):
            for path in (self.lake.root / kind).iterdir():
                if path.name not in kept:
                    shutil.rmtree(path)


def measure_all(lake: Lake, settings: Settings) -> None:
    """All statistics of every dataset."""
    for manifest in lake.manifests("ingest"):
        build_statistics(lake, manifest.partition, settings)


def compare_all(lake: Lake, settings: Settings) -> None:
    """The datasets beside each other."""
    build_comparison(lake, settings.sql)


def publish(lake: Lake, settings: Settings) -> None:
    """The warehouse of it all, beside the lake."""
    publish_warehouse(lake, lake.root / "runs", settings.sql, warehouse_of(lake))


def warehouse_of(lake: Lake) -> Path:
    return lake.root.with_name("warehouse") / "pianogen.duckdb"


STAGES: dict[str, Callable[[Lake, Settings], None]] = {
    "statistics": measure_all,
    "comparison": compare_all,
    "warehouse": publish,
}
"""What is timed, in this order, each on what those before it wrote."""
WHOLE_TABLES = (
    "select measure, bin, sum(weight) from histograms group by all",
    "select pitch, count(*) from notes group by all",
)
"""Questions that no view has an answer to, so that all rows must be read."""


def print_scale(folder: Path, most_notes: int) -> None:
    settings = replace(load_settings(), workers=2)
    sizes = [most_notes >> shift for shift in reversed(range(SIZES))]
    columns = ["notes", "performances", "blocks", "lake, MB"]
    columns += [f"{stage}: {unit}" for stage in STAGES for unit in ("seconds", "core-seconds", "peak memory, MiB")]
    columns += ["all: seconds"]
    print(f"\n| {' | '.join(columns)} |\n|{'---:|' * len(columns)}")
    took: dict[str, list[tuple[float, float]]] = {stage: [] for stage in (*STAGES, "all of it")}
    num_notes = []
    with tempfile.TemporaryDirectory(prefix="benchmark-statistics-") as name:
        base = Lake(Path(name, "base"))
        ingest_dataset(base, Dataset(name=BASE, title=BASE, folder=folder.absolute()), settings)
        _check_room(base, most_notes)
        corpus = Corpus(base, Path(name, "lake"))
        for size in sizes:
            corpus.grow(size, settings)
            num_notes.append(corpus.num_notes)
            corpus.forget()
            num_bytes = sum(path.stat().st_size for path in corpus.lake.root.rglob("*.parquet"))
            num_performances = sum(m.info["num_performances"] for m in corpus.lake.manifests("ingest"))
            cells = [f"{corpus.num_notes:,}", f"{num_performances:,}", f"{len(corpus.copies)}"]
            cells += [f"{num_bytes / 1e6:,.0f}"]
            together = np.zeros(2)
            for stage, run in STAGES.items():
                dismiss_idle()
                with watched() as peaks:
                    start, core = time.perf_counter(), core_seconds()
                    run(corpus.lake, settings)
                    seconds, core = time.perf_counter() - start, core_seconds() - core
                took[stage].append((seconds, core))
                together += seconds, core
                cells += [f"{seconds:.1f}", f"{core:.1f}", f"{peaks.memory_bytes / 2**20:,.0f}"]
            took["all of it"].append((float(together[0]), float(together[1])))
            print(f"| {' | '.join(cells)} | {together[0]:.1f} |", flush=True)
            _check_counts(corpus)
        print()
        for stage, pairs in took.items():
            slope, core_slope = np.polyfit(np.log(num_notes), np.log(np.array(pairs)), 1)[0]
            print(f"Time of {stage} grows as n^{slope:.3f}, by seconds of a core as n^{core_slope:.3f}.")
        print_queries(warehouse_of(corpus.lake), settings)


def print_queries(warehouse: Path, settings: Settings) -> None:
    """Seconds of each query of the pages, each named query, and WHOLE_TABLES, the slowest first."""
    asked = {f"page: {name}": (sql, {}) for name, sql in all_queries().items()}
    for query in list_queries(settings.sql / "queries"):
        takes_dataset = any(parameter.name == "dataset" for parameter in query.parameters)
        asked[query.name] = query.sql, query.values({"dataset": "copies_0"} if takes_dataset else {})
    asked |= {sql: (sql, {}) for sql in WHOLE_TABLES}
    seconds = {}
    for name, (sql, values) in asked.items():
        start = time.perf_counter()
        num_rows = query_warehouse(warehouse, sql, values).num_rows
        seconds[name] = (time.perf_counter() - start, num_rows)
    print("\n| query | seconds | rows |\n|---|---:|---:|")
    for name, (took, num_rows) in sorted(seconds.items(), key=lambda item: -item[1][0]):
        print(f"| {name} | {took:.2f} | {num_rows:,} |")


def _check_room(base: Lake, most_notes: int) -> None:
    num_notes = base.read("notes", ["pitch"]).num_rows
    num_bytes = sum(path.stat().st_size for path in base.root.rglob("*.parquet"))
    needed, free = 1.5 * num_bytes / num_notes * most_notes, shutil.disk_usage(base.root).free
    if needed > free:
        sys.exit(f"{base.root}: {needed / 1e9:.0f} GB needed, {free / 1e9:.0f} GB free; ask for fewer --notes")


def _check_counts(corpus: Corpus) -> None:
    with corpus.lake.connect(["performance_statistics"]) as connection:
        query = "select sum(num_notes + num_drum_notes)::bigint from performance_statistics"
        ((counted,),) = connection.sql(query).fetchall()
    assert counted == corpus.num_notes, (counted, corpus.num_notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="MIDI files (default: ../shared/data)")
    parser.add_argument("--notes", type=int, default=200_000_000, help="of the largest corpus")
    args = parser.parse_args()
    folder = folder_to_read(args.folder, "statistics_scale")
    print(f"load before: {load()}")
    print_scale(folder, args.notes)
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    # Workers know this module by its name alone.
    from benchmarks import statistics_scale

    statistics_scale.main()
