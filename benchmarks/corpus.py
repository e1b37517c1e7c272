"""The real files that benchmarks read, the time that processors take, and what else runs on the machine."""

import contextlib
import os
import sys
from pathlib import Path

import psutil

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


def folder_to_read(named: Path | None, benchmark: str, what: str = "MIDI files") -> Path:
    """The folder that was named, or the real files'; where it is not there, an end: with an error if it was named."""
    folder = named or DEFAULT
    if not folder.is_dir():
        print(f"{folder}: no such folder. Name one with {what}: python -m benchmarks.{benchmark} FOLDER")
        sys.exit(1 if named else 0)
    return folder


def load() -> str:
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def core_seconds() -> float:
    """Processor time of this process and those below it so far."""
    total = 0.0
    process = psutil.Process()
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total
