"""The stage that scores a finished run on the whole test split: a block for each test shard.

Of each performance `evaluations` has the nats of its tokens, what of its notes comes back of them, and the bits that
they leave unsaid (`round_trips.residual`); `evaluation_parts` the nats by attribute (`evaluation.attributed`). One new
recording costs the shard that it lies in, and a killed evaluation goes on from the shards that it finished.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pianogen.errors import LakeError
from pianogen.evaluation.attributed import score_attributes
from pianogen.lake import Lake, Manifest, Stage, code_version
from pianogen.models import load_model, model_code
from pianogen.models.devices import fixed_threads, pick_device
from pianogen.parallel import Progress
from pianogen.round_trips.decoded import notes_that_come_back
from pianogen.round_trips.matching import MATCHED
from pianogen.round_trips.residual import residual_bits
from pianogen.shards import Sequences, ShardSet
from pianogen.shards.members import music_of
from pianogen.tables import SCHEMAS
from pianogen.tokenizers.attribution import TOLD
from pianogen.tokenizers.base import Tokenizer, token_block
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.runs import require_run, run_folder

STAGE = Stage(
    name="evaluations",
    modules=(
        *(f"pianogen.evaluation.{name}" for name in ("attributed", "evaluations", "likelihood")),
        *(f"pianogen.round_trips.{name}" for name in ("decoded", "matching", "residual")),
        "pianogen.tokenizers.attribution",
    ),
    packages=("numba", "numpy", "torch", "transformers"),
    tables=("evaluations", "evaluation_parts"),
)


def evaluate_run(lake: Lake, runs: Path, experiment: ExperimentConfig, *, progress: Progress | None = None) -> Manifest:
    """Score the test split with the experiment's finished run; done once per model and test shard.

    Args:
        lake: where the shards lie and the rows go, partition = the experiment's name.
        runs: folder of all runs.
        experiment: its current settings say which run.
        progress: told the number of tokens scored and of those to be scored.

    Raises:
        LakeError: there are no shards yet, or music of theirs is no longer in the lake.
        TrainingError: the run is not finished.
        ShardError: the model's vocabulary is not that of the shards.
    """
    folder = run_folder(lake, runs, experiment)
    run = require_run(folder)
    shards = ShardSet(lake, experiment.name)
    model_folder = folder / run["checkpoint"]
    weights = hashlib.sha256((model_folder / "model.safetensors").read_bytes()).hexdigest()
    inputs = [run["run_id"], weights, code_version(model_code(run["model"]))]
    found = {
        STAGE.key(inputs=[*inputs, shard["block"], shard["sha256"]], settings=experiment.name): shard
        for shard in shards.info["shards"]
        if shard["split"] == "test"
    }
    todo = {key: shards.of_shard(shard) for key, shard in found.items() if not lake.has_block(STAGE.name, key)}
    if todo:
        model = load_model(model_folder, run["model"], len(shards.tokenizer.vocab))
        model.to(pick_device(experiment.training.device).torch_device)  # pyright: ignore[reportArgumentType]
        total, done = sum(int((one.lengths() - 1).sum()) for one in todo.values()), 0
        for key, sequences in todo.items():
            scored = _counted(progress, done, total)
            lake.write_block(STAGE.name, key, _score(lake, model, run, shards.tokenizer, sequences, scored))
            done += int((sequences.lengths() - 1).sum())
    info = {"experiment": experiment.name, "run_id": run["run_id"], "shards_version": shards.version}
    return lake.publish(STAGE, list(found), partition=experiment.name, info=info)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return progress and (lambda done, _: progress(before + done, total))


def _score(
    lake: Lake,
    model: torch.nn.Module,
    run: Mapping,
    tokenizer: Tokenizer,
    sequences: Sequences,
    progress: Progress | None,
) -> dict[str, pa.Table]:
    ids = sequences.performance_ids
    order = sorted(range(len(sequences)), key=ids.__getitem__)
    tokens = [sequences[i] for i in order]
    with fixed_threads():
        nats = score_attributes(model, tokens, run["context_length"], tokenizer, progress)
    named = [ids[i] for i in order]
    about = {"experiment": run["experiment"], "run_id": run["run_id"]}
    rows = {
        **{name: pa.repeat(value, len(order)) for name, value in about.items()},
        "performance_id": pa.array(named),
        "num_tokens": pa.array([len(one) - 1 for one in tokens]),
        "nats": pa.array(nats.sum(axis=1)),
        **_what_comes_back(lake, tokenizer, tokens, named),
        "carries": pa.repeat(" ".join(sorted(tokenizer.carries)), len(order)),
    }
    of_attribute = {
        **{name: pa.repeat(value, nats.size) for name, value in about.items()},
        "performance_id": pa.array(np.repeat(np.array(named, object), len(TOLD))),
        "attribute": pa.array(TOLD * len(order)),
        "nats": pa.array(nats.ravel()),
    }
    parts = _as("evaluation_parts", of_attribute)
    return {"evaluations": _as("evaluations", rows), "evaluation_parts": parts.filter(pa.array(nats.ravel() != 0.0))}


def _what_comes_back(
    lake: Lake, tokenizer: Tokenizer, tokens: Sequence[np.ndarray], performance_ids: Sequence[str]
) -> dict[str, pa.Array]:
    """Columns of the source's notes, of those that decoding gives, and of what it leaves unsaid."""
    facts = _facts(lake, performance_ids)
    source = music_of(lake, performance_ids, parts=tokenizer.reads_parts)
    decoded = tokenizer.decode_block(token_block(tokens, tokenizer))
    counts, _ = notes_that_come_back(tokenizer, source, decoded)
    return {
        "num_notes": facts["num_notes"],
        "duration_sec": facts["duration_sec"],
        "num_decoded": pa.array(np.diff(decoded.note_edges)),
        "num_matched": pa.array(counts[:, MATCHED]),
        "residual_bits": pa.array(residual_bits(tokenizer, source, decoded)),
    }


def _facts(lake: Lake, performance_ids: Sequence[str]) -> dict[str, pa.Array]:
    columns = ["performance_id", "num_notes", "duration_sec"]
    rows = {row["performance_id"]: row for row in lake.read("performances", columns).to_pylist()}
    if missing := [name for name in performance_ids if name not in rows]:
        raise LakeError(
            f"{len(missing)} test performances of the shards are no longer in the lake (the first: {missing[0]}); "
            "build the shards again"
        )
    return {name: pa.array([rows[one][name] for one in performance_ids]) for name in columns[1:]}


def _as(table: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    schema = SCHEMAS[table]
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)
