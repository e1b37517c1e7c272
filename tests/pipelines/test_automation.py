import datetime
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from projects import Project, tune

from pianogen.catalogue import look_at
from pianogen.midi.render import midi_bytes
from pipelines.automation import REST_SEC, custom_folders
from pipelines.resources import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path, num_scores=3)


class Sensor:
    """The sensor on a real instance, which keeps its cursor from look to look."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None
        self.skipped = ""

    def look(self) -> list[str]:
        """Partitions that one tick asks for."""
        workspace = Workspace(config_path=str(self.project.config))
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"workspace": workspace}
        ) as context:
            result = custom_folders(context)
        self.cursor = result.cursor
        self.skipped = result.skip_reason.skip_message if result.skip_reason else ""
        return [request.partition_key for request in result.run_requests or []]


@pytest.fixture
def sensor(project, monkeypatch) -> Iterator[Sensor]:
    monkeypatch.chdir(project.root / "dagster")
    with dg.DagsterInstance.from_config(str(project.root / "dagster")) as instance:
        yield Sensor(project, instance)


def at_rest(path: Path) -> None:
    then = time.time() - REST_SEC - 1
    os.utime(path, (then, then))


def test_the_sensor_asks_for_a_folder_once_when_its_files_changed(project, sensor):
    for path in project.scores.iterdir():
        at_rest(path)
    assert sensor.look() == []
    assert sensor.skipped == "changed, and may still grow: scores, custom"
    assert sensor.look() == ["scores", "custom"]
    assert sensor.look() == []
    assert sensor.skipped == "no file changed"
    new = project.custom / "new.mid"
    new.write_bytes(midi_bytes(tune(77)))
    at_rest(new)
    assert [sensor.look(), sensor.look(), sensor.look()] == [[], ["custom"], []]
    new.unlink()
    assert [sensor.look(), sensor.look(), sensor.look()] == [[], ["custom"], []]


def test_the_sensor_waits_until_a_file_has_stopped_growing(project, sensor):
    for path in project.scores.iterdir():
        at_rest(path)
    sensor.look()
    assert sensor.look() == ["scores", "custom"]
    new = project.custom / "growing.mid"
    new.write_bytes(b"MThd")
    assert sensor.look() == []
    assert sensor.look() == [], "the same as before, but written to just now"
    assert sensor.skipped == "changed, and may still grow: custom"
    at_rest(new)
    assert [sensor.look(), sensor.look(), sensor.look()] == [[], ["custom"], []]


def test_a_file_that_grows_under_an_old_time_is_waited_for(project, sensor):
    """As a copy that keeps times does: the clock alone would call it finished."""
    sensor.look()
    data = midi_bytes(tune(5))
    new = project.custom / "copied.mid"
    for end in range(100, len(data), 100):
        new.write_bytes(data[:end])
        at_rest(new)
        assert sensor.look() == []
    assert sensor.look() == ["custom"]


def test_a_file_written_in_pieces_is_asked_for_once_and_whole(project, sensor, monkeypatch):
    monkeypatch.setattr("pipelines.automation.REST_SEC", 0.6)
    new, data = project.custom / "slow.mid", midi_bytes(tune(6))
    sensor.look()
    assert "custom" in sensor.look(), "asked for once while it is empty"

    def write() -> None:
        with new.open("wb", buffering=0) as file:
            for start in range(0, len(data), 50):
                file.write(data[start : start + 50])
                time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    sizes, end = [], time.monotonic() + 60
    while not sizes:
        assert time.monotonic() < end, "the folder was never asked for"
        if "custom" in sensor.look():
            sizes.append(new.stat().st_size)
        time.sleep(0.15)
    writer.join()
    assert sizes == [len(data)]
    assert "custom" not in sensor.look()


def test_a_cursor_of_an_earlier_version_is_understood(project, sensor):
    for path in project.scores.iterdir():
        at_rest(path)
    state, _ = look_at(project.scores)
    sensor.cursor = json.dumps({"scores": state})
    assert [sensor.look(), sensor.look()] == [[], ["custom"]]


def test_a_folder_that_cannot_be_opened_does_not_keep_the_others_waiting(project, sensor):
    project.scores.rename(project.root / "away")
    project.scores.write_text("not a folder")
    assert [sensor.look(), sensor.look()] == [[], ["custom"]]


def test_a_catalogued_dataset_of_the_users_folder_is_watched_too(project, sensor):
    text = project.config.read_text()
    project.config.write_text(f'{text}[datasets.maestro_v3]\nfolder = "maestro"\n[datasets.asap]\nsplit = "test"\n')
    (project.root / "maestro").mkdir()
    sensor.look()
    assert "maestro_v3" in (asked := sensor.look())
    assert "asap" not in asked, "named, but neither here nor given a folder"


def test_the_schedule_asks_for_every_dataset_at_hand_once_a_week(project):
    from pipelines.definitions import build_definitions

    repository = build_definitions(project.config).get_repository_def()
    schedule = repository.get_schedule_def("weekly_reingestion")
    monday = datetime.datetime(2026, 11, 23, 4, 0, tzinfo=datetime.UTC)
    workspace = Workspace(config_path=str(project.config))
    with dg.build_schedule_context(
        scheduled_execution_time=monday, repository_def=repository, resources={"workspace": workspace}
    ) as context:
        requests = schedule.evaluate_tick(context).run_requests
    assert [(r.partition_key, r.run_key) for r in requests] == [
        ("scores", "scores-2026-11-23"),
        ("custom", "custom-2026-11-23"),
    ]


def test_what_looks_at_all_datasets_runs_once_after_them(project):
    from pipelines.definitions import build_definitions

    repository = build_definitions(project.config).get_repository_def()
    monday = datetime.datetime(2026, 11, 23, 6, 0, tzinfo=datetime.UTC)
    with dg.build_schedule_context(scheduled_execution_time=monday, repository_def=repository) as context:
        (request,) = repository.get_schedule_def("weekly_curation").evaluate_tick(context).run_requests
    assert (request.partition_key, request.run_key) == (None, "2026-11-23")


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
        assert {"duplicate_pairs", "clusters", "splits", "round_trips", "comparison", "warehouse"} <= flowed
        assert "data_cards" in flowed
        assert not flowed & {"shards", "runs", "evaluations", "samples"}
