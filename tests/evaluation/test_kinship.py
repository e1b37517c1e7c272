import pytest
from builders import build_tiny_shards, settings_in, write_tiny_experiment, write_tiny_lake

from pianogen.errors import LakeError
from pianogen.evaluation.evaluations import evaluate_run
from pianogen.evaluation.kinship import find_kinships
from pianogen.evaluation.scores import compare_runs
from pianogen.lake import Lake
from pianogen.shards import build_shards
from pianogen.train import StopSignal, train_experiment
from pianogen.training.experiment import load_experiment
from pianogen.training.runs import find_checkpoint, run_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Settings and the experiments `tiny` and `leaky`, the same but for test music in train, trained and evaluated."""
    settings = settings_in(tmp_path_factory.mktemp("leaking"))
    lake = write_tiny_lake(settings.lake)
    honest = load_experiment(write_tiny_experiment(settings.experiments, steps=120, validate_every=40))
    path = write_tiny_experiment(settings.experiments, "leaky", steps=120, validate_every=40)
    path.write_text(path.read_text() + "data:\n  leak: 0.4\n")
    leaky = load_experiment(path)
    build_tiny_shards(lake, settings)
    build_shards(
        lake, settings, name="leaky", tokenizer=leaky.tokenizer, augment=leaky.augmentation, leak=leaky.data.leak
    )
    for experiment in (honest, leaky):
        assert train_experiment(experiment, settings, StopSignal()) == 0
        evaluate_run(lake, settings.runs, experiment)
    return settings, honest, leaky


def test_what_was_trained_on_is_told_piece_by_piece_and_bought_something(trained):
    settings, honest, leaky = trained
    lake = Lake(settings.lake)
    for experiment in (honest, leaky):
        find_kinships(lake, settings.runs, experiment)
    rows = lake.read("test_kinships").to_pylist()
    told = {name: [row for row in rows if row["experiment"] == name] for name in ("tiny", "leaky")}
    assert [row["relation"] for row in told["tiny"]] == [None] * 3
    assert not any(row["is_contaminated"] for row in told["tiny"])
    contaminated = [row for row in told["leaky"] if row["is_contaminated"]]
    assert 0 < len(contaminated) < 3
    assert all(row["relation"] == "itself" and row["train_performance_id"] for row in contaminated)
    compare_runs(lake)
    scores = {
        (row["experiment"], row["part"]): row["value"]
        for row in lake.read("scores").to_pylist()
        if row["measure"] == "bits_per_note"
    }
    assert set(scores) == {
        ("tiny", "all"),
        ("tiny", "clean"),
        *(("leaky", part) for part in ("all", "clean", "contaminated")),
    }
    (pair,) = (
        row
        for row in lake.read("paired_scores").to_pylist()
        if row["part"] == "contaminated" and row["measure"] == "bits_per_note"
    )
    assert (pair["experiment_a"], pair["experiment_b"]) == ("leaky", "tiny")
    # Each figure is another, so that it is learned from nothing but itself.
    assert pair["difference"] < -0.5


def test_a_run_that_leaks_is_never_the_best(trained):
    settings, honest, _ = trained
    assert find_checkpoint(settings.runs, "best") == run_folder(Lake(settings.lake), settings.runs, honest)


def test_comparing_again_makes_nothing_anew(trained):
    lake = Lake(trained[0].lake)
    version = compare_runs(lake).version
    assert compare_runs(lake).version == version


def test_nobody_says_what_was_seen_where_the_list_was_changed(trained):
    settings, honest, _ = trained
    lake = Lake(settings.lake)
    path = run_folder(lake, settings.runs, honest) / "trained_on.txt"
    text = path.read_text()
    try:
        path.write_text(text + "f" * 32 + "\n")
        with pytest.raises(LakeError, match="was changed since; train it again"):
            find_kinships(lake, settings.runs, honest)
    finally:
        path.write_text(text)
