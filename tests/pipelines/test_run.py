"""The whole graph as `make run` starts it, on a little music; in a process of its own where its end counts."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import duckdb
import psutil
import pytest
from builders import write_tiny_experiment
from projects import Project, tune

from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A project after one undisturbed run; tests copy it before they change it."""
    project = Project(tmp_path_factory.mktemp("finished"))
    # What lies in a folder below is a partition and no part of the run.
    (project.root / "experiments" / "later").mkdir()
    write_tiny_experiment(project.root / "experiments" / "later", "asked")
    code, output = project.run()
    assert code == 0, output
    project.output = output
    return project


def copy_of(project: Project, root: Path) -> Project:
    """The same project elsewhere: nothing in it knows where it lies."""
    shutil.copytree(project.root, root, dirs_exist_ok=True)
    copy = Project.__new__(Project)
    copy.root, copy.config, copy.lake = root, root / "pianogen.toml", root / "data" / "lake"
    copy.custom, copy.scores = root / "custom", root / "scores"
    return copy


def times(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def blocks(project: Project, stage: str, partition: str) -> list[str]:
    return json.loads((project.lake / "manifests" / stage / f"{partition}.json").read_text())["blocks"]


def trainers_of(project: Project) -> list[psutil.Process]:
    """Processes that train something of this project, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "pianogen.train" in words and f"--lake={project.lake}" in words:
            found.append(process)
    return found


def wait_for(project: Project, process, said: str) -> None:
    """Read the run's output until it says something."""
    for line in process.stdout:
        if said in line:
            return
    raise AssertionError(f"the run ended without saying {said!r}")


def test_a_run_makes_everything_and_says_where_to_look(finished):
    report, warehouse = finished.root / "data" / "report" / "index.html", finished.root / "pianogen.duckdb"
    assert str(report) in finished.output
    assert "experiment tiny" in finished.output
    assert "asked" not in finished.output
    assert str(warehouse) in finished.output
    assert '<div class="player"' in report.read_text()
    assert {path.name for path in (finished.root / "docs" / "data").iterdir()} == {"README.md", "scores.md"}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        (row,) = connection.sql("select * from leaderboard").to_arrow_table().to_pylist()
        samples = connection.sql("select count(*) from samples where octet_length(midi) > 0").fetchall()
    assert 0 < row["low"] <= row["bits_per_note"] <= row["high"] < 64
    assert row["bits_per_note"] < row["whole_bits_per_note"]
    assert row["num_contaminated"] == 0
    assert samples == [(3,)]


def test_the_gates_certificate_goes_from_the_shards_into_every_checkpoint_and_the_leaderboard(finished):
    shards = json.loads((finished.lake / "manifests" / "shards" / "tiny.json").read_text())
    certificate = shards["info"]["certificate"]
    with duckdb.connect(str(finished.root / "pianogen.duckdb"), read_only=True) as connection:
        assert connection.sql("select certificate from leaderboard").fetchall() == [(certificate,)]
    weights = list((finished.root / "data" / "runs").rglob("*.safetensors"))
    assert {path.parent.name for path in weights} > {"best"}
    for path in weights:
        assert json.loads(path.with_name("lineage.json").read_text())["certificate"] == certificate
        assert f'"pianogen.certificate":"{certificate}"'.encode() in path.read_bytes()[:2000]


def test_a_second_run_does_nothing_again(finished):
    before = times(finished.lake), times(finished.root / "data" / "runs")
    contents = finished.lake_bytes()
    succeeded, output = finished.run_here()
    assert succeeded, output
    written = {name for name, when in times(finished.lake).items() if before[0].get(name) != when}
    assert {name.split("/")[0] for name in written} <= {"manifests"}
    assert finished.lake_bytes() == contents
    assert times(finished.root / "data" / "runs") == before[1]


def test_one_more_file_costs_its_block_and_what_depends_on_it(finished, tmp_path):
    project = copy_of(finished, tmp_path)
    before = times(project.lake)
    (project.custom / "new tune.mid").write_bytes(midi_bytes(tune(1000)))
    succeeded, output = project.run_here()
    assert succeeded, output
    written = {name for name, when in times(project.lake).items() if before.get(name) != when}
    folders = {"/".join(name.split("/")[:3]) for name in written if name.startswith("blocks/")}
    new_blocks = sorted(folder.split("/")[1] for folder in folders)
    assert blocks(project, "ingest", "scores") == blocks(finished, "ingest", "scores")
    assert new_blocks == sorted(
        [
            "ingest",
            "listing",
            "fingerprints",
            "looks",
            "duplicate_pairs",
            "clusters",
            "splits",
            "contamination",
            "statistics",
            "statistics_history",
            "comparison",
            # The new file is train, of which one of the two tokenizers learns; but it has no token that was not known.
            "vocabularies",
            *["round_trips"] * 2,
            "shards",
            "shard_contamination",
            # One for each test shard.
            *["evaluations"] * 2,
            "test_kinships",
            "scores",
            "samples",
            "windows",
            "judgements",
        ]
    )


def test_the_gate_stops_the_run_and_names_both_files(finished, tmp_path):
    project = copy_of(finished, tmp_path)
    with duckdb.connect(str(project.root / "pianogen.duckdb"), read_only=True) as connection:
        query = "select path from splits inner join files using (performance_id) where split = 'test' order by path"
        victim = connection.sql(query).fetchall()[0][0]
    original = tune(int(victim.removesuffix(".mid").split()[1]))
    copy = NoteColumns(
        pitch=original.pitch + 3,
        velocity=original.velocity,
        onset_tick=original.onset_tick * 4 // 5,
        duration_tick=original.duration_tick * 4 // 5,
        ticks_per_quarter=original.ticks_per_quarter,
    )
    (project.custom / "mine.mid").write_bytes(midi_bytes(copy))
    shards = (project.lake / "manifests" / "shards" / "tiny.json").read_bytes()
    code, output = project.run()
    assert code == 1
    assert "no_music_stands_in_two_splits" in output
    assert "custom/mine.mid" in output
    assert f"scores/{victim}" in output
    assert "FAILED" in output
    assert (project.lake / "manifests" / "shards" / "tiny.json").read_bytes() == shards


def test_a_cancelled_run_leaves_no_trainer_and_keeps_a_checkpoint(finished, tmp_path):
    # All but the training is done already.
    project = copy_of(finished, tmp_path)
    shutil.rmtree(project.root / "data" / "runs")
    write_tiny_experiment(project.root / "experiments", steps=100_000, validate_every=50_000, checkpoint_every=10)
    process = project.start()
    wait_for(project, process, "nats per token")
    assert trainers_of(project)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert trainers_of(project) == []
    assert list((project.root / "data" / "runs").glob("tiny/*/checkpoints/step-*"))


def test_a_run_killed_in_training_is_finished_by_the_next_with_the_bytes_of_an_undisturbed_one(finished, tmp_path):
    project = Project(tmp_path)
    process = project.start()
    wait_for(project, process, "step 10/")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while trainers_of(project):
        assert time.monotonic() < deadline, "the trainer outlived the run that was killed"
        time.sleep(0.2)
    succeeded, output = project.run_here()
    assert succeeded, output
    assert project.lake_bytes() == finished.lake_bytes()
