"""What a real Dagster run shows of a training while it runs, and when it is finished."""

import base64
import dataclasses
import json
import re

import dagster as dg
import pytest
from builders import build_tiny_shards, settings_in, write_tiny_experiment, write_tiny_lake

from pipelines import watching
from pipelines.assets.training import build
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

SMALL = 30_000
"""Bytes of a picture; it lies in the event database."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Settings of a project with shards, and its settings file."""
    root = tmp_path_factory.mktemp("watched")
    settings = dataclasses.replace(settings_in(root), experiments=root / "experiments")
    settings.experiments.mkdir()
    build_tiny_shards(write_tiny_lake(settings.lake), settings)
    write_tiny_experiment(settings.experiments, steps=12, validate_every=5, checkpoint_every=5, sample_every=10)
    config = root / "pianogen.toml"
    config.write_text('lake = "lake"\nruns = "runs"\nexperiments = "experiments"\nstarter = false\n')
    return settings, config


@pytest.fixture(scope="module")
def shown(project):
    """Events of a run of the asset, and its run's folder."""
    settings, config = project
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "OBSERVE_EVERY_SEC", 0.0)  # it is over in less than one interval
        outcome = dg.materialize(
            build(dg.StaticPartitionsDefinition(["tiny"])),
            resources={"workspace": Workspace(config_path=str(config))},
            partition_key="tiny",
            instance=instance,
        )
        assert outcome.success
        seen = observations_of(instance, "runs")
        logs = [entry.user_message for entry in instance.all_logs(outcome.run_id) if not entry.is_dagster_event]
    (folder,) = settings.runs.glob("tiny/*")
    return seen, logs, folder, outcome


def observations_of(instance, asset):
    """The oldest first."""
    records = instance.fetch_observations(dg.AssetKey(asset), limit=100).records
    return [record.asset_observation for record in reversed(records)]


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def values(observation):
    return {name: metadata.value for name, metadata in observation.metadata.items()}


def test_every_line_is_an_observation_with_numbers_that_the_ui_plots(shown):
    observations, _, folder, _ = shown
    lines = lines_of(folder)
    assert [values(one)["step"] for one in observations] == [line["step"] for line in lines]
    assert {one.partition for one in observations} == {"tiny"}
    for one, line in zip(observations, lines, strict=True):
        told = values(one)
        assert told["remaining_sec"] == line["remaining_sec"]
        assert told["memory_mb"] == line["memory_mb"]
        if line["split"] == "train":
            names = ("learning_rate", "gradient_norm", "tokens_per_sec", "loader_share")
            assert {name: told[name] for name in names} == {name: line[name] for name in names}
            assert told["train_nll"] == line["nll"]
        if line["split"] == "validation":
            assert (told["validation_nll"], told["validation_bits_per_note"]) == (line["nll"], line["bits_per_note"])
        assert all(isinstance(value, float) for name, value in told.items() if name.endswith(("nll", "sec")))


def test_the_log_says_the_same_in_words(shown):
    _, logs, folder, _ = shown
    said = [text for text in logs if text.startswith("step ")]
    assert len(said) == len(lines_of(folder))
    assert re.fullmatch(
        r"step 4/12  train  \d\.\d{4} nats per token  [\d,]+ tokens/s  [\d,]+ MiB( .*)?  \d+ s  \d+:\d\d left", said[0]
    )
    assert any(re.match(r"step 5/12  validation  \d.* bits per note", text) for text in said)
    assert any("sample  prompted  samples/step-00000010-prompted.mid" in text for text in said)


def test_the_newest_sample_is_a_link_to_its_file(shown):
    observations, _, folder, _ = shown
    (prompted, *_) = [values(one)["newest_sample"] for one in observations if "newest_sample" in one.metadata]
    assert prompted == (folder / "samples" / "step-00000010-prompted.mid").as_uri()


def pictures_of(metadata):
    return [base64.b64decode(found) for found in re.findall(r"base64,([A-Za-z0-9+/=]+)", metadata.value)]


def test_the_loss_is_drawn_while_it_runs_and_at_its_end(shown):
    observations, *_, outcome = shown
    drawn = [one.metadata["loss_curve"] for one in observations if "loss_curve" in one.metadata]
    assert len(drawn) == 1  # at most once a minute
    (event,) = outcome.get_asset_materialization_events()
    made = event.step_materialization_data.materialization.metadata
    for metadata in (*drawn, made["loss_curve"]):
        (png,) = pictures_of(metadata)
        assert png.startswith(b"\x89PNG")
        assert len(png) < SMALL
    assert made["validation_bits_per_note"].value > 0


def test_train_lines_come_at_intervals_and_the_others_always(tmp_path):
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["tiny"]))
    def watched(context: dg.AssetExecutionContext) -> None:
        watcher = watching.Watcher(context, tmp_path, 100)
        for step in range(1, 50):
            watcher({"step": step, "split": "train", "nll": 2, "tokens_per_sec": 1, "elapsed_sec": 1.0, "memory_mb": 1})
        for name in ("prompted", "unprompted"):
            watcher({"step": 50, "split": "sample", "sample": name, "error": "no notes", "elapsed_sec": 1.0})

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([watched], partition_key="tiny", instance=instance).success
        told = [values(one) for one in observations_of(instance, "watched")]
    assert [one["step"] for one in told] == [1, 50, 50]
    assert told[0]["train_nll"] == 2.0
