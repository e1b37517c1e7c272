"""Runs and their metrics: what `run.json` and `metrics.jsonl` hold, as tables."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from pianogen.training.metrics import METRICS, json_object, metrics_table, read_metrics, typed_table

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
        ("leak", pa.float64()),  # share of the groups of test music that was trained on, on purpose
        ("code_version", pa.string()),
        ("parents", pa.list_(pa.string())),  # of a fine-tune, the oldest first: experiment/run_id
        ("parents_check", pa.string()),  # that they saw nothing held out: same_split | compared | unchecked
        ("checkpoint", pa.string()),
    ]
)
"""One row per finished run, from its `run.json`."""


def read_runs(runs: Path) -> tuple[pa.Table, pa.Table]:
    """Finished runs and their metrics, with the schemas RUNS and METRICS, in the order of the folders' names.

    A run is a folder `<experiment>/<run_id>` with a `run.json` whose status is "finished"; others are still
    training. A key that `run.json` lacks is null; one that the schema does not name is left out.

    Raises:
        LakeError: a file is not JSON, or a value is not of its column's type.
    """
    found, metrics = [RUNS.empty_table()], [METRICS.empty_table()]
    for path in sorted(Path(runs).glob("*/*/run.json")):
        fields = json_object(path.read_text(encoding="utf-8"), str(path))
        if fields.get("status") != "finished":
            continue
        row = {name: fields.get(name) for name in RUNS.names}
        for name in ("dataset_versions", "licences"):
            if isinstance(named := row[name], dict):
                row[name] = sorted(named.items())
        if isinstance(parents := row["parents"], list):
            row["parents"] = [
                f"{one['experiment']}/{one['run_id']}" if isinstance(one, dict) else one for one in parents
            ]
        found.append(typed_table([row], RUNS, str(path)))
        log = path.with_name("metrics.jsonl")
        metrics.append(metrics_table(read_metrics(log), row["experiment"], row["run_id"], str(log)))
    return pa.concat_tables(found), pa.concat_tables(metrics)


def owners(runs: pa.Table) -> set[tuple[str, str]]:
    """Experiment and id of each run of a table."""
    return set(zip(runs["experiment"].to_pylist(), runs["run_id"].to_pylist(), strict=True))


def read_unfinished(runs: Path, finished: Collection[tuple[str, str]]) -> pa.Table:
    """Metrics of the runs that still train, or were left off, as far as they are written; rows of METRICS.

    Args:
        runs: folder of all runs.
        finished: experiment and id of those that are not meant.

    Raises:
        LakeError: a whole line is not JSON, or a value is not of its column's type.
    """
    metrics = [METRICS.empty_table()]
    for log in sorted(Path(runs).glob("*/*/metrics.jsonl")):
        owner = (log.parent.parent.name, log.parent.name)
        if owner not in finished:
            metrics.append(metrics_table(read_metrics(log, grows=True), *owner, str(log)))
    return pa.concat_tables(metrics)
