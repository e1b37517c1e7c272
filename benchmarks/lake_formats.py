"""Three ways to keep the lake's tables, measured on `notes`: content-keyed Parquet, Delta Lake and Lance.

    python -m benchmarks.lake_formats                    seeded synthetic performances
    python -m benchmarks.lake_formats --midi FOLDER      every MIDI file below FOLDER

All three are given the same rows in the same blocks (`content_blocks`, mean 64 performances), as the
pipeline's workers would hand them over. Parquet is `pianogen.lake` as it stands (snappy, each file
synced before it is renamed). Delta Lake and Lance have the defaults of their Python packages and append one
commit per block; to resume or to add, they first read which performance ids they hold and append the rest.
Timings are medians of `REPEATS`, with a warm page cache; writing leaves out making the rows.

deltalake and pylance are the extra `bench`; a missing one is named and left out.
"""

import argparse
import hashlib
import importlib
import importlib.metadata
import importlib.util
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.lake_candidates import FORMATS, Corpus, Format, corpus_from_table
from pianogen.errors import RejectedFileError
from pianogen.lake import content_blocks, digest
from pianogen.midi.time import SEC_STEPS
from pianogen.reading import parse_file
from pianogen.tables import SCHEMAS

REPEATS = 3
NUM_KILLS = 5
SEED = 2
READY, DONE = b"ready\n", b"done\n"
HISTOGRAM = "select pitch, count(*), avg(velocity) from notes group by pitch order by pitch"


# Input


def synthetic_notes(num_performances: int, mean_notes: int) -> pa.Table:
    """Piano-like rows of `notes`, the same for the same arguments: a wandering pitch, 120 quarters a minute."""
    rng = np.random.default_rng(SEED)
    parts = []
    for performance_id in sorted(digest("synthetic", i) for i in range(num_performances)):
        num_notes = int(rng.integers(mean_notes // 2, mean_notes * 3 // 2))
        onset_tick = np.cumsum(rng.choice([0, 60, 120, 240, 480], num_notes, p=[0.35, 0.15, 0.3, 0.15, 0.05]))
        jitter_tick = rng.integers(-12, 13, num_notes)
        onset_tick = np.sort(np.maximum(onset_tick + jitter_tick, 0))
        parts.append(
            note_rows(
                performance_id,
                pitch=np.clip(60 + np.cumsum(rng.integers(-4, 5, num_notes)) % 48 - 20, 21, 108),
                velocity=np.clip(rng.normal(64, 16, num_notes), 1, 127),
                onset_tick=onset_tick,
                duration_tick=rng.choice([110, 230, 460, 900], num_notes) + rng.integers(0, 24, num_notes),
                sec_per_tick=60 / 120 / 480,
            )
        )
    return pa.concat_tables(parts)


def note_rows(performance_id, *, pitch, velocity, onset_tick, duration_tick, sec_per_tick) -> pa.Table:
    """Notes of one synthetic performance."""
    num_notes = len(pitch)
    onset_sec = np.rint(onset_tick * sec_per_tick * SEC_STEPS) / SEC_STEPS
    offset_sec = np.rint((onset_tick + duration_tick) * sec_per_tick * SEC_STEPS) / SEC_STEPS
    columns = {
        "performance_id": pa.array([performance_id] * num_notes),
        "track": np.zeros(num_notes, np.int16),
        "program": np.zeros(num_notes, np.uint8),
        "is_drum": np.zeros(num_notes, bool),
        "pitch": pitch.astype(np.uint8),
        "velocity": velocity.astype(np.uint8),
        "onset_tick": onset_tick.astype(np.int32),
        "duration_tick": duration_tick.astype(np.int32),
        "onset_sec": onset_sec,
        "offset_sec": offset_sec,
        # Pedal down for two seconds at a time, as if changed with the harmony.
        "held_sec": (np.ceil(offset_sec / 2) * 2 - offset_sec).astype(np.float32),
    }
    return pa.table(columns, schema=SCHEMAS["notes"])


def midi_notes(folder: Path, limit: int | None) -> pa.Table:
    """Rows of `notes` from MIDI files."""
    parts: dict[str, pa.Table] = {}
    refused = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi")):
        try:
            notes = parse_file(path).notes
        except RejectedFileError:
            refused += 1
            continue
        performance_id = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        ids = pa.array([performance_id] * notes.num_rows, pa.string())
        parts[performance_id] = notes.add_column(0, SCHEMAS["notes"].field("performance_id"), ids)
        if len(parts) == limit:
            break
    print(f"{len(parts):,} performances read below the folder, {refused:,} files rejected")
    return pa.concat_tables([SCHEMAS["notes"].empty_table(), *(parts[i] for i in sorted(parts))])


@dataclass(frozen=True)
class FileState:
    """One file as found on disk; equal when the bytes are."""

    size_bytes: int
    sha256: str
    written: tuple[int, int] = field(compare=False)
    """Inode and time of the last change: another pair means written again, be it with the same bytes."""


def files_below(root: Path) -> dict[str, FileState]:
    """State of each file, by its path below `root`."""
    found = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        stat = path.stat()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = FileState(stat.st_size, sha256, (stat.st_ino, stat.st_mtime_ns))
    return found


def size_kb(files: dict[str, FileState]) -> float:
    return sum(file.size_bytes for file in files.values()) / 1e3


def written_since(before: dict[str, FileState], after: dict[str, FileState]) -> dict[str, FileState]:
    return {name: f for name, f in after.items() if name not in before or before[name].written != f.written}


def unnamed_files(fmt: Format, root: Path) -> dict[str, FileState]:
    """Files that neither the current version nor the format's history names."""
    live = {str(path.relative_to(root)) for path in fmt.live_files(root)}
    return {name: file for name, file in files_below(root).items() if name not in live}


def rows_digest(table: pa.Table) -> tuple[int, int, int]:
    """Number of rows, and sum and xor of their hashes: the same for the same rows in any order and integer width."""
    columns = [f"{f.name}::bigint" if pa.types.is_integer(f.type) else f.name for f in SCHEMAS["notes"]]
    with duckdb.connect() as connection:
        connection.register("rows", table)
        hashes = f"select hash({', '.join(columns)}) as h from rows"
        return connection.execute(f"select count(*), sum(h), bit_xor(h) from ({hashes})").fetchall()[0]


def timed(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure_writing(fmt: Format, corpus: Corpus, folder: Path) -> dict[str, str]:
    """First write, from scratch again, and in one commit."""
    first = [folder / f"first{i}" for i in range(REPEATS)]
    once = [folder / f"once{i}" for i in range(REPEATS)]
    seconds = statistics.median(timed(lambda root=root: fmt.write(root, corpus)) for root in first)
    seconds_once = statistics.median(
        timed(lambda root=root: fmt.write_at_once(root, "notes", corpus.notes)) for root in once
    )
    a, b = files_below(first[0]), files_below(first[1])
    same = sum(b.get(name) == file for name, file in a.items())
    same_bytes = (Counter(f.sha256 for f in a.values()) & Counter(f.sha256 for f in b.values())).total()
    types = [
        f"{wanted.name} {wanted.type} becomes {found.type}"
        for wanted, found in zip(SCHEMAS["notes"], fmt.arrow(first[0]).schema, strict=True)
        if pa.types.is_integer(wanted.type) and wanted.type != found.type
    ]
    return {
        "a. first write, a commit a block: s": f"{seconds:.2f}",
        "a. on disk: MB (files)": f"{size_kb(a) / 1e3:.1f} ({len(a)})",
        "a. first write, all in one: s": f"{seconds_once:.2f}",
        "a. on disk, all in one: MB": f"{size_kb(files_below(once[0])) / 1e3:.1f}",
        "b. from scratch again: same name and bytes": f"{same} of {len(a)} files",
        "b. same bytes under any name": f"{same_bytes} of {len(a)} files",
        "integer types of notes kept": "; ".join(types) or "all",
    }


def measure_addition(fmt: Format, corpus: Corpus, folder: Path) -> dict[str, str]:
    """One performance more, then nothing changed; and whether the version before can be read."""
    lines = []
    root, num_equal = folder, 0
    for i, added in enumerate(np.random.default_rng(SEED).choice(corpus.ids, REPEATS, replace=False)):
        root = folder / f"added{i}"
        fmt.write(root, corpus.without(str(added)))
        before = files_below(root)
        seconds = timed(lambda root=root: fmt.write(root, corpus))
        after, stale = files_below(root), unnamed_files(fmt, root)
        new = written_since(before, after)
        lines.append((seconds, size_kb(new), len(new), size_kb(stale), len(stale)))
        current = {name: file for name, file in after.items() if name not in stale}
        num_equal += current == files_below(folder / "first0")
    add_sec, new_kb, num_new, stale_kb, num_stale = np.median(lines, axis=0)
    before = files_below(root)
    earlier = fmt.earlier_rows(root)
    again = statistics.median(timed(lambda: fmt.write(root, corpus)) for _ in range(REPEATS))
    return {
        "c. add one performance: s": f"{add_sec:.3f}",
        "c. newly written: kB (files)": f"{new_kb:.0f} ({num_new:.0f})",
        "c. replaced, still on disk: kB (files)": f"{stale_kb:.0f} ({num_stale:.0f})",
        "c. current files are those of a build from scratch": f"{num_equal} of {REPEATS} times",
        "d. nothing changed: s": f"{again:.3f}",
        "d. newly written: kB": f"{size_kb(written_since(before, files_below(root))):.1f}",
        "g. the version before can be read": "no"
        if earlier is None
        else f"yes ({corpus.notes.num_rows - earlier:,} rows fewer)",
    }


def measure_reading(fmt: Format, corpus: Corpus, folder: Path) -> dict[str, str]:
    """All columns into Arrow by DuckDB, a histogram by DuckDB, and all columns into pandas."""
    root = folder / "first0"

    def query(sql: str) -> pa.Table:
        with duckdb.connect() as connection:
            fmt.view(root, connection)
            return connection.sql(sql).to_arrow_table()

    if rows_digest(query("from notes")) != rows_digest(corpus.notes):
        raise RuntimeError(f"{fmt.name}: DuckDB reads other rows than were written")
    every = statistics.median(timed(lambda: query("from notes")) for _ in range(REPEATS))
    histogram = statistics.median(timed(lambda: query(HISTOGRAM)) for _ in range(REPEATS))
    pandas = statistics.median(timed(lambda: fmt.arrow(root).to_pandas()) for _ in range(REPEATS))
    return {
        "e. DuckDB reads through": fmt.duckdb_route,
        "e. DuckDB, all columns: s": f"{every:.2f}",
        "e. DuckDB, pitch histogram: s": f"{histogram:.3f}",
        "e. pandas, all columns: s": f"{pandas:.2f}",
        "e. packages beside pyarrow and duckdb": installed_size(fmt.packages),
    }


def installed_size(distributions: Iterable[str]) -> str:
    """Names of distributions, and the size of all their installed files."""
    files = [Path(str(f.locate())) for name in distributions for f in importlib.metadata.files(name) or []]
    total_mb = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
    return f"{', '.join(distributions)}: {total_mb:.0f} MB" if files else "none"


def measure_kills(key: str, corpus: Corpus, folder: Path) -> dict[str, str]:
    """SIGKILL a writing process at seeded moments, then let another finish."""
    fmt = FORMATS[key]
    rows = folder / "rows.arrow"
    with pa.OSFile(str(rows), "wb") as sink, pa.ipc.new_file(sink, corpus.notes.schema) as writer:
        writer.write_table(corpus.notes)
    whole_sec = statistics.median(run_child(key, folder / f"undisturbed{i}", rows) for i in range(REPEATS))
    wanted, wanted_files = rows_digest(corpus.notes), files_below(folder / "undisturbed0")
    num_equal = num_identical = num_littered = 0
    litter_kb, kept = 0.0, []
    for i, share in enumerate(np.sort(np.random.default_rng(SEED).uniform(0.05, 0.95, NUM_KILLS))):
        root = folder / f"killed{i}"
        run_child(key, root, rows, kill_after_sec=share * whole_sec)
        after_kill = files_below(root)
        run_child(key, root, rows)
        after_again = files_below(root)
        kept.append(len(after_kill) - len(written_since(after_again, after_kill)))
        litter = unnamed_files(fmt, root)
        num_equal += rows_digest(fmt.arrow(root)) == wanted
        num_identical += after_again == wanted_files
        num_littered += bool(litter)
        litter_kb += size_kb(litter)
    return {
        "f. files kept from the killed run": ", ".join(map(str, kept)) + f" of {len(wanted_files)}",
        "f. killed, run again: same rows": f"{num_equal} of {NUM_KILLS} runs",
        "f. same names and bytes as undisturbed": f"{num_identical} of {NUM_KILLS} runs",
        "f. files that nothing names stay behind": f"{num_littered} of {NUM_KILLS} runs, {litter_kb:.0f} kB in all",
    }


def run_child(key: str, root: Path, rows: Path, kill_after_sec: float | None = None) -> float:
    """Seconds that a process of its own writes, without start-up and exit."""
    command = [sys.executable, "-m", "benchmarks.lake_formats", "--child", key, str(root), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as child:
        assert child.stdout is not None
        if child.stdout.readline() != READY:
            raise RuntimeError(f"{key}: the writing process ended with {child.wait()} before it wrote")
        start = time.perf_counter()
        if kill_after_sec is not None:
            time.sleep(kill_after_sec)
            child.kill()
            child.wait()
            return time.perf_counter() - start
        if child.stdout.readline() != DONE:
            raise RuntimeError(f"{key}: the writing process ended with {child.wait()}")
        return time.perf_counter() - start


def measure_unsigned(fmt: Format, folder: Path) -> dict[str, str]:
    """Whether a 64-bit hash of the table `shingles` survives."""
    row = {"performance_id": "0", "shingle": 2**64 - 1, "lowest_pitch": 21, "onset_sec": 0.0}
    rows = pa.Table.from_pylist([row], schema=SCHEMAS["shingles"])
    try:
        fmt.write_at_once(folder / "shingles", "shingles", rows)
    except Exception as error:  # each package has errors of its own; the message is the result
        return {"a shingle of 2^64 - 1 is kept": f"refused: {str(error).rsplit(': ', 1)[-1]}"}
    read = fmt.arrow(folder / "shingles", "shingles")["shingle"].to_pylist()
    return {"a shingle of 2^64 - 1 is kept": "yes" if read == [row["shingle"]] else f"no: reads {read}"}


def write_in_child(key: str, root: Path, rows: Path) -> None:
    """The process that is killed."""
    importlib.import_module(FORMATS[key].module)
    with pa.OSFile(str(rows), "rb") as source:
        corpus = corpus_from_table(pa.ipc.open_file(source).read_all())
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    FORMATS[key].write(root, corpus)
    sys.stdout.buffer.write(DONE)
    sys.stdout.flush()


def print_table(results: dict[str, dict[str, str]]) -> None:
    """Markdown, one column a format."""
    print("| | " + " | ".join(results) + " |\n|---|" + "---|" * len(results))
    for line in next(iter(results.values())):
        print(f"| {line} | " + " | ".join(found[line] for found in results.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=Path, metavar="FOLDER", help="take the MIDI files below this folder")
    parser.add_argument("--performances", type=int, help="how many (default: 2000, or every MIDI file)")
    parser.add_argument("--notes", type=int, default=1000, help="mean notes of a synthetic performance")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--child", nargs=3, metavar=("FORMAT", "ROOT", "ROWS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        write_in_child(args.child[0], Path(args.child[1]), Path(args.child[2]))
        return

    versions = {d.name.lower(): d.version for d in importlib.metadata.distributions()}
    names = ("pyarrow", "duckdb", "pandas", "deltalake", "pylance")
    print(f"Python {platform.python_version()},", ", ".join(f"{n} {versions.get(n, 'not installed')}" for n in names))
    if args.midi:
        notes = midi_notes(args.midi, args.performances)
    else:
        notes = synthetic_notes(args.performances or 2000, args.notes)
    corpus = corpus_from_table(notes.combine_chunks())
    print(f"{len(corpus.ids):,} performances, {notes.num_rows:,} notes, {len(content_blocks(corpus.ids))} blocks\n")
    results = {}
    for key in args.formats:
        fmt = FORMATS[key]
        if importlib.util.find_spec(fmt.module) is None:
            print(f"{fmt.name} is left out, as {fmt.module} is not installed: install the extra `bench`\n")
            continue
        with tempfile.TemporaryDirectory(prefix="lake-formats-") as name:
            folder = Path(name)
            results[fmt.name] = {
                **measure_writing(fmt, corpus, folder),
                **measure_addition(fmt, corpus, folder),
                **measure_reading(fmt, corpus, folder),
                **measure_kills(key, corpus, folder),
                **measure_unsigned(fmt, folder),
            }
    if results:
        print_table(results)


if __name__ == "__main__":
    main()
