"""What the runs have on the disk: checkpoints, models, what killed trainings left; and what state each run is in.

running    its lock is held
finished   run.json is there
stopped    neither; the same command goes on from its last checkpoint
orphaned   stopped, and no command goes on: code, shards or settings changed since, so the experiment is another run
"""

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pianogen.errors import PianogenError
from pianogen.lake import Lake
from pianogen.settings import Settings
from pianogen.shards.files import STAGE as SHARDS
from pianogen.training.checkpoints import ASIDE, LINEAGE_FILE, size_of
from pianogen.training.experiment import experiment_file, load_experiment
from pianogen.training.runs import (
    BEST,
    LOCK_FILE,
    NOT_OF_THE_WEIGHTS,
    RUN_FILE,
    Parent,
    find_parent,
    run_id,
    training_code_version,
)

RUNNING, FINISHED, STOPPED, ORPHANED = "running", "finished", "stopped", "orphaned"
CHECKPOINT, MODEL, LEFT_OVER = "checkpoint", "model", "left over"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A folder of a run that takes room."""

    path: Path
    kind: str
    """CHECKPOINT, with all that resuming needs; MODEL, `best/` of a finished run; LEFT_OVER, or being written."""
    num_bytes: int
    written: float
    """Seconds since 1970."""

    @property
    def step(self) -> int | None:
        """Of a checkpoint."""
        return int(self.path.name.removeprefix("step-")) if self.kind == CHECKPOINT else None


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run with what it has on the disk."""

    folder: Path
    state: str
    changed: tuple[str, ...] | None
    """What is another today: `code`, `shards`, `model`, `training`, `parent`, or `settings`, where nothing tells which.
    None where there is no such experiment file to ask."""
    stored: tuple[Stored, ...]

    @property
    def experiment(self) -> str:
        """Its name."""
        return self.folder.parent.name

    @property
    def num_bytes(self) -> int:
        """Of all of it."""
        return sum(one.num_bytes for one in self.stored)

    @property
    def written(self) -> float:
        """When the newest whole part of it was written; 0 where there is none."""
        return max((one.written for one in self.stored if one.kind != LEFT_OVER), default=0.0)


def run_folders(runs: Path) -> list[Path]:
    """Every run, finished or not, in the order of their names."""
    return sorted(path for path in Path(runs).glob("*/*") if path.is_dir())


def stored_in(run: Path) -> list[Stored]:
    """What a run has on the disk: checkpoints by their steps, then its model, then what is left over."""
    places = [*((path, CHECKPOINT) for path in sorted((run / "checkpoints").glob("step-*"))), (run / BEST, MODEL)]
    places += [(path, LEFT_OVER) for path in sorted(run.glob(f"{ASIDE}*"))]
    found = []
    for path, kind in places:
        with contextlib.suppress(FileNotFoundError):
            written = path.stat().st_mtime
            found.append(Stored(path=path, kind=kind, num_bytes=size_of(path), written=written))
    return found


def stored_runs(settings: Settings) -> list[StoredRun]:
    """Every run with its state."""
    today: dict[str, Today | None] = {}
    found = []
    for folder in run_folders(settings.runs):
        name = folder.parent.name
        if name not in today:
            today[name] = today_of(settings, name)
        stored = tuple(stored_in(folder))
        changed = _changed_since(folder, stored, today[name])
        found.append(StoredRun(folder=folder, state=_state(folder, changed), changed=changed, stored=stored))
    return found


def is_running(run: Path) -> bool:
    """Whether its lock is held."""
    path = run / LOCK_FILE
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


@dataclass(frozen=True, kw_only=True)
class Today:
    """What a training of an experiment would be now."""

    run_id: str | None
    """None where it could not begin."""
    told: Mapping[str, Any]
    """Of its lineage, what tells it from others."""


def today_of(settings: Settings, experiment: str) -> Today | None:
    """What a training of an experiment would be now; None where there is no file of that name that can be read."""
    lake = Lake(settings.lake)
    parent: Parent | None = None
    try:
        config = load_experiment(experiment_file(settings.experiments, experiment))
        shards = lake.manifest(SHARDS.name, experiment)
    except PianogenError:
        return None
    with contextlib.suppress(PianogenError):
        parent = find_parent(settings.runs, config)
    could_begin = shards is not None and bool(config.training.fine_tune) == (parent is not None)
    return Today(
        run_id=run_id(config, shards.version, parent) if could_begin and shards else None,
        told={
            "code_version": training_code_version(config.model.name),
            "shards_version": shards.version if shards else None,
            "model": dataclasses.asdict(config.model),
            "training": _trained(dataclasses.asdict(config.training)),
            "parent": parent.weights if parent else None,
        },
    )


_NAMES: dict[str, str] = {"code_version": "code", "shards_version": "shards"}


def _changed_since(folder: Path, stored: tuple[Stored, ...], today: Today | None) -> tuple[str, ...] | None:
    if today is None:
        return None
    if folder.name == today.run_id:
        return ()
    said: dict[str, Any] = {}
    for one in stored:
        with contextlib.suppress(OSError, ValueError):
            said = json.loads((one.path / LINEAGE_FILE).read_text(encoding="utf-8"))
    parents = said.get("parents") or [{}]
    then = {**said, "training": _trained(said.get("training", {})), "parent": parents[-1].get("weights")}
    now: dict[str, Any] = json.loads(json.dumps(dict(today.told)))
    changed = [_NAMES.get(name, name) for name in now if _is_other(then.get(name), now[name])] if said else []
    return tuple(changed) or ("settings",)


def _is_other(then: Any, now: Any) -> bool:
    """Whether a value changed; settings that one of both does not know came with the code."""
    if isinstance(then, dict) and isinstance(now, dict):
        return any(then[name] != now[name] for name in then.keys() & now.keys())
    return then != now


def _trained(training: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a training that its weights depend on; what its parent is called is not among them."""
    return {name: value for name, value in training.items() if name not in NOT_OF_THE_WEIGHTS}


def _state(folder: Path, changed: tuple[str, ...] | None) -> str:
    if is_running(folder):
        return RUNNING
    if (folder / RUN_FILE).is_file():
        return FINISHED
    return ORPHANED if changed else STOPPED
