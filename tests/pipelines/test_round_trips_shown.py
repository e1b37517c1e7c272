"""What a Dagster run shows of round trips."""

import base64
import re

import dagster as dg
import pytest
from corpora import curate
from projects import MEASURED, Project

from pianogen.tables import SCHEMAS
from pipelines.definitions import build_definitions
from pipelines.lineage import of_round_trips
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

SMALL = 30_000
"""Bytes of a picture; it lies in the event database."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Project, list[dg.ExecuteInProcessResult]]:
    """A project with splits, whose round trips were made twice."""
    project = Project(tmp_path_factory.mktemp("round_trips"), num_scores=6)
    workspace = Workspace(config_path=str(project.config))
    curate(workspace.lake, [one for one in workspace.datasets if one.name == "scores"], workspace.settings)
    job = build_definitions(project.config).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        chosen = [dg.AssetKey("round_trips")]
        return project, [job.execute_in_process(instance=instance, asset_selection=chosen) for _ in range(2)]


def shown(outcome: dg.ExecuteInProcessResult) -> tuple[dict, str]:
    (event,) = outcome.get_asset_materialization_events()
    found = event.step_materialization_data.materialization
    return dict(found.metadata), found.tags["dagster/data_version"]


def test_the_asset_shows_what_comes_back_as_table_and_picture(made):
    project, (outcome, again) = made
    metadata, version = shown(outcome)
    assert metadata["dagster/row_count"].value == 6 * len(MEASURED)
    assert metadata["num_tokenizers"].value == len(MEASURED)
    assert metadata["dagster/uri"].value == (project.lake / "blocks" / "round_trips").as_uri()
    for name in MEASURED:
        assert f"| {name} | " in metadata["what_comes_back"].value
    pngs = re.findall(r"\(data:image/png;base64,([^)]+)\)", metadata["pictures"].value)
    assert len(pngs) == 2
    assert all(len(base64.b64decode(png)) < SMALL for png in pngs)
    assert metadata["full_page"].value.endswith("/report/tokenizers.html")
    assert shown(again)[1] == version


def test_its_checks_pass(made):
    checks = {check.check_name: check.passed for check in made[1][0].get_asset_check_evaluations()}
    assert checks == {"every_performance_is_measured_once": True, "notes_add_up": True}


def test_columns_tell_what_they_come_from():
    found = of_round_trips().deps_by_column
    assert set(found) == set(SCHEMAS["round_trips"].names) - {"tokenizer", "tokenizer_version"}
    named = {(dep.asset_key.to_user_string(), dep.column_name) for dep in found["velocity_error"]}
    assert {("performances", "notes.velocity"), ("splits", "split")} <= named
