"""A training in a process of its own, watched from here, and never left behind.

The trainer runs in a new session, so that a signal to the launcher does not reach it unordered. It is ended
with whatever ends the watching: an error, a cancel, or the death of this process, which closes the pipe that
the trainer reads. In every case it saves a checkpoint if it still can, and the next launch goes on from there.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pianogen import interrupts
from pianogen.errors import TrainingError
from pianogen.lake import Lake
from pianogen.settings import Settings
from pianogen.training.experiment import load_experiment
from pianogen.training.runs import LOG_FILE, METRICS_FILE, read_run, run_folder

GRACE_SEC = ((signal.SIGINT, 8.0), (signal.SIGTERM, 3.0))
"""Signals that ask the trainer to end, and how long each may take; after them it is killed."""
LOG_LINES = 30
"""Lines of the trainer's log that an error shows."""


def run_training(
    experiment: Path,
    settings: Settings,
    on_metrics: Callable[[dict[str, Any]], None] = lambda metrics: None,
    *,
    poll_sec: float = 1.0,
) -> Path:
    """Train an experiment to the end, unless it is trained already.

    Args:
        experiment: its YAML file.
        settings: where the lake and the runs are.
        on_metrics: given each new line of the run's metrics.jsonl as it appears.
        poll_sec: time between two looks at it.

    Returns:
        The folder of the finished run.

    Raises:
        SettingsError: the experiment file is wrong.
        LakeError: the experiment has no shards.
        TrainingError: the trainer failed or was stopped; the end of its log is in the message.
    """
    folder = run_folder(Lake(settings.lake), settings.runs, load_experiment(experiment))
    if read_run(folder):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / LOG_FILE
    log_begin = log.stat().st_size if log.exists() else 0
    tail = MetricsTail(folder / METRICS_FILE)
    command = [sys.executable, "-m", "pianogen.train", str(Path(experiment).absolute())]
    places = [f"--{name}={getattr(settings, name)}" for name in ("lake", "runs", "experiments")]
    limits = [f"--{name.replace('_', '-')}={gb}" for name, gb in asdict(settings.checkpoints).items()]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, *places, *limits, "--stop-with-parent"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with interrupts.remembered() as check_interrupts:
            while process.poll() is None:
                time.sleep(poll_sec)
                for metrics in tail.read_new():
                    on_metrics(metrics)
                check_interrupts()
        for metrics in tail.read_new():
            on_metrics(metrics)
    finally:
        _end(process)
    if process.returncode != 0 or not read_run(folder):
        how = "was stopped" if process.returncode in (130, 143) else f"ended with exit code {process.returncode}"
        raise TrainingError(f"the training of {experiment} {how}; end of {log}:\n{_log_end(log, log_begin)}")
    return folder


class MetricsTail:
    """New lines of a metrics file that grows, and that a resumed training cuts back first.

    Args:
        path: the file, there or not yet; lines that it holds now are not new.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._lines()

    def read_new(self) -> list[dict[str, Any]]:
        """Whole lines that were not there the last time, in order."""
        lines = self._lines()
        # A resume keeps a beginning of the old lines; times in a line written again differ from the old one's.
        same = 0
        for old, new in zip(self._seen, lines, strict=False):
            if old != new:
                break
            same += 1
        self._seen = lines
        return [json.loads(line) for line in lines[same:]]

    def _lines(self) -> list[bytes]:
        try:
            return [line for line in self.path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        except FileNotFoundError:
            return []


def _end(process: subprocess.Popen) -> None:
    """End the trainer's process group and wait until it is gone."""
    try:
        for number, grace_sec in GRACE_SEC:
            if process.poll() is not None:
                break
            _signal_group(process, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_sec)
    finally:
        # Also where a second interrupt cut the waiting short.
        if process.poll() is None:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _signal_group(process: subprocess.Popen, number: int) -> None:
    # The session's leader is the trainer, so the group's number is its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _log_end(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-LOG_LINES:]) or "(nothing)"
