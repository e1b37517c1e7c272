"""Fine-tunes: what a training begins with, and what is said of where that comes from.

`training.fine_tune` names a finished run whose weights, but nothing else of it, a training begins with. Architecture,
vocabulary and version of the tokenizer must be those of the parent. The child's identity holds the parent's, and its
lineage the whole chain, oldest first, each with its data, split and certificate; licences of all of them hold for it.
Whether music that is held out was seen by one of them is asked in `seen`.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pianogen.errors import TrainingError
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.shards import ShardSet
from pianogen.training import seen
from pianogen.training.checkpoints import LINEAGE_FILE, checkpoint_path, checkpoint_steps, require_same_run
from pianogen.training.experiment import ExperimentConfig
from pianogen.training.runs import Parent, find_parent

if TYPE_CHECKING:
    from torch import nn

TOKENIZER_FILE = "tokenizer_settings.json"
FREE = ("dropout",)
"""Settings of an architecture in which a child may differ from its parent: no weight depends on them."""
DESCRIBED = (
    "experiment",
    "run_id",
    "step",
    "dataset_versions",
    "licences",
    "non_commercial_datasets",
    "split_version",
    "shards_version",
    "certificate",
    "code_version",
    "trained_on",
    "parents_check",
)
"""What a lineage says of a parent, beside the hash of its weights."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What the weights of a run are before its first step, and what is known of them."""

    parent: Parent | None = None
    parents: tuple[dict[str, Any], ...] = ()
    """Of each one that the weights went through: DESCRIBED and `weights`; the oldest first."""
    check: str | None = None
    """How it is known that they saw nothing held out, see `seen.judge`; None without parents."""
    trained_on: str | None = None
    """Hash of `trained_on.txt`; None where it is not known what the weights have seen."""

    def initialise(self, model: "nn.Module", config: ExperimentConfig, shards: ShardSet) -> None:
        """Give a model the weights of the parent, if there is one."""
        if self.parent is not None:
            found = load_model(self.parent.model, config.model.name, len(shards.tokenizer.vocab))
            model.load_state_dict(found.state_dict())


def beginning_of(config: ExperimentConfig, shards: ShardSet, lake: Lake, runs: Path, folder: Path) -> Beginning:
    """What a run begins with; asked before its first step, and read from its checkpoints after that.

    Args:
        config: the experiment.
        shards: its shard set.
        lake: holds the current pairs and splits.
        runs: folder of all runs.
        folder: the run's, which gets its `trained_on.txt`.

    Raises:
        TrainingError: the parent is not there, is another architecture, or was trained on other tokens.
        ContaminationError: the parent saw music that is held out, or nobody can tell.
    """
    own = seen.performances_of(shards, "train")
    parent = find_parent(runs, config)
    if parent is None:
        return Beginning(trained_on=seen.write_seen(folder, own))
    require_same_run(parent.model, parent.run_id, "train the parent again, or name another one in training.fine_tune")
    said = read_lineage(parent.model)
    _require_same_kind(config, shards, parent, said)
    parents = (*said.get("parents", ()), described(said, parent))
    before = seen.read_seen(parent.folder, said.get("trained_on"))
    if steps := checkpoint_steps(folder):
        # It was judged when it began; the lake may have moved on since.
        check = read_lineage(checkpoint_path(folder, steps[-1])).get("parents_check")
    else:
        check = seen.judge(lake, shards, parents, before, config.training.fine_tune_unchecked)
    trained_on = None if before is None else seen.write_seen(folder, own | before)
    return Beginning(parent=parent, parents=parents, check=check, trained_on=trained_on)


def described(lineage: Mapping[str, Any], parent: Parent) -> dict[str, Any]:
    """What the lineage of a child says of a parent."""
    return {**{name: lineage.get(name) for name in DESCRIBED}, "weights": parent.weights}


def read_lineage(model: Path) -> dict[str, Any]:
    """What a checkpoint, or the model of a finished run, says of itself.

    Raises:
        TrainingError: it says nothing that can be read.
    """
    path = model / LINEAGE_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: not readable ({error}); nobody knows where these weights come from") from None


def _require_same_kind(config: ExperimentConfig, shards: ShardSet, parent: Parent, lineage: Mapping[str, Any]) -> None:
    """Refuse weights that do not fit."""
    where = f"{parent.model}: a model of {lineage['experiment']}"
    own = json.loads(json.dumps(dataclasses.asdict(config.model)))
    theirs = dict(lineage["model"])
    names = [name for name in {**theirs, **own} if name not in FREE]
    if others := [name for name in names if theirs.get(name) != own.get(name)]:
        found, wanted = ({name: model.get(name) for name in others} for model in (theirs, own))
        raise TrainingError(
            f"{where} with {_told(found)} cannot begin {config.name} with {_told(wanted)}: a fine-tune has the "
            "architecture of its parent"
        )
    try:
        tokenizer = json.loads((parent.model / TOKENIZER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{parent.model / TOKENIZER_FILE}: not readable ({error}); train the parent again"
        ) from None
    wanted = shards.info["tokenizer"]
    if any(tokenizer.get(name) != wanted[name] for name in ("version", "num_ids")):
        raise TrainingError(
            f"{where} reads {_tokens(tokenizer)}, {config.name} {_tokens(wanted)}: a fine-tune has the tokens of its "
            "parent"
        )


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _tokens(tokenizer: Mapping[str, Any]) -> str:
    return f"{tokenizer['num_ids']} tokens of {tokenizer['name']} (version {tokenizer['version']})"
