"""Pianist beside GPT-2 and Music Transformer of as many weights, each trained for as much processor time.

    python -m benchmarks.architectures FOLDER --work /tmp/arch             4 minutes of a core each, three seeds
    python -m benchmarks.architectures FOLDER --work /tmp/arch --minutes 1 --seeds 1
    python -m benchmarks.architectures FOLDER --work /tmp/arch --precision bf16

FOLDER holds performances, such as ../shared/data/maestro or ../shared/data/pop909. They are ingested and split as
always, in REMI and six transpositions. Every training runs on one thread and differs from the others in model, learning
rate and number of updates alone: as many as fit, by the processor time of a short and a longer trial of the same. Of
the learning rates (`--rates`) a model has the one that gives the fewest bits per note of validation in a quarter of the
time with seed 1. Reported: bits per note of the test split, and processor minutes of the whole process.
"""

import argparse
import dataclasses
import json
import math
import resource
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.corpus import load
from benchmarks.shards import prepare
from pianogen.augment import AugmentConfig
from pianogen.evaluation.likelihood import choose_within, measure
from pianogen.lake import Lake
from pianogen.models import load_model
from pianogen.settings import Settings, load_settings
from pianogen.shards import ShardSet, build_shards
from pianogen.training.launch import run_training
from pianogen.training.runs import require_run

CONTEXT = 512
SIZES = {
    "pianist": {"n_layer": 4, "n_head": 4, "n_embd": 128, "d_voice": 192, "voice_dropout": 0.0},
    "gpt2": {"n_layer": 5, "n_head": 4, "n_embd": 128},
    "music_transformer": {"n_layer": 4, "n_head": 4, "n_embd": 128},
}
EXPERIMENT: dict[str, Any] = {
    "tokenizer": {"name": "remi"},
    "augmentation": {"semitones": [-3, -2, -1, 0, 1, 2]},
    "training": {
        "batch_size": 8,
        "weight_decay": 0.1,
        "ema": 0.998,
        "validation_tokens": 50_000,
        "cpu_threads": 1,
        "device": "cpu",
    },
}
TRIALS = (10, 40)
"""Updates of the short and the longer trial."""
NUM_SCORED = 150_000
"""Tokens of the test split at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of lake and runs")
    parser.add_argument("--minutes", type=float, default=4.0, help="of the processor, for each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 2e-3, 4e-3])
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    root = options.work.absolute()
    root.mkdir(parents=True, exist_ok=True)
    settings = dataclasses.replace(
        load_settings(None), root=root, lake=root / "lake", runs=root / "runs", experiments=root, workers=1
    )
    bench = Bench(prepare(options.folder, settings.lake, settings), settings, options.precision)
    print(f"{options.minutes:g} minutes of a core, {options.precision}, load {load()}\n")
    print("| model | weights | rate | updates | minutes | bits per note, by seed | mean |\n|---|" + "---:|" * 6)
    for name in options.models:
        bench.compare(name, options.minutes, options.rates, options.seeds)


@dataclasses.dataclass
class Bench:
    """Trainings in one lake.

    Args:
        lake: with splits.
        settings: of lake, runs and experiments.
        precision: of all trainings.
    """

    lake: Lake
    settings: Settings
    precision: str

    def compare(self, name: str, minutes: float, rates: list[float], num_seeds: int) -> None:
        """A row of the table."""
        times = [self.train(name, steps, rates[0], 0)["minutes"] for steps in TRIALS]
        an_update = (times[1] - times[0]) / (TRIALS[1] - TRIALS[0])
        steps = max(TRIALS[1], round(minutes / an_update))
        tried = {rate: self.train(name, max(TRIALS[1], steps // 4), rate, 1) for rate in rates}
        rate = min(tried, key=lambda rate: tried[rate]["validation"])
        found = [self.train(name, steps, rate, seed) for seed in range(1, num_seeds + 1)]
        bits = [self.bits_per_note(one["folder"], name) for one in found]
        print(
            f"| {name} | {found[0]['weights']:,} | {rate:g} | {steps:,} | {np.mean([x['minutes'] for x in found]):.2f} "
            f"| {', '.join(f'{x:.3f}' for x in bits)} | {np.mean(bits):.3f} |",
            flush=True,
        )

    def train(self, name: str, steps: int, rate: float, seed: int) -> dict[str, Any]:
        """A finished run; one that is there is taken as it is."""
        label = f"{name}-{self.precision}-{steps}-{rate:g}-{seed}".replace(".", "_")
        model = {"name": name, "context_length": CONTEXT, "dropout": 0.0, **SIZES[name]}
        training = EXPERIMENT["training"] | {"steps": steps, "learning_rate": rate, "seed": seed}
        often = {"validate_every": steps, "checkpoint_every": steps, "warmup_steps": min(50, steps // 4)}
        training |= often | {"precision": self.precision}
        path = self.settings.experiments / f"{label}.yaml"
        path.write_text(yaml.safe_dump(EXPERIMENT | {"model": model, "training": training}, sort_keys=False))
        semitones = tuple(EXPERIMENT["augmentation"]["semitones"])
        augment = AugmentConfig(semitones=semitones)
        build_shards(self.lake, self.settings, name=label, tokenizer=EXPERIMENT["tokenizer"], augment=augment)
        before = _of_children()
        folder = run_training(path, self.settings)
        spent, kept = _of_children() - before, folder / "cpu_minutes.json"
        if not kept.exists():
            kept.write_text(json.dumps(spent / 60))
        run = require_run(folder)
        return {
            "folder": folder,
            "minutes": json.loads(kept.read_text()),
            "validation": run["validation_bits_per_note"],
            "weights": run["num_parameters"],
        }

    def bits_per_note(self, folder: Path, name: str) -> float:
        """Of the test split."""
        shards = ShardSet(self.lake, folder.parent.name)
        test = shards.sequences("test")
        model = load_model(folder / "best", name, len(shards.tokenizer.vocab))
        found = measure(model, test, choose_within(test, NUM_SCORED), CONTEXT)
        assert math.isfinite(found.bits_per_note)
        return found.bits_per_note


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
