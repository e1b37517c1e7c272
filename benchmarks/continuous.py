"""The study's V5 beside the mixture: losses, bits per note, and what each plays beside held-out music.

    python -m benchmarks.continuous --work /tmp/v5                   the files in ../shared/data
    python -m benchmarks.continuous FOLDER --work /tmp/v5            the MIDI files below FOLDER
    python -m benchmarks.continuous FOLDER --work /tmp/v5 --picture docs/experiments/continuous.svg

Two models of one size are trained on the same music for as many steps on one core, one with each loss of `continuous`.
Trainings, samples as MIDI and `found.json` stay in the folder of `--work`; a run that is there is not trained again.

    bits per note   of the test split in bins of 10 ms, as everywhere, and of 1 ms
    fitted          the same for squared errors when each normal is as wide as its errors on the test split are: no
                    weights of the losses can give the same means more
    samples         16 of 512 notes, from nothing and after the first 64 notes of test performances; rows as the model
                    gives them, before anything is cut off
    silence         share of the time, up to the last note-off, in which no note sounds

Held-out music is the test split.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.corpus import folder_to_read
from benchmarks.shards import prepare
from pianogen.augment import NONE
from pianogen.evaluation.likelihood import score
from pianogen.generation.continuation import continue_tokens
from pianogen.generation.decoding import DecodingConfig
from pianogen.lake import Lake
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.models import load_model
from pianogen.models.continuous import DURATION, NUM_VELOCITIES, PITCH, SHIFT, VELOCITY, Continuous
from pianogen.report.drawing import BLUE, FAINT, VERMILION, legend, new_figure, percent, style, to_svg
from pianogen.settings import Settings, load_settings
from pianogen.shards import SPLITS, ShardSet, build_shards
from pianogen.training.launch import run_training
from pianogen.training.runs import METRICS_FILE, require_run

LOSSES = ("mixture", "study")
EXPERIMENT = """\
tokenizer:
  name: continuous
augmentation:
  semitones: [0]
model:
  name: continuous
  loss: {loss}
  context_length: 128
  n_layer: 3
  n_head: 4
  n_embd: 128
  dropout: 0.0
training:
  steps: {steps}
  batch_size: 16
  learning_rate: 2.0e-3
  warmup_steps: 50
  validate_every: 100
  checkpoint_every: 100
  log_every: 20
  validation_tokens: 20_000
  cpu_threads: 1
  device: cpu
"""
NUM_SAMPLES, NUM_DRAWN, NUM_GIVEN = 16, 512, 64


def train(lake: Lake, settings: Settings, loss: str, steps: int) -> Path:
    """Folder of the finished run."""
    path = settings.experiments / f"{loss}.yaml"
    path.write_text(EXPERIMENT.format(loss=loss, steps=steps))
    build_shards(lake, settings, name=loss, tokenizer={"name": "continuous"}, augment=NONE)
    return run_training(path, settings)


def in_bins(model: Continuous, bin_ms: int) -> Continuous:
    """The same weights, other bins."""
    settings: Any = model.settings
    other = Continuous(dataclasses.replace(settings, bin_ms=bin_ms), 0)
    other.load_state_dict(model.state_dict())
    return other.eval()


class SquaredError(torch.nn.Module):
    """In place of nats what one mean of `study` is off by, squared: 0 time shift, 1 duration, 2 velocity."""

    def __init__(self, model: Continuous, number: int) -> None:
        super().__init__()
        self.model, self.number = model, number

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> SimpleNamespace:
        """Errors (B, T), 0 where no note follows."""
        heads: Any = self.model.heads
        error = (heads.means(self.model(input_ids).logits) - heads.features(labels))[..., self.number]
        return SimpleNamespace(nats=error.square() * labels.any(dim=-1))


def likelihoods(model: Continuous, shards: ShardSet, context_length: int) -> dict[str, float]:
    """Bits per note of the test split."""
    sequences = shards.sequences("test")
    rows = [sequences[i] for i in range(len(sequences))]
    num_notes = int(sequences.num_notes.sum())
    found = {
        f"bits_per_note_{ms}_ms": float(score(in_bins(model, ms), rows, context_length).sum()) / math.log(2) / num_notes
        for ms in (10, 1)
    }
    if model.settings.loss == "study":  # pyright: ignore[reportAttributeAccessIssue]
        num = sum(len(one) - 2 for one in rows)
        squared = [float(score(SquaredError(model, i), rows, context_length).sum()) / num for i in range(3)]
        for name, value in zip(("shift_sec", "duration_sec", "velocity"), squared, strict=True):
            found[f"rms_error_{name}"] = math.sqrt(value)
        # Of each normal: the constants change, and the mean of the squared errors over twice the variance becomes 1/2.
        weights: Any = model.heads.weights
        better = sum(
            (w * e + 0.5 * math.log(math.pi / w)) - (0.5 + 0.5 * math.log(2 * math.pi * e))
            for w, e in zip(weights, squared, strict=True)
        )
        for ms in (10, 1):
            found[f"fitted_{ms}_ms"] = found[f"bits_per_note_{ms}_ms"] - better * num / math.log(2) / num_notes
    return found


def samples(model: Continuous, shards: ShardSet, context_length: int) -> list[np.ndarray]:
    """Rows of music from nothing, and after beginnings of test performances; what was given is left out."""
    sequences = shards.sequences("test")
    nothing = np.zeros((1, 4), np.float32)
    prompts = [nothing] * (NUM_SAMPLES // 2)
    prompts += [np.array(sequences[i % len(sequences)][: NUM_GIVEN + 1]) for i in range(NUM_SAMPLES // 2)]
    drawn = continue_tokens(
        model,
        prompts,
        max_tokens=NUM_DRAWN,
        decoding=DecodingConfig(),
        seeds=range(NUM_SAMPLES),
        context_length=context_length,
    )
    return [rows[len(prompt) :] for rows, prompt in zip(drawn, prompts, strict=True)]


def silence(notes: NoteColumns) -> tuple[float, float]:
    """Seconds in which no note sounds, and seconds to the last note-off; a tick is a millisecond."""
    begin = notes.onset_tick.astype(np.int64)
    end = np.maximum.accumulate(begin + notes.duration_tick) if len(notes) else begin
    gaps = np.maximum(begin[1:] - end[:-1], 0).sum() + begin[:1].sum()
    return float(gaps) / 1000, float(end[-1]) / 1000 if len(notes) else 0.0


def described(pieces: Sequence[np.ndarray], shards: ShardSet) -> dict[str, float]:
    """What pieces are like."""
    rows = np.concatenate(pieces)
    rows = rows[rows.any(axis=1)]
    decoded = [shards.tokenizer.decode(piece) for piece in pieces]
    quiet, seconds = np.sum([silence(notes) for notes in decoded], axis=0)
    shift, duration, velocity = (rows[:, column].astype(np.float64) for column in (SHIFT, DURATION, VELOCITY))
    return {
        "notes": len(rows),
        "notes_per_sec": sum(map(len, decoded)) / seconds,
        "negative_shifts": float((shift < 0).mean()),
        "shifts_below_5_ms": float((np.abs(shift) < 5).mean()),
        "largest_shift_sec": float(shift.max()) / 1000,
        "durations_below_0": float((duration <= 0).mean()),
        "median_duration_ms": float(np.median(duration)),
        "velocity_mean": float(velocity.mean() * NUM_VELOCITIES),
        "velocity_deviation": float(velocity.std() * NUM_VELOCITIES),
        "silence": quiet / seconds,
        "longest_silence_sec": max(longest_gap(notes) for notes in decoded),
        "ended": sum(not piece[-1].any() for piece in pieces),
    }


def longest_gap(notes: NoteColumns) -> float:
    """Seconds of the longest silence between two notes."""
    begin = notes.onset_tick.astype(np.int64)
    end = np.maximum.accumulate(begin + notes.duration_tick) if len(notes) else begin
    return float((begin[1:] - end[:-1]).max(initial=0)) / 1000


def shares(pieces: Sequence[np.ndarray]) -> dict[str, list[float]]:
    """Histograms of pieces, as shares of their notes; the edges are those of `EDGES`."""
    rows = np.concatenate(pieces).astype(np.float64)
    rows = rows[rows.any(axis=1)]
    values = {
        "time shift": rows[:, SHIFT],
        "duration": rows[:, DURATION],
        "velocity": rows[:, VELOCITY] * NUM_VELOCITIES,
        "pitch": rows[:, PITCH],
    }
    return {
        name: (np.histogram(np.clip(value, EDGES[name][0], EDGES[name][-1]), EDGES[name])[0] / len(rows)).tolist()
        for name, value in values.items()
    }


_TIMES = [5 * 2 ** (i / 2) for i in range(22)]
# The first two bins: below nothing, and nothing.
EDGES = {
    "time shift": np.array([-1e9, -5, *_TIMES, 1e9]),
    "duration": np.array([-1e9, 0, *_TIMES, 1e9]),
    "velocity": np.arange(-4, 133, 8) - 0.5,
    "pitch": np.arange(20, 110, 3) - 0.5,
}
LINES = {
    "held-out music": {"color": FAINT, "linewidth": 2.5},
    "mixture": {"color": BLUE, "linewidth": 1.3},
    "study": {"color": VERMILION, "linewidth": 1.3, "linestyle": (0, (4, 2))},
}


def picture(found: dict[str, Any]) -> str:
    """SVG of losses and distributions."""
    with style():
        figure, _ = new_figure(height=6.2, axes=False)
        axes = figure.subplots(3, 2).ravel()
        for loss in LOSSES:
            for split, place in (("train", axes[0]), ("validation", axes[1])):
                lines = [line for line in found[loss]["metrics"] if line["split"] == split]
                place.plot([line["step"] for line in lines], [line["nll"] for line in lines], **LINES[loss])
                place.set_title(f"{split}, nats per note")
                place.set_xlabel("step")
        for place, name in zip(axes[2:], EDGES, strict=True):
            edges = EDGES[name]
            for who, line in LINES.items():
                steps = np.array(found[who]["shares"][name])
                place.stairs(steps, np.arange(len(edges)) if name in ("time shift", "duration") else edges, **line)
            if name in ("time shift", "duration"):
                ticks = [0.5, *(2 + 4 * i for i in range(1, 6))]
                shown = ["< 0", *(f"{edges[2 + 4 * i]:g}" for i in range(1, 6))]
                place.set_xticks(ticks, shown)
            place.set_title(f"{name}, {'ms' if name in ('time shift', 'duration') else 'MIDI'}")
            place.yaxis.set_major_formatter(percent)
            place.set_ylim(0, None)
        legend(figure, LINES, list(LINES.values()))
        figure.suptitle(" ", fontsize=10)
        return to_svg(figure)


def look_at(lake: Lake, settings: Settings, steps: int) -> dict[str, Any]:
    """All that is printed and drawn."""
    found: dict[str, Any] = {}
    for loss in LOSSES:
        folder = train(lake, settings, loss, steps)
        run, shards = require_run(folder), ShardSet(lake, loss)
        model: Any = load_model(folder / run["checkpoint"], "continuous", 0)
        pieces = samples(model, shards, run["context_length"])
        for i, piece in enumerate(pieces):
            (settings.root / f"{loss}_{i + 1:02d}.mid").write_bytes(midi_bytes(shards.tokenizer.decode(piece)))
        found[loss] = {
            "num_parameters": run["num_parameters"],
            "train_sec": run["train_sec"],
            "validation_bits_per_note": run["validation_bits_per_note"],
            **likelihoods(model, shards, run["context_length"]),
            "samples": described(pieces, shards),
            "shares": shares(pieces),
            "metrics": [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()],
        }
        found["notes"] = {split: int(shards.sequences(split).num_notes.sum()) for split in SPLITS}
    shards = ShardSet(lake, LOSSES[0])
    test = shards.sequences("test")
    pieces = [np.array(test[i]) for i in range(len(test))]
    found["held-out music"] = {"samples": described(pieces, shards), "shares": shares(pieces)}
    return found


def print_found(found: dict[str, Any]) -> None:
    print(f"notes: {found['notes']}")
    for loss in LOSSES:
        print(loss, {name: value for name, value in found[loss].items() if isinstance(value, float | int)})
    whose = ("held-out music", *LOSSES)
    print(f"\n| | {' | '.join(whose)} |\n|---|" + "---:|" * len(whose))
    for name in found["mixture"]["samples"]:
        values = [found[who]["samples"][name] for who in whose]
        print(f"| {name} | {' | '.join(f'{value:.4g}' for value in values)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of lake, runs and samples")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--picture", type=Path, help="SVG to write")
    options = parser.parse_args()
    root = options.work.absolute()
    root.mkdir(parents=True, exist_ok=True)
    settings = dataclasses.replace(
        load_settings(None), root=root, lake=root / "lake", runs=root / "runs", experiments=root, workers=1
    )
    torch.set_num_threads(1)
    lake = prepare(folder_to_read(options.folder, "continuous"), settings.lake, settings)
    found = look_at(lake, settings, options.steps)
    (root / "found.json").write_text(json.dumps(found, indent=1))
    print_found(found)
    if options.picture:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        options.picture.write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
