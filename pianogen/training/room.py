"""Room on the disk for checkpoints: how much they may take, what goes when it is not enough, and when to refuse.

Before a checkpoint is written its size is added to what is there. Where that is more than a limit of `[checkpoints]`,
or leaves less of the disk free, others go, in this order, until there is room:

1. what killed trainings left half-written;
2. checkpoints of finished runs, the longest finished first: their model in `best/` needs none of them;
3. checkpoints of orphaned runs, the oldest first: nothing goes on from them;
4. checkpoints of stopped runs of which this cannot be said, the oldest first: they would begin anew.

`best/` of a finished run never goes, nor anything of a run that is being trained. Where all that is not enough nothing
is removed, nothing is written, and an error says what takes the room. What goes is named in the run's `pruned.jsonl`.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pianogen.errors import TrainingError
from pianogen.settings import CheckpointLimits, Settings
from pianogen.training.checkpoints import RESERVED_FILE, discard
from pianogen.training.runs import LOCK_FILE
from pianogen.training.storage import (
    CHECKPOINT,
    FINISHED,
    LEFT_OVER,
    MODEL,
    ORPHANED,
    RUNNING,
    STOPPED,
    StoredRun,
    run_folders,
    stored_in,
    stored_runs,
)

if TYPE_CHECKING:
    from torch import nn

GB = 10**9
COPIES = 4
"""Of the weights in a checkpoint at most: they, their average, and two moments of the optimizer."""
MOST_CHECKPOINTS = 3
"""Of a run at once: the best, the last, and the one that is being written."""
LOCK = ".room.lock"
REASONS = {
    LEFT_OVER: "left half-written by a killed training",
    FINISHED: "resuming: the run is finished",
    ORPHANED: "resuming: nothing goes on from it, since what is trained changed",
    STOPPED: "room was wanted; the run begins anew",
}


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Folders of a run that go together, or stay."""

    run: Path
    paths: tuple[Path, ...]
    num_bytes: int
    why: str
    """A key of REASONS."""

    @property
    def experiment(self) -> str:
        """Of the run."""
        return self.run.parent.name


@dataclass(frozen=True, kw_only=True)
class Excess:
    """Bytes above the limits, or 0."""

    of_experiment: int = 0
    of_all: int = 0
    of_disk: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return max(self.of_experiment, self.of_all, self.of_disk) > 0

    def without(self, num_bytes: int, *, own: bool) -> "Excess":
        """The rest when so much is removed, of the experiment itself or of another."""
        rest = replace(self, of_all=max(0, self.of_all - num_bytes), of_disk=max(0, self.of_disk - num_bytes))
        return replace(rest, of_experiment=max(0, self.of_experiment - num_bytes)) if own else rest


def removals(found: Sequence[StoredRun]) -> list[Removal]:
    """All that may go, in the order in which it does."""
    left_over = [
        Removal(run=run.folder, paths=(one.path,), num_bytes=one.num_bytes, why=LEFT_OVER)
        for run in found
        if run.state != RUNNING
        for one in run.stored
        if one.kind == LEFT_OVER
    ]
    kept = [
        Removal(
            run=run.folder,
            # The last first: a run that a kill leaves with its best alone can go on from there.
            paths=tuple(one.path for one in reversed(run.stored) if one.kind == CHECKPOINT),
            num_bytes=sum(one.num_bytes for one in run.stored if one.kind == CHECKPOINT),
            why=state,
        )
        for state in (FINISHED, ORPHANED, STOPPED)
        for run in sorted((one for one in found if one.state == state), key=lambda one: (one.written, one.folder))
    ]
    return left_over + [one for one in kept if one.paths]


def choose(offered: Sequence[Removal], excess: Excess, experiment: str) -> tuple[list[Removal], Excess]:
    """The first removals that take an excess away, and what is left of it.

    Args:
        offered: in the order in which they go.
        excess: over the limits.
        experiment: whose own excess it is.
    """
    chosen: list[Removal] = []
    for own_alone in (True, False):
        for one in offered:
            own = one.experiment == experiment
            helps = excess.of_experiment > 0 if own_alone else max(excess.of_all, excess.of_disk) > 0
            if one not in chosen and helps and (own or not own_alone):
                chosen.append(one)
                excess = excess.without(one.num_bytes, own=own)
    return chosen, excess


def to_prune(found: Sequence[StoredRun], limits: CheckpointLimits, free_bytes: int) -> list[Removal]:
    """What goes when somebody asks: all that is of no use, and of stopped runs what is above the limits."""
    offered = removals(found)
    chosen = [one for one in offered if one.why != STOPPED]
    stopped = [one for one in offered if one.why == STOPPED]
    for experiment in sorted({run.experiment for run in found}):
        gone = sum(one.num_bytes for one in chosen)
        own_gone = sum(one.num_bytes for one in chosen if one.experiment == experiment)
        excess = excess_of(found, limits, free_bytes, experiment, 0)
        excess = excess.without(own_gone, own=True).without(gone - own_gone, own=False)
        chosen += choose([one for one in stopped if one not in chosen], excess, experiment)[0]
    return chosen


def excess_of(
    found: Sequence[StoredRun], limits: CheckpointLimits, free_bytes: int, experiment: str, more_bytes: int
) -> Excess:
    """What `more_bytes` of an experiment would be above the limits."""

    def above(limit_gb: float, num_bytes: int) -> int:
        return max(0, num_bytes - round(limit_gb * GB)) if limit_gb else 0

    held = sum(run.num_bytes for run in found if run.experiment == experiment)
    return Excess(
        of_experiment=above(limits.max_gb_per_experiment, held + more_bytes),
        of_all=above(limits.max_gb, sum(run.num_bytes for run in found) + more_bytes),
        of_disk=max(0, more_bytes + round(limits.min_free_gb * GB) - free_bytes),
    )


def remove(removal: Removal) -> int:
    """Remove it, and say so in the run's `pruned.jsonl`; its bytes, 0 where the run is being trained by now."""
    try:
        with FileLock(removal.run / LOCK_FILE, timeout=0):
            return sum(discard(path, removal.run, REASONS[removal.why]) for path in removal.paths if path.is_dir())
    except Timeout:
        return 0


class Room:
    """Room for the checkpoints of a run.

    Args:
        settings: limits, and where the runs are.
        run: the run's folder; the caller holds its lock.
    """

    def __init__(self, settings: Settings, run: Path) -> None:
        self.settings, self.limits, self.run = settings, settings.checkpoints, run
        self.num_bytes = 0
        """Of the next checkpoint."""

    def begin(self, model: "nn.Module") -> None:
        """Refuse to begin where the checkpoints of a model would find no room later.

        Raises:
            TrainingError: nor would they if all that may go were gone.
        """
        written = [one.num_bytes for one in stored_in(self.run) if one.kind == CHECKPOINT]
        weights = sum(one.numel() * one.element_size() for one in model.parameters())
        self.num_bytes = max(written, default=COPIES * weights)
        self._plan(self.num_bytes * max(0, MOST_CHECKPOINTS - len(written)))

    @contextlib.contextmanager
    def reserved(self, folder: Path) -> Iterator[None]:
        """Room for the next checkpoint, in a folder that is being filled; others see that it is taken.

        Raises:
            TrainingError: there is none; nothing was written or removed.
        """
        written = [one.num_bytes for one in stored_in(self.run) if one.kind == CHECKPOINT]
        self.num_bytes = max(written, default=self.num_bytes)
        mark = folder / RESERVED_FILE
        self.settings.runs.mkdir(parents=True, exist_ok=True)
        with FileLock(self.settings.runs / LOCK):
            self.require(self.num_bytes)
            mark.touch()
            os.truncate(mark, self.num_bytes)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def require(self, num_bytes: int) -> None:
        """Make room for so much.

        Raises:
            TrainingError: there is none; nothing was removed.
        """
        while chosen := self._plan(num_bytes):
            for one in chosen:
                remove(one)

    def _plan(self, num_bytes: int) -> list[Removal]:
        """What has to go for so much; refused where that is not enough."""
        experiment = self.run.parent.name
        # States ask experiments and locks; sizes are enough as long as there is room.
        sizes = [
            StoredRun(folder=folder, state=RUNNING, changed=None, stored=tuple(stored_in(folder)))
            for folder in run_folders(self.settings.runs)
        ]
        free = free_bytes(self.settings.runs, sizes)
        excess = excess_of(sizes, self.limits, free, experiment, num_bytes)
        if not excess:
            return []
        found = stored_runs(self.settings)
        others = [run for run in found if run.folder != self.run]
        chosen, lacking = choose(removals(others), excess, experiment)
        if lacking:
            raise TrainingError(self._refusal(found, num_bytes, free, excess))
        return chosen

    def _refusal(self, found: Sequence[StoredRun], num_bytes: int, free: int, excess: Excess) -> str:
        experiment = self.run.parent.name
        of_experiment = [run for run in found if run.experiment == experiment]
        above = []
        if excess.of_experiment:
            held = sum(run.num_bytes for run in of_experiment)
            limit = f"max_gb_per_experiment = {self.limits.max_gb_per_experiment:g}"
            above.append(f"the runs of {experiment} hold {told(held)}, {limit}")
        if excess.of_all:
            above.append(f"all runs hold {told(sum(run.num_bytes for run in found))}, max_gb = {self.limits.max_gb:g}")
        if excess.of_disk:
            above.append(f"the disk has {told(free)} free, min_free_gb = {self.limits.min_free_gb:g}")
        concerned = found if excess.of_all or excess.of_disk else of_experiment
        largest = sorted(concerned, key=lambda run: (-_needed(run), run.folder))[:5]
        lines = [f"  {told(_needed(run))}  {run.experiment}/{run.folder.name} ({_what(run)})" for run in largest]
        return "\n".join(
            [
                f"{self.run}: no room for {told(num_bytes)} of checkpoints; {'; '.join(above)} ([checkpoints] in "
                "pianogen.toml). What takes most of it and does not go by itself:",
                *[line for line, run in zip(lines, largest, strict=True) if _needed(run)],
                "Raise the limit, or delete the folders of runs that are needed no more; `pianogen checkpoints` lists "
                "all. Nothing was written or removed.",
            ]
        )


def free_bytes(runs: Path, found: Sequence[StoredRun]) -> int:
    """Bytes of the disk that neither hold anything nor are reserved for what is being written."""
    place = next(path for path in (runs, *runs.parents) if path.exists())
    promised = 0
    for one in (one for run in found for one in run.stored if one.kind == LEFT_OVER):
        with contextlib.suppress(FileNotFoundError):
            mark = (one.path / RESERVED_FILE).stat().st_size
            promised += max(0, mark - (sum(p.stat().st_size for p in one.path.rglob("*") if p.is_file()) - mark))
    return shutil.disk_usage(place).free - promised


def told(num_bytes: int) -> str:
    """A size in words."""
    return f"{num_bytes / GB:,.1f} GB" if num_bytes >= GB else f"{num_bytes / 1e6:,.1f} MB"


def _needed(run: StoredRun) -> int:
    """What of a run does not go by itself."""
    return sum(one.num_bytes for one in run.stored if run.state == RUNNING or one.kind == MODEL)


def _what(run: StoredRun) -> str:
    return "being trained" if run.state == RUNNING else "its finished model"
