"""The study's rows as experiment files: they say its sizes, and tokenizer and model fit together."""

import dataclasses
from pathlib import Path

import pytest

from pianogen.catalogue_entries import load_entries
from pianogen.models import count_parameters
from pianogen.settings import load_settings
from pianogen.tokenizers.base import make_tokenizer
from pianogen.training.experiment import find_experiments, load_experiment
from pianogen.warehouse import read_reference_results

PROJECT = Path(__file__).resolve().parents[2]
FILES = find_experiments(PROJECT / "experiments" / "study")
ROWS = {row["experiment"]: row for row in read_reference_results().to_pylist() if row["experiment"]}
REDUCED = [name for name in FILES if name.endswith("-reduced")]


def test_there_is_a_file_for_each_row_and_no_other():
    assert sorted(set(FILES) - set(REDUCED)) == sorted(ROWS)
    assert len(ROWS) == 15
    assert {FILES[name].parent.name for name in ROWS} == {"study"}


@pytest.mark.parametrize("name", ROWS)
def test_a_file_is_its_row_of_the_table(name):
    row, config = ROWS[name], load_experiment(FILES[name])
    number = row["reference"].removeprefix("study-")
    assert name.startswith(f"study-{number}-")
    assert config.description.startswith(f"Row {int(number)} of the study's table: ")
    assert f"reports {row['nll']:.4f} nats per token of its own" in config.description
    sizes = ("context_length", "n_head", "n_embd", "n_layer")
    assert [getattr(config.model, size) for size in sizes] == [row[size] for size in sizes]
    assert (config.model.name, config.tokenizer["name"]) == (row["model"], row["tokenizer"])
    names = config.data.names
    assert [name.removesuffix("_v3") for name in names] == row["datasets"].split("+")
    assert (config.data.weights is not None) == ("+" in row["datasets"])
    known = {*load_entries(), *(folder.name for folder in load_settings(PROJECT / "pianogen.toml").folders)}
    assert set(names) <= known


@pytest.mark.parametrize("name", ROWS)
def test_a_file_has_the_parameters_that_the_table_says_where_it_says_one_thing(name):
    row, config = ROWS[name], load_experiment(FILES[name])
    vocab_size = len(make_tokenizer(config.tokenizer).vocab)
    found = count_parameters(config.model, vocab_size) / 1e6
    if row["model"] == "music_transformer":
        # 25.3 million whatever the size; what the files say of theirs is so.
        assert row["million_parameters"] == 25.3
        assert f"listed size has {found:.1f} million parameters, not 25.3" in config.description
    else:
        # With the embeddings of a vocabulary that the study does not tell.
        embeddings = vocab_size * config.model.n_embd / 1e6
        least = found - embeddings + 40 * config.model.n_embd / 1e6
        assert least - 0.05 <= row["million_parameters"] <= found + 0.05


def test_the_page_of_the_study_tells_the_files_and_the_table():
    text = (PROJECT / "docs" / "experiments" / "study.md").read_text()
    told = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `study-")
    ]
    rows = {cells[0].strip("`"): [cell.replace(",", "") for cell in cells[1:]] for cells in told if len(cells) == 10}
    assert list(rows) == list(ROWS)
    for name, (*sizes, millions, found, seconds, nll, steps) in rows.items():
        row, config = ROWS[name], load_experiment(FILES[name])
        count = count_parameters(config.model, len(make_tokenizer(config.tokenizer).vocab))
        assert sizes == [str(row[size]) for size in ("context_length", "n_head", "n_embd", "n_layer")]
        assert (float(millions), float(seconds), float(nll)) == (
            row["million_parameters"],
            row["train_sec"],
            row["nll"],
        )
        assert (found, steps) == (f"{count / 1e6:.1f}", str(config.training.steps))


@pytest.mark.parametrize("name", REDUCED)
def test_a_reduced_run_is_its_row_with_less_training(name):
    whole, reduced = load_experiment(FILES[name.removesuffix("-reduced")]), load_experiment(FILES[name])
    assert "reduced length" in reduced.description
    for part in ("data", "tokenizer", "augmentation", "model"):
        assert getattr(reduced, part) == getattr(whole, part), part
    changed = {
        field.name
        for field in dataclasses.fields(whole.training)
        if getattr(whole.training, field.name) != getattr(reduced.training, field.name)
    }
    schedule = {"steps", "batch_size", "gradient_accumulation_steps", "warmup_steps"}
    watched = {"validate_every", "checkpoint_every", "log_every", "validation_tokens"}
    assert changed <= schedule | watched | {"cpu_threads", "device"}
    assert reduced.training.steps < whole.training.steps


def test_the_two_smallest_rows_of_each_model_have_a_reduced_run():
    smallest = []
    for model in ("gpt2", "music_transformer"):
        sizes = {}
        for name, row in ROWS.items():
            if row["model"] == model:
                config = load_experiment(FILES[name])
                sizes[name] = count_parameters(config.model, 100)
        smallest += sorted(sizes, key=lambda name: (sizes[name], name))[:2]
    assert sorted(REDUCED) == sorted(f"{name}-reduced" for name in smallest)
