"""What a training may add to its updates: an average of the weights, an early end, other number formats, compiling."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from builders import settings_in, write_tiny_experiment
from safetensors.torch import load_file
from trainings import StopAfter

from pianogen.evaluation.likelihood import choose_within, measure
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.models.noise import Noise
from pianogen.shards import ShardSet
from pianogen.train import StopSignal, train_experiment
from pianogen.training.checkpoints import checkpoint_path, checkpoint_steps, read_progress
from pianogen.training.experiment import load_experiment
from pianogen.training.runs import read_run, run_folder
from pianogen.training.trainer import train


class Run:
    """A training of the tiny lake in this process."""

    def __init__(self, shared_lake, folder, **training) -> None:
        folder.mkdir(exist_ok=True)
        self.settings = dataclasses.replace(settings_in(folder), lake=shared_lake)
        self.config = load_experiment(write_tiny_experiment(folder, **training))
        self.folder = run_folder(Lake(shared_lake), self.settings.runs, self.config)

    def train(self, stop: StopSignal | None = None) -> int:
        return train_experiment(self.config, self.settings, stop or StopSignal())

    @property
    def metrics(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    def nll(self, split: str = "train") -> list[float]:
        return [line["nll"] for line in self.metrics if line["split"] == split]


ALL = {"steps": 12, "validate_every": 4, "checkpoint_every": 2, "log_every": 3, "learning_rate": 0.003}


def test_averaged_and_counted_by_tokens_a_stopped_training_ends_with_the_bytes_of_an_undisturbed_one(
    shared_lake, tmp_path
):
    options = {**ALL, "ema": 0.9, "tokens_per_update": 200, "patience": 3}
    undisturbed, stopped = (Run(shared_lake, tmp_path / name, **options) for name in ("undisturbed", "stopped"))
    assert undisturbed.train() == 0
    assert stopped.train(StopAfter(5)) != 0
    assert checkpoint_steps(stopped.folder)[-1] == 5  # between logged steps and validations
    assert stopped.train() == 0
    assert stopped.nll() == undisturbed.nll()
    assert stopped.nll("validation") == undisturbed.nll("validation")
    for name in ("model", "average"):
        files = [checkpoint_path(run.folder, 12) / f"{name}.safetensors" for run in (undisturbed, stopped)]
        assert files[0].read_bytes() == files[1].read_bytes()
    best = [(run.folder / "best" / "model.safetensors").read_bytes() for run in (undisturbed, stopped)]
    assert best[0] == best[1]
    progress = read_progress(checkpoint_path(stopped.folder, 12))
    assert progress.num_examples == read_progress(checkpoint_path(undisturbed.folder, 12)).num_examples
    # Windows have 32 tokens.
    assert 200 * 12 <= progress.num_tokens < (200 + 32) * 12


def test_what_is_kept_of_an_averaged_training_is_the_average_that_was_validated(shared_lake, tmp_path):
    run = Run(shared_lake, tmp_path, **ALL, ema=0.9)
    assert run.train() == 0
    told = read_run(run.folder)
    checkpoint = checkpoint_path(run.folder, told["best_step"])
    kept = load_file(run.folder / "best" / "model.safetensors")
    weights, average = (load_file(checkpoint / f"{name}.safetensors") for name in ("model", "average"))
    assert kept.keys() == weights.keys() == average.keys()
    assert all(torch.equal(kept[name], average[name]) for name in kept)
    assert not all(torch.equal(kept[name], weights[name]) for name in kept)
    shards = ShardSet(Lake(shared_lake), "tiny")
    validation = shards.sequences("validation")
    model = load_model(run.folder / "best", "gpt2", len(shards.tokenizer.vocab))
    found = measure(model, validation, choose_within(validation, 10**9), 32)
    assert found.nll == pytest.approx(told["validation_nll"], rel=1e-6)


def test_without_an_average_none_is_saved_and_training_is_the_same_with_one(shared_lake, tmp_path):
    plain, averaged = Run(shared_lake, tmp_path / "plain", **ALL), Run(shared_lake, tmp_path / "ema", **ALL, ema=0.9)
    assert plain.train() == averaged.train() == 0
    assert not list(plain.folder.rglob("average.safetensors"))
    assert plain.nll() == averaged.nll()
    assert plain.nll("validation") != averaged.nll("validation")


def test_dropout_falls_to_what_is_left_at_the_end_and_goes_on_falling_after_a_stop(shared_lake, tmp_path, monkeypatch):
    shares = []
    scale = Noise.scale
    monkeypatch.setattr(Noise, "scale", lambda noise, by: (shares.append(by), scale(noise, by)))
    options = {**ALL, "steps": 8, "dropout_end": 0.2}
    undisturbed, stopped = (Run(shared_lake, tmp_path / name, **options) for name in ("undisturbed", "stopped"))
    assert undisturbed.train() == 0
    falling = [1 - 0.8 * step / 8 for step in range(8)]
    assert shares == pytest.approx(falling)
    shares.clear()
    assert stopped.train(StopAfter(3)) != 0
    assert stopped.train() == 0
    assert shares == pytest.approx(falling)
    assert stopped.nll() == undisturbed.nll()
    constant = Run(shared_lake, tmp_path / "constant", **{**options, "dropout_end": 1.0})
    assert constant.train() == 0
    assert constant.nll() != undisturbed.nll()


class Scripted:
    """Validations whose results are known before."""

    def __init__(self, *bits: float) -> None:
        self.bits = list(bits)

    def __call__(self, model) -> SimpleNamespace:
        bits = self.bits.pop(0)
        # As of another tokenizer: what nats per token say is the contrary, and does not count.
        return SimpleNamespace(nll=10 - bits, bits_per_note=bits, num_tokens=1, num_performances=1)


def test_training_ends_when_no_validation_was_better_for_so_long_and_does_not_go_on_after(shared_lake, tmp_path):
    run = Run(shared_lake, tmp_path, **{**ALL, "steps": 100}, patience=2)
    shards = ShardSet(Lake(shared_lake), "tiny")
    validate = Scripted(5, 6, 4, 4, 4.5, 1)
    told = train(run.config, shards, run.folder, validate=validate, stop=StopSignal())
    assert validate.bits == [1]
    assert (told["status"], told["stopped_early"], told["steps"]) == ("finished", True, 20)
    assert (told["best_step"], told["validation_bits_per_note"]) == (12, 4)
    assert checkpoint_steps(run.folder) == [12, 20]
    # The schedule is that of all steps, and was not at its end.
    assert run.metrics[-2]["learning_rate"] > 0.8 * run.config.training.learning_rate
    # Killed before run.json was written, it is told again and not trained on.
    before = run.metrics
    (run.folder / "run.json").unlink()
    shutil.rmtree(run.folder / "best")
    again = train(run.config, shards, run.folder, validate=Scripted(), stop=StopSignal())
    assert again == told
    assert run.metrics == before
    assert (run.folder / "best" / "model.safetensors").is_file()


def test_patience_counts_on_over_a_stop(shared_lake, tmp_path):
    run = Run(shared_lake, tmp_path, **{**ALL, "steps": 100}, patience=2)
    shards = ShardSet(Lake(shared_lake), "tiny")
    assert train(run.config, shards, run.folder, validate=Scripted(5, 6), stop=StopAfter(9)) is None
    told = train(run.config, shards, run.folder, validate=Scripted(7, 1), stop=StopSignal())
    assert (told["stopped_early"], told["steps"], told["best_step"]) == (True, 12, 4)


def test_a_training_out_of_patience_at_its_last_step_has_not_ended_early(shared_lake, tmp_path):
    run = Run(shared_lake, tmp_path, **{**ALL, "steps": 8}, patience=1)
    shards = ShardSet(Lake(shared_lake), "tiny")
    told = train(run.config, shards, run.folder, validate=Scripted(5, 6), stop=StopSignal())
    assert (told["stopped_early"], told["steps"]) == (False, 8)


@pytest.mark.filterwarnings("ignore:this CPU has no instructions for bf16")
def test_in_bf16_training_learns_as_in_fp32_and_is_validated_in_fp32(shared_lake, tmp_path):
    fp32 = Run(shared_lake, tmp_path / "fp32", **ALL, precision="fp32")
    bf16 = Run(shared_lake, tmp_path / "bf16", **ALL, precision="bf16")
    assert fp32.train() == bf16.train() == 0
    assert bf16.nll() == pytest.approx(fp32.nll(), rel=0.01)
    assert bf16.nll() != fp32.nll()
    assert (read_run(bf16.folder)["precision"], read_run(fp32.folder)["precision"]) == ("bf16", "fp32")
    weights = load_file(bf16.folder / "best" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    shards = ShardSet(Lake(shared_lake), "tiny")
    validation = shards.sequences("validation")
    model = load_model(bf16.folder / "best", "gpt2", len(shards.tokenizer.vocab))
    found = measure(model, validation, choose_within(validation, 10**9), 32)
    assert found.nll == pytest.approx(read_run(bf16.folder)["validation_nll"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++")), reason="torch.compile needs a C++ compiler on a CPU"
)
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
def test_compiled_training_has_the_losses_of_the_other_and_weights_under_the_same_names(shared_lake, tmp_path):
    runs = []
    for compiled in (False, True):
        run = Run(shared_lake, tmp_path / str(compiled), **{**ALL, "steps": 4, "log_every": 1}, compile=compiled)
        # Compiled code draws in another way what dropout leaves out.
        run.config = dataclasses.replace(run.config, model=dataclasses.replace(run.config.model, dropout=0.0))
        run.folder = run_folder(Lake(shared_lake), run.settings.runs, run.config)
        assert run.train() == 0
        runs.append(run)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert runs[1].nll() == pytest.approx(runs[0].nll(), rel=1e-4)
    kept = [load_file(run.folder / "best" / "model.safetensors") for run in runs]
    assert kept[0].keys() == kept[1].keys()
