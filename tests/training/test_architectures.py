"""Every architecture goes the whole way: trained, stopped, resumed, scored, and continued."""

import dataclasses
import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from architectures import first_read
from builders import settings_in, write_tiny_experiment
from symusic import Score
from trainings import StopAfter

from pianogen.augment import AugmentConfig
from pianogen.evaluation.evaluations import evaluate_run
from pianogen.evaluation.likelihood import choose_within, measure
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.samples import generate_samples
from pianogen.generation.sampling import continue_tokens
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.models.configs import CONFIGS
from pianogen.shards import ShardSet, build_shards
from pianogen.tokenizers.base import BOS_ID
from pianogen.train import StopSignal, train_experiment
from pianogen.training.experiment import load_experiment
from pianogen.training.runs import read_run, run_folder

SIZES = {
    "encoder": {"n_layer": 1, "n_head": 2, "n_embd": 16, "d_inner": 32},
    "music_transformer": {"n_layer": 1, "n_head": 2, "n_embd": 16},
    "gru": {"n_embd": 8, "n_hidden": 16, "window": 8},
    "gru_attention": {"n_embd": 8, "n_hidden": 16, "window": 0},
    "encoder_attention": {"n_layer": 1, "n_head": 2, "n_embd": 16, "d_inner": 32, "window": 8},
    "continuous": {"n_layer": 1, "n_head": 2, "n_embd": 16, "num_components": 4},
    "pianist": {"n_layer": 1, "n_head": 2, "n_embd": 16, "d_voice": 16, "hide": 0.2},
    "pianist of voices": {"n_layer": 1, "n_gru": 1, "n_head": 2, "n_embd": 16, "d_voice": 16, "hide": 0.2},
    "continuous study": {"n_layer": 1, "n_head": 2, "n_embd": 16, "loss": "study"},
}


SCHEMES = {
    "continuous": {"name": "continuous"},
    "continuous study": {"name": "continuous"},
    "pianist of voices": {"name": "jsb", "steps_per_quarter": 2},
}
"""Of the shards that a variant is trained on, where that is not remi."""


@pytest.fixture(scope="module")
def lake_of(shared_lake, tmp_path_factory) -> Callable[[str], Path]:
    """Root of a lake in which the shards of `tiny` are as a variant wants them."""

    @functools.cache
    def made(scheme: str) -> Path:
        folder = tmp_path_factory.mktemp("lake")
        lake = Lake(shutil.copytree(shared_lake, folder / "lake"))
        augment = AugmentConfig(semitones=(-1, 0, 1))
        build_shards(lake, settings_in(folder), name="tiny", tokenizer=yaml.safe_load(scheme), augment=augment)
        return lake.root

    return lambda variant: made(yaml.safe_dump(SCHEMES[variant])) if variant in SCHEMES else shared_lake


def test_every_architecture_is_tested():
    assert {variant.split()[0] for variant in SIZES} | {"gpt2"} == set(CONFIGS)


@pytest.mark.parametrize("variant", SIZES)
def test_trained_stopped_and_resumed_it_has_the_weights_of_an_undisturbed_one(variant, lake_of, tmp_path):
    name, reads_notes = variant.split()[0], CONFIGS[variant.split()[0]].reads_notes
    shared_lake = lake_of(variant)
    path = write_tiny_experiment(tmp_path, steps=12, validate_every=10, checkpoint_every=5)
    sections = yaml.safe_load(path.read_text())
    if variant in ("pianist", "gru"):
        sections["training"]["optimizer"] = "muon"
    if variant == "pianist of voices":
        sections["training"] |= {"calibrate": True, "dropout_end": 0.5}
    sections["model"] = {"name": name, "context_length": 32, "dropout": 0.1, **SIZES[variant]}
    path.write_text(yaml.safe_dump(sections))
    config = load_experiment(path)
    weights = []
    for place, stops in (("undisturbed", []), ("stopped", [StopAfter(8)])):
        settings = dataclasses.replace(settings_in(tmp_path / place), lake=shared_lake)
        for stop in stops:
            assert train_experiment(config, settings, stop) != 0
        folder = run_folder(Lake(shared_lake), settings.runs, config)
        if stops:
            assert list((folder / "checkpoints").iterdir())
            assert read_run(folder) is None
        assert train_experiment(config, settings, StopSignal()) == 0
        weights.append((folder / "best" / "model.safetensors").read_bytes())
        run = read_run(folder)
    assert weights[0] == weights[1]
    assert (run["model"], run["n_embd"]) == (name, SIZES[variant]["n_embd"])

    shards = ShardSet(Lake(shared_lake), "tiny")
    model = load_model(folder / "best", name, len(shards.tokenizer.vocab))
    validation = shards.sequences("validation")
    found = measure(model, validation, choose_within(validation, 10**9), 32)
    assert found.nll == pytest.approx(run["validation_nll"], rel=1e-5)

    if reads_notes:
        # A row is one target, not four.
        assert 6 * 4 * 32 < run["num_train_tokens"] <= 12 * 4 * 32
        evaluated_and_played(config, settings)
        return
    prompt = np.concatenate(([BOS_ID], validation[0][1:20]))
    (drawn,) = continue_tokens(
        model, [prompt], max_tokens=30, decoding=DecodingConfig(temperature=0), seeds=[1], context_length=32
    )
    assert drawn[: len(prompt)].tolist() == prompt.tolist()
    read = drawn[:-1]
    read = read[first_read(len(read), 32, getattr(model, "stride", 1)) :]
    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(read[None])).logits[0, -1]
        assert drawn[-1] == 2 + int(logits[2:].argmax())


def evaluated_and_played(config, settings):
    """Rows of `evaluations` and `samples`, by the stages that make them of ids."""
    lake = Lake(settings.lake)
    evaluate_run(lake, settings.runs, config)
    rows = [row for row in lake.read("evaluations").to_pylist() if row["experiment"] == "tiny"]
    assert [row["num_tokens"] for row in rows] == [row["num_notes"] + 1 for row in rows]
    assert all(row["nats"] > 0 for row in rows)
    generate_samples(lake, settings.runs, config)
    samples = lake.read("samples").to_pylist()
    assert [row["sample"] for row in samples] == ["prompted_01", "prompted_02", "unprompted_01"]
    for row in samples[:2]:
        # Three seconds of the prompt at 100 quarters a minute, eighths: it is heard as fast as it is written.
        onsets = sorted(note.start for note in Score.from_midi(row["midi"]).to("second").tracks[0].notes)
        np.testing.assert_allclose(onsets[:10], 0.3 * np.arange(10), atol=0.002)
        assert row["prompt_sec"] == 3.0
