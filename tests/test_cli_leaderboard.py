"""`pianogen leaderboard` with what others report."""

import json

import pyarrow as pa
import pytest
from projects import Project
from typer.testing import CliRunner
from warehouses import write_run

from pianogen.cli import app
from pianogen.lake import Lake, Stage
from pianogen.tables import SCHEMAS

ROW = "study-14-gpt2-jsb-jsb_fast"


def said(project: Project, *words: str) -> str:
    result = CliRunner().invoke(app, ["leaderboard", *words, "--config", str(project.config)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """With two runs, one of them of a row of the study, and their evaluations."""
    made = Project(tmp_path_factory.mktemp("project"), num_scores=2)
    assert CliRunner().invoke(app, ["ingest", "--config", str(made.config)]).exit_code == 0
    lake = Lake(made.lake)
    rows = []
    for name in ("quick", f"{ROW}-reduced"):
        write_run(made.root / "data" / "runs", experiment=name, run_id="r")
        figures = {"num_tokens": 100, "num_notes": 10, "duration_sec": 5.0, "nats": 70.0}
        rows.append({"experiment": name, "run_id": "r", "performance_id": "p", **figures})
    lake.write_block("evaluations", "e", {"evaluations": pa.Table.from_pylist(rows, SCHEMAS["evaluations"])})
    lake.publish(Stage(name="evaluations", modules=("pianogen.tables",), tables=("evaluations",)), ["e"])
    return made


def test_what_the_study_reports_of_a_run_stands_beneath_the_leaderboard(project):
    ranked, _, reported = said(project).partition("Reported, beside the runs of it here")
    assert "quick" in ranked
    assert "0.4411" in reported
    assert "reported by the study" in reported
    assert f"{ROW}-reduced" in reported
    # Rows of which there is no run here are shown when asked for.
    assert "study-13" not in reported
    assert "quick" not in reported
    ranked = json.loads(said(project, "--format", "json"))
    assert sorted(row["experiment"] for row in ranked) == ["quick", f"{ROW}-reduced"]


def test_all_that_others_report_is_shown_when_asked_for(project):
    rows = json.loads(said(project, "--references", "--format", "json"))
    assert [row["reference"] for row in rows][:2] == ["study-01", "study-02"]
    assert [row["standing"] for row in rows if row["reference"] == "study-14"] == [
        "reported by the study",
        "measured here",
    ]
    assert rows[-1]["experiment"] == "quick"
    assert {row["rank"] for row in rows if row["standing"] != "measured here"} == {None}
