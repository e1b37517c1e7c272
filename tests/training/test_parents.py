"""Fine-tunes: what they begin with, what they are named by, and what is said of where they come from."""

import dataclasses
import hashlib
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
import yaml
from builders import build_tiny_shards, figure, settings_in, write_lake, write_tiny_experiment
from safetensors import safe_open
from safetensors.torch import load_file

from pianogen.errors import ContaminationError, SettingsError, TrainingError
from pianogen.lake import Lake
from pianogen.models import make_model
from pianogen.shards import ShardSet
from pianogen.train import StopSignal, train_experiment
from pianogen.training.experiment import load_experiment
from pianogen.training.lineage import origin
from pianogen.training.parents import Beginning, beginning_of
from pianogen.training.runs import find_parent, read_run, run_folder, run_id
from pianogen.warehouse.runs import read_runs

SHORT = {"steps": 6, "validate_every": 2, "checkpoint_every": 2}


class Trainings:
    """Trainings of experiments that all have shards of the same music."""

    def __init__(self, folder, lake: Lake) -> None:
        self.lake = lake
        self.settings = dataclasses.replace(settings_in(folder), lake=lake.root)

    def config(self, name, dropout=0.1, **training):
        path = write_tiny_experiment(self.settings.experiments, name, **{**SHORT, **training})
        sections = yaml.safe_load(path.read_text())
        sections["model"]["dropout"] = dropout
        path.write_text(yaml.safe_dump(sections))
        return load_experiment(path)

    def train(self, name, **training):
        config = self.config(name, **training)
        assert train_experiment(config, self.settings, StopSignal()) == 0
        return run_folder(self.lake, self.settings.runs, config)


@pytest.fixture(scope="module")
def lake(shared_lake, tmp_path_factory) -> Lake:
    """With shards of the same music under three names."""
    lake = Lake(shutil.copytree(shared_lake, tmp_path_factory.mktemp("named") / "lake"))
    for name in ("first", "second", "third"):
        build_tiny_shards(lake, settings_in(lake.root.parent), name=name)
    return lake


@pytest.fixture(scope="module")
def chain(lake, tmp_path_factory):
    """Three runs, each a fine-tune of the one before."""
    trainings = Trainings(tmp_path_factory.mktemp("chain"), lake)
    first = trainings.train("first")
    second = trainings.train("second", fine_tune="first", seed=2)
    third = trainings.train("third", fine_tune=str(second / "best"), dropout=0.0)
    return SimpleNamespace(trainings=trainings, folders=(first, second, third))


def lineage_in(folder):
    return json.loads((folder / "best" / "lineage.json").read_text())


def test_a_chain_of_three_is_read_back_with_data_split_and_certificate_of_each(chain, lake):
    first, second, third = chain.folders
    assert lineage_in(first)["parents"] == []
    said = lineage_in(third)
    assert [(one["experiment"], one["run_id"]) for one in said["parents"]] == [
        ("first", first.name),
        ("second", second.name),
    ]
    for folder, one in zip((first, second), said["parents"], strict=True):
        own = lineage_in(folder)
        kept = ("step", "dataset_versions", "licences", "split_version", "shards_version", "certificate", "trained_on")
        assert {name: one[name] for name in kept} == {name: own[name] for name in kept}
        assert one["split_version"] == lake.require("splits").version
        assert one["weights"] == hash_of_weights(folder)
    assert [one["parents_check"] for one in (*said["parents"], said)] == [None, "same_split", "same_split"]
    run = read_run(third)
    assert (run["parents"], run["parents_check"]) == (said["parents"], "same_split")
    for path in third.rglob("model.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert file.metadata()["pianogen.parents"] == f"first/{first.name} second/{second.name}"


def hash_of_weights(folder):
    return hashlib.sha256((folder / "best" / "model.safetensors").read_bytes()).hexdigest()


def test_the_warehouse_tells_the_chain(chain):
    first, second, third = chain.folders
    runs, _ = read_runs(chain.trainings.settings.runs)
    told = {row["run_id"]: (row["parents"], row["parents_check"]) for row in runs.to_pylist()}
    assert told == {
        first.name: ([], None),
        second.name: ([f"first/{first.name}"], "same_split"),
        third.name: ([f"first/{first.name}", f"second/{second.name}"], "same_split"),
    }


def test_a_fine_tune_begins_with_its_parents_weights_and_nothing_else_of_it(chain):
    first, second, _ = chain.folders
    trainings = chain.trainings
    config, shards = load_experiment(trainings.settings.experiments / "second.yaml"), ShardSet(trainings.lake, "second")
    beginning = Beginning(parent=find_parent(trainings.settings.runs, config))
    torch.manual_seed(99)
    model = make_model(config.model, len(shards.tokenizer.vocab))
    beginning.initialise(model, config, shards)
    weights = load_file(first / "best" / "model.safetensors")
    state = model.state_dict()
    assert all(torch.equal(state[name], found) for name, found in weights.items())
    # It goes on from there: what the parent reached is where the child begins.
    lines = [json.loads(line) for line in (second / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["step"] <= 4
    assert lines[0]["nll"] < 0.9 * json.loads((first / "metrics.jsonl").read_text().splitlines()[0])["nll"]


def test_another_parent_makes_another_run_whatever_it_is_called(chain):
    first, second, third = chain.folders
    trainings = chain.trainings
    parents = {}
    for name in ("first", str(first), str(first / "best"), str(second)):
        config = trainings.config("third", fine_tune=name, dropout=0.0)
        parents[name] = run_folder(trainings.lake, trainings.settings.runs, config)
    assert parents.pop(str(second)) == third
    (named_in_any_way,) = set(parents.values())
    assert named_in_any_way != third
    with pytest.raises(ValueError, match="a fine-tune, and no other run, is named by its parent"):
        run_id(config, "shards")


@pytest.mark.parametrize(
    "name, says",
    [
        ("best", r"'best' of second may become this run itself; name another experiment"),
        ("second", r"'second' of second may become this run itself"),
        ("nobody", r"training\.fine_tune of second: checkpoint 'nobody': neither"),
    ],
)
def test_a_parent_that_is_not_there_or_not_settled_is_refused(chain, name, says):
    config = chain.trainings.config("second", fine_tune=name)
    with pytest.raises(TrainingError, match=says):
        run_folder(chain.trainings.lake, chain.trainings.settings.runs, config)


def begun(chain, lake, config, folder):
    folder.mkdir()
    return beginning_of(config, ShardSet(lake, config.name), lake, chain.trainings.settings.runs, folder)


def test_weights_of_another_architecture_or_of_other_tokens_are_refused_and_both_are_named(chain, tmp_path):
    config = chain.trainings.config("second", fine_tune="first")
    wide = dataclasses.replace(config, model=dataclasses.replace(config.model, n_embd=32, n_head=4))
    with pytest.raises(
        TrainingError, match=r"a model of first with n_head 2, n_embd 16 cannot begin second with n_head 4, n_embd 32"
    ):
        begun(chain, chain.trainings.lake, wide, tmp_path / "wide")
    lake = Lake(shutil.copytree(chain.trainings.lake.root, tmp_path / "lake"))
    path = lake.root / "manifests" / "shards" / "second.json"
    manifest = json.loads(path.read_text())
    manifest["info"]["tokenizer"] |= {"num_ids": 221}
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        TrainingError, match=r"reads 220 tokens of remi \(version \w+\), second 221 tokens of remi \(version"
    ):
        begun(chain, lake, config, tmp_path / "tokens")


def test_a_model_that_was_copied_into_another_run_is_no_parent(chain, tmp_path):
    runs = shutil.copytree(chain.trainings.settings.runs, tmp_path / "runs")
    first, second, _ = (runs / folder.relative_to(chain.trainings.settings.runs) for folder in chain.folders)
    shutil.rmtree(first / "best")
    shutil.copytree(second / "best", first / "best")
    config = chain.trainings.config("second", fine_tune=str(first))
    with pytest.raises(TrainingError, match=rf"lineage\.json: of run {second.name} .* lies in run {first.name}"):
        beginning_of(config, ShardSet(chain.trainings.lake, "second"), chain.trainings.lake, runs, tmp_path)


def test_a_run_goes_on_from_its_own_checkpoints_only(chain, tmp_path):
    first, second, _ = chain.folders
    settings = dataclasses.replace(chain.trainings.settings, runs=tmp_path / "runs")
    own = settings.runs / "first" / first.name
    shutil.copytree(second / "checkpoints", own / "checkpoints")
    config = chain.trainings.config("first")
    with pytest.raises(TrainingError, match=rf"of run {second.name} of the experiment second, .* run {first.name}"):
        train_experiment(config, settings, StopSignal())
    assert not (own / "run.json").exists()


def test_licences_of_the_parents_hold_for_the_child(chain):
    config = load_experiment(chain.trainings.settings.experiments / "first.yaml")
    shards = ShardSet(chain.trainings.lake, "first")

    def told(*parents):
        said = origin(config, shards, Beginning(parents=parents))
        return said["licences"], said["non_commercial_datasets"]

    maestro = {"licences": {"maestro": "CC BY-NC-SA 4.0"}, "non_commercial_datasets": ["maestro"]}
    unknown = {"licences": None, "non_commercial_datasets": None}
    assert told() == ({"tiny": "not stated"}, [])
    assert told(maestro) == ({"maestro": "CC BY-NC-SA 4.0", "tiny": "not stated"}, ["maestro"])
    assert told(unknown) == (None, None)
    assert told(maestro, unknown) == (None, ["maestro"])


def test_unchecked_alone_says_nothing(tmp_path):
    path = write_tiny_experiment(tmp_path, fine_tune_unchecked=True)
    with pytest.raises(SettingsError, match=r"fine_tune_unchecked says something of training\.fine_tune, which is not"):
        load_experiment(path)


@pytest.mark.slow
def test_a_split_that_moved_what_the_parent_saw_stops_the_fine_tune(chain, tmp_path):
    """The parent was trained on what is test music now: nothing is trained, whatever the experiment says."""
    lake = Lake(shutil.copytree(chain.trainings.lake.root, tmp_path / "lake"))
    # The same music as in `write_tiny_lake`; the first of train and the last of test change places.
    splits = ["test", *["train"] * 7, *["validation"] * 2, *["test"] * 2, "train"]
    music = {f"{i:032x}": (split, figure(i, 48 + i, 40 + 3 * i)) for i, split in enumerate(splits)}
    write_lake(lake.root, music, tempo_qpm=100.0)
    build_tiny_shards(lake, chain.trainings.settings, name="second")
    trainings = Trainings(tmp_path, lake)
    trainings.settings = dataclasses.replace(trainings.settings, runs=chain.trainings.settings.runs)
    for unchecked in (False, True):
        config = trainings.config("second", fine_tune=str(chain.folders[0]), fine_tune_unchecked=unchecked)
        with pytest.raises(ContaminationError, match=rf"{0:032x} in test is what they were trained on"):
            train_experiment(config, trainings.settings, StopSignal())
        folder = run_folder(lake, trainings.settings.runs, config)
        assert not (folder / "checkpoints").exists()
    # A parent that says nothing of what it saw.
    quiet = shutil.copytree(chain.folders[0].parents[1], tmp_path / "runs") / "first" / chain.folders[0].name
    (quiet / "trained_on.txt").unlink()
    trainings.settings = dataclasses.replace(trainings.settings, runs=tmp_path / "runs")
    with pytest.raises(ContaminationError, match="what they were trained on is not written down"):
        trainings.train("second", fine_tune=str(quiet))
    child = trainings.train("second", fine_tune=str(quiet), fine_tune_unchecked=True)
    assert lineage_in(child)["parents_check"] == read_run(child)["parents_check"] == "unchecked"
    assert lineage_in(child)["trained_on"] is None
    assert not (child / "trained_on.txt").exists()
    # Nor can a child of that one be known to be clean.
    build_tiny_shards(lake, trainings.settings, name="third")
    with pytest.raises(ContaminationError, match=r"first .* and second .*, trained on another split"):
        trainings.train("third", fine_tune=str(child))
