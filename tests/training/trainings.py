"""Trainings in processes of their own, for the tests beside this file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Trainer:
    """`python -m pianogen.train` with a lake and a runs folder."""

    def __init__(self, lake: Path, runs: Path) -> None:
        self.lake = lake
        self.runs = runs

    def start(self, experiment: Path, *options: str, **popen: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "pianogen.train", str(experiment)]
        places = ["--lake", str(self.lake), "--runs", str(self.runs)]
        return subprocess.Popen(
            [*command, *places, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen
        )

    def run(self, experiment: Path) -> str:
        process = self.start(experiment)
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
        return output

    @property
    def folder(self) -> Path:
        """The one run there is."""
        (folder,) = self.runs.glob("*/*")
        return folder


def wait_until(condition: Callable[[], bool], timeout_sec: float = 180.0) -> None:
    """Return when the condition holds; fail after the timeout."""
    end = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def kill(process: subprocess.Popen, number: int = signal.SIGKILL) -> str:
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=180)
    return output
