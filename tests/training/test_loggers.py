"""Who is told the metrics: each has every line once, whatever was killed and resumed."""

import contextlib
import dataclasses
import json
import time

import pyarrow.parquet as pq
import pytest
from builders import settings_in, write_tiny_experiment

from pianogen.errors import TrainingError
from pianogen.train import StopSignal, train_experiment
from pianogen.training import loggers
from pianogen.training.checkpoints import MetricsFile
from pianogen.training.experiment import load_experiment
from pianogen.training.loggers import About, Teller, scalars, telling
from pianogen.training.metrics import METRICS

RUN_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def about(tmp_path):
    folder = tmp_path / "runs" / "tiny" / RUN_ID
    folder.mkdir(parents=True)
    lineage = {"certificate": "c", "training": {"seed": 1, "loggers": ("wandb",)}, "licences": None}
    return About(folder=folder, experiment="tiny", run_id=RUN_ID, lineage=lineage)


def line_of(step, split="train", **values):
    return {"step": step, "split": split, "nll": 5.0 - step, "elapsed_sec": 10.0 * step, **values}


LINES = [
    line_of(1, learning_rate=0.1),
    line_of(2, learning_rate=0.2),
    line_of(2, "validation", bits_per_note=9.5),
    {"step": 2, "split": "sample", "sample": "prompted", "num_notes": 7, "file": "a.mid", "elapsed_sec": 21.0},
    line_of(3, learning_rate=0.3),
    line_of(4, learning_rate=0.4),
    line_of(4, "validation", bits_per_note=8.5),
]
POINTS = {
    "train/nll": [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)],
    "train/learning_rate": [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)],
    "validation/nll": [(2, 3.0), (4, 1.0)],
    "validation/bits_per_note": [(2, 9.5), (4, 8.5)],
    "sample/prompted/num_notes": [(2, 7.0)],
}


def tell(about, names, lines, step=0, finished=False):
    """What a training process does that goes on from a checkpoint."""
    with contextlib.closing(MetricsFile(about.folder, step)) as metrics, telling(names, about) as teller:
        for line in lines:
            metrics.write(**line)
            teller(line)
        teller.finished = finished


def tell_killed_and_resumed(about, names, monkeypatch=None):
    if monkeypatch:  # a package that is imported for the first time takes its time
        monkeypatch.setitem(loggers.PATIENCE_SEC, False, 60.0)
    tell(about, names, LINES[:5])  # killed after step 3; its checkpoint is of step 2
    tell(about, names, LINES[4:], step=2, finished=True)


def test_numbers_are_named_by_split_and_sample():
    assert scalars(LINES[3]) == {"sample/prompted/num_notes": 7.0, "sample/prompted/elapsed_sec": 21.0}
    assert scalars({**LINES[0], "remaining_sec": None}).keys() == {
        "train/nll",
        "train/learning_rate",
        "train/elapsed_sec",
    }


def test_the_parquet_file_holds_every_line_once(about):
    tell_killed_and_resumed(about, [])
    table = pq.read_table(about.folder / "metrics.parquet")
    assert table.schema.equals(METRICS)
    owner = {"experiment": "tiny", "run_id": RUN_ID}
    assert table.to_pylist() == [{**dict.fromkeys(METRICS.names), **line, **owner} for line in LINES]
    lines = [json.loads(line) for line in (about.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == LINES


def test_the_parquet_file_of_a_run_whose_end_was_cut_off_is_made_up_for(about):
    tell(about, [], LINES)
    (about.folder / "metrics.parquet").unlink()
    tell(about, [], [], step=4)  # asked to stop at once
    assert not (about.folder / "metrics.parquet").exists()
    tell(about, [], [], step=4, finished=True)
    assert pq.read_metadata(about.folder / "metrics.parquet").num_rows == len(LINES)


def test_a_logger_whose_package_is_missing_is_refused_with_what_to_install(about, monkeypatch):
    monkeypatch.setitem(loggers.PACKAGES, "wandb", "no_such_package")
    with pytest.raises(TrainingError, match=r"wandb needs a package .* `pip install 'pianogen\[wandb\]'`, or leave"):
        tell(about, ["wandb"], LINES)
    assert not list(about.folder.glob("*.parquet"))


class Fails:
    def __init__(self, about, began):
        self.lines = 0

    def log(self, lines):
        self.lines += len(lines)
        if self.lines > 2:
            raise OSError("disk full")

    def close(self, finished):
        raise AssertionError("closed after it failed")


def test_a_logger_that_fails_is_told_once_and_the_others_go_on(about):
    said = []
    teller = Teller({"fails": Fails, "parquet": loggers._Table}, about, said.append)
    with contextlib.closing(MetricsFile(about.folder, 0)) as metrics:
        for line in LINES:
            metrics.write(**line)
            teller(line)
    teller.close()
    assert said == ["logger fails: OSError: disk full; the training goes on without it"]
    assert pq.read_metadata(about.folder / "metrics.parquet").num_rows == len(LINES)


class Hangs(Fails):
    def log(self, lines):
        time.sleep(1)


def test_a_logger_that_hangs_does_not_hold_up_a_cancel(about, monkeypatch):
    monkeypatch.setitem(loggers.PATIENCE_SEC, False, 0.05)
    said = []
    teller = Teller({"hangs": Hangs}, about, said.append)
    (about.folder / "metrics.jsonl").write_text(json.dumps(LINES[0]) + "\n")
    begin = time.monotonic()
    teller(LINES[0])
    teller.close()
    assert time.monotonic() - begin < 0.9
    assert said == ["loggers: not done after 0 s, left alone; metrics.jsonl has every line"]


def test_a_training_is_in_its_parquet_file_and_in_tensorboard(shared_lake, tmp_path):
    settings = dataclasses.replace(settings_in(tmp_path), lake=shared_lake)
    steps = {"steps": 6, "log_every": 2, "validate_every": 5, "checkpoint_every": 5, "loggers": ["tensorboard"]}
    assert train_experiment(load_experiment(write_tiny_experiment(tmp_path, **steps)), settings, StopSignal()) == 0
    (folder,) = settings.runs.glob("tiny/*")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = pq.read_table(folder / "metrics.parquet").to_pylist()
    assert [(row["step"], row["split"], row["nll"]) for row in rows] == [
        (line["step"], line["split"], line["nll"]) for line in lines
    ]
    found = tensorboard_points(folder / "tensorboard")
    assert [step for step, _ in found["train/gradient_norm"]] == [2, 4, 6]
    assert [step for step, _ in found["validation/bits_per_note"]] == [5, 6]


def tensorboard_points(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, pytest.approx(e.value)) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def of_interest(found):
    return {name: found.get(name) for name in POINTS}


def test_tensorboard_has_every_point_once(about):
    tell_killed_and_resumed(about, ["tensorboard"])
    assert of_interest(tensorboard_points(about.folder / "tensorboard")) == POINTS


def test_a_tensorboard_that_runs_forgets_what_the_resume_cut_back(about):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(about, ["tensorboard"], LINES[:5])
    running = EventAccumulator(str(about.folder / "tensorboard")).Reload()
    assert [event.step for event in running.Scalars("train/nll")] == [1, 2, 3]
    time.sleep(1.1)  # its files are read in the order of their names, which hold seconds
    tell(about, ["tensorboard"], LINES[4:], step=2)
    running.Reload()
    assert [event.step for event in running.Scalars("train/nll")] == [1, 2, 3, 4]


def test_times_in_tensorboard_are_those_of_the_training(about):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(about, ["tensorboard"], LINES)
    first, *_, last = EventAccumulator(str(about.folder / "tensorboard")).Reload().Scalars("train/nll")
    assert last.wall_time - first.wall_time == pytest.approx(30, abs=0.01)


def records_of_leveldb(data, used):
    """Records of a file in LevelDB's log format, of which so many bytes of the first block were a header."""
    record = b""
    while data:
        if (left := 32768 - used) < 7:
            data, used = data[left:], 0
            continue
        length, kind = int.from_bytes(data[4:6], "little"), data[6]
        record += data[7 : 7 + length]
        data, used = data[7 + length :], used + 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def test_wandb_is_offline_and_has_every_point_once(about, monkeypatch):
    pytest.importorskip("wandb", reason="W&B is not installed: pip install 'pianogen[wandb]'")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.delenv("WANDB_MODE", raising=False)
    tell_killed_and_resumed(about, ["wandb"], monkeypatch)
    (path,) = (about.folder / "wandb").glob("offline-run-*/*.wandb")
    found, run = {}, None
    for data in records_of_leveldb(path.read_bytes()[7:], 7):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.run.run_id:
            run = record.run
        values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name, value in values.items():
            found.setdefault(name, []).append((values.get("_step"), value))
    assert (run.run_id, run.project, run.run_group) == (RUN_ID, "pianogen", "tiny")
    assert of_interest(found) == POINTS


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of what it imports
def test_mlflow_is_a_local_file_and_has_every_point_once(about, monkeypatch):
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'pianogen[mlflow]'")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(about.folder)
    tell_killed_and_resumed(about, ["mlflow"], monkeypatch)
    client = MlflowClient(tracking_uri=f"sqlite:///{about.folder.parent.parent}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.tags["pianogen.run_id"]) == ("FINISHED", RUN_ID)
    assert (run.data.params["training.seed"], run.data.params["certificate"]) == ("1", "c")
    found = {name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)] for name in POINTS}
    assert found == POINTS
    assert {path.name for path in about.folder.iterdir()} == {"metrics.jsonl", "metrics.parquet"}
