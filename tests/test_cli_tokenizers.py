"""`pianogen tokenizers`, as a user would type it."""

import json

import pytest
from projects import Project
from typer.testing import CliRunner

from pianogen.cli import app
from pianogen.errors import LakeError, SettingsError
from pianogen.lake import Lake


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """Three pieces, and a tokenizer of the settings."""
    made = Project(tmp_path_factory.mktemp("project"), num_scores=3)
    made.config.write_text(f'{made.config.read_text()}[tokenizers.fine]\nname = "jsb"\nsteps_per_quarter = 8\n')
    invoke("ingest", project=made)
    return made


def invoke(*words: str, project: Project) -> str:
    result = CliRunner().invoke(app, [*words, "--config", str(project.config)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_before_a_split_it_says_what_is_missing(project):
    with pytest.raises(LakeError, match="nothing from the stage 'splits'"):
        invoke("tokenizers", project=project)


def test_the_table_has_a_row_for_each_tokenizer_and_dataset(project):
    invoke("dedupe", project=project)
    rows = json.loads(invoke("tokenizers", "--format", "json", project=project))
    assert {(row["tokenizer"], row["dataset"], row["performances"]) for row in rows} == {
        ("jsb", "scores", 3),
        ("note_chord", "scores", 3),
        ("fine", "scores", 3),
    }
    (fine,) = (row for row in rows if row["tokenizer"] == "fine")
    assert (fine["precision"], fine["onset_error_ms"], fine["velocity_error"]) == (1, 0, None)
    assert json.loads(invoke("tokenizers", "--dataset", "custom", "--format", "json", project=project)) == []
    shown = invoke("tokenizers", "--dataset", "scores", "--split", "train", project=project)
    assert "tokens_per_note" in shown
    assert Lake(project.lake).read("round_trips").num_rows == 9
    assert invoke("sql", "select count(*) as n from round_trips", "--format", "csv", project=project) == "n\n9\n"


def test_a_dataset_that_is_not_there_is_named(project):
    with pytest.raises(SettingsError, match="'nope' is not in the lake, which has custom, scores"):
        invoke("tokenizers", "--dataset", "nope", project=project)
