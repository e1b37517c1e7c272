"""Checkpoints and metrics of a run: a process killed at any moment leaves only whole ones.

A checkpoint is written into a folder whose name begins with `tmp-`, forced to disk, then renamed to
`checkpoints/step-<step>`; resume reads no other. What is removed is named in `pruned.jsonl` before it goes. The metrics
up to a checkpoint are on disk before it is, and resume drops those after it, so that a finished file equals an
undisturbed one but for times.
"""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pianogen.errors import TrainingError
from pianogen.training.runs import METRICS_FILE, WEIGHTS_FILE, swap_in, write_json, write_whole

PROGRESS_FILE = "progress.json"
LINEAGE_FILE = "lineage.json"
"""What the checkpoint comes from: data, split, shards, certificate, code, settings."""
AVERAGE_FILE = "average.safetensors"
"""The average of the weights, under the same names; only where there is one."""
STAMPED = ("experiment", "run_id", "split_version", "shards_version", "certificate")
"""Of the lineage, what stands in the file of the weights as well, since people copy that file alone."""
ASIDE = "tmp-"
PRUNED_FILE = "pruned.jsonl"
"""Of a run: a line for each checkpoint that was removed: when, what, how large, why."""
RESERVED_FILE = "reserved"
"""In a folder that is being filled: as long as the folder will be, and without content; see `training.room`."""


@dataclass(kw_only=True)
class Progress:
    """What a run has reached besides its weights."""

    step: int = 0
    num_examples: int = 0
    """Windows trained on; the next update begins with the one of this number."""
    best_step: int = 0
    """Of the fewest validation bits per note so far; 0 before the first validation."""
    best_nll: float | None = None
    best_bits_per_note: float | None = None
    num_validations_since_best: int = 0
    stopped_early: bool = False
    """No validation was better for so long that training has ended; see `training.patience`."""
    num_validation_performances: int = 0
    num_tokens: int = 0
    """Targets trained on."""
    train_sec: float = 0.0
    """Over all resumes; work that a kill undid is not in it."""
    peak_memory_mb: float = 0.0
    peak_gpu_memory_mb: float = 0.0
    interval_nats: float = 0.0
    """Since the last logged step, like the next three."""
    interval_tokens: int = 0
    interval_sec: float = 0.0
    interval_loading_sec: float = 0.0
    """Of these, what the loader took."""
    pace: dict[str, list[float]] = field(default_factory=dict)
    """The latest times of each part of the training, seconds; see pace.py."""
    sampled_step: int = 0
    """At which samples were drawn last."""


def checkpoint_path(run: Path, step: int) -> Path:
    """Folder of the checkpoint of a step, whether it exists or not."""
    return run / "checkpoints" / f"step-{step:08d}"


def checkpoint_steps(run: Path) -> list[int]:
    """Steps that have a whole checkpoint, ascending."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


@contextlib.contextmanager
def new_checkpoint(
    run: Path,
    progress: Progress,
    lineage: Mapping[str, Any],
    reserve: Callable[[Path], AbstractContextManager] = contextlib.nullcontext,
) -> Iterator[Path]:
    """A folder to fill, which becomes the checkpoint of `progress.step` when the body ends without an error.

    After that, only the best and this one are left.

    Args:
        run: the run's folder.
        progress: what the run has reached.
        lineage: what the checkpoint says of itself.
        reserve: given the folder, holds room for it while it is filled, or refuses.
    """
    with aside(run) as folder:
        with reserve(folder):
            yield folder
        write_json(folder / LINEAGE_FILE, {**lineage, "step": progress.step})
        write_json(folder / PROGRESS_FILE, dataclasses.asdict(progress))
        target = checkpoint_path(run, progress.step)
        target.parent.mkdir(exist_ok=True)
        swap_in(folder, target)
    for step in checkpoint_steps(run):
        if step not in (progress.step, progress.best_step):
            discard(checkpoint_path(run, step), run, "neither the best nor the last")


def discard(folder: Path, run: Path, reason: str) -> int:
    """Remove a folder of a run, once `pruned.jsonl` of the run says so; its bytes.

    Args:
        folder: what goes.
        run: that it belongs to; the caller holds its lock.
        reason: why.
    """
    num_bytes = size_of(folder)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "path": str(folder.relative_to(run)),
        "num_bytes": num_bytes,
        "reason": reason,
    }
    log = run / PRUNED_FILE
    with log.open("a+b") as file:
        # After a line that a kill cut short.
        begin = b"\n" if file.tell() and not log.read_bytes().endswith(b"\n") else b""
        file.write(begin + json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if not folder.name.startswith(ASIDE):
        # Renamed first: a half-deleted folder must not look like a checkpoint.
        doomed = run / f"{ASIDE}old-{folder.name}-{os.getpid()}"
        folder = folder.rename(doomed)
    shutil.rmtree(folder)
    return num_bytes


def read_pruned(run: Path) -> list[dict[str, Any]]:
    """What was removed from a run, in order: `time`, `path`, `num_bytes`, `reason`; half lines are passed over."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in (run / PRUNED_FILE).read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, or those that are reserved for it, where they are more; 0 when it is gone."""
    sizes: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for path in filter(Path.is_file, folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                sizes[str(path.relative_to(folder))] = path.stat().st_size
    return max(sizes.pop(RESERVED_FILE, 0), sum(sizes.values()))


def require_same_run(folder: Path, run_id: str, remedy: str) -> None:
    """Refuse a checkpoint, or a finished model, of another run than it lies in: somebody copied or changed it.

    Args:
        folder: whose `lineage.json` and whose weights must name the run.
        run_id: of the run.
        remedy: what to do.

    Raises:
        TrainingError: they name another one, or none.
    """
    try:
        said = json.loads((folder / LINEAGE_FILE).read_text(encoding="utf-8"))
        with (folder / WEIGHTS_FILE).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder}: not a whole checkpoint ({error}); {remedy}") from None
    stamp = {name: header.get("__metadata__", {}).get(f"pianogen.{name}") for name in STAMPED}
    for file, found in ((LINEAGE_FILE, said), (WEIGHTS_FILE, stamp)):
        if found.get("run_id") != run_id:
            raise TrainingError(
                f"{folder / file}: of run {found.get('run_id')} of the experiment {found.get('experiment')}, though it "
                f"lies in run {run_id}: copied or changed by hand; {remedy}"
            )


def stamp_weights(path: Path, lineage: Mapping[str, Any]) -> None:
    """Name the lineage in the header of a file of weights; the weights stay as they are.

    The header is written here: safetensors puts its metadata in an order that changes from process to process.

    Args:
        path: a file as `safetensors` writes it.
        lineage: has all of `STAMPED`.
    """
    aside_path = path.with_name(f"{path.name}.new")
    with path.open("rb") as file, aside_path.open("wb") as stamped:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        stamp = {f"pianogen.{name}": str(lineage[name] or "") for name in STAMPED}
        if parents := lineage.get("parents"):
            stamp["pianogen.parents"] = " ".join(f"{parent['experiment']}/{parent['run_id']}" for parent in parents)
        header["__metadata__"] = dict(sorted({**header.get("__metadata__", {}), **stamp}.items()))
        text = json.dumps(header, separators=(",", ":")).encode()
        # The format wants the tensors to begin at a multiple of 8 bytes.
        text += b" " * (-len(text) % 8)
        stamped.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(file, stamped)
    aside_path.replace(path)


def read_progress(checkpoint: Path) -> Progress:
    """What the run had reached at a checkpoint."""
    path = checkpoint / PROGRESS_FILE
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path}: not readable ({error}); delete {checkpoint} and train again") from None


@contextlib.contextmanager
def aside(run: Path) -> Iterator[Path]:
    """An empty folder of the run that nobody looks into; gone at the end unless renamed."""
    folder = run / f"{ASIDE}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(run: Path) -> None:
    """Remove what a killed training left; only for the holder of the run's lock."""
    for path in run.glob(f"{ASIDE}*"):
        shutil.rmtree(path, ignore_errors=True)


class MetricsFile:
    """`metrics.jsonl` of a run, opened at the step where training goes on.

    Args:
        run: the run's folder.
        step: of the checkpoint that training goes on from; lines of later steps are dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        self.path = run / METRICS_FILE
        if self.path.exists():
            old = self.path.read_bytes()
            kept = b"".join(line for line in old.splitlines(keepends=True) if _step_of(line) <= step)
            if kept != old:
                write_whole(self.path, kept)
        self._file = self.path.open("ab")

    def write(self, **values: Any) -> None:
        """Append one line, visible to readers at once."""
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()

    def sync(self) -> None:
        """Force the lines to disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def _step_of(line: bytes) -> float:
    """The step of a metrics line; infinite for a line that a kill cut short."""
    try:
        return json.loads(line)["step"] if line.endswith(b"\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
