"""Two processes that torchrun starts train as one does."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from builders import settings_in, write_tiny_experiment
from trainings import StopAfter, wait_until

from pianogen.errors import TrainingError
from pianogen.lake import Lake
from pianogen.shards import ShardSet
from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import checkpoint_path, checkpoint_steps
from pianogen.training.experiment import load_experiment
from pianogen.training.ranks import Ranks
from pianogen.training.runs import read_run, run_folder
from pianogen.training.trainer import train


def started(experiment, settings, number: int = 2) -> subprocess.Popen:
    """`torchrun -m pianogen.train` with so many processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    command = ["-m", "pianogen.train", str(experiment), "--lake", str(settings.lake), "--runs", str(settings.runs)]
    # Nor is the user's choice of GPUs made for them.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*torchrun, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def metrics_of(folder) -> list[dict]:
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def curve(folder) -> dict[tuple[str, int], float]:
    return {(line["split"], line["step"]): line["nll"] for line in metrics_of(folder)}


def rank_of(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("RANK")
    return None


@pytest.mark.slow
def test_two_ranks_have_the_losses_of_one_process_before_and_after_a_stop_of_either(shared_lake, tmp_path):
    settings = [dataclasses.replace(settings_in(tmp_path / name), lake=shared_lake) for name in ("one", "two")]
    path = write_tiny_experiment(
        tmp_path,
        steps=120,
        # Not a multiple of what two ranks read at a time: some passes of rank 1 hold a row that is not counted.
        tokens_per_update=170,
        batch_size=4,
        log_every=2,
        checkpoint_every=20,
        validate_every=20,
        learning_rate=0.001,
        ema=0.9,
    )
    path.write_text(path.read_text().replace("dropout: 0.1", "dropout: 0.0"))
    config = load_experiment(path)
    alone, together = (run_folder(Lake(shared_lake), one.runs, config) for one in settings)
    assert train_experiment(config, settings[0], StopSignal()) == 0

    # One process begins, and stops between two logged steps.
    assert train_experiment(config, settings[1], StopAfter(5)) != 0
    assert checkpoint_steps(together) == [5]
    # Two go on; the second is asked to stop.
    process = started(path, settings[1])
    wait_until(lambda: max(line["step"] for line in metrics_of(together)) >= 24)
    children = psutil.Process(process.pid).children(recursive=True)
    (second,) = [child for child in children if rank_of(child) == "1" and "pianogen.train" in child.cmdline()]
    os.kill(second.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert "stopped, checkpoint saved" in output
    stopped_at = checkpoint_steps(together)[-1]
    assert 24 <= stopped_at < 120, output
    assert read_run(together) is None
    assert not list(together.glob("tmp-*"))
    # One ends what they began.
    assert train_experiment(config, settings[1], StopSignal()) == 0

    wanted, found = curve(alone), curve(together)
    assert found.keys() == wanted.keys()
    assert found == pytest.approx(wanted, abs=1e-4)
    assert read_run(together)["num_train_tokens"] == read_run(alone)["num_train_tokens"]
    assert sorted(one.name for one in checkpoint_path(together, 120).iterdir()) == sorted(
        one.name for one in checkpoint_path(alone, 120).iterdir()
    )


class Three(Ranks):
    size = 3


def test_a_batch_that_ranks_cannot_share_is_refused(shared_lake, tmp_path):
    config = load_experiment(write_tiny_experiment(tmp_path, batch_size=4))
    shards = ShardSet(Lake(shared_lake), "tiny")
    with pytest.raises(TrainingError, match=r"batch_size must be a multiple .* found 4 and 3"):
        train(config, shards, tmp_path / "run", validate=pytest.fail, stop=StopSignal(), ranks=Three())
    assert not (tmp_path / "run").exists()
