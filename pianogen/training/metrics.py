"""What a training tells of itself, line by line, as rows.

A line of `metrics.jsonl` has the columns below that apply to its split; lines of earlier versions have fewer.

    train        a logged step: means over the updates since the one before
    validation   a validated step
    sample       a sample that was drawn while training, or the reason why it was not
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen.errors import LakeError

METRICS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("nll", pa.float64()),
        ("bits_per_note", pa.float64()),
        ("learning_rate", pa.float64()),
        ("gradient_norm", pa.float64()),
        ("tokens_per_sec", pa.float64()),
        ("loader_share", pa.float64()),
        ("elapsed_sec", pa.float64()),
        ("remaining_sec", pa.float64()),
        ("memory_mb", pa.float64()),
        ("gpu_memory_mb", pa.float64()),
        ("sample", pa.string()),
        ("num_notes", pa.int64()),
        ("duration_sec", pa.float64()),
        ("file", pa.string()),
        ("error", pa.string()),
    ]
)
"""One row per line of a run's `metrics.jsonl`, in the order of the lines."""


def read_metrics(path: Path, *, grows: bool = False) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`; none where it is not there.

    Args:
        path: the file.
        grows: it may end in a line that is not whole yet, which is left out.

    Raises:
        LakeError: a line is not a JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    if grows and lines and not lines[-1].endswith("\n"):
        lines.pop()
    return [json_object(line, f"{path}:{i}") for i, line in enumerate(lines, start=1) if line.strip()]


def metrics_table(
    lines: Iterable[Mapping[str, Any]], experiment: str | None, run_id: str | None, where: str
) -> pa.Table:
    """Lines of a run as rows of METRICS; a key that a line lacks is null, one that is not known is left out.

    Args:
        lines: what `read_metrics` gives.
        experiment: of the run.
        run_id: of the run.
        where: what an error names.

    Raises:
        LakeError: a value is not of its column's type.
    """
    owner = {"experiment": experiment, "run_id": run_id}
    return typed_table([{**line, **owner} for line in lines], METRICS, where)


def json_object(text: str, where: str) -> dict[str, Any]:
    """The object that a text holds.

    Raises:
        LakeError: it holds none.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LakeError(f"{where}: JSON expected ({error}); mend it, or remove the run's folder") from None
    if not isinstance(value, dict):
        raise LakeError(f"{where}: a JSON object expected, found {value!r}; mend it, or remove the run's folder")
    return value


def typed_table(rows: list[dict[str, Any]], schema: pa.Schema, where: str) -> pa.Table:
    """Rows with the columns of a schema.

    Raises:
        LakeError: a value is not of its column's type.
    """
    columns = {}
    for column in schema:
        try:
            columns[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise LakeError(f"{where}: {column.name} must be {column.type}: {error}") from None
    return pa.table(columns, schema=schema)
