"""The stage that scores a finished run on the whole test split: one row per performance in `evaluations`."""

import hashlib
from pathlib import Path

import pyarrow as pa

from pianogen.errors import LakeError
from pianogen.evaluation.likelihood import score
from pianogen.lake import Lake, Manifest, Stage, code_version
from pianogen.models import load_model, model_code
from pianogen.models.devices import Device, fixed_threads, pick_device
from pianogen.parallel import Progress
from pianogen.shards import ShardSet
from pianogen.tables import SCHEMAS
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.runs import require_run, run_folder

STAGE = Stage(
    name="evaluations",
    modules=("pianogen.evaluation.evaluations", "pianogen.evaluation.likelihood"),
    packages=("torch", "transformers"),
    tables=("evaluations",),
)
CHUNK = 64
"""Performances scored between two reports of progress."""


def evaluate_run(lake: Lake, runs: Path, experiment: ExperimentConfig, *, progress: Progress | None = None) -> Manifest:
    """Score the test split with the experiment's finished run; done once per model and shard set.

    Args:
        lake: where the shards lie and the rows go, partition = the experiment's name.
        runs: folder of all runs.
        experiment: its current settings say which run.
        progress: told the number of performances done and of all.

    Raises:
        LakeError: there are no shards yet.
        TrainingError: the run is not finished.
        ShardError: the model's vocabulary is not that of the shards.
    """
    folder = run_folder(lake, runs, experiment)
    run = require_run(folder)
    shards = ShardSet(lake, experiment.name)
    model_folder = folder / run["checkpoint"]
    weights = model_folder / "model.safetensors"
    key = STAGE.key(
        inputs=[
            run["run_id"],
            shards.version,
            hashlib.sha256(weights.read_bytes()).hexdigest(),
            code_version(model_code(run["model"])),
        ],
        settings=experiment.name,
    )
    if not lake.has_block(STAGE.name, key):
        device = pick_device(experiment.training.device)
        lake.write_block(
            STAGE.name, key, {"evaluations": _score_test(lake, shards, run, model_folder, device, progress)}
        )
    info = {"experiment": experiment.name, "run_id": run["run_id"], "shards_version": shards.version}
    return lake.publish(STAGE, [key], partition=experiment.name, info=info)


def _score_test(
    lake: Lake, shards: ShardSet, run: dict, model_folder: Path, device: Device, progress: Progress | None
) -> pa.Table:
    model = load_model(model_folder, run["model"], len(shards.tokenizer.vocab))
    sequences = shards.sequences("test")
    duration = _durations(lake)
    order = sorted(range(len(sequences)), key=lambda i: sequences.performance_ids[i])
    model.to(device.torch_device)  # pyright: ignore[reportArgumentType]
    rows = []
    with fixed_threads():
        for first in range(0, len(order), CHUNK):
            chunk = order[first : first + CHUNK]
            nats = score(model, [sequences[i] for i in chunk], run["context_length"])
            for i, value in zip(chunk, nats, strict=True):
                performance_id = sequences.performance_ids[i]
                rows.append(
                    {
                        "experiment": run["experiment"],
                        "run_id": run["run_id"],
                        "performance_id": performance_id,
                        "num_tokens": len(sequences[i]) - 1,
                        "num_notes": int(sequences.num_notes[i]),
                        "duration_sec": duration[performance_id],
                        "nats": float(value),
                    }
                )
            if progress:
                progress(len(rows), len(order))
    return pa.Table.from_pylist(rows, SCHEMAS["evaluations"])


def _durations(lake: Lake) -> dict[str, float]:
    table = lake.read("performances", ["performance_id", "duration_sec"])
    if not table.num_rows:
        raise LakeError(f"{lake.root}: no performances; run the stage 'ingest' first")
    return dict(zip(table["performance_id"].to_pylist(), table["duration_sec"].to_pylist(), strict=True))
