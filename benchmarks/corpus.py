"""The real files that benchmarks read, and what else runs on the machine."""

import os
from pathlib import Path

from pianogen.errors import RejectedFileError
from pianogen.reading import MIDI_SUFFIXES, parse_file

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def accepted_files(folder: Path) -> tuple[list[Path], int]:
    """MIDI files that pianogen accepts, and the number of those that it rejects."""
    found, rejected = [], 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES and p.is_file()):
        try:
            parse_file(path)
        except RejectedFileError:
            rejected += 1
        else:
            found.append(path)
    return found, rejected


def load() -> str:
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
