import datetime
import os
import time

import dagster as dg
import pytest
from projects import Project, tune

from pianogen.midi.render import midi_bytes
from pipelines.automation import REST_SEC, custom_folders
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path, num_scores=3)


def look(project: Project, cursor: str | None) -> tuple[list[str], str]:
    """Partitions that one tick of the sensor asks for, and its new cursor."""
    with dg.build_sensor_context(
        cursor=cursor, resources={"workspace": Workspace(config_path=str(project.config))}
    ) as context:
        result = custom_folders(context)
        return [request.partition_key for request in result.run_requests or []], result.cursor


def at_rest(path) -> None:
    then = time.time() - REST_SEC - 1
    os.utime(path, (then, then))


def test_the_sensor_asks_for_a_folder_once_when_its_files_changed(project):
    for path in project.scores.iterdir():
        at_rest(path)
    first, cursor = look(project, None)
    assert first == ["scores", "custom"]
    again, cursor = look(project, cursor)
    assert again == []
    new = project.custom / "new.mid"
    new.write_bytes(midi_bytes(tune(77)))
    at_rest(new)
    changed, cursor = look(project, cursor)
    assert changed == ["custom"]
    new.unlink()
    removed, cursor = look(project, cursor)
    assert removed == ["custom"]


def test_the_sensor_waits_until_a_file_has_stopped_growing(project):
    _, cursor = look(project, None)
    new = project.custom / "growing.mid"
    new.write_bytes(b"MThd")
    waiting, cursor = look(project, cursor)
    assert "custom" not in waiting
    at_rest(new)
    assert "custom" in look(project, cursor)[0]


def test_the_schedule_asks_for_every_dataset_once_a_week(project):
    from pipelines.definitions import build_definitions

    repository = build_definitions(project.config).get_repository_def()
    (schedule,) = repository.schedule_defs
    monday = datetime.datetime(2026, 11, 23, 4, 0, tzinfo=datetime.UTC)
    context = dg.build_schedule_context(scheduled_execution_time=monday, repository_def=repository)
    requests = schedule.evaluate_tick(context).run_requests
    assert [(r.partition_key, r.run_key) for r in requests] == [
        ("scores", "scores-2026-11-23"),
        ("custom", "custom-2026-11-23"),
    ]


@pytest.mark.slow
def test_what_changed_flows_on_by_data_version_and_training_waits_to_be_asked(project):
    from pipelines.definitions import build_definitions

    defs = build_definitions(project.config)
    cursor = None

    def requested(instance) -> set[str]:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
        cursor = result.cursor
        graph_keys = defs.resolve_asset_graph().get_all_asset_keys()
        return {k.to_user_string() for k in graph_keys if result.get_num_requested(k)}

    def run(instance, job: str, partition: str | None = None) -> None:
        outcome = defs.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=partition, run_config={"loggers": {"brief": {}}}
        )
        assert outcome.success

    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("scores", "custom"):
            run(instance, "reingest", name)
        run(instance, "curate")
        requested(instance)
        assert requested(instance) == set(), "nothing changed"

        run(instance, "reingest", "custom")
        assert requested(instance) == set(), "made again, with the same data"

        (project.custom / "new.mid").write_bytes(midi_bytes(tune(99)))
        run(instance, "reingest", "custom")
        flowed = requested(instance)
        assert {"duplicate_pairs", "clusters", "splits", "statistics"} <= flowed
        assert not flowed & {"shards", "runs", "evaluations", "samples"}
