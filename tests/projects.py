"""A whole project in a folder of its own: settings, a little music, a tiny experiment, a Dagster instance."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from builders import notes, write_tiny_experiment

from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.round_trips.tokenizers import BUILT_IN

PROJECT = Path(__file__).resolve().parents[1]
MEASURED = ("jsb", "note_chord")
"""Tokenizers whose round trips are measured: one that learns, and one that does not."""


def tune(seed: int, num_notes: int = 60) -> NoteColumns:
    """A tune over held chords that no other seed gives."""
    rng = np.random.default_rng(seed)
    pitch = 64 + np.clip(np.cumsum(rng.integers(-4, 5, num_notes)), -14, 20)
    melody = [(i / 2, int(p), 0.5) for i, p in enumerate(pitch)]
    chords = [(i * 2, int(40 + rng.integers(0, 12)), 2) for i in range(num_notes // 4)]
    return notes(*melody, *chords)


class Project:
    """A folder with pianogen.toml, `scores/` (split by clusters), `custom/` (pinned to train), `experiments/`."""

    def __init__(self, root: Path, num_scores: int = 30, **training: object) -> None:
        self.root = root
        self.config = root / "pianogen.toml"
        self.lake = root / "data" / "lake"
        self.custom = root / "custom"
        self.scores = root / "scores"
        for folder in (self.custom, self.scores, root / "experiments", root / "dagster"):
            folder.mkdir(parents=True)
        shutil.copy(PROJECT / "dagster.yaml", root / "dagster" / "dagster.yaml")
        self.config.write_text(
            f'sql = "{PROJECT / "warehouse"}"\nstarter = false\nworkers = 1\n'
            f'warehouse = "pianogen.duckdb"\n'
            '[datasets.scores]\nfolder = "scores"\nsplit = "auto"\n'
            '[datasets.custom]\nfolder = "custom"\nsplit = "train"\n'
            + "".join(["[tokenizers]\n", *(f"{name} = false\n" for name in BUILT_IN if name not in MEASURED)])
        )
        write_tiny_experiment(root / "experiments", **training)
        for seed in range(num_scores):
            (self.scores / f"tune {seed:02d}.mid").write_bytes(midi_bytes(tune(seed)))

    def start(self, *arguments: str) -> subprocess.Popen:
        """`python -m pipelines.run` on this project, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.run", "--config", str(self.config), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT,
            env={**os.environ, "DAGSTER_HOME": str(self.root / "dagster")},
            start_new_session=True,
        )

    def run(self) -> tuple[int, str]:
        """Exit code and output of a whole run."""
        process = self.start()
        output, _ = process.communicate(timeout=240)
        return process.returncode, output

    def run_here(self) -> tuple[bool, str]:
        """What the command does, in this process, on the same instance: whether all went well, and its lines."""
        import dagster as dg

        from pipelines.run import run_everything

        lines: list[str] = []
        home = self.root / "dagster"
        # dagster.yaml names its own folders relative to the folder that it lies in.
        with contextlib.chdir(home), dg.DagsterInstance.from_config(str(home)) as instance:
            succeeded = run_everything(instance, self.config, lines.append)
        return succeeded, "\n".join(lines)

    def lake_bytes(self) -> dict[str, bytes]:
        """Every file of the lake."""
        return {str(p.relative_to(self.lake)): p.read_bytes() for p in sorted(self.lake.rglob("*")) if p.is_file()}
