"""The stage, the command and what they say of samples: real ones, looping, copying and silent ones, and none."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from builders import build_tiny_shards, notes, settings_in, train_tiny, write_lake
from corpora import improvise, transposed
from judged_lakes import HOSTILE, SAMPLES, improvised_lake, judged_lake, publish_samples, sample_row
from typer.testing import CliRunner

from pianogen.cli import app
from pianogen.errors import LakeError
from pianogen.evaluation.excerpts import HELD_OUT, SAMPLE, drawn_part, held_out_excerpts, tokens_of
from pianogen.evaluation.judgements import STAGE, JudgeConfig, judge_samples
from pianogen.generation.samples import generate_samples
from pianogen.judged import MEASURED
from pianogen.lake import Lake
from pianogen.midi.render import midi_bytes
from pianogen.settings import Settings
from pianogen.statistics.measures import READS, measure
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.base import make_tokenizer


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Lake, Settings]:
    return judged_lake(tmp_path_factory.mktemp("judging"))


def judged(lake: Lake, source: str = SAMPLE) -> dict[str, dict]:
    return {row["name"]: row for row in lake.read("sample_judgements").to_pylist() if row["source"] == source}


def test_a_loop_is_all_cycle_and_a_copy_names_its_source_and_new_music_is_neither(planted):
    lake, _ = planted
    rows = judged(lake)
    assert (rows["looping"]["cycle3_share"], rows["looping"]["cycle3_period_notes"]) == (1.0, 4)
    assert rows["looping"]["copied_share"] == 0.0
    copy = rows["copying"]
    assert copy["copied_share"] > 0.98
    assert (copy["copied_from"], copy["copied_from_dataset"]) == (f"{3:032x}", "tiny")
    assert copy["copied_from_title"] == f"Piece {3:032x}"
    assert copy["title"] == HOSTILE
    assert (rows["new"]["copied_share"], rows["new"]["cycle3_share"]) == (0.0, 0.0)
    (passage,) = lake.read("sample_copies").to_pylist()
    assert (passage["name"], passage["performance_id"], passage["semitones"]) == ("copying", f"{3:032x}", 3)
    assert passage["tempo_ratio"] == pytest.approx(1.0)
    assert passage["num_notes"] == round(copy["copied_share"] * copy["num_notes"]) == copy["longest_copy_notes"]
    assert passage["start_sec"] == pytest.approx(copy["start_sec"], abs=0.5)


def test_the_prompt_is_no_copy_though_train_has_it(planted):
    lake, _ = planted
    row = judged(lake)["prompted"]
    assert (row["num_notes"], row["copied_share"]) == (200, 0.0)
    assert row["start_sec"] >= float(improvise(3, 200).onset_tick[100]) / 960 - 1e-3


def test_silence_has_no_numbers_and_what_an_ingest_rejects_says_why(planted):
    lake, _ = planted
    silent, crowded = judged(lake)["silent"], judged(lake)["crowded"]
    assert (silent["num_notes"], silent["rejection"], silent["copied_share"]) == (0, None, None)
    assert silent["num_copies"] == 0
    assert (crowded["num_notes"], crowded["rejection"]) == (0, "implausible_density")
    assert {crowded[name] for name in ("cycle2_share", "copied_share", "num_copies", *MEASURED)} == {None}


def test_the_base_line_is_held_out_music_with_as_many_notes_as_the_median_sample(planted):
    lake, _ = planted
    rows = judged(lake, HELD_OUT)
    assert set(rows) == {f"{k:032x}" for k in (10, 11, 12, 13)}
    assert {row["num_notes"] for row in rows.values()} == {200}
    assert {row["copied_share"] for row in rows.values()} == {0.0}
    shorter = held_out_excerpts(lake, rows, 50)
    assert [len(excerpt.notes.pitch) for excerpt in shorter] == [50] * 4
    # Another place for each, and the same one each time.
    assert len({excerpt.start_sec for excerpt in shorter}) > 1
    assert [e.start_sec for e in held_out_excerpts(lake, rows, 50)] == [e.start_sec for e in shorter]


def test_samples_are_measured_as_the_corpus_is(planted):
    """A whole performance, judged as a sample, has the numbers that its statistics have."""
    lake, _ = planted
    name = f"{12:032x}"
    tables = {table: lake.read(table) for table in SCHEMAS}
    expected = {row["performance_id"]: row for row in measure(_as_read(tables))["performance_statistics"].to_pylist()}
    row = judged(lake, HELD_OUT)[name]
    # Bars are those of the file as long as the first note lies in the first of them.
    for measured in set(MEASURED) - {"notes_per_sec"}:
        assert row[measured] == pytest.approx(expected[name][measured], abs=1e-9), measured
    # Silence before the first note is no part of an excerpt.
    assert row["notes_per_sec"] == pytest.approx(200 / (expected[name]["duration_sec"] - row["start_sec"]))


def _as_read(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    return {name: tables[name].select(columns) for name, columns in READS.items()}


def test_distances_are_of_all_measures_of_the_samples_that_have_them(planted):
    lake, _ = planted
    rows = {row["measure"]: row for row in lake.read("sample_distances").to_pylist()}
    assert (rows["pitch_range"]["num_samples"], rows["pitch_range"]["num_reference"]) == (4, 4)
    assert 0 <= rows["pitch_range"]["overlapping_area"] <= 1
    assert rows["copied_share"]["mean"] == pytest.approx(0.25, abs=0.01)
    assert rows["pitch_class_histogram"]["mean"] is None


def test_the_same_samples_are_judged_once_and_to_the_same_bytes(planted, tmp_path):
    lake, settings = planted
    first = judge_samples(lake, "tiny", settings)
    (block,) = [lake.block_path(STAGE.name, key) for key in first.blocks]
    content = {path.name: path.read_bytes() for path in block.iterdir()}
    stamps = {path.name: path.stat().st_mtime_ns for path in block.iterdir()}
    judge_samples(lake, "tiny", settings)
    assert {path.name: path.stat().st_mtime_ns for path in block.iterdir()} == stamps
    block.rename(tmp_path / "away")
    assert judge_samples(lake, "tiny", settings).blocks == first.blocks
    assert {path.name: path.read_bytes() for path in block.iterdir()} == content
    other = judge_samples(lake, "tiny", settings, JudgeConfig(max_held_out=2))
    assert other.blocks != first.blocks
    assert len(judged(lake, HELD_OUT)) == 2
    judge_samples(lake, "tiny", settings)


def test_no_samples_leave_the_base_line_alone(tmp_path):
    settings = settings_in(tmp_path)
    lake = improvised_lake(settings.lake)
    build_tiny_shards(lake, settings)
    publish_samples(lake, [])
    judge_samples(lake, "tiny", settings)
    assert judged(lake) == {}
    assert {row["num_notes"] for row in judged(lake, HELD_OUT).values()} == {200}
    assert {row["num_samples"] for row in lake.read("sample_distances").to_pylist()} == {0}


def test_training_music_too_short_for_a_window_has_no_copies(tmp_path):
    settings = settings_in(tmp_path)
    splits = ["train"] * 4 + ["validation", "test"]
    lake = write_lake(settings.lake, {f"{k:032x}": (split, improvise(k, 5)) for k, split in enumerate(splits)})
    build_tiny_shards(lake, settings)
    publish_samples(lake, [sample_row("new", improvise(9, 100))])
    judge_samples(lake, "tiny", settings)
    assert judged(lake)["new"]["copied_share"] == 0.0


def test_samples_of_other_shards_are_refused(tmp_path):
    settings = settings_in(tmp_path)
    lake = improvised_lake(settings.lake)
    build_tiny_shards(lake, settings)
    with pytest.raises(LakeError, match="nothing from the stage 'samples' of 'tiny' yet"):
        judge_samples(lake, "tiny", settings)
    lake.write_block("samples", "0", {"samples": SCHEMAS["samples"].empty_table()})
    lake.publish(SAMPLES, ["0"], partition="tiny", info={"run_id": "r1", "shards_version": "another"})
    with pytest.raises(LakeError, match="drawn by a model of other shards; train and draw again"):
        judge_samples(lake, "tiny", settings)


@pytest.mark.slow
def test_what_a_model_drew_is_judged_without_its_prompt(tmp_path_factory):
    settings, config = train_tiny(tmp_path_factory.mktemp("judging a model"))
    lake = Lake(settings.lake)
    generate_samples(lake, settings.runs, config)
    manifest = judge_samples(lake, "tiny", settings)
    rows = judged(lake)
    drawn = {row["sample"]: row for row in lake.read("samples").to_pylist()}
    assert rows.keys() == drawn.keys()
    assert manifest.info["run_id"] == drawn["prompted_01"]["run_id"]
    for name, row in rows.items():
        assert row["num_notes"] < drawn[name]["num_notes"] or name.startswith("unprompted")
        assert row["start_sec"] is None or row["start_sec"] >= drawn[name]["prompt_sec"] - 1e-3
        assert row["repeated_tokens_4"] is None or 0 <= row["repeated_tokens_4"] <= 1


@pytest.mark.parametrize("name", ["remi", "midi_like", "performance", "jsb", "note_chord", "continuous"])
def test_tokens_of_an_excerpt_are_those_of_its_notes(name):
    excerpt = drawn_part(sample_row("x", improvise(1, 60)))
    tokens = tokens_of(excerpt, make_tokenizer({"name": name}))
    if name == "continuous":
        assert tokens is None
    else:
        assert tokens.ndim == 1
        assert len(tokens) > 10
    assert tokens_of(excerpt, None) is None


# The command


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def project(planted, tmp_path) -> Path:
    """A settings file over the lake of the planted samples, and two files."""
    lake, _ = planted
    config = tmp_path / "pianogen.toml"
    config.write_text(f'lake = "{lake.root}"\nstarter = false\nworkers = 1\n')
    (tmp_path / "copy.mid").write_bytes(midi_bytes(transposed(improvise(5, 200), -2)))
    (tmp_path / "loop.mid").write_bytes(midi_bytes(notes(*[(k / 2, 60 + k % 3, 0.5) for k in range(100)])))
    return config


def test_the_command_judges_files_against_the_training_music_of_an_experiment(project):
    folder = project.parent
    text = run("judge", folder / "copy.mid", folder / "loop.mid", "--experiment", "tiny", "--config", project)
    assert "Copied passages:" in text
    assert f"Piece {5:032x}" in text
    found = json.loads(
        run("judge", folder / "copy.mid", folder / "loop.mid", "--experiment", "tiny", "--config", project,
            "--format", "json")
    )  # fmt: skip
    assert [row["name"] for row in found] == ["copy.mid", "loop.mid"]
    assert found[0]["copied_share"] > 0.98
    assert (found[1]["cycle3_share"], found[1]["copied_share"]) == (1.0, 0.0)


def test_without_an_experiment_nothing_is_said_of_copies(project):
    text = run("judge", project.parent / "copy.mid", "--config", project, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["copied_share"], row["repeated_tokens_4"]) == ("", "")
    assert float(row["cycle3_share"]) == 0.0
