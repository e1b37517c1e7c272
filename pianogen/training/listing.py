"""Every checkpoint and model of every run, as rows: size, likelihood, age, lineage, state; and their sums."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pianogen.errors import TrainingError
from pianogen.settings import CheckpointLimits, Settings
from pianogen.training.checkpoints import LINEAGE_FILE, PROGRESS_FILE, read_pruned
from pianogen.training.runs import METRICS_FILE, RUN_FILE
from pianogen.training.storage import CHECKPOINT, LEFT_OVER, MODEL, RUNNING, Stored, StoredRun, run_folders, stored_runs

ROWS = pa.schema(
    [
        ("experiment", pa.string()),
        ("run_id", pa.string()),
        ("state", pa.string()),  # see `storage`
        ("changed", pa.string()),  # what is another today; null: not known
        ("kind", pa.string()),  # best | last | best, last | finished | left over | being written | pruned
        ("step", pa.int64()),
        ("num_bytes", pa.int64()),
        ("bits_per_note", pa.float64()),  # of the validation at this step; null: there was none
        ("nll", pa.float64()),
        ("written", pa.string()),  # UTC
        ("age_sec", pa.float64()),
        ("split_version", pa.string()),
        ("shards_version", pa.string()),
        ("certificate", pa.string()),
        ("parents", pa.string()),  # experiment/run_id, the oldest first
        ("parents_check", pa.string()),
        ("path", pa.string()),
    ]
)
"""A row for each checkpoint, model and left-over; and for a run of which all was pruned."""
SUMS = pa.schema(
    [
        ("experiment", pa.string()),  # null: of all
        ("num_runs", pa.int64()),
        ("num_checkpoints", pa.int64()),
        ("num_bytes", pa.int64()),
        ("limit_gb", pa.float64()),  # null: none
        ("num_pruned", pa.int64()),  # checkpoints that were removed so far
        ("pruned_bytes", pa.int64()),
    ]
)


def checkpoint_rows(found: Sequence[StoredRun], now: float | None = None) -> pa.Table:
    """What the runs have on the disk, with the schema ROWS.

    Args:
        found: the runs.
        now: seconds since 1970.
    """
    now = time.time() if now is None else now
    rows = [row for run in found for row in _rows_of(run, now)]
    return pa.Table.from_pylist(rows, schema=ROWS)


def sums(found: Sequence[StoredRun], limits: CheckpointLimits) -> pa.Table:
    """Sums by experiment, and in all, beside the limits, with the schema SUMS."""
    rows = []
    for name in [*sorted({run.experiment for run in found}), None]:
        runs = [run for run in found if name in (run.experiment, None)]
        pruned = [line for run in runs for line in read_pruned(run.folder)]
        rows.append(
            {
                "experiment": name,
                "num_runs": len(runs),
                "num_checkpoints": sum(one.kind != LEFT_OVER for run in runs for one in run.stored),
                "num_bytes": sum(run.num_bytes for run in runs),
                "limit_gb": (limits.max_gb if name is None else limits.max_gb_per_experiment) or None,
                "num_pruned": len(pruned),
                "pruned_bytes": sum(line.get("num_bytes", 0) for line in pruned),
            }
        )
    return pa.Table.from_pylist(rows, schema=SUMS)


def find_run(settings: Settings, name: str) -> StoredRun:
    """The run that a user means, finished or not.

    Args:
        settings: where the runs are.
        name: a run's id or how it begins, an experiment's name (its newest run), or a run's folder.

    Raises:
        TrainingError: there is none, or several ids begin so.
    """
    known = run_folders(settings.runs)
    found = [folder for folder in known if folder.name.startswith(name)] if name else []
    if len({folder.name for folder in found}) > 1:
        raise TrainingError(f"run {name!r}: {', '.join(folder.name for folder in found)} begin so; name more of it")
    runs = stored_runs(settings)
    if not found:
        path = Path(name).expanduser().absolute()
        found = [folder for folder in known if folder.absolute() in (path, *path.parents)]
    if not found:
        own = [run for run in runs if run.experiment == name]
        found = [max(own, key=lambda run: (run.written, run.folder)).folder] if own else []
    if not found:
        raise TrainingError(f"run {name!r}: no run's id, experiment or folder in {settings.runs}; see `checkpoints`")
    return next(run for run in runs if run.folder == found[0])


def description(run: StoredRun) -> dict[str, Any]:
    """Everything that is known of where a run comes from: `run`, `state`, `changed`, `lineage`, `pruned`.

    The lineage is that of its model, or of its last checkpoint; empty where it has neither.
    """
    whole = [one for one in run.stored if one.kind != LEFT_OVER]
    return {
        "run": str(run.folder),
        "state": run.state,
        "changed": None if run.changed is None else list(run.changed),
        "lineage": _json(whole[-1].path / LINEAGE_FILE) if whole else {},
        "pruned": read_pruned(run.folder),
    }


def _rows_of(run: StoredRun, now: float) -> Iterator[dict[str, Any]]:
    validated = _validations(run.folder)
    same = {
        "experiment": run.experiment,
        "run_id": run.folder.name,
        "state": run.state,
        "changed": None if run.changed is None else ", ".join(run.changed),
    }
    last = max((one.step for one in run.stored if one.step is not None), default=None)
    for one in run.stored:
        lineage = _json(one.path / LINEAGE_FILE)
        yield {
            **same,
            **_scored(run, one, last, validated),
            "num_bytes": one.num_bytes,
            "written": datetime.fromtimestamp(one.written, UTC).isoformat(timespec="seconds"),
            "age_sec": max(0.0, now - one.written),
            **{name: lineage.get(name) for name in ("split_version", "shards_version", "certificate", "parents_check")},
            "parents": " ".join(f"{p['experiment']}/{p['run_id']}" for p in lineage.get("parents") or ()) or None,
            "path": str(one.path),
        }
    if not run.stored and read_pruned(run.folder):
        yield {**same, "kind": "pruned", "num_bytes": 0, "path": str(run.folder)}


def _scored(run: StoredRun, one: Stored, last: int | None, validated: Mapping[int, Mapping]) -> dict[str, Any]:
    """Kind, step and likelihood of what is stored."""
    if one.kind == LEFT_OVER:
        return {"kind": "being written" if run.state == RUNNING else LEFT_OVER}
    if one.kind == MODEL:
        said = _json(run.folder / RUN_FILE)
        return {
            "kind": "finished",
            "step": said.get("best_step"),
            "bits_per_note": said.get("validation_bits_per_note"),
            "nll": said.get("validation_nll"),
        }
    # The last one knows which is the best.
    whole = [other for other in run.stored if other.kind == CHECKPOINT]
    progress = _json(whole[-1].path / PROGRESS_FILE)
    is_best = progress.get("best_step") == one.step
    kinds = [name for name, is_it in (("best", is_best), ("last", one.step == last)) if is_it]
    line = validated.get(one.step or 0, {})
    return {
        "kind": ", ".join(kinds) or CHECKPOINT,
        "step": one.step,
        "bits_per_note": progress.get("best_bits_per_note") if is_best else line.get("bits_per_note"),
        "nll": progress.get("best_nll") if is_best else line.get("nll"),
    }


def _validations(run: Path) -> dict[int, dict[str, Any]]:
    """What the run's metrics say of each validated step."""
    found: dict[int, dict[str, Any]] = {}
    with contextlib.suppress(FileNotFoundError):
        for text in (run / METRICS_FILE).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if line.get("split") == "validation":
                    found[line["step"]] = line
    return found


def _json(path: Path) -> dict[str, Any]:
    """What a file says; nothing where it is not there, or not whole."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
