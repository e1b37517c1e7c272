import subprocess
import sys

import dagster as dg
import pytest
from projects import PROJECT, Project

from pianogen.catalogue_entries import load_entries
from pipelines.checks import BLOCKING

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    from pipelines.definitions import build_definitions

    return build_definitions(Project(tmp_path_factory.mktemp("project"), num_scores=0).config)


def test_definitions_load(defs):
    dg.Definitions.validate_loadable(defs)


def test_the_graph_is_the_one_that_the_documents_draw(defs):
    graph = defs.resolve_asset_graph()
    drawn = {
        key.to_user_string(): (
            graph.get(key).group_name,
            sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            bool(graph.get(key).partitions_def),
        )
        for key in graph.get_all_asset_keys()
    }
    assert drawn == {
        "downloads": ("corpus", [], True),
        "performances": ("corpus", ["downloads"], True),
        "fingerprints": ("corpus", ["performances"], True),
        "duplicate_pairs": ("corpus", ["fingerprints"], False),
        "clusters": ("corpus", ["duplicate_pairs"], False),
        "splits": ("corpus", ["clusters"], False),
        "statistics": ("statistics", ["performances", "splits"], False),
        "shards": ("tokens", ["splits"], True),
        "runs": ("training", ["shards"], True),
        "evaluations": ("evaluation", ["runs"], True),
        "samples": ("evaluation", ["runs"], True),
        "leaderboard": ("evaluation", ["evaluations", "samples", "statistics"], False),
        "report": ("evaluation", ["leaderboard"], False),
    }


def test_partitions_are_datasets_and_experiments(defs):
    graph = defs.resolve_asset_graph()
    keys = {
        name: graph.get(dg.AssetKey(name)).partitions_def.get_partition_keys()
        for name in ("downloads", "performances", "fingerprints", "shards")
    }
    datasets = [*load_entries(), "scores", "custom"]
    assert keys == {"downloads": datasets, "performances": datasets, "fingerprints": datasets, "shards": ["tiny"]}


def test_no_job_downloads(defs):
    jobs = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert [job.name for job in jobs if "downloads" in {node.name for node in job.nodes}] == []


def test_jobs_schedule_and_sensors_are_there(defs):
    repository = defs.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert jobs == {"reingest", "curate", "experiment", "publish", "everything"}
    assert [schedule.cron_schedule for schedule in repository.schedule_defs] == ["0 4 * * 1"]
    assert {sensor.name for sensor in repository.sensor_defs} == {"custom_folders", "downstream_of_new_data"}


def test_every_check_in_the_warehouse_folder_is_an_asset_check_and_the_gate_blocks(defs):
    graph = defs.resolve_asset_graph()
    files = {(path.parent.name, path.stem) for path in (PROJECT / "warehouse" / "checks").glob("*/*.sql")}
    gate = ("splits", "no_music_stands_in_two_splits")
    found = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert found == files | {gate, ("splits", "no_group_holds_a_large_share_of_the_music")}
    blocking = {(k.asset_key.to_user_string(), k.name) for k in graph.asset_check_keys if graph.get(k).blocking}
    accounting = [("performances", name) for name in BLOCKING]
    assert blocking == {gate, *accounting}
    assert len(accounting) == 2


def test_loading_the_definitions_imports_nothing_heavy():
    heavy = ["torch", "transformers", "miditok", "symusic", "music21", "matplotlib", "pandas"]
    code = f"import pipelines.definitions, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dagster_yaml_is_valid_and_sends_no_telemetry(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_settings("telemetry") == {"enabled": False}
        assert instance.run_monitoring_enabled
        assert not (tmp_path / "storage").exists()
        assert (tmp_path / ".dagster" / "storage").is_dir()
