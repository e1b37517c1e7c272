"""Trainings in processes of their own, and a stop that comes by itself, for the tests beside this file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pianogen.train import StopSignal


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


class StopAfter(StopSignal):
    """Asks to stop when it was asked so many times: at each step, and at each token that is drawn."""

    def __init__(self, number: int) -> None:
        self._left = number
        super().__init__()

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        pass
