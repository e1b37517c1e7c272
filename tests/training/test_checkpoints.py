import json
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pianogen.errors import TrainingError
from pianogen.training.checkpoints import (
    MetricsFile,
    Progress,
    checkpoint_path,
    checkpoint_steps,
    new_checkpoint,
    read_progress,
    read_pruned,
    remove_abandoned,
    require_same_run,
    stamp_weights,
)

LINEAGE = {
    "experiment": "tiny",
    "run_id": "run",
    "split_version": "split",
    "shards_version": "shards",
    "certificate": "certificate",
    "licences": {"bach": "CC0"},
}


def save(run, step, best_step=0):
    with new_checkpoint(run, Progress(step=step, best_step=best_step), LINEAGE) as folder:
        (folder / "model.safetensors").write_bytes(b"weights of %d" % step)


def test_only_the_best_and_the_last_checkpoint_are_kept(tmp_path):
    save(tmp_path, 10, best_step=10)
    save(tmp_path, 20, best_step=10)
    save(tmp_path, 30, best_step=10)
    assert checkpoint_steps(tmp_path) == [10, 30]
    save(tmp_path, 40, best_step=40)
    assert checkpoint_steps(tmp_path) == [40]
    assert (checkpoint_path(tmp_path, 40) / "model.safetensors").read_bytes() == b"weights of 40"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "pruned.jsonl"]


def test_what_is_removed_is_written_down_with_its_size_and_the_reason_even_after_half_a_line(tmp_path):
    save(tmp_path, 10)
    num_bytes = sum(path.stat().st_size for path in checkpoint_path(tmp_path, 10).iterdir())
    (tmp_path / "pruned.jsonl").write_text('{"time": "20')
    save(tmp_path, 20, best_step=20)
    (line,) = read_pruned(tmp_path)
    assert line.pop("time").startswith("20")
    assert line == {
        "path": "checkpoints/step-00000010",
        "num_bytes": num_bytes,
        "reason": "neither the best nor the last",
    }


def test_a_checkpoint_that_fails_half_way_is_never_seen(tmp_path):
    save(tmp_path, 10)

    def save_half():
        with new_checkpoint(tmp_path, Progress(step=20), LINEAGE) as folder:
            (folder / "model.safetensors").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_half()
    assert checkpoint_steps(tmp_path) == [10]


def test_what_a_killed_training_left_is_removed_and_never_taken_for_a_checkpoint(tmp_path):
    save(tmp_path, 10)
    (tmp_path / "tmp-12345").mkdir()
    (tmp_path / "tmp-12345" / "model.safetensors").write_bytes(b"half")
    remove_abandoned(tmp_path)
    assert checkpoint_steps(tmp_path) == [10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints"]


def test_progress_survives_to_the_last_digit(tmp_path):
    progress = Progress(step=7, best_step=5, best_nll=0.1 + 0.2, interval_nats=1 / 3, interval_tokens=11)
    with new_checkpoint(tmp_path, progress, LINEAGE):
        pass
    assert read_progress(checkpoint_path(tmp_path, 7)) == progress


def test_a_damaged_checkpoint_is_named(tmp_path):
    save(tmp_path, 10)
    (checkpoint_path(tmp_path, 10) / "progress.json").write_text('{"step": ')
    with pytest.raises(TrainingError, match=r"progress\.json: not readable .* delete .*step-00000010 and train again"):
        read_progress(checkpoint_path(tmp_path, 10))


def test_metrics_after_the_checkpoint_and_half_lines_are_dropped_on_resume(tmp_path):
    metrics = MetricsFile(tmp_path, step=0)
    for step in (1, 2, 3):
        metrics.write(step=step, nll=1.0)
    metrics.close()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 1, "nl')
    metrics = MetricsFile(tmp_path, step=2)
    metrics.write(step=3, nll=2.0)
    metrics.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "nll": 1.0}, {"step": 2, "nll": 1.0}, {"step": 3, "nll": 2.0}]


def test_a_checkpoint_says_what_it_comes_from_wherever_it_lies(tmp_path):
    save(tmp_path, 10)
    told = json.loads((checkpoint_path(tmp_path, 10) / "lineage.json").read_text())
    assert told == {**LINEAGE, "step": 10}


def test_weights_alone_name_the_certificate_and_are_the_same_weights(tmp_path):
    weights = {"b": torch.arange(5.0), "a": torch.ones(3, 2, dtype=torch.bfloat16), "none": torch.empty(0)}
    path = tmp_path / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    stamp_weights(path, LINEAGE)
    with safe_open(path, framework="pt") as file:
        told = file.metadata()
    assert told == {
        "format": "pt",
        "pianogen.experiment": "tiny",
        "pianogen.run_id": "run",
        "pianogen.split_version": "split",
        "pianogen.shards_version": "shards",
        "pianogen.certificate": "certificate",
    }
    found = load_file(path)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    before = path.read_bytes()
    stamp_weights(path, LINEAGE)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]


def stamped(folder, run_id="run", of_weights="run"):
    """A checkpoint that says, and whose weights say, of which run it is."""
    folder.mkdir()
    (folder / "lineage.json").write_text(json.dumps({**LINEAGE, "run_id": run_id}))
    save_file({"a": torch.ones(2)}, folder / "model.safetensors")
    stamp_weights(folder / "model.safetensors", {**LINEAGE, "run_id": of_weights})
    return folder


def test_a_checkpoint_or_its_weights_of_another_run_are_refused_and_both_runs_are_named(tmp_path):
    require_same_run(stamped(tmp_path / "own"), "run", "begin anew")
    named = r"of run other of the experiment tiny, though it lies in run run: .*; begin anew"
    with pytest.raises(TrainingError, match=r"lineage\.json: " + named):
        require_same_run(stamped(tmp_path / "copied", run_id="other"), "run", "begin anew")
    with pytest.raises(TrainingError, match=r"model\.safetensors: " + named):
        require_same_run(stamped(tmp_path / "swapped", of_weights="other"), "run", "begin anew")
    with pytest.raises(TrainingError, match=r"none: not a whole checkpoint .*; begin anew"):
        require_same_run(tmp_path / "none", "run", "begin anew")


def test_weights_of_a_fine_tune_name_its_parents(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(2)}, path)
    parents = [{"experiment": "oldest", "run_id": "1"}, {"experiment": "older", "run_id": "2"}]
    stamp_weights(path, {**LINEAGE, "parents": parents})
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["pianogen.parents"] == "oldest/1 older/2"


KILLED = """
import json, os, pathlib, signal, sys
from pianogen.training import checkpoints
from pianogen.training.runs import swap_in, write_json

root = pathlib.Path(sys.argv[1])
lineage = {name: "" for name in checkpoints.STAMPED}


def save(run, step):
    with checkpoints.new_checkpoint(run, checkpoints.Progress(step=step, best_step=10), lineage) as folder:
        (folder / "model.safetensors").write_bytes(b"weights of %d" % step)


def save_and_die(run, die_at):
    calls = 0

    def counted(function):
        def call(*args, **options):
            nonlocal calls
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    for where, name in ((os, "fsync"), (os, "unlink"), (pathlib.Path, "rename"), (pathlib.Path, "replace")):
        setattr(where, name, counted(getattr(where, name)))
    save(run, 30)
    with checkpoints.aside(run) as target:
        for name in ("model.safetensors", "config.json"):
            (target / name).write_bytes(b"best")
        swap_in(target, run / "best")
    write_json(run / "run.json", {})


die_at, died = 0, True
while died:
    die_at += 1
    run = root / str(die_at)
    run.mkdir()
    save(run, 10)
    save(run, 20)
    child = os.fork()
    if not child:
        save_and_die(run, die_at)
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
"""


def test_killed_at_any_moment_of_writing_pruning_and_publishing_a_run_has_whole_checkpoints_and_the_best_of_them(
    tmp_path,
):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True)
    # Killed before every call that makes something last, or takes it away; the last run was not killed at all.
    runs = sorted(tmp_path.iterdir(), key=lambda run: int(run.name))
    assert len(runs) > 15
    assert (runs[-1] / "run.json").exists()
    assert checkpoint_steps(runs[0]) == [10, 20]
    assert checkpoint_steps(runs[-1]) == [10, 30]
    for run in runs:
        steps = checkpoint_steps(run)
        assert steps in ([10, 20], [10, 20, 30], [10, 30])
        for step in steps:
            assert (checkpoint_path(run, step) / "model.safetensors").read_bytes() == b"weights of %d" % step
            assert read_progress(checkpoint_path(run, step)).step == step
        published = sorted(path.name for path in (run / "best").glob("*"))
        assert published in ([], ["config.json", "model.safetensors"])
        assert published or not (run / "run.json").exists()
        if 20 not in steps:
            assert [line["path"] for line in read_pruned(run)] == ["checkpoints/step-00000020"]
        remove_abandoned(run)
        assert not list(run.glob("tmp-*"))
