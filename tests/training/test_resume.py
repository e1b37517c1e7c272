"""Trainings in processes of their own, stopped in every way, end with the bytes of an undisturbed one."""

import dataclasses
import json
import signal
import subprocess

import pytest
from builders import settings_in, write_tiny_experiment
from filelock import FileLock
from trainings import Trainer, kill, wait_until

from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import checkpoint_steps
from pianogen.training.experiment import load_experiment

TIMES = {"elapsed_sec", "remaining_sec", "tokens_per_sec", "loader_share", "memory_mb", "train_sec", "peak_memory_mb"}
LONG = {"steps": 250, "log_every": 3, "checkpoint_every": 7, "validate_every": 70, "sample_every": 50}
"""Lasts a few seconds; checkpoints fall between logged steps."""


def last_step(trainer) -> int:
    """The last step that the run has logged."""
    paths = list(trainer.runs.glob("*/*/metrics.jsonl"))
    lines = paths[0].read_bytes().splitlines(keepends=True) if paths else []
    steps = [json.loads(line)["step"] for line in lines if line.endswith(b"\n")]
    return max(steps, default=0)


def without_times(record: dict) -> dict:
    return {key: value for key, value in record.items() if key not in TIMES}


def outcome(trainer) -> dict:
    """All that a finished run leaves, but for times."""
    folder = trainer.folder
    return {
        "weights": (folder / "best" / "model.safetensors").read_bytes(),
        "last": (folder / "checkpoints" / f"step-{LONG['steps']:08d}" / "model.safetensors").read_bytes(),
        "run": without_times(json.loads((folder / "run.json").read_text())),
        "metrics": [without_times(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()],
        "checkpoints": checkpoint_steps(folder),
        "samples": {path.name: path.read_bytes() for path in (folder / "samples").iterdir()},
    }


@pytest.mark.slow
def test_killed_interrupted_and_orphaned_training_ends_with_the_bytes_of_an_undisturbed_one(
    trainer, undisturbed, tmp_path
):
    experiment = write_tiny_experiment(tmp_path, **LONG)

    process = trainer.start(experiment)
    wait_until(lambda: last_step(trainer) >= 30)
    kill(process)
    assert process.returncode == -signal.SIGKILL
    killed_at = checkpoint_steps(trainer.folder)[-1]
    assert 28 <= killed_at < LONG["steps"]
    assert not (trainer.folder / "run.json").exists()

    process = trainer.start(experiment)
    wait_until(lambda: last_step(trainer) >= 90)
    output = kill(process, signal.SIGINT)
    assert process.returncode == 130, output
    assert "stopped, checkpoint saved" in output
    interrupted_at = checkpoint_steps(trainer.folder)[-1]
    assert interrupted_at > killed_at

    process = trainer.start(experiment, "--stop-with-parent", stdin=subprocess.PIPE)
    wait_until(lambda: last_step(trainer) >= 150)
    output, _ = process.communicate(timeout=180)  # closes standard input, as the death of a parent does
    assert process.returncode == 143, output
    assert checkpoint_steps(trainer.folder)[-1] > interrupted_at

    trainer.run(experiment)
    assert outcome(trainer) == outcome(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(shared_lake, tmp_path_factory):
    """A run trained at one go, in this process: which process it is makes no difference either."""
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = dataclasses.replace(settings_in(folder), lake=shared_lake)
    assert train_experiment(load_experiment(write_tiny_experiment(folder, **LONG)), settings, StopSignal()) == 0
    return Trainer(shared_lake, settings.runs)


@pytest.mark.slow
def test_a_second_training_of_the_same_run_waits_and_can_be_stopped(trainer, undisturbed, tmp_path):
    experiment = write_tiny_experiment(tmp_path, **LONG)
    folder = trainer.runs / "tiny" / undisturbed.folder.name
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        process = trainer.start(experiment)
        assert "another process trains this run; waiting" in process.stdout.readline()
        kill(process, signal.SIGTERM)
        assert process.returncode == 143


def test_training_without_shards_says_what_to_do(trainer, tmp_path):
    process = trainer.start(write_tiny_experiment(tmp_path, name="unknown"))
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "nothing from the stage 'shards' of 'unknown' yet; run it first" in output
    assert "Traceback" not in output
