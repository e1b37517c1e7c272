"""Trainings in this process: loss, validation, identity, and what a finished run holds."""

import contextlib
import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders import settings_in, write_tiny_experiment
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import TrainerCallback

from pianogen.augment import AugmentConfig
from pianogen.errors import TrainingError
from pianogen.evaluation.likelihood import choose_within, measure
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.models.devices import pick_device
from pianogen.shards import ShardSet, build_shards
from pianogen.shards.examples import IGNORED, batch_of
from pianogen.train import StopSignal, train_experiment
from pianogen.training import trainer
from pianogen.training.checkpoints import MetricsFile, Progress, checkpoint_steps
from pianogen.training.experiment import DataConfig, ExperimentConfig, load_experiment
from pianogen.training.lineage import lineage_of
from pianogen.training.loading import Updates
from pianogen.training.runs import read_run, run_folder, run_id


@pytest.fixture(scope="module")
def finished(shared_lake, tmp_path_factory):
    """A finished run: its experiment, settings and folder."""
    folder = tmp_path_factory.mktemp("finished")
    settings = dataclasses.replace(settings_in(folder), lake=shared_lake)
    config = load_experiment(write_tiny_experiment(folder, steps=120, validate_every=50, checkpoint_every=50))
    assert train_experiment(config, settings, StopSignal()) == 0
    return SimpleNamespace(
        config=config, settings=settings, folder=run_folder(Lake(shared_lake), settings.runs, config)
    )


def metrics_of(finished, split):
    lines = [json.loads(line) for line in (finished.folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == split]


def test_a_tiny_model_learns_scales(finished):
    train = metrics_of(finished, "train")
    assert train[0]["nll"] > 4
    assert train[-1]["nll"] < 1.5


def test_metrics_hold_every_logged_and_validated_step(finished):
    assert [line["step"] for line in metrics_of(finished, "train")] == list(range(4, 121, 4))
    assert [line["step"] for line in metrics_of(finished, "validation")] == [50, 100, 120]
    both = {"step", "split", "nll", "learning_rate", "gradient_norm", "tokens_per_sec", "memory_mb"}
    both |= {"elapsed_sec", "remaining_sec"} | ({"gpu_memory_mb"} if torch.cuda.is_available() else set())
    for line in metrics_of(finished, "train"):
        assert set(line) == both | {"loader_share"}
        assert 0 < line["loader_share"] < 1
        assert line["gradient_norm"] > 0
    for line in metrics_of(finished, "validation"):
        assert set(line) == both | {"bits_per_note"}


def test_the_time_left_shrinks_to_what_the_last_step_still_has_to_do(finished):
    lines = [*metrics_of(finished, "train"), *metrics_of(finished, "validation")]
    lines.sort(key=lambda line: line["elapsed_sec"])
    assert lines[-1]["remaining_sec"] < 0.2 * lines[-1]["elapsed_sec"]
    halfway = next(line for line in lines if line["step"] == 60)
    assert 0 < halfway["remaining_sec"] < 10 * lines[-1]["elapsed_sec"]


def test_the_gradient_norm_is_that_before_clipping(shared_lake, tmp_path):
    config = load_experiment(write_tiny_experiment(tmp_path, steps=1, max_grad_norm=1e-3, warmup_steps=0))
    found, *_ = first_gradients(config, ShardSet(Lake(shared_lake), "tiny"), tmp_path)
    clipped = sum(float(g.norm()) ** 2 for g in found.values()) ** 0.5
    assert clipped == pytest.approx(1e-3, rel=0.01)
    logged = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert logged["gradient_norm"] > 0.01


def test_the_kept_model_is_the_one_of_the_fewest_validation_bits_per_note(finished):
    run = read_run(finished.folder)
    best = min(metrics_of(finished, "validation"), key=lambda line: line["bits_per_note"])
    assert (run["best_step"], run["validation_nll"]) == (best["step"], best["nll"])
    assert run["validation_bits_per_note"] == best["bits_per_note"]
    shards = ShardSet(Lake(finished.settings.lake), "tiny")
    validation = shards.sequences("validation")
    model = load_model(finished.folder / run["checkpoint"], "gpt2", len(shards.tokenizer.vocab))
    found = measure(model, validation, choose_within(validation, 10**9), 32)
    assert found.nll == pytest.approx(best["nll"], rel=1e-6)
    assert found.num_performances == run["num_validation_performances"] == 2
    assert found.bits_per_note == pytest.approx(run["validation_bits_per_note"], rel=1e-6)


def test_a_finished_run_tells_where_its_model_comes_from(finished):
    run = read_run(finished.folder)
    shards = ShardSet(Lake(finished.settings.lake), "tiny")
    assert run["status"] == "finished"
    assert run["run_id"] == finished.folder.name
    assert run["experiment"] == finished.folder.parent.name == "tiny"
    assert (run["shards_version"], run["split_version"]) == (shards.version, shards.info["split_version"])
    assert run["dataset_versions"] == shards.info["dataset_versions"]
    assert run["certificate"] == shards.info["certificate"]
    weights = load_file(finished.folder / "best" / "model.safetensors")
    assert run["num_parameters"] == sum(w.numel() for w in weights.values())
    lineage = json.loads((finished.folder / "best" / "lineage.json").read_text())
    assert lineage["step"] == run["best_step"]
    told_twice = lineage.keys() & run.keys() - {"model"}
    assert {name: lineage[name] for name in told_twice} == {name: run[name] for name in told_twice}
    assert {"run_id", "certificate", "split_version", "shards_version", "licences"} <= told_twice
    assert json.loads((finished.folder / "best" / "tokenizer_settings.json").read_text())["name"] == "remi"


def test_every_checkpoint_carries_the_certificate_of_its_music_in_its_folder_and_in_its_weights(finished):
    certificate = ShardSet(Lake(finished.settings.lake), "tiny").info["certificate"]
    folders = {path.parent for path in finished.folder.rglob("*.safetensors")}
    steps = {int(path.name.removeprefix("step-")) for path in folders if path.name != "best"}
    assert steps == set(checkpoint_steps(finished.folder))
    assert finished.folder / "best" in folders
    for folder in folders:
        assert json.loads((folder / "lineage.json").read_text())["certificate"] == certificate
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            told = file.metadata()
        assert told["pianogen.certificate"] == certificate
        assert told["pianogen.run_id"] == finished.folder.name


def test_a_finished_run_keeps_its_best_and_last_checkpoint_and_nothing_half_written(finished):
    assert checkpoint_steps(finished.folder) == sorted({read_run(finished.folder)["best_step"], 120})
    assert not list(finished.folder.glob("tmp-*"))
    assert not list(finished.folder.rglob("training_args.bin"))


def test_a_finished_run_is_not_trained_again(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()}
    assert train_experiment(finished.config, finished.settings, StopSignal()) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()} == before


class Gradients(TrainerCallback):
    """What the optimizer is given at the first step."""

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.found = {name: p.grad.clone() for name, p in kwargs["model"].named_parameters()}


def first_gradients(config: ExperimentConfig, shards: ShardSet, folder):
    """Gradients of the first update, and the model and examples that they come from."""
    progress = Progress()
    with contextlib.closing(MetricsFile(folder, 0)) as metrics:
        scored = SimpleNamespace(nll=1.0, bits_per_note=1.0, num_tokens=1, num_performances=1)
        recorder = trainer.Recorder(
            config.training, progress, metrics, lambda model: scored, StopSignal(), lambda line: None
        )
        training = trainer.Training(config, shards, folder, pick_device("cpu"), lineage_of(config, shards))
        run = trainer.make_trainer(training, recorder)
        gradients = Gradients()
        run.add_callback(gradients)
        model = trainer.make_model(config.model, len(shards.tokenizer.vocab))
        model.load_state_dict(run.model.state_dict())
        run.train()
    assert isinstance(run.train_dataset, Updates)
    return gradients.found, model, run.train_dataset.source


@pytest.mark.parametrize(
    "accumulation",
    [
        {"batch_size": 6},
        {"batch_size": 2, "gradient_accumulation_steps": 3},
        {"batch_size": 4, "tokens_per_update": 1000},
    ],
)
def test_the_loss_of_an_update_is_the_mean_over_all_its_tokens(shared_lake, tmp_path, accumulation):
    config = load_experiment(write_tiny_experiment(tmp_path, steps=1, max_grad_norm=0.0, **accumulation))
    # Longer than some sequences and shorter than others: batches differ in how much of them is padding.
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, context_length=200, dropout=0.0))
    found, model, source = first_gradients(config, ShardSet(Lake(shared_lake), "tiny"), tmp_path)
    input_ids, labels = (torch.from_numpy(ids) for ids in batch_of(source, range(6))[:2])
    num_targets = (labels != IGNORED).sum(dim=1)
    assert len(set(num_targets.tolist())) > 1
    assert int(num_targets[:5].sum()) < 1000 <= int(num_targets.sum())
    logits = model(input_ids=input_ids).logits
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    loss.backward()
    logged = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert logged["nll"] == pytest.approx(loss.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(found[name], parameter.grad, rtol=1e-4, atol=1e-7, err_msg=name)


def test_a_run_is_named_by_what_its_weights_depend_on(finished):
    config = finished.config
    name = run_id(config, "shards")
    training = config.training
    on_gpu = dataclasses.replace(config, training=dataclasses.replace(training, device="cuda"))
    other_samples = dataclasses.replace(config, generation=dataclasses.replace(config.generation, seed=99))
    watched = dataclasses.replace(training, sample_every=10, loggers=("tensorboard",))
    assert {run_id(on_gpu, "shards"), run_id(other_samples, "shards")} == {name}
    assert run_id(dataclasses.replace(config, training=watched), "shards") == name
    other_seed = dataclasses.replace(config, training=dataclasses.replace(training, seed=99))
    other_size = dataclasses.replace(config, model=dataclasses.replace(config.model, n_layer=2))
    others = {run_id(other_seed, "shards"), run_id(other_size, "shards"), run_id(config, "others")}
    assert len(others | {name}) == 4


def test_a_mixture_in_bars_with_copies_drawn_while_loading_is_trained_on(shared_lake, tmp_path):
    settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake)
    plain = load_experiment(write_tiny_experiment(tmp_path, steps=4, validate_every=4, checkpoint_every=4))
    augmentation = AugmentConfig(semitones=(-1, 0, 1), velocity_scales=(1.0, 0.8), while_loading=True)
    mixed = dataclasses.replace(
        plain,
        data=DataConfig(datasets="tiny:2"),
        augmentation=augmentation,
        training=dataclasses.replace(plain.training, view="bars"),
    )
    assert train_experiment(mixed, settings, StopSignal()) == 0
    folder = run_folder(Lake(shared_lake), settings.runs, mixed)
    assert read_run(folder)["status"] == "finished"
    # Each of the three makes another run: the weights depend on it.
    shards = ShardSet(Lake(shared_lake), "tiny").version
    changes = [{"data": mixed.data}, {"augmentation": augmentation}, {"training": mixed.training}]
    ids = {run_id(dataclasses.replace(plain, **change), shards) for change in [{}, *changes]}
    assert len(ids) == 4


def test_a_scheme_without_ids_is_refused_before_anything_is_trained(shared_lake, tmp_path):
    lake = Lake(shutil.copytree(shared_lake, tmp_path / "lake"))
    settings = dataclasses.replace(settings_in(tmp_path), lake=lake.root)
    config = load_experiment(write_tiny_experiment(tmp_path, steps=4, validate_every=4, checkpoint_every=4))
    build_shards(lake, settings, name=config.name, tokenizer={"name": "continuous"}, augment=config.augmentation)
    with pytest.raises(TrainingError, match="model gpt2 reads ids; a token of continuous as it is set is a row of 4"):
        train_experiment(config, settings, StopSignal())
