"""`python -m pianogen.train EXPERIMENT.yaml`: one training in this process, from its last checkpoint if it has one.

It ends with 0 when the run is finished, 1 with a message when something is wrong, and 130 or 143 when a signal
or the death of its parent stopped it: then a checkpoint is saved, and the same command goes on from there.

`torchrun --nproc-per-node N -m pianogen.train EXPERIMENT.yaml` trains the same with N processes; the exit code is then
torchrun's own.
"""

import argparse
import contextlib
import dataclasses
import functools
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from filelock import FileLock, Timeout

from pianogen.errors import PianogenError
from pianogen.lake import Lake
from pianogen.settings import CheckpointLimits, Settings, load_settings
from pianogen.training.calibration import calibrate
from pianogen.training.experiment import ExperimentConfig, load_experiment
from pianogen.training.loggers import THREAD, About, telling
from pianogen.training.runs import read_run, run_folder
from pianogen.training.showing import reporter

if TYPE_CHECKING:
    from pianogen.training.ranks import Ranks

ENVIRONMENT = {
    # Nothing here needs the network.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    # Threads that wait for each other sleep: spinning ones take the cores from a process that has work.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""What other libraries read in this process, unless the user has set it; set before torch is imported."""
ALONE = {"CUDA_VISIBLE_DEVICES": "0"}
"""The same for a process that trains alone: one process, one GPU. Those that torchrun starts take one each."""


class StopSignal:
    """Asks the training to stop at the first signal; a second one ends the process at once."""

    def __init__(self) -> None:
        self.requested = False
        self.exit_code = int(128 + signal.SIGTERM)
        self._watcher: threading.Thread | None = None
        self._wake = -1

    def install(self) -> None:
        """Listen to SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def stop_with_parent(self) -> None:
        """Listen to the end of standard input, which the parent holds open as long as it lives."""
        wake, self._wake = os.pipe()
        self._watcher = threading.Thread(target=self._watch, args=(wake,), name="stop-with-parent")
        self._watcher.start()

    def close(self) -> None:
        """Stop listening to standard input: a thread that still waits would hold up the end of the process."""
        if self._watcher:
            os.close(self._wake)
            self._watcher.join()
            self._watcher = None

    def _watch(self, wake: int) -> None:
        stdin = sys.stdin.fileno()
        while True:
            ready, _, _ = select.select([stdin, wake], [], [])
            if stdin in ready and not os.read(stdin, 4096):
                self.requested = True
                break
            if wake in ready:
                break
        os.close(wake)

    def _receive(self, number: int, frame: Any) -> None:
        if self.requested:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.requested = True
        self.exit_code = 128 + number


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pianogen.train", description=__doc__)
    parser.add_argument("experiment", type=Path, help="experiments/NAME.yaml")
    parser.add_argument("--config", type=Path, help="pianogen.toml; the nearest one without it")
    parser.add_argument("--lake", type=Path, help="in place of the lake of pianogen.toml")
    parser.add_argument("--runs", type=Path, help="in place of the runs folder of pianogen.toml")
    parser.add_argument("--experiments", type=Path, help="in place of the folder of experiments of pianogen.toml")
    for field in dataclasses.fields(CheckpointLimits):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=float, help="in place of that of [checkpoints] of pianogen.toml")
    parser.add_argument("--stop-with-parent", action="store_true", help="save and end when standard input ends")
    options = parser.parse_args(arguments)
    for name, value in (ENVIRONMENT if _is_one_of_many() else ENVIRONMENT | ALONE).items():
        os.environ.setdefault(name, value)
    stop = StopSignal()
    stop.install()
    if options.stop_with_parent:
        stop.stop_with_parent()
    try:
        settings = load_settings(options.config)
        named = ("lake", "runs", "experiments")
        places: dict[str, Any] = {name: Path(path).absolute() for name in named if (path := getattr(options, name))}
        limits = {name: getattr(options, name) for name in (f.name for f in dataclasses.fields(CheckpointLimits))}
        given = {name: value for name, value in limits.items() if value is not None}
        places["checkpoints"] = dataclasses.replace(settings.checkpoints, **given)
        return train_experiment(load_experiment(options.experiment), dataclasses.replace(settings, **places), stop)
    except PianogenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        stop.close()


def train_experiment(config: ExperimentConfig, settings: Settings, stop: StopSignal) -> int:
    """Train one experiment in this process, waiting for another that trains the same run; the exit code.

    Raises:
        LakeError: the experiment has no shards.
        TrainingError: the loss is not finite, the device is not there, a fine-tune does not fit its parent, or there
            is no room for checkpoints.
        ContaminationError: the parent of a fine-tune saw music that is held out, or nobody can tell.
    """
    lake = Lake(settings.lake)
    folder = run_folder(lake, settings.runs, config)
    if read_run(folder):
        print(f"{folder}: finished before; nothing to do")
        return 0
    if not _is_one_of_many():
        return _train_first(config, lake, settings, folder, stop)
    # Here and not above: torch takes seconds to import.
    from pianogen.training.ranks import joined

    with joined() as ranks:
        if ranks.is_first:
            return _train_first(config, lake, settings, folder, stop, ranks)
        if not ranks.told_to_begin():
            return stop.exit_code if stop.requested else 0
        return _train_locked(config, lake, settings, folder, stop, ranks)


def _is_one_of_many() -> bool:
    """Whether torchrun started this process with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _train_first(
    config: ExperimentConfig,
    lake: Lake,
    settings: Settings,
    folder: Path,
    stop: StopSignal,
    ranks: "Ranks | None" = None,
) -> int:
    """Train as the process that holds the run's lock, which no other one of the same training does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    if not _acquire(lock, folder, stop):
        return stop.exit_code
    try:
        if read_run(folder):
            print(f"{folder}: finished meanwhile; nothing to do")
            return 0
        return _train_locked(config, lake, settings, folder, stop, ranks)
    finally:
        lock.release()


def _say_nothing(*_: Any) -> None:
    """What ranks but the first report."""


def _acquire(lock: FileLock, folder: Path, stop: StopSignal) -> bool:
    """Take the run's lock, however long another training holds it; False when asked to stop meanwhile."""
    told = False
    while not stop.requested:
        try:
            lock.acquire(timeout=0.5)
            return True
        except Timeout:
            if not told:
                print(f"{folder}: another process trains this run; waiting for it", flush=True)
                told = True
    return False


def _train_locked(
    config: ExperimentConfig,
    lake: Lake,
    settings: Settings,
    folder: Path,
    stop: StopSignal,
    ranks: "Ranks | None" = None,
) -> int:
    # Here and not above: torch takes seconds to import, and whoever has nothing to train need not wait.
    from pianogen.evaluation.likelihood import choose_within, measure
    from pianogen.generation.while_training import TrainingSampler
    from pianogen.shards import ShardSet
    from pianogen.training.lineage import lineage_of
    from pianogen.training.parents import beginning_of
    from pianogen.training.room import Room
    from pianogen.training.trainer import train

    is_first = not ranks or ranks.is_first
    shards = ShardSet(lake, config.name)
    if is_first:
        shards.verify()
    beginning = beginning_of(config, shards, lake, settings.runs, folder)
    validation = shards.sequences("validation")
    chosen = choose_within(validation, config.training.validation_tokens)
    of_validation = {"sequences": validation, "chosen": chosen, "context_length": config.model.context_length}
    sampler = TrainingSampler(lake, shards, config) if config.training.sample_every and is_first else None
    about = About(
        folder=folder, experiment=config.name, run_id=folder.name, lineage=lineage_of(config, shards, beginning)
    )
    if ranks and is_first:
        ranks.begin()
    show, close = reporter(config.training.steps) if is_first else (_say_nothing, _say_nothing)
    with contextlib.ExitStack() as ending, telling(config.training.loggers if is_first else (), about) as tell:
        ending.callback(close)

        def report(line: dict[str, Any]) -> None:
            show(line)
            tell(line)

        run = train(
            config,
            shards,
            folder,
            validate=functools.partial(measure, **of_validation),
            calibrate=functools.partial(calibrate, **of_validation),
            stop=stop,
            report=report,
            sampler=sampler,
            beginning=beginning,
            room=Room(settings, folder) if is_first else None,
            ranks=ranks,
        )
        tell.finished = run is not None
    if not is_first:
        return stop.exit_code if run is None else 0
    if run is None:
        print(f"{folder}: stopped, checkpoint saved; the same command goes on from there", flush=True)
        return stop.exit_code
    early = " early" if run["stopped_early"] else ""
    print(
        f"{folder}: finished{early}, validation {run['validation_nll']:.4f} nats per token at step {run['best_step']}, "
        f"{run['train_sec']:.0f} s, {run['tokens_per_sec']:.0f} tokens/s, {run['peak_memory_mb']:.0f} MiB"
    )
    return 0


def _leave(code: int) -> NoReturn:
    """End the process, at once where a logger is still busy: what it has open would hold up the usual end."""
    if any(thread.name == THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
