import dataclasses
import hashlib
import json
import shutil
from dataclasses import asdict

import pytest
from symusic import Score

from pianogen.errors import TrainingError
from pianogen.generation import samples
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.samples import generate_samples
from pianogen.lake import Lake
from pianogen.shards import ShardSet


def test_samples_are_valid_midi_from_test_prompts_and_from_nothing(trained):
    settings, config = trained
    lake = Lake(settings.lake)
    manifest = generate_samples(lake, settings.runs, config)
    rows = lake.read("samples").to_pylist()
    assert [row["sample"] for row in rows] == ["prompted_01", "prompted_02", "unprompted_01"]
    test_ids = set(ShardSet(lake, "tiny").sequences("test").performance_ids)
    assert {row["prompt_performance_id"] for row in rows[:2]} < test_ids
    assert rows[2]["prompt_performance_id"] is None
    assert [row["prompt_sec"] for row in rows] == [3.0, 3.0, 0.0]
    assert rows[0]["title"] == f"Continuation of Piece {rows[0]['prompt_performance_id']}"
    assert len({row["seed"] for row in rows}) == 3
    for row in rows:
        assert json.loads(row["decoding"]) == asdict(DecodingConfig.of(config.generation))
        assert json.loads(row["decoding"])["top_p"] == row["top_p"]
        score = Score.from_midi(row["midi"])
        assert score.note_num() == row["num_notes"]
        assert score.to("second").end() == pytest.approx(row["duration_sec"], abs=0.01)
        assert (row["experiment"], row["run_id"]) == ("tiny", manifest.info["run_id"])
    # 3 seconds at 100 quarters a minute are 5 quarters, 10 notes of the scale.
    assert all(row["num_notes"] > 10 for row in rows[:2])


def test_samples_are_made_once_and_always_of_the_same_bytes(trained):
    settings, config = trained
    lake = Lake(settings.lake)

    def block():
        (path,) = lake.paths("samples")
        return path, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()

    generate_samples(lake, settings.runs, config)
    path, written, sha256 = block()
    generate_samples(lake, settings.runs, config)
    assert block() == (path, written, sha256)
    shutil.rmtree(path.parent)
    generate_samples(lake, settings.runs, config)
    assert (block()[0], block()[2]) == (path, sha256)


def test_other_generation_settings_give_other_samples_of_the_same_run(trained):
    settings, config = trained
    lake = Lake(settings.lake)
    first = generate_samples(lake, settings.runs, config)
    changed = dataclasses.replace(config, generation=dataclasses.replace(config.generation, seed=50, max_tokens=9))
    second = generate_samples(lake, settings.runs, changed)
    assert second.info["run_id"] == first.info["run_id"]
    assert second.blocks != first.blocks
    assert lake.read("samples")["seed"].to_pylist() == [50, 51, 52]


def test_a_run_that_is_not_finished_is_refused(trained, tmp_path):
    settings, config = trained
    with pytest.raises(TrainingError, match="no finished training"):
        generate_samples(Lake(settings.lake), tmp_path, config)


def test_other_code_of_the_architecture_makes_other_samples(trained, monkeypatch):
    settings, config = trained
    lake = Lake(settings.lake)
    before = generate_samples(lake, settings.runs, config).blocks
    monkeypatch.setattr(samples, "model_code", lambda name: (f"pianogen.models.{name}", "pianogen.models.windows"))
    assert generate_samples(lake, settings.runs, config).blocks != before
