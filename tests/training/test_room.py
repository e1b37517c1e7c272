"""Room for checkpoints: what goes in which order, what never does, and refusals before anything is written."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from builders import settings_in, write_tiny_experiment
from filelock import FileLock

from pianogen.errors import TrainingError
from pianogen.lake import Lake
from pianogen.settings import CheckpointLimits, Settings
from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import checkpoint_steps, read_pruned, size_of
from pianogen.training.experiment import load_experiment
from pianogen.training.launch import run_training
from pianogen.training.room import Excess, Removal, Room, choose, removals, remove, to_prune
from pianogen.training.runs import run_folder
from pianogen.training.storage import (
    FINISHED,
    ORPHANED,
    RUNNING,
    STOPPED,
    StoredRun,
    is_running,
    stored_in,
    stored_runs,
)

KB = 1e-6
"""In gigabytes."""


def write_run(
    runs: Path, name: str, steps: tuple[int, ...] = (), *, num_bytes: int = 1000, age: int = 0, finished: bool = False
) -> Path:
    """A run with checkpoints of so many bytes; finished, with a model as large; `age` in seconds."""
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    places = [folder / "checkpoints" / f"step-{step:08d}" for step in steps]
    if finished:
        places.append(folder / "best")
        (folder / "run.json").write_text("{}")
    for place in places:
        place.mkdir(parents=True)
        (place / "model.safetensors").write_bytes(b"x" * num_bytes)
        written = 1_700_000_000 - age
        os.utime(place, (written, written))
    return folder


def limited(folder: Path, **limits: float) -> Settings:
    no_limits = CheckpointLimits(max_gb_per_experiment=0, max_gb=0, min_free_gb=0)
    return dataclasses.replace(settings_in(folder), checkpoints=dataclasses.replace(no_limits, **limits))


def as_state(folder: Path, state: str) -> StoredRun:
    return StoredRun(folder=folder, state=state, changed=(), stored=tuple(stored_in(folder)))


def test_what_goes_first_is_what_nobody_misses_and_then_the_oldest(tmp_path):
    runs = [
        as_state(write_run(tmp_path, "a/stopped", (1, 2), age=900), STOPPED),
        as_state(write_run(tmp_path, "a/stopped_before", (1,), age=901), STOPPED),
        as_state(write_run(tmp_path, "b/orphaned", (1,), age=5), ORPHANED),
        as_state(write_run(tmp_path, "b/finished", (1, 2), age=3, finished=True), FINISHED),
        as_state(write_run(tmp_path, "c/finished_before", (1,), age=4, finished=True), FINISHED),
        as_state(write_run(tmp_path, "c/finished_and_pruned", age=9, finished=True), FINISHED),
    ]
    (tmp_path / "b" / "orphaned" / "tmp-1").mkdir()
    running = write_run(tmp_path, "d/running", (1, 2))
    (running / "tmp-2").mkdir()
    runs[2] = as_state(runs[2].folder, ORPHANED)
    order = removals([*runs, as_state(running, RUNNING)])
    assert [(str(one.run.relative_to(tmp_path)), [path.name for path in one.paths]) for one in order] == [
        ("b/orphaned", ["tmp-1"]),
        ("c/finished_before", ["step-00000001"]),
        ("b/finished", ["step-00000002", "step-00000001"]),
        ("b/orphaned", ["step-00000001"]),
        ("a/stopped_before", ["step-00000001"]),
        ("a/stopped", ["step-00000002", "step-00000001"]),
    ]


def removal(name: str, num_bytes: int, why: str = FINISHED) -> Removal:
    return Removal(run=Path("runs") / name, paths=(Path("x"),), num_bytes=num_bytes, why=why)


def test_no_more_goes_than_has_to_and_for_an_experiments_limit_only_its_own():
    other, own, own_too = removal("b/1", 100), removal("a/1", 30), removal("a/2", 30)
    offered = [other, own, own_too]
    assert choose(offered, Excess(of_experiment=20), "a") == ([own], Excess())
    assert choose(offered, Excess(of_experiment=31), "a") == ([own, own_too], Excess())
    assert choose(offered, Excess(of_experiment=61), "a")[1] == Excess(of_experiment=1)
    assert choose(offered, Excess(of_all=20), "a") == ([other], Excess())
    assert choose(offered, Excess(of_disk=101), "a") == ([other, own], Excess())
    # What goes for the experiment counts for all.
    assert choose(offered, Excess(of_experiment=20, of_all=30), "a") == ([own], Excess())
    assert choose(offered, Excess(), "a") == ([], Excess())


def test_asked_to_prune_a_stopped_run_goes_only_where_a_limit_asks_for_it(tmp_path):
    runs = [
        as_state(write_run(tmp_path, "a/stopped", (1, 2), age=9), STOPPED),
        as_state(write_run(tmp_path, "a/stopped_later", (1, 2)), STOPPED),
        as_state(write_run(tmp_path, "a/orphaned", (1,)), ORPHANED),
        as_state(write_run(tmp_path, "b/finished", (1,), finished=True), FINISHED),
        as_state(write_run(tmp_path, "b/running", (1,)), RUNNING),
    ]

    def gone(**limits):
        chosen = to_prune(runs, dataclasses.replace(limited(tmp_path).checkpoints, **limits), 10**12)
        return [str(one.run.relative_to(tmp_path)) for one in chosen]

    assert gone() == ["b/finished", "a/orphaned"]
    assert gone(max_gb_per_experiment=4 * KB) == ["b/finished", "a/orphaned"]
    assert gone(max_gb_per_experiment=3.9 * KB) == ["b/finished", "a/orphaned", "a/stopped"]
    assert gone(max_gb=1 * KB) == ["b/finished", "a/orphaned", "a/stopped", "a/stopped_later"]


def test_room_is_made_for_the_next_checkpoint_and_every_removal_is_written_down(tmp_path):
    settings = limited(tmp_path, max_gb=6.5 * KB)
    own = write_run(settings.runs, "a/own", (1, 2))
    finished = write_run(settings.runs, "b/finished", (1, 2), finished=True)
    stopped = write_run(settings.runs, "c/stopped", (1,))
    aside = own / "tmp-1"
    aside.mkdir()
    with Room(settings, own).reserved(aside):
        assert size_of(aside) == 1000
        (aside / "model.safetensors").write_bytes(b"y" * 1000)
        assert size_of(aside) == 1000
    assert [path.name for path in aside.iterdir()] == ["model.safetensors"]
    assert checkpoint_steps(own) == [1, 2]
    assert checkpoint_steps(finished) == []
    assert (finished / "best" / "model.safetensors").exists()
    assert checkpoint_steps(stopped) == [1]
    lines = [(line["path"], line["num_bytes"], line["reason"]) for line in read_pruned(finished)]
    reason = "resuming: the run is finished"
    assert lines == [(f"checkpoints/step-0000000{step}", 1000, reason) for step in (2, 1)]
    assert not list(finished.glob("tmp-*"))


def test_what_another_run_is_writing_counts_as_long_as_it_will_be(tmp_path):
    settings = limited(tmp_path, max_gb=4.5 * KB)
    first, second = (write_run(settings.runs, f"{name}/run", (1,)) for name in "ab")
    for run in (first, second):
        (run / "tmp-1").mkdir()
    with (
        FileLock(first / "lock"),
        FileLock(second / "lock"),
        Room(settings, first).reserved(first / "tmp-1"),
        Room(settings, second).reserved(second / "tmp-1"),
        pytest.raises(TrainingError, match=r"all runs hold 0\.0 MB"),
    ):
        Room(settings, second).require(1000)


def test_without_room_nothing_is_removed_or_written_and_what_takes_it_is_named(tmp_path):
    settings = limited(tmp_path, max_gb_per_experiment=2)
    own = write_run(settings.runs, "a/own", (1,))
    finished = write_run(settings.runs, "a/finished", (1,), finished=True)
    with pytest.raises(TrainingError) as raised:
        Room(settings, own).require(2 * 10**9)
    said = str(raised.value)
    assert "no room for 2.0 GB of checkpoints; the runs of a hold 0.0 MB, max_gb_per_experiment = 2" in said
    assert "0.0 MB  a/finished (its finished model)" in said
    assert "Raise the limit, or delete the folders of runs" in said
    assert checkpoint_steps(finished) == checkpoint_steps(own) == [1]
    with pytest.raises(TrainingError, match=r"the disk has .* GB free, min_free_gb = 1e\+06"):
        Room(limited(tmp_path, min_free_gb=1e6), own).require(1)


def test_a_run_that_is_being_trained_is_never_touched(tmp_path):
    settings = limited(tmp_path, max_gb=2.5 * KB)
    own = write_run(settings.runs, "a/own", (1,))
    other = write_run(settings.runs, "b/other", (1,), finished=True)
    (one,) = removals([as_state(other, FINISHED)])
    assert not is_running(other)
    with FileLock(other / "lock"):
        assert is_running(other)
        assert remove(one) == 0
        with pytest.raises(TrainingError, match=r"b/other \(being trained\)"):
            Room(settings, own).require(1000)
    assert checkpoint_steps(other) == [1]
    assert remove(one) == 1000


@pytest.fixture
def experiment(shared_lake, tmp_path):
    """Trains `tiny` with these settings of the training and these limits; the run's folder."""

    def train(limits: CheckpointLimits, **training) -> Path:
        settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake, checkpoints=limits)
        config = load_experiment(write_tiny_experiment(tmp_path, **training))
        folder = run_folder(Lake(shared_lake), settings.runs, config)
        assert train_experiment(config, settings, StopSignal()) == 0
        return folder

    return train


SHORT = {"steps": 6, "validate_every": 2, "checkpoint_every": 2}


def test_a_training_without_room_for_its_checkpoints_ends_before_the_first_step_wherever_it_is_launched(
    shared_lake, tmp_path
):
    limits = CheckpointLimits(max_gb_per_experiment=200 * KB)
    settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake, checkpoints=limits)
    with pytest.raises(TrainingError, match=r"no room for 0\.4 MB of checkpoints; the runs of tiny hold 0\.0 MB"):
        run_training(write_tiny_experiment(tmp_path, **SHORT), settings)
    (folder,) = (tmp_path / "runs").glob("tiny/*")
    assert not (folder / "checkpoints").exists()
    assert (folder / "metrics.jsonl").read_text() == ""


def test_trainings_one_after_the_other_stay_within_the_limit_and_keep_every_finished_model(experiment, shared_lake):
    limits = CheckpointLimits(max_gb_per_experiment=500 * KB)
    folders = [experiment(limits, seed=seed, **SHORT) for seed in (1, 2, 3, 4)]
    assert sum(one.num_bytes for folder in folders for one in stored_in(folder)) <= 500_000
    for folder in folders:
        assert (folder / "best" / "model.safetensors").is_file()
        assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert checkpoint_steps(folders[0]) == []
    assert checkpoint_steps(folders[3])[-1] == 6
    assert {line["reason"] for line in read_pruned(folders[0])} == {
        "neither the best nor the last",
        "resuming: the run is finished",
    }


class StopAfterOne(StopSignal):
    """Asks to stop once the training has begun: what is left is the checkpoint of the first step."""

    asked = 0

    @property
    def requested(self):
        self.asked += 1
        return self.asked > 1

    @requested.setter
    def requested(self, value):
        pass


def test_the_state_of_a_run_says_what_changed_since(shared_lake, tmp_path):
    settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake)

    def train(stop, **training):
        config = load_experiment(write_tiny_experiment(tmp_path, **training))
        train_experiment(config, settings, stop)
        return run_folder(Lake(shared_lake), settings.runs, config)

    def told():
        return {run.folder: (run.state, run.changed) for run in stored_runs(settings)}

    first = train(StopAfterOne(), **SHORT)
    assert told() == {first: (STOPPED, ())}
    second = train(StopSignal(), seed=2, **SHORT)
    assert told() == {first: (ORPHANED, ("training",)), second: (FINISHED, ())}
    with FileLock(first / "lock"):
        assert told()[first] == (RUNNING, ("training",))
    lineage = first / "checkpoints" / "step-00000001" / "lineage.json"
    lineage.write_text(json.dumps(json.loads(lineage.read_text()) | {"code_version": "old", "shards_version": "old"}))
    assert told()[first] == (ORPHANED, ("code", "shards", "training"))
    (tmp_path / "below").mkdir()
    moved = (tmp_path / "tiny.yaml").rename(tmp_path / "below" / "tiny.yaml")
    assert told()[second] == (FINISHED, ())
    moved.unlink()
    assert told()[first] == (STOPPED, None)
