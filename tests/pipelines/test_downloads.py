"""Datasets fetched in real Dagster runs, from a mirror on this disk: no server is asked."""

import datetime
import html
import shutil
from pathlib import Path

import dagster as dg
import pytest
from projects import Project, tune
from servers import Reply, serve

from pianogen.midi.render import midi_bytes
from pipelines.definitions import build_definitions
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

JSB = "Jsb16thSeparated.json"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """No network, and a mirror that a test fills."""
    project = Project(tmp_path, num_scores=2)
    (tmp_path / "mirror").mkdir()
    download = f'[download]\nmirrors = ["{(tmp_path / "mirror").as_uri()}"]\noffline = true\n'
    project.config.write_text(project.config.read_text() + download)
    return project


def run(defs: dg.Definitions, instance: dg.DagsterInstance, *assets: str, dataset: str) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(asset) for asset in assets]
    return job.execute_in_process(instance=instance, asset_selection=keys, partition_key=dataset, raise_on_error=False)


def metadata(outcome: dg.ExecuteInProcessResult, asset: str) -> dict:
    (found,) = outcome.asset_materializations_for_node(asset)
    return {name: value.value for name, value in found.metadata.items()}


def failure(outcome: dg.ExecuteInProcessResult) -> str:
    (event,) = outcome.filter_events(lambda e: e.is_step_failure)
    error = event.step_failure_data.error
    return " ".join((error.cause or error).message.split())


def logged(instance: dg.DagsterInstance, outcome: dg.ExecuteInProcessResult) -> list[str]:
    """What the assets said themselves, in order."""
    return [e.user_message for e in instance.all_logs(outcome.run_id) if not e.is_dagster_event]


def asked_for_by_the_schedule(defs: dg.Definitions, project: Project) -> list[str]:
    schedule = defs.get_repository_def().get_schedule_def("weekly_reingestion")
    workspace = Workspace(config_path=str(project.config))
    monday = datetime.datetime(2026, 11, 23, 4, 0, tzinfo=datetime.UTC)
    with dg.build_schedule_context(
        resources={"workspace": workspace}, scheduled_execution_time=monday, repository_def=defs.get_repository_def()
    ) as context:
        return [request.partition_key for request in schedule.evaluate_tick(context).run_requests]


def test_a_dataset_is_fetched_when_asked_for_and_ingested_by_the_same_definitions(project, real_data):
    shutil.copyfile(real_data / "jsb" / JSB, project.root / "mirror" / JSB)
    defs = build_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        too_early = run(defs, instance, "performances", dataset="jsb")
        assert "jsb is not here" in failure(too_early)
        assert "pianogen download jsb, or name your copy in pianogen.toml" in failure(too_early)
        assert asked_for_by_the_schedule(defs, project) == ["scores", "custom"]

        fetched = run(defs, instance, "downloads", dataset="jsb")
        assert fetched.success
        folder = project.root / "data" / "raw" / "jsb"
        assert (folder / JSB).stat().st_size == 1666444
        told = metadata(fetched, "downloads")
        assert (told["dagster/row_count"], told["here"], told["num_archive_bytes"]) == (
            382,
            "382 of 382 files",
            1666444,
        )
        assert "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7" in told["archives"]
        assert "file:" in html.unescape(told["archives"])
        assert told["licence"].startswith("none stated by the repository")
        assert told["non_commercial"] is False
        said = logged(instance, fetched)
        licence, source = (next(i for i, line in enumerate(said) if word in line) for word in ("licence", ": from "))
        assert licence < source

        assert asked_for_by_the_schedule(defs, project) == ["jsb", "scores", "custom"]
        (project.root / "mirror" / JSB).unlink()
        again = run(defs, instance, "downloads", "performances", "fingerprints", dataset="jsb")
        assert again.success
        told = metadata(again, "performances")
        assert (told["num_files"], told["dagster/row_count"], told["num_rejections"]) == (382, 382, 0)
        assert [metadata(again, "downloads")[key] for key in ("state", "folder")] == ["here", str(folder)]
        versions = [
            o.asset_materializations_for_node("downloads")[0].tags["dagster/data_version"] for o in (fetched, again)
        ]
        assert versions[0] == versions[1]


def test_a_mirror_that_cuts_the_connection_is_asked_for_the_rest(project, real_data, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    body = (real_data / "jsb" / JSB).read_bytes()
    with serve(body, [Reply(cut_after=1_000_000)]) as server, dg.DagsterInstance.ephemeral() as instance:
        text = project.config.read_text().replace("offline = true", "offline = false")
        project.config.write_text(text.replace((project.root / "mirror").as_uri(), server.address))
        outcome = run(build_definitions(project.config), instance, "downloads", dataset="jsb")
        assert outcome.success
        assert [request.range for request in server.requests] == [None, "bytes=1000000-"]
        assert f"{JSB} from {server.address}/{JSB}" in html.unescape(metadata(outcome, "downloads")["archives"])
    assert (project.root / "data" / "raw" / "jsb" / JSB).read_bytes() == body


def test_wrong_bytes_fail_the_run_and_leave_nothing(project):
    (project.root / "mirror" / JSB).write_text("{}")
    defs = build_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run(defs, instance, "downloads", dataset="jsb")
        assert not outcome.success
        assert "could not be fetched" in failure(outcome) or "offline = true" in failure(outcome)
        assert f"{JSB}: " in "\n".join(logged(instance, outcome))
    raw = project.root / "data" / "raw"
    assert [path.name for path in raw.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_licence_without_commercial_use_is_told_before_anything_is_fetched(project):
    defs = build_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run(defs, instance, "downloads", dataset="maestro_v3")
        said = logged(instance, outcome)
    assert not outcome.success
    assert said[0] == "maestro_v3: licence CC BY-NC-SA 4.0 (no commercial use)"
    ban = said.index("maestro_v3 may not be used commercially (CC BY-NC-SA 4.0), nor may what is derived from it")
    assert ban < next(i for i, line in enumerate(said) if ".zip: from " in line)


def test_a_dataset_that_has_no_address_says_where_to_get_it(project):
    defs = build_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        why = failure(run(defs, instance, "downloads", dataset="giantmidi"))
    assert "no address is known that gives it" in why
    assert '[datasets.giantmidi] folder = "/path/to/it"' in why


def test_a_folder_of_the_users_is_told_and_left_as_it_is(project):
    defs = build_definitions(project.config)
    before = {path: path.stat().st_mtime_ns for path in project.scores.rglob("*")}
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run(defs, instance, "downloads", dataset="scores")
        told = metadata(outcome, "downloads")
        assert (told["state"], told["here"], told["num_archive_bytes"]) == ("yours", "2 files", 0)
        assert {path: path.stat().st_mtime_ns for path in project.scores.rglob("*")} == before
        assert not (project.root / "data" / "raw").exists()


def test_an_ingest_shows_licence_rejections_and_removed_files(project):
    (project.scores / "broken.mid").write_bytes(b"MThd")
    (project.scores / "text|<b>.mid").write_bytes(b"")
    config = project.config.read_text().replace('folder = "scores"', 'folder = "scores"\nlicence = "CC BY-NC 4.0"')
    project.config.write_text(config)
    defs = build_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        first = run(defs, instance, "performances", dataset="scores")
        assert "scores may not be used commercially (CC BY-NC 4.0)" in logged(instance, first)
        told = metadata(first, "performances")
        assert (told["num_files"], told["dagster/row_count"], told["num_rejections"]) == (4, 2, 2)
        assert told["rejections_by_reason"].splitlines()[2:] == ["| empty_file | 1 |", "| truncated | 1 |"]
        assert (told["licence"], told["non_commercial"]) == ("CC BY-NC 4.0 (non-commercial)", True)
        assert (told["num_removed"], told["metadata_notes"]) == (0, "none")
        (project.scores / "broken.mid").unlink()
        assert metadata(run(defs, instance, "performances", dataset="scores"), "performances")["num_removed"] == 1


def test_a_fetched_dataset_flows_on_and_one_that_is_not_here_holds_nothing_up(project):
    defs = build_definitions(project.config)
    cursor = None

    def requested(instance: dg.DagsterInstance) -> set[tuple[str, str | None]]:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
        cursor = result.cursor
        asked = set()
        for key in defs.resolve_asset_graph().get_all_asset_keys():
            partitions = result.get_requested_partitions(key)
            asked |= {(key.to_user_string(), partition) for partition in partitions}
        return asked

    with dg.DagsterInstance.ephemeral() as instance:
        assert requested(instance) == set(), "an empty project asks for nothing"
        assert run(defs, instance, "downloads", dataset="scores").success
        assert requested(instance) == {("performances", "scores")}
        assert run(defs, instance, "performances", dataset="scores").success
        assert requested(instance) == {("fingerprints", "scores"), ("statistics", "scores")}
        assert run(defs, instance, "fingerprints", "statistics", dataset="scores").success
        assert ("duplicate_pairs", None) in requested(instance), "though most known datasets are not here"
        assert requested(instance) == set()

        (project.scores / "new.mid").write_bytes(midi_bytes(tune(50)))
        assert run(defs, instance, "downloads", dataset="scores").success
        flowed = {(name, "scores") for name in ("performances", "fingerprints", "statistics")}
        assert requested(instance) == flowed
