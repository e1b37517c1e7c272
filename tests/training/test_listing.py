"""`pianogen checkpoints`: what is on the disk, what it is worth, what goes, and where it comes from."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
from builders import settings_in, write_tiny_experiment
from commands import pianogen
from filelock import FileLock

from pianogen.errors import TrainingError
from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import checkpoint_steps
from pianogen.training.experiment import load_experiment
from pianogen.training.listing import checkpoint_rows, description, find_run, sums
from pianogen.training.runs import read_run
from pianogen.training.storage import stored_runs


@pytest.fixture(scope="module")
def trained(shared_lake, tmp_path_factory):
    """A finished run whose best checkpoint is not its last, and its settings."""
    folder = tmp_path_factory.mktemp("trained")
    settings = dataclasses.replace(settings_in(folder), lake=shared_lake)
    config = load_experiment(write_tiny_experiment(folder, steps=120, validate_every=40, checkpoint_every=40))
    assert train_experiment(config, settings, StopSignal()) == 0
    (run,) = settings.runs.glob("tiny/*")
    assert read_run(run)["best_step"] < 120
    return SimpleNamespace(settings=settings, run=run)


@pytest.fixture
def project(trained, tmp_path):
    """A copy of it that a test may change, with a stopped run beside it."""
    root = tmp_path / "project"
    shutil.copytree(trained.settings.runs, root / "runs")
    (root / "pianogen.toml").write_text(
        f'lake = "{trained.settings.lake}"\nruns = "runs"\nexperiments = "{trained.settings.experiments}"\n'
        "[checkpoints]\nmax_gb_per_experiment = 2\nmax_gb = 0\n"
    )
    own = root / "runs" / "tiny" / trained.run.name
    other = shutil.copytree(own, own.with_name("0ld"))
    shutil.rmtree(other / "best")
    (other / "run.json").unlink()
    (other / "tmp-7").mkdir()
    (other / "tmp-7" / "half").write_bytes(b"12345")
    settings = dataclasses.replace(trained.settings, runs=root / "runs")
    return SimpleNamespace(root=root, run=own, other=other, settings=settings)


def test_rows_tell_kind_step_size_likelihood_age_and_lineage(trained):
    found = stored_runs(trained.settings)
    newest = max(one.written for one in found[0].stored)
    rows = checkpoint_rows(found, now=newest + 7200).to_pylist()
    run = read_run(trained.run)
    best, last = checkpoint_steps(trained.run)
    assert [(row["kind"], row["step"]) for row in rows] == [("best", best), ("last", last), ("finished", best)]
    for row in rows:
        assert (row["state"], row["changed"]) == ("finished", "")
        assert (row["certificate"], row["split_version"]) == (run["certificate"], run["split_version"])
        assert row["age_sec"] >= 7200
    for row in (rows[0], rows[2]):
        assert (row["nll"], row["bits_per_note"]) == (run["validation_nll"], run["validation_bits_per_note"])
    assert rows[1]["nll"] > run["validation_nll"]
    assert rows[2]["num_bytes"] == sum(path.stat().st_size for path in (trained.run / "best").iterdir())


def test_sums_stand_beside_the_limits_and_tell_what_was_removed(project):
    found = stored_runs(project.settings)
    one, all_of_them = sums(found, project.settings.checkpoints).to_pylist()
    assert (one["experiment"], one["num_runs"], one["num_checkpoints"]) == ("tiny", 2, 5)
    assert one["num_bytes"] == sum(run.num_bytes for run in found) == all_of_them["num_bytes"]
    assert (one["limit_gb"], all_of_them["limit_gb"]) == (20.0, 100.0)
    # The checkpoint between the best and the last, in both copies.
    assert one["num_pruned"] == 2
    assert one["pruned_bytes"] > 0


def test_the_command_lists_prunes_what_a_dry_run_said_and_leaves_the_model(project):
    listed = pianogen("checkpoints", cwd=project.root)
    assert listed.returncode == 0
    for text in ("finished", "orphaned", "settings", "left over", "best", "last", "bits_per_note", "removed so far"):
        assert text in listed.stdout
    rows = json.loads(pianogen("checkpoints", "--json", cwd=project.root).stdout)
    assert len(rows) == 6
    summed = json.loads(pianogen("checkpoints", "--sums", "--format", "json", cwd=project.root).stdout)
    assert [row["limit_gb"] for row in summed] == [2.0, None]
    going = {row["path"] for row in rows if row["kind"] != "finished"}

    def pruned(*options):
        said = pianogen("checkpoints", "--prune", "--json", *options, cwd=project.root)
        return {
            str(project.settings.runs / row["experiment"] / row["run_id"] / row["path"])
            for row in json.loads(said.stdout)
        }

    assert pruned("--dry-run") == going
    assert len(json.loads(pianogen("checkpoints", "--json", cwd=project.root).stdout)) == 6
    with FileLock(project.other / "lock"):
        running = {path for path in going if path.startswith(str(project.other))}
        assert len(running) == 3
        assert pruned("--dry-run") == going - running
    assert pruned() == going
    (model, nothing) = sorted(json.loads(pianogen("checkpoints", "--json", cwd=project.root).stdout), key=str)
    kinds = {row["run_id"]: row["kind"] for row in (model, nothing)}
    assert kinds == {project.run.name: "finished", "0ld": "pruned"}
    assert (project.run / "best" / "model.safetensors").is_file()
    assert "0.0 MB removed" in pianogen("checkpoints", "--prune", cwd=project.root).stdout
    said = pianogen("checkpoints", "--dry-run", cwd=project.root)
    assert (said.returncode, said.stderr.splitlines()[-1][:50]) == (
        1,
        "error: --dry-run says what --prune would do; name ",
    )


def test_a_run_is_found_by_its_id_its_experiment_and_its_folder_and_tells_its_whole_lineage(project):
    run = read_run(project.run)
    for name in (project.run.name[:6], "tiny", str(project.run / "best")):
        assert find_run(project.settings, name).folder == project.run
    known = description(find_run(project.settings, "0ld"))
    assert known["lineage"]["step"] == 120
    assert known["pruned"][0]["path"].startswith("checkpoints/step-")
    told = pianogen("checkpoints", "show", "tiny", cwd=project.root).stdout
    for name in ("certificate", "split_version", "shards_version", "code_version", "trained_on"):
        assert str(run[name]) in told
    assert "learning_rate: 0.01" in told
    assert json.loads(pianogen("checkpoints", "show", "0ld", "--json", cwd=project.root).stdout) == known
    for name, says in (("nobody", "no run's id, experiment or folder"), ("", "no run's id")):
        with pytest.raises(TrainingError, match=says):
            find_run(project.settings, name)
    shutil.copytree(project.other, project.other.with_name("0lder"))
    with pytest.raises(TrainingError, match="0ld, 0lder begin so; name more of it"):
        find_run(project.settings, "0l")


def test_a_model_is_exported_by_the_command(project):
    done = pianogen("export", "--checkpoint", "tiny", "--out", "model", cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert "model: README.md, config.json" in done.stdout
    assert (project.root / "model" / "tokenizer.json").is_file()
    again = pianogen("export", "--out", "model", cwd=project.root)
    assert (again.returncode, "model: is there; --force replaces it" in again.stderr) == (1, True)
