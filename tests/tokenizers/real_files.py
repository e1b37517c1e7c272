"""Real files as columns, by the reader of the ingest."""

from pathlib import Path

from pianogen.midi.columns import NoteColumns, music_of_tables
from pianogen.reading import parse_file


def columns_of(path: Path) -> NoteColumns:
    """All pitched notes of a file, with pedal, tempos and metres."""
    parsed = parse_file(path)
    return music_of_tables(parsed.tables, parsed.ticks_per_quarter)
