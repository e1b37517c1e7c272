"""What earlier versions of a dataset were like: enough to tell whether a new one has drifted away from them."""

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from pianogen.lake import Lake, Manifest, Stage
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="statistics_history",
    modules=("pianogen.statistics.history",),
    packages=("numpy",),
    tables=("statistics_history",),
)
MAX_VERSIONS = 20
"""Older ones are forgotten."""


def remember_version(lake: Lake, measured: Manifest, definitions: str) -> Manifest:
    """Add the current statistics of a dataset to its history, unless they are its latest version.

    Args:
        lake: read, and written to: the partition of the dataset in the table `statistics_history`.
        measured: manifest of its statistics.
        definitions: version of the code that measured; another one begins a history of its own.

    Returns:
        The manifest of its history, with the number of the latest version in `info`.
    """
    dataset = measured.partition
    before = lake.manifest(STAGE.name, dataset)
    kept = []
    if before is not None:
        if before.info["statistics_version"] == measured.version and before.info["definitions"] == definitions:
            return before
        kept = [lake.read_block(STAGE.name, key, "statistics_history") for key in before.blocks]
    version = 1 + (before.info["version"] if before else 0)
    names = {"version": version, "statistics_version": measured.version, "definitions": definitions}
    parts = [lake.read_block(measured.stage, key, "performance_statistics") for key in measured.blocks]
    statistics = pa.concat_tables([SCHEMAS["performance_statistics"].empty_table(), *parts])
    rows = [
        {"dataset": dataset, "dataset_version": measured.info["dataset_version"], **names, "measure": name, **found}
        for name, found in _summaries(statistics).items()
    ]
    table = pa.concat_tables([*kept, pa.Table.from_pylist(rows, schema=SCHEMAS["statistics_history"])])
    table = table.filter(pa.array(table["version"].to_numpy() > version - MAX_VERSIONS))
    key = STAGE.key(inputs=table.to_pylist())
    if not lake.has_block(STAGE.name, key):
        lake.write_block(STAGE.name, key, {"statistics_history": table})
    return lake.publish(STAGE, [key], partition=dataset, info=names)


def _summaries(statistics: pa.Table) -> dict[str, dict[str, float]]:
    """Mean, spread and percentiles of every measure that is a number or a boolean, over performances that have it."""
    summaries = {}
    for field in statistics.schema:
        if types.is_string(field.type) or field.name == "key_tonic":
            continue
        values = np.sort(statistics[field.name].drop_null().to_numpy(zero_copy_only=False).astype(np.float64))
        if len(values):
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
            summaries[field.name] = {
                "num_performances": len(values),
                "mean": float(values.mean()),
                "std": float(values.std()),
                "p05": low,
                "p50": middle,
                "p95": high,
            }
    return summaries
