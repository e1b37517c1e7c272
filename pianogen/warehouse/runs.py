"""Finished runs and their metrics: what `run.json` and `metrics.jsonl` hold, as tables."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen.errors import LakeError

RUNS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("model", pa.string()),
        ("tokenizer", pa.string()),
        ("datasets", pa.list_(pa.string())),
        ("context_length", pa.int64()),
        ("n_layer", pa.int64()),
        ("n_head", pa.int64()),
        ("n_embd", pa.int64()),
        ("num_parameters", pa.int64()),
        ("steps", pa.int64()),
        ("best_step", pa.int64()),
        ("validation_nll", pa.float64()),
        ("seed", pa.int64()),
        ("device", pa.string()),
        ("train_sec", pa.float64()),
        ("peak_memory_mb", pa.float64()),
        ("tokens_per_sec", pa.float64()),
        ("dataset_versions", pa.map_(pa.string(), pa.string())),
        ("licences", pa.map_(pa.string(), pa.string())),
        ("non_commercial_datasets", pa.list_(pa.string())),
        ("split_version", pa.string()),
        ("shards_version", pa.string()),
        ("certificate", pa.string()),
        ("code_version", pa.string()),
        ("checkpoint", pa.string()),
    ]
)
"""One row per finished run, from its `run.json`."""

METRICS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("nll", pa.float64()),
        ("learning_rate", pa.float64()),
        ("tokens_per_sec", pa.float64()),
        ("elapsed_sec", pa.float64()),
        ("memory_mb", pa.float64()),
    ]
)
"""One row per line of a finished run's `metrics.jsonl`, in the order of the lines."""


def read_runs(runs: Path) -> tuple[pa.Table, pa.Table]:
    """Finished runs and their metrics, with the schemas RUNS and METRICS, in the order of the folders' names.

    A run is a folder `<experiment>/<run_id>` with a `run.json` whose status is "finished"; others are still
    training. A key that `run.json` lacks is null; one that the schema does not name is left out.

    Raises:
        LakeError: a file is not JSON, or a value is not of its column's type.
    """
    found, metrics = [RUNS.empty_table()], [METRICS.empty_table()]
    for path in sorted(Path(runs).glob("*/*/run.json")):
        fields = _json_object(path.read_text(encoding="utf-8"), str(path))
        if fields.get("status") != "finished":
            continue
        row = {name: fields.get(name) for name in RUNS.names}
        for name in ("dataset_versions", "licences"):
            if isinstance(named := row[name], dict):
                row[name] = sorted(named.items())
        found.append(_typed([row], RUNS, str(path)))
        log = path.with_name("metrics.jsonl")
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        owner = {"experiment": row["experiment"], "run_id": row["run_id"]}
        logged = [_json_object(line, f"{log}:{i}") | owner for i, line in enumerate(lines, start=1) if line.strip()]
        metrics.append(_typed(logged, METRICS, str(log)))
    return pa.concat_tables(found), pa.concat_tables(metrics)


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LakeError(f"{where}: JSON expected ({error}); mend it, or remove the run's folder") from None
    if not isinstance(value, dict):
        raise LakeError(f"{where}: a JSON object expected, found {value!r}; mend it, or remove the run's folder")
    return value


def _typed(rows: list[dict[str, Any]], schema: pa.Schema, where: str) -> pa.Table:
    columns = {}
    for column in schema:
        try:
            columns[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise LakeError(f"{where}: {column.name} must be {column.type}: {error}") from None
    return pa.table(columns, schema=schema)
