import hashlib
import shutil

import pytest
from builders import train_tiny

from pianogen.errors import TrainingError
from pianogen.evaluation import evaluations
from pianogen.evaluation.evaluations import evaluate_run
from pianogen.evaluation.likelihood import score
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.shards import ShardSet
from pianogen.training.runs import read_run, run_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("evaluated"))


def test_every_test_performance_is_scored_once(trained):
    settings, config = trained
    lake = Lake(settings.lake)
    manifest = evaluate_run(lake, settings.runs, config)
    run = run_folder(lake, settings.runs, config)
    assert manifest.partition == "tiny"
    assert manifest.info["run_id"] == run.name
    rows = {row["performance_id"]: row for row in lake.read("evaluations").to_pylist()}
    shards = ShardSet(lake, "tiny")
    test = shards.sequences("test")
    assert sorted(rows) == sorted(test.performance_ids)
    model = load_model(run / "best", "gpt2", len(shards.tokenizer.vocab))
    played = lake.read("performances").to_pylist()
    seconds = {row["performance_id"]: row["duration_sec"] for row in played}
    for i, performance_id in enumerate(test.performance_ids):
        row = rows[performance_id]
        assert (row["experiment"], row["run_id"]) == ("tiny", read_run(run)["run_id"])
        assert (row["num_tokens"], row["num_notes"]) == (len(test[i]) - 1, test.num_notes[i])
        assert row["duration_sec"] == seconds[performance_id]
        assert row["nats"] == pytest.approx(score(model, [test[i]], 32)[0], rel=1e-5)


def test_a_run_is_evaluated_once_and_always_to_the_same_bytes(trained):
    settings, config = trained
    lake = Lake(settings.lake)

    def block():
        (path,) = lake.paths("evaluations")
        return path, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()

    version = evaluate_run(lake, settings.runs, config).version
    path, written, sha256 = block()
    assert evaluate_run(lake, settings.runs, config).version == version
    assert block() == (path, written, sha256)
    shutil.rmtree(path.parent)
    progress = []
    evaluate_run(lake, settings.runs, config, progress=lambda done, num: progress.append((done, num)))
    assert (block()[0], block()[2]) == (path, sha256)
    num_tokens = sum(row["num_tokens"] for row in lake.read("evaluations").to_pylist())
    assert progress[-1] == (num_tokens, num_tokens)


def test_a_run_that_is_not_finished_is_refused(trained, tmp_path):
    settings, config = trained
    with pytest.raises(TrainingError, match="no finished training of this experiment on its current shards"):
        evaluate_run(Lake(settings.lake), tmp_path, config)


def test_other_code_of_the_architecture_is_another_evaluation(trained, monkeypatch):
    settings, config = trained
    lake = Lake(settings.lake)
    before = evaluate_run(lake, settings.runs, config).blocks
    # As if a module of the model's had changed.
    monkeypatch.setattr(evaluations, "model_code", lambda name: (f"pianogen.models.{name}", "pianogen.models.windows"))
    after = evaluate_run(lake, settings.runs, config).blocks
    assert after != before
    monkeypatch.undo()
    assert evaluate_run(lake, settings.runs, config).blocks == before
