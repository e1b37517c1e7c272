"""Comparisons of a lake in processes of their own: `python comparisons.py LAKE WORKERS`."""

import subprocess
import sys
from pathlib import Path

from ingests import ingest_settings

from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.lake import Lake


def start_comparison(lake: Path, workers: int) -> subprocess.Popen:
    """The stage `duplicate_pairs` as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, __file__, str(lake), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


if __name__ == "__main__":
    find_duplicate_pairs(Lake(Path(sys.argv[1])), settings=ingest_settings(int(sys.argv[2])))
