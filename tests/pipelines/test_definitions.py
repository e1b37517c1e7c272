import subprocess
import sys

import dagster as dg
import pytest
from builders import write_tiny_experiment
from projects import PROJECT, Project

from pianogen import ingest, reading
from pianogen.catalogue_entries import load_entries
from pianogen.dedupe import fingerprint
from pianogen.measured import COLUMNS
from pianogen.tables import SCHEMAS
from pipelines.automation import CORPUS, CORPUS_BY_DATASET
from pipelines.checks import BLOCKING

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    from pipelines.definitions import build_definitions

    project = Project(tmp_path_factory.mktemp("project"), num_scores=0)
    (project.root / "experiments" / "later").mkdir()
    write_tiny_experiment(project.root / "experiments" / "later", "asked")
    return build_definitions(project.config)


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
        "round_trips": ("tokens", ["performances", "splits"], False),
        "statistics": ("statistics", ["performances"], True),
        "comparison": ("statistics", ["clusters", "splits", "statistics"], False),
        "warehouse": ("statistics", ["comparison", "round_trips"], False),
        "data_cards": ("statistics", ["warehouse"], False),
        "shards": ("tokens", ["splits"], True),
        "runs": ("training", ["shards"], True),
        "evaluations": ("evaluation", ["runs"], True),
        "samples": ("evaluation", ["runs"], True),
        "sample_judgements": ("evaluation", ["samples"], True),
        "test_kinships": ("evaluation", ["evaluations"], True),
        "scores": ("evaluation", ["test_kinships"], False),
        "leaderboard": ("evaluation", ["sample_judgements", "samples", "scores", "warehouse"], False),
        "report": ("evaluation", ["leaderboard"], False),
    }


def test_partitions_are_datasets_and_experiments(defs):
    graph = defs.resolve_asset_graph()
    keys = {
        name: graph.get(dg.AssetKey(name)).partitions_def.get_partition_keys()
        for name in ("downloads", "performances", "fingerprints", "statistics", "shards")
    }
    datasets = [*load_entries(), "scores", "custom"]
    by_dataset = dict.fromkeys(("downloads", "performances", "fingerprints", "statistics"), datasets)
    assert keys == {**by_dataset, "shards": ["tiny", "asked"]}


def test_each_job_holds_the_assets_of_its_name_in_the_documents(defs):
    selected = {
        name: {node.name for node in defs.resolve_job_def(name).nodes if "__" not in node.name} & assets(defs)
        for name in ("reingest", "curate", "experiment", "publish")
    }
    assert selected == {
        "reingest": {"performances", "fingerprints", "statistics"},
        "curate": {"duplicate_pairs", "clusters", "splits", "round_trips", "comparison", "warehouse", "data_cards"},
        "experiment": {"shards", "runs", "evaluations", "test_kinships", "samples", "sample_judgements"},
        "publish": {"scores", "leaderboard", "report"},
    }


def assets(defs) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


def test_the_corpus_asks_to_be_looked_at_every_week(defs):
    graph = defs.resolve_asset_graph()
    windows = {}
    for key in graph.get_all_asset_keys():
        if policy := graph.get(key).freshness_policy:
            windows[key.to_user_string()] = (
                policy.warn_window.to_timedelta().days,
                policy.fail_window.to_timedelta().days,
            )
    # What the weekly schedules materialize, and nothing that waits to be asked.
    assert windows == dict.fromkeys((*CORPUS_BY_DATASET, *CORPUS), (8, 15))


def test_assets_that_write_tables_name_their_columns(defs):
    graph = defs.resolve_asset_graph()
    found = {}
    for key in graph.get_all_asset_keys():
        metadata = graph.get(key).metadata
        if "dagster/column_schema" in metadata:
            others = {name.removeprefix("columns_of_") for name in metadata if name.startswith("columns_of_")}
            found[key.to_user_string()] = {key.to_user_string(), *others} & set(SCHEMAS) | others
    assert found == {
        "performances": {*reading.STAGE.tables, *ingest.LISTING.tables, *ingest.REMOVED.tables},
        "fingerprints": set(fingerprint.STAGE.tables),
        "duplicate_pairs": {"duplicate_pairs"},
        "clusters": {"clusters"},
        "splits": {"splits", "split_moves", "contamination"},
        "statistics": {"histograms", "statistics_history"},
        "round_trips": {"round_trips"},
        "evaluations": {"evaluations", "evaluation_parts"},
        "test_kinships": {"test_kinships"},
        "scores": {"scores", "paired_scores"},
        "samples": {"samples"},
        "sample_judgements": {"sample_judgements", "sample_copies", "sample_distances"},
    }


def test_every_measure_is_defined_where_its_column_is_listed(defs):
    node = defs.resolve_asset_graph().get(dg.AssetKey("statistics"))
    columns = {column.name: column for column in node.metadata["dagster/column_schema"].schema.columns}
    assert list(columns) == list(COLUMNS)
    assert columns["velocity_mean"].description == (
        "Mean velocity of the notes. Unit: MIDI number. From performances: notes.is_drum, notes.velocity."
    )
    assert columns["pitch_max"].type == "int32"


def test_no_job_downloads(defs):
    jobs = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert [job.name for job in jobs if "downloads" in {node.name for node in job.nodes}] == []


def test_jobs_schedule_and_sensors_are_there(defs):
    repository = defs.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert jobs == {"reingest", "curate", "experiment", "publish", "everything"}
    assert {schedule.name: (schedule.job_name, schedule.cron_schedule) for schedule in repository.schedule_defs} == {
        "weekly_reingestion": ("reingest", "0 4 * * 1"),
        "weekly_curation": ("curate", "0 6 * * 1"),
    }
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
        assert instance.get_settings("freshness") == {"enabled": True}
        assert instance.run_monitoring_enabled
        assert not (tmp_path / "storage").exists()
        assert (tmp_path / ".dagster" / "storage").is_dir()
