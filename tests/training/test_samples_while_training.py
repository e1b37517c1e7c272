"""Samples drawn while a model trains: the training does not notice, whatever becomes of them."""

import dataclasses
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import settings_in, write_tiny_experiment
from symusic import Score
from trainings import StopAfter

from pianogen.generation.continuation import Sample
from pianogen.generation.while_training import TrainingSampler
from pianogen.lake import Lake
from pianogen.midi.columns import NoteColumns
from pianogen.models import make_model
from pianogen.shards import ShardSet
from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import Progress, checkpoint_steps
from pianogen.training.experiment import GenerationConfig, load_experiment
from pianogen.training.runs import run_folder
from pianogen.training.samples import Samples, undisturbed

TIMES = ("elapsed_sec", "remaining_sec", "tokens_per_sec", "loader_share", "memory_mb", "gpu_memory_mb")
STEPS = {"steps": 14, "log_every": 5, "validate_every": 10, "checkpoint_every": 5}
GO_ON = SimpleNamespace(requested=False)


def trained(shared_lake, place, stop=None, **training):
    """Folder of a run that is trained as far as `stop` lets it."""
    settings = dataclasses.replace(settings_in(place), lake=shared_lake)
    place.mkdir(exist_ok=True)
    config = load_experiment(write_tiny_experiment(place, **STEPS, **training))
    train_experiment(config, settings, stop or StopSignal())
    return run_folder(Lake(shared_lake), settings.runs, config)


def metrics_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def weights_of(folder):
    return (folder / "checkpoints" / "step-00000014" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def silent(shared_lake, tmp_path_factory):
    return trained(shared_lake, tmp_path_factory.mktemp("silent"))


@pytest.fixture(scope="module")
def sampled(shared_lake, tmp_path_factory):
    return trained(shared_lake, tmp_path_factory.mktemp("sampled"), sample_every=4)


def test_weights_and_metrics_are_those_of_a_training_without_samples(silent, sampled):
    assert sampled.name == silent.name
    assert weights_of(sampled) == weights_of(silent)
    lines = metrics_of(sampled)
    assert [line for line in lines if line["split"] != "sample"] == metrics_of(silent)
    told = [(line["step"], line["sample"]) for line in lines if line["split"] == "sample"]
    assert told == [(step, name) for step in (4, 8, 12) for name in ("prompted", "unprompted")]


def test_a_sample_is_a_midi_file_of_the_notes_that_its_line_tells(sampled):
    lines = [line for line in metrics_of(sampled) if line.get("file")]
    assert {line["file"] for line in lines} >= {f"samples/step-000000{step:02d}-prompted.mid" for step in (4, 8, 12)}
    assert {path.name for path in (sampled / "samples").iterdir()} == {line["file"][8:] for line in lines}
    for line in lines:
        score = Score(sampled / line["file"])
        assert score.note_num() == line["num_notes"] > 0
        assert score.to("second").end() == pytest.approx(line["duration_sec"], abs=0.01)
    others = [line for line in metrics_of(sampled) if line["split"] == "sample" and line not in lines]
    assert all((line["num_notes"], line["error"]) == (0, "no notes") for line in others)


def test_it_goes_on_from_validation_music_and_never_from_test_music(shared_lake, tmp_path):
    shards = ShardSet(Lake(shared_lake), "tiny")
    sampler = TrainingSampler(Lake(shared_lake), shards, load_experiment(write_tiny_experiment(tmp_path)))
    prompted, unprompted = sampler.prompts
    assert prompted.performance_id in set(shards.sequences("validation").performance_ids)
    assert unprompted.notes is None


def test_a_stop_cuts_the_drawing_short_and_the_next_start_draws_it(shared_lake, sampled, tmp_path):
    folder = trained(shared_lake, tmp_path, StopAfter(20), sample_every=4)
    assert checkpoint_steps(folder) == [4]
    assert metrics_of(folder) == []
    assert not (folder / "samples").exists()
    assert trained(shared_lake, tmp_path, sample_every=4) == folder
    assert metrics_of(folder) == metrics_of(sampled)
    assert weights_of(folder) == weights_of(sampled)
    files = [{path.name: path.read_bytes() for path in (one / "samples").iterdir()} for one in (folder, sampled)]
    assert files[0] == files[1]


class Fails:
    names = ("prompted", "unprompted")

    def __call__(self, model, step, before_token):
        raise RuntimeError("probability tensor contains nan")


class Silent:
    names = ("unprompted",)

    def __call__(self, model, step, before_token):
        empty = NoteColumns(*(np.empty(0, np.int64) for _ in range(4)), ticks_per_quarter=480)
        return [Sample(notes=empty, tempo_qpm=120.0, prompt_sec=0.0, midi=b"MThd")]


def test_a_sample_that_cannot_be_drawn_is_told_and_nothing_is_written(tmp_path):
    model = torch.nn.Linear(2, 2)
    lines = Samples(tmp_path, 5, Fails()).draw(model, 5, GO_ON)
    error = "RuntimeError: probability tensor contains nan"
    assert lines == [{"sample": "prompted", "error": error}, {"sample": "unprompted", "error": error}]
    (line,) = Samples(tmp_path, 5, Silent()).draw(model, 5, GO_ON)
    assert (line["num_notes"], line["error"]) == (0, "no notes")
    assert not list(tmp_path.iterdir())


def test_a_sample_that_cannot_be_written_is_told(tmp_path, shared_lake):
    (tmp_path / "samples").write_text("in the way")
    config = load_experiment(write_tiny_experiment(tmp_path))
    config = dataclasses.replace(config, generation=GenerationConfig(prompt_sec=3.0, max_tokens=1))
    sampler = TrainingSampler(Lake(shared_lake), ShardSet(Lake(shared_lake), "tiny"), config)
    model = make_model(config.model, len(sampler.tokenizer.vocab))
    line, _ = Samples(tmp_path, 5, sampler).draw(model, 5, GO_ON)
    assert "samples" in line["error"]
    assert "file" not in line


def test_they_are_due_once_at_each_multiple(tmp_path):
    samples = Samples(tmp_path, 5, Fails())
    due = [step for step in range(12) if samples.due(Progress(step=step))]
    assert due == [5, 10]
    assert not samples.due(Progress(step=5, sampled_step=5))
    assert not Samples(tmp_path, 0, Fails()).due(Progress(step=5))


def test_modes_and_random_states_are_what_they_were():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    model.train()
    model[1].eval()  # one that its owner keeps frozen
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        assert torch.rand(1).item() + random.random() + np.random.rand() > 0
    assert [module.training for module in model] == [True, False, True]
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected
