"""Trainings launched and watched from here: no process may outlive the watching."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from builders import settings_in, write_tiny_experiment
from trainings import wait_until

from pianogen.errors import LakeError, TrainingError
from pianogen.training.checkpoints import checkpoint_steps
from pianogen.training.launch import MetricsTail, run_training
from pianogen.training.runs import find_checkpoint, read_run

LONG = {"steps": 300, "log_every": 5, "checkpoint_every": 10, "validate_every": 100}


@pytest.fixture
def settings(shared_lake, tmp_path):
    return dataclasses.replace(settings_in(tmp_path), lake=shared_lake)


def trainers(parent: psutil.Process | None = None) -> list[psutil.Process]:
    """Training processes below a process; below this one without it."""
    children = (parent or psutil.Process()).children(recursive=True)
    return [child for child in children if "pianogen.train" in command_of(child)]


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing for one that has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_a_cancel_leaves_no_process_and_a_checkpoint_and_the_next_launch_goes_on(settings, tmp_path):
    experiment = write_tiny_experiment(tmp_path, **LONG)
    seen, watched = [], []

    def cancel(metrics):
        seen.append(metrics)
        if metrics["step"] >= 40:
            watched.extend(trainers())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(experiment, settings, cancel, poll_sec=0.02)
    assert len(watched) == 1
    assert not watched[0].is_running()
    assert not [p for p in psutil.process_iter() if p.pid != os.getpid() and group_of(p) == watched[0].pid]
    (run,) = (settings.runs / "tiny").iterdir()
    saved = checkpoint_steps(run)[-1]
    assert 40 <= saved < 300
    assert "stopped, checkpoint saved" in (run / "train.log").read_text()

    later = []
    assert run_training(experiment, settings, later.append, poll_sec=0.02) == run
    assert read_run(run)["steps"] == 300
    assert [m["step"] for m in later] == [s for m in all_metrics(run) if (s := m["step"]) > saved]
    assert later == all_metrics(run)[-len(later) :]
    assert run_training(experiment, settings, lambda metrics: pytest.fail("trained again")) == run
    assert find_checkpoint(settings.runs, "best") == find_checkpoint(settings.runs, "tiny") == run


def all_metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def group_of(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return -1


@pytest.mark.slow
def test_the_trainer_ends_when_its_launcher_is_killed(settings, tmp_path):
    experiment = write_tiny_experiment(tmp_path, **{**LONG, "steps": 100_000, "warmup_steps": 10})
    code = (
        "import dataclasses, pathlib, sys\n"
        "from pianogen.settings import load_settings\n"
        "from pianogen.training.launch import run_training\n"
        "lake, runs, experiment = map(pathlib.Path, sys.argv[1:])\n"
        "settings = dataclasses.replace(load_settings(), lake=lake, runs=runs)\n"
        "run_training(experiment, settings, lambda metrics: print(metrics, flush=True), poll_sec=0.05)\n"
    )
    command = [sys.executable, "-c", code, str(settings.lake), str(settings.runs), str(experiment)]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert '"step"' in launcher.stdout.readline().replace("'", '"')
    (trainer,) = trainers(psutil.Process(launcher.pid))
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.communicate(timeout=180)
    wait_until(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE, timeout_sec=180)
    (run,) = (settings.runs / "tiny").iterdir()
    assert checkpoint_steps(run)
    assert "stopped, checkpoint saved" in (run / "train.log").read_text()


@pytest.mark.slow
def test_a_training_that_fails_shows_the_end_of_its_log(settings, tmp_path):
    experiment = write_tiny_experiment(tmp_path, learning_rate=1e30, warmup_steps=0, max_grad_norm=0.0)
    with pytest.raises(
        TrainingError, match=r"(?s)exit code 1; end of .*train\.log.*it must be finite; lower"
    ) as failed:
        run_training(experiment, settings, poll_sec=0.05)
    assert "Traceback" not in str(failed.value)


def test_launching_without_shards_starts_nothing(settings, tmp_path):
    with pytest.raises(LakeError, match="nothing from the stage 'shards' of 'unknown'"):
        run_training(write_tiny_experiment(tmp_path, name="unknown"), settings)
    assert not settings.runs.exists()


def test_a_checkpoint_that_nobody_made_is_refused_with_what_there_is(settings):
    with pytest.raises(TrainingError, match="no finished run yet"):
        find_checkpoint(settings.runs, "best")
    with pytest.raises(TrainingError, match=r"checkpoint 'mine': neither 'best', .*there is none yet"):
        find_checkpoint(settings.runs, "mine")


def test_the_tail_of_a_file_that_a_resume_cuts_back_gives_only_new_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    old = ['{"step": 1, "sec": 1}\n', '{"step": 2, "sec": 2}\n']
    path.write_text("".join(old))
    tail = MetricsTail(path)
    assert tail.read_new() == []
    path.write_text(old[0] + '{"step": 2, "sec": 9}\n{"step": 3')
    assert tail.read_new() == [{"step": 2, "sec": 9}]
    with path.open("a") as file:
        file.write(', "sec": 10}\n')
    assert tail.read_new() == [{"step": 3, "sec": 10}]
    assert tail.read_new() == []
