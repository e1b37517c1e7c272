"""What a real Dagster run shows of statistics: pictures, columns, where they come from, and datasets that drift."""

import base64
import dataclasses
import re
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from projects import Project, tune

from pianogen.ingest import ingest_dataset
from pianogen.measured import COLUMNS
from pianogen.midi.render import midi_bytes
from pipelines.checks import sql_checks
from pipelines.definitions import build_definitions
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

SMALL = 30_000
"""Bytes of a picture; it lies in the event database."""
IN_PLACE = 1000
"""Characters of Markdown that the UI shows in place."""
BY_DATASET = ("performances", "statistics")
OVER_ALL = ("comparison", "warehouse", "data_cards")


class Runs:
    """Runs of a project on one instance, and what the latest of each asset and check says."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.job = build_definitions(project.config).resolve_implicit_global_asset_job_def()
        self.shown: dict[tuple[str, str | None], dict[str, dg.MetadataValue]] = {}
        self.checks: dict[str, dg.AssetCheckEvaluation] = {}
        self.versions: dict[str, str] = {}

    def make(self, *assets: str, partition: str | None = None) -> None:
        keys = [dg.AssetKey(name) for name in assets]
        outcome = self.job.execute_in_process(instance=self.instance, asset_selection=keys, partition_key=partition)
        assert outcome.success
        for event in outcome.get_asset_materialization_events():
            made = event.step_materialization_data.materialization
            name = made.asset_key.to_user_string()
            self.shown[name, partition] = dict(made.metadata)
            self.versions[name] = made.tags["dagster/data_version"]
        self.checks |= {check.check_name: check for check in outcome.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two datasets, measured, compared, published; nothing was looked for twice or split."""
    project = Project(tmp_path_factory.mktemp("statistics"), num_scores=12)
    (project.custom / "one.mid").write_bytes(midi_bytes(tune(70)))
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(project, instance)
        for dataset in ("scores", "custom"):
            runs.make(*BY_DATASET, partition=dataset)
        runs.make(*OVER_ALL)
        yield runs


def pngs(markdown: dg.MetadataValue) -> list[bytes]:
    found = re.findall(r"\(data:image/png;base64,([^)]+)\)", markdown.value)
    return [base64.b64decode(data) for data in found]


def test_a_partition_tells_its_own_rows_and_those_of_the_table(runs):
    shown = runs.shown["statistics", "custom"]
    assert shown["dagster/partition_row_count"].value == 1
    assert shown["dagster/row_count"].value == 13
    folder = runs.project.lake / "blocks" / "statistics"
    assert shown["dagster/uri"].value == folder.as_uri()
    files = list(folder.rglob("*.parquet"))
    assert shown["dagster/size_bytes"].value == sum(path.stat().st_size for path in files)


def test_a_dataset_shows_its_distributions_at_a_glance_and_in_pictures(runs):
    shown = runs.shown["statistics", "scores"]
    glance = shown["at_a_glance"].value
    assert len(glance) < IN_PLACE, "the UI shows it in place"
    assert "| Velocity | 80 | █ | 80 | all 80 |" in glance
    pictures = pngs(shown["pictures"])
    assert len(pictures) == 2
    assert all(len(png) < SMALL and png.startswith(b"\x89PNG") for png in pictures)
    assert shown["full_page"].value == (runs.project.root / "data" / "report" / "data" / "scores.html").as_uri()


def test_measures_tell_their_columns_and_what_these_come_from(runs):
    lineage = runs.shown["statistics", "scores"]["dagster/column_lineage"].value
    assert set(lineage.deps_by_column) == set(COLUMNS)
    deps = {dep.column_name for dep in lineage.deps_by_column["velocity_mean"]}
    assert deps == {"notes.is_drum", "notes.velocity"}


def test_the_comparison_shows_datasets_beside_each_other(runs):
    shown = runs.shown["comparison", None]
    numbers = {about: len(pngs(shown[f"pictures_of_{about}"])) for about in ("amounts", "music", "distances", "splits")}
    assert numbers == {"amounts": 3, "music": 8, "distances": 1, "splits": 2}
    assert all(len(png) < SMALL for about in numbers for png in pngs(shown[f"pictures_of_{about}"]))
    assert "| custom | scores |" in shown["nearest_datasets"].value
    assert shown["num_rows"].value["dataset_statistics"] == 2
    columns = {column.name for column in shown["dagster/column_schema"].schema.columns}
    assert {"dataset_a", "dataset_b", "measure", "jensen_shannon_bits", "wasserstein"} <= columns
    assert shown["dagster/row_count"].value == shown["num_rows"].value["distances"]
    deps = shown["lineage_of_dataset_statistics"].value.deps_by_column
    assert [dep.column_name for dep in deps["polyphony_mean_p50"]] == ["polyphony_mean"]


def test_the_warehouse_and_the_cards_say_where_they_lie(runs):
    shown = runs.shown["warehouse", None]
    assert Path(shown["file"].value).is_file()
    assert "| performance_statistics | 13 |" in shown["tables"].value
    cards = runs.shown["data_cards", None]
    assert cards["dagster/row_count"].value == 3
    card = Path(cards["folder"].value) / "scores.md"
    assert card == runs.project.root / "docs" / "data" / "scores.md"
    assert "```sql" in card.read_text()
    assert cards["scores"].value.startswith("# Folder scores\n")
    assert "select" not in cards["scores"].value


def test_every_check_passes_on_music_that_is_as_it_was(runs):
    assert {name: check.description for name, check in runs.checks.items() if not check.passed} == {}
    ran = {check.asset_key.to_user_string() for check in runs.checks.values()}
    assert ran == {"performances", "statistics", "comparison"}


def test_what_is_made_again_of_the_same_music_is_the_same_version(runs):
    before = dict(runs.versions)
    runs.make("warehouse", "data_cards")
    assert runs.versions == before


def test_a_dataset_that_drifts_is_told_as_a_warning_with_the_numbers(runs):
    """The last test: it changes the music."""
    for path in runs.project.scores.iterdir():
        loud = tune(int(path.stem.split()[1]))
        path.write_bytes(midi_bytes(dataclasses.replace(loud, velocity=np.full_like(loud.velocity, 120))))
    runs.make(*BY_DATASET, partition="scores")
    check = runs.checks["statistics_stay_near_the_version_before"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description.startswith("3 to look at, the first: dataset scores, measure velocity_m")
    lines = check.metadata["violations"].value.splitlines()
    assert lines[0].startswith("| dataset | measure | mean_before | mean |")
    told = {cells[1]: cells[2:4] for cells in (line.strip("| ").split(" | ") for line in lines[2:])}
    assert told == {name: ["80.000", "120.000"] for name in ("velocity_min", "velocity_max", "velocity_mean")}
    others = {name for name, found in runs.checks.items() if not found.passed} - {check.check_name}
    assert others == set(), "a warning is no failure of anything else"


def test_a_check_that_fails_shows_text_out_of_files_as_text(tmp_path):
    """A check of the test's own, which finds a title."""
    project = Project(tmp_path, num_scores=1)
    folder = tmp_path / "checks" / "performances"
    folder.mkdir(parents=True)
    title = "'\x1b[31mred | <b> ' || chr(8238) as title"
    (folder / "no_title.sql").write_text(
        f"-- A row is a title.\nselect {title}, 0.5::double as share from performances;\n"
    )
    (check,) = sql_checks(folder.parent)
    workspace = Workspace(config_path=str(project.config))
    ingest_dataset(workspace.lake, workspace.datasets[0], workspace.settings)
    found = check(workspace)
    assert found.description == "1 wrong, the first: title \\x1b[31mred | <b> \\u202e, share 0.500"
    assert "| &#92;x1b&#91;31mred &#124; &#60;b&#62; &#92;u202e | 0.500 |" in found.metadata["violations"].value


def test_a_warning_is_said_where_people_wait():
    """In a run of the whole graph, whose lines a shell shows."""
    from pipelines.run import _failed_checks

    class Outcome:
        def get_asset_check_evaluations(self):
            return [
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("statistics"),
                    check_name=name,
                    passed=passed,
                    metadata={},
                    severity=severity,
                    description="2 to look at",
                )
                for name, passed, severity in (
                    ("drift", False, dg.AssetCheckSeverity.WARN),
                    ("range", False, dg.AssetCheckSeverity.ERROR),
                    ("fine", True, dg.AssetCheckSeverity.WARN),
                )
            ]

    assert _failed_checks(Outcome(), dg.AssetCheckSeverity.WARN) == ["statistics: drift: 2 to look at"]
    assert _failed_checks(Outcome(), dg.AssetCheckSeverity.ERROR) == ["statistics: range: 2 to look at"]
