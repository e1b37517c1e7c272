"""Pianist on the Bach chorales by the field's definition: nats per token of the standard split, and of a clean one.

    python -m benchmarks.jsb --work /tmp/jsb                     three seeds, one after the other
    python -m benchmarks.jsb --work /tmp/jsb --split clean       no music of train is held out
    python -m benchmarks.jsb --work /tmp/jsb --orders SBAT BTAS  as well in another order of voices, for the mixture
    python -m benchmarks.jsb --work /tmp/jsb --steps 500         shorter

Reads JSB's chorales in ../shared/data, or the folder named. The experiment is `experiments/pianist/jsb-pianist.yaml`
with other seeds; runs stay in the folder of `--work`, and those that are there are not trained again.

    split           standard: as published, but for two chorales of train that are copies of held-out ones. clean: from
                    train is also left out what is the same work as a held-out one, or has its melody
    nats per token  -ln p of what each of four voices does on each 16th, over all voices and 16ths of all chorales;
                    every chorale is read whole; that it ends or goes on is not scored
    interval        95%, of 10,000 draws of as many chorales with replacement
    learning on     the network for voices learns from every beat once it is scored, and forgets it after the chorale
    mixture         of all seeds and orders of voices, of each the model that is published and the run's last weights,
                    averaged and calibrated like it, and of some transpositions (none where they learn on): the mean of
                    the probabilities of whole steps, so it is a probability again
    CPU minutes     of all threads of the training, validations and checkpoints included
"""

import argparse
import dataclasses
import functools
import itertools
import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.torch import load_file

from benchmarks.corpus import folder_to_read
from benchmarks.jsb_scores import Trained, as_they_are, mixture, nats_learning_on, nats_of, pieces_of
from pianogen.catalogue import find_dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.models.pianist_steps import StepPianist
from pianogen.settings import Settings, SplitPolicy, load_settings
from pianogen.shards import ShardSet, build_shards
from pianogen.splits import assign_splits
from pianogen.training.calibration import calibrate
from pianogen.training.checkpoints import AVERAGE_FILE, checkpoint_path, checkpoint_steps
from pianogen.training.experiment import load_experiment
from pianogen.training.launch import run_training
from pianogen.training.runs import require_run

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "pianist" / "jsb-pianist.yaml"
POLICIES = {"standard": SplitPolicy(group_works=False), "clean": SplitPolicy(group_shared_melodies=True)}
HELD_OUT = ("validation", "test")
TRANSPOSITIONS = (0, -1, 1, -2, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of lake and runs")
    parser.add_argument("--split", choices=POLICIES, default="standard")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT, help="file to train")
    parser.add_argument(
        "--orders", nargs="+", default=["SBAT"], help="of voices; the first one's models are told alone"
    )
    parser.add_argument("--steps", type=int, help="updates, in place of the experiment's")
    options = parser.parse_args()
    settings = settings_of(options.work.absolute(), options.split)
    lake = prepare(folder_to_read(options.folder, "jsb", "Jsb16thSeparated.json"), settings)
    ways = itertools.product(options.orders, options.seeds)
    trained = [train(lake, settings, options.experiment, seed, order, options.steps) for order, seed in ways]
    counted = ", ".join(f"{len(pieces_of(trained[0], split))} {split}" for split in ("train", *HELD_OUT))
    print(f"{options.split} split: {counted} (train before transposition); {trained[0].parameters:,} parameters")
    found = look_at(trained, len(options.seeds))
    print_found(found)
    (settings.experiments / "found.json").write_text(json.dumps(found, indent=1))


def settings_of(work: Path, split: str) -> Settings:
    """Of a folder for lake, runs and experiments."""
    root = work / split
    root.mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(
        load_settings(None),
        root=root,
        lake=root / "lake",
        runs=root / "runs",
        experiments=root,
        workers=1,
        splits=POLICIES[split],
    )


def prepare(folder: Path, settings: Settings) -> Lake:
    """A lake of the chorales with its splits."""
    lake = Lake(settings.lake)
    found = sorted(folder.rglob("Jsb16thSeparated.json"))
    if not found:
        sys.exit(f"{folder}: no Jsb16thSeparated.json in it or below. Name a folder that has it")
    dataset = dataclasses.replace(find_dataset(settings, "jsb"), folder=found[0].parent)
    ingest_dataset(lake, dataset, settings)
    fingerprint_dataset(lake, dataset.name, settings)
    find_duplicate_pairs(lake, settings=settings)
    find_clusters(lake, [dataset.name], settings.splits)
    assign_splits(lake, [dataset], settings.splits)
    return lake


def train(
    lake: Lake, settings: Settings, experiment: Path, seed: int, order: str = "SBAT", steps: int | None = None
) -> Trained:
    """The experiment with another seed and order of voices, to its end."""
    sections = yaml.safe_load(experiment.read_text(encoding="utf-8"))
    sections["training"]["seed"], sections["tokenizer"]["order"] = seed, order
    if steps:
        sections["training"]["steps"] = steps
    path = settings.experiments / f"{experiment.stem}-{order.lower()}-{seed}.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    config = load_experiment(path)
    build_shards(lake, settings, name=config.name, tokenizer=config.tokenizer, augment=config.augmentation)
    before = _of_children()
    folder = run_training(path, settings)
    spent, kept = _of_children() - before, folder / "cpu_minutes.json"
    if not kept.exists():
        kept.write_text(json.dumps(spent / 60))
    shards = ShardSet(lake, config.name)
    return Trained(config, _loaded(folder / "best", shards), shards, json.loads(kept.read_text()), folder)


def with_last_weights(one: Trained) -> list[Trained]:
    """The run with the model that is published, and with its last weights; once where they are the same."""
    last = max(checkpoint_steps(one.folder))
    if last == require_run(one.folder)["best_step"]:
        return [one]
    checkpoint = checkpoint_path(one.folder, last)
    model = _loaded(checkpoint, one.shards)
    # As a run makes of the best what it publishes.
    if one.config.training.ema:
        model.load_state_dict(load_file(checkpoint / AVERAGE_FILE))
    if one.config.training.calibrate:
        validation = one.shards.sequences("validation")
        calibrate(model, validation, as_they_are(validation), one.config.model.context_length)
    return [one, one._replace(model=model)]


def _loaded(folder: Path, shards: ShardSet) -> StepPianist:
    model = load_model(folder, "pianist", len(shards.tokenizer.vocab))
    assert isinstance(model, StepPianist)
    return model


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def look_at(trained: Sequence[Trained], num_alone: int) -> dict[str, Any]:
    """Nats per token of the first models, each alone, and of the mixture of all; of both, as they learn on, too."""
    members = [member for one in trained for member in with_last_weights(one)]
    transposed = [functools.partial(nats_of, semitones=semitones) for semitones in TRANSPOSITIONS]
    return {
        "seeds": [_told_alone(one) for one in trained[:num_alone]],
        "mixture": {split: mixture(members, split, transposed) for split in HELD_OUT},
        "mixture, learning on": {split: mixture(members, split, [nats_learning_on]) for split in HELD_OUT},
        "cpu_minutes": [one.cpu_minutes for one in trained],
    }


def _told_alone(one: Trained) -> dict[str, Any]:
    ways = {"nats": nats_of, "learning_on": nats_learning_on}
    told = {name: {split: mixture([one], split, [way]) for split in HELD_OUT} for name, way in ways.items()}
    return {"seed": one.config.training.seed, **told}


def print_found(found: dict[str, Any]) -> None:
    print("| | validation | 95% | test | 95% | CPU minutes |\n|---|" + "---:|" * 5)
    for row, minutes in zip(found["seeds"], found["cpu_minutes"], strict=False):
        print(f"| seed {row['seed']} | {_cells(row['nats'])} | {minutes:.1f} |")
    minutes = np.mean(found["cpu_minutes"][: len(found["seeds"])])
    print(f"| mean ± deviation | {_means(found, 'nats')} | {minutes:.1f} |")
    print(f"| mean ± deviation, learning on | {_means(found, 'learning_on')} | {minutes:.1f} |")
    for name in ("mixture", "mixture, learning on"):
        print(f"| {name} | {_cells(found[name])} | {sum(found['cpu_minutes']):.1f} |")


def _means(found: dict[str, Any], way: str) -> str:
    of_splits = [np.array([row[way][split]["nats"] for row in found["seeds"]]) for split in HELD_OUT]
    return " | ".join(f"{x.mean():.4f} ± {x.std(ddof=1) if len(x) > 1 else 0:.4f} | " for x in of_splits)


def _cells(row: dict[str, Any]) -> str:
    return " | ".join(f"{row[s]['nats']:.4f} | {row[s]['low']:.3f}–{row[s]['high']:.3f}" for s in HELD_OUT)


if __name__ == "__main__":
    main()
