"""A run: one training of one experiment on one shard set by one version of the code.

    <runs>/<experiment>/<run_id>/
        checkpoints/step-00000100/   weights, their average, optimizer, lineage: resume starts from the last
        best/                        the finished model: weights, config, tokenizer settings, lineage
        metrics.jsonl                one line per logged or validated step, and per sample
        metrics.parquet              the same, seconds later
        samples/                     MIDI drawn while it trained, where `training.sample_every` asks for it
        pruned.jsonl                 one line per checkpoint that was removed
        trained_on.txt               performances that the weights have seen, those of its parents included
        train.log                    what the training process printed, when something launched it
        run.json                     written last; its presence means finished

The lineage of a checkpoint, `lineage.json`, says what it comes from: data, split, shards, the gate's certificate, code,
settings. The header of its weights names the first of these as well, so that a copy of one file still does.

`run_id` is the hash of everything the weights depend on but the device, so a changed setting, shard set, line of code
or parent of a fine-tune makes another run, and the same one is never trained twice.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pianogen.errors import TrainingError
from pianogen.lake import Lake, code_version, digest
from pianogen.models import model_code
from pianogen.shards import STAGE as SHARDS
from pianogen.training.experiment import ExperimentConfig

CODE = (
    "pianogen.models",
    "pianogen.models.devices",
    "pianogen.models.noise",
    "pianogen.training.trainer",
    "pianogen.training.loop",
    "pianogen.training.recorder",
    "pianogen.training.optimizers",
    "pianogen.training.calibration",
    "pianogen.training.averaging",
    "pianogen.training.loading",
    "pianogen.shards.examples",
    "pianogen.shards.views",
    "pianogen.evaluation.likelihood",
)
PACKAGES = ("torch", "transformers", "accelerate")
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
METRICS_TABLE = "metrics.parquet"
LOG_FILE = "train.log"
LOCK_FILE = "lock"
"""Held by whoever trains the run, or removes something of it."""
BEST = "best"
SAMPLES = "samples"
NOT_OF_THE_WEIGHTS = ("device", "sample_every", "loggers", "fine_tune")
"""Settings of `training` that make no other run: what a parent is called is nothing to the weights."""
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The finished run whose weights a fine-tune begins with."""

    folder: Path
    """Of the run."""
    run_id: str
    weights: str
    """SHA-256 of the file of its weights."""

    @property
    def model(self) -> Path:
        """Folder of its model."""
        return self.folder / require_run(self.folder)["checkpoint"]


def training_code_version(model: str) -> str:
    """Hash of the code and packages that weights of an architecture depend on."""
    return code_version((*CODE, *model_code(model)), PACKAGES)


def run_id(config: ExperimentConfig, shards_version: str, parent: Parent | None = None) -> str:
    """Identity of the training of `config` on these shards, from random weights or from those of its parent."""
    training = dataclasses.asdict(config.training)
    for name in NOT_OF_THE_WEIGHTS:
        del training[name]
    begun = None if parent is None else [parent.run_id, parent.weights]
    if (parent is not None) != bool(config.training.fine_tune):
        raise ValueError(f"{config.name}: a fine-tune, and no other run, is named by its parent; see find_parent")
    # Of data and augmentation the shards know all but what is done while they are loaded.
    augmentation = config.augmentation
    loading = [config.data.weights, dataclasses.asdict(augmentation) if augmentation.while_loading else None]
    model = dataclasses.asdict(config.model)
    return digest("run", model, training, loading, shards_version, training_code_version(config.model.name), begun)


def run_folder(lake: Lake, runs: Path, config: ExperimentConfig) -> Path:
    """Where the training of `config` on its current shards lies, finished, begun or not.

    Raises:
        LakeError: the experiment has no shards yet.
        TrainingError: it is a fine-tune of what is not there.
    """
    shards = lake.require(SHARDS.name, config.name)
    return Path(runs) / config.name / run_id(config, shards.version, find_parent(runs, config))


def find_parent(runs: Path, config: ExperimentConfig) -> Parent | None:
    """The run that `training.fine_tune` names; None where it names none.

    Raises:
        TrainingError: there is no such run, or it cannot be one's own parent.
    """
    name = config.training.fine_tune
    if not name:
        return None
    if name in ("best", config.name):
        raise TrainingError(
            f"training.fine_tune {name!r} of {config.name} may become this run itself; name another experiment, or the "
            "folder of a run"
        )
    try:
        folder = find_checkpoint(runs, name)
        run = require_run(folder)
        weights = folder / run["checkpoint"] / WEIGHTS_FILE
        seen = weights.stat()
    except (TrainingError, OSError) as error:
        raise TrainingError(f"training.fine_tune of {config.name}: {error}") from None
    return Parent(folder=folder, run_id=run["run_id"], weights=_file_hash(weights, seen.st_mtime_ns, seen.st_size))


@lru_cache(maxsize=64)
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    """SHA-256 of a file that is asked for often and changes hardly ever."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_run(folder: Path) -> dict[str, Any] | None:
    """What run.json says, or None when the run is not finished."""
    path = Path(folder) / RUN_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TrainingError(f"{path}: not a run's description ({error}); delete it and train again") from None


def require_run(folder: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        TrainingError: the run is not finished.
    """
    run = read_run(folder)
    if run is None:
        raise TrainingError(f"{folder}: no finished training of this experiment on its current shards; train it first")
    return run


def finished_runs(runs: Path) -> list[Path]:
    """Folders of every finished run, in the order of their names."""
    return sorted(path.parent for path in Path(runs).glob(f"*/*/{RUN_FILE}"))


def find_checkpoint(runs: Path, name: str) -> Path:
    """The run folder that a user means.

    Args:
        runs: folder of all runs.
        name: `best`: the finished run of the lowest validation bits per note, which are comparable across
            tokenizers, though only among runs on one split; an experiment's name: its run that finished
            last; or the path of a run folder, or of the model folder in it.

    Raises:
        TrainingError: nothing finished is called that.
    """
    found = finished_runs(runs)
    if name == "best":
        if not found:
            raise TrainingError(f"{runs}: no finished run yet; train an experiment first")
        honest = [folder for folder in found if not require_run(folder).get("leak")]
        if not honest:
            raise TrainingError(f"{runs}: no finished run but those that train on test music; train another experiment")
        return min(honest, key=lambda folder: (require_run(folder)["validation_bits_per_note"], folder))
    of_experiment = [folder for folder in found if folder.parent.name == name]
    if of_experiment:
        return max(of_experiment, key=lambda folder: ((folder / RUN_FILE).stat().st_mtime_ns, folder))
    path = Path(name).expanduser()
    for folder in (path, path.parent):
        if (folder / RUN_FILE).is_file():
            return folder.absolute()
    known = sorted({folder.parent.name for folder in found})
    raise TrainingError(
        f"checkpoint {name!r}: neither 'best', nor an experiment with a finished run "
        f"({', '.join(known) or 'there is none yet'}), nor the folder of one"
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside, force it to disk, then rename it over the old one."""
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(aside).chmod(0o666 & ~umask)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole."""
    write_whole(path, json.dumps(value, indent=1).encode() + b"\n")


def swap_in(folder: Path, target: Path) -> None:
    """Force a finished folder to disk, then make it `target`, in place of what stands there."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Force a file, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
