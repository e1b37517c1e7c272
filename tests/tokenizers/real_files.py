"""Real files as columns, by the reader of the ingest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pianogen.errors import RejectedFileError
from pianogen.midi.blocks import READS, MusicBlock, read_music
from pianogen.midi.columns import NoteColumns, music_of_tables
from pianogen.midi.parse import parse_midi_files
from pianogen.reading import parse_file


def columns_of(path: Path) -> NoteColumns:
    """All pitched notes of a file, with pedal, tempos and metres."""
    parsed = parse_file(path)
    return music_of_tables(parsed.tables, parsed.ticks_per_quarter)


def block_of(paths: Sequence[Path]) -> tuple[MusicBlock, list[Path]]:
    """The music of all files that are accepted, as a block of the lake has it, and those files."""
    parsed = parse_midi_files([path.read_bytes() for path in paths])
    files = [
        (path, facts)
        for path, facts in zip(paths, parsed.outcomes, strict=True)
        if not isinstance(facts, RejectedFileError)
    ]
    ids = pa.array([str(path) for path, _ in files], pa.string())
    quarter = pa.array([facts.ticks_per_quarter for _, facts in files])
    tables = {"performances": pa.table({"performance_id": ids, "ticks_per_quarter": quarter})}
    for name in READS:
        if name != "performances":
            which = np.repeat(np.arange(len(files), dtype=np.int32), parsed.sizes[name])
            owner = pa.DictionaryArray.from_arrays(pa.array(which), ids)
            tables[name] = parsed.tables[name].append_column("performance_id", owner)
    return read_music(tables), [path for path, _ in files]
