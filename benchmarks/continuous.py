"""The study's V5 beside the mixture: losses, bits per note, and what both play beside held-out music.

    python -m benchmarks.continuous --work /tmp/v5                   the files in ../shared/data
    python -m benchmarks.continuous FOLDER --work /tmp/v5            the MIDI files below FOLDER
    python -m benchmarks.continuous FOLDER --work /tmp/v5 --picture docs/experiments/continuous.svg

Models of one size are trained on the same music for as many steps on one core: one with the mixture, one with the
study's losses and all weights 1, one with squared errors of times that weigh 5,000, which is a normal as wide as a bin.
Trainings, samples as MIDI and `found.json` stay in the folder of `--work`; a run that is there is not trained again.

    bits per note   of test performances, 50,000 notes, in bins of 10 ms, as everywhere, and of 1 ms
    pitch           of these, those of the pitch, in windows that do not overlap; so are the errors of the means
    fitted          bits per note of squared errors when each normal is as wide as its errors on the same music are: no
                    weights of the losses can give the same means less
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
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks.corpus import folder_to_read
from benchmarks.shards import prepare
from pianogen.augment import NONE
from pianogen.evaluation.likelihood import choose_within, score
from pianogen.generation.decoding import DecodingConfig
from pianogen.generation.sampling import continue_tokens
from pianogen.lake import Lake
from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pianogen.models import load_model
from pianogen.models.continuous import (
    DURATION,
    NUM_VELOCITIES,
    PITCH,
    SHIFT,
    VELOCITY,
    Continuous,
    pitch_classes,
)
from pianogen.report.drawing import BLUE, FAINT, INK, VERMILION, legend, new_figure, percent, style, to_svg
from pianogen.settings import Settings, load_settings
from pianogen.shards import SPLITS, ShardSet, build_shards
from pianogen.training.launch import run_training
from pianogen.training.runs import METRICS_FILE, require_run

LOSSES = {
    "mixture": "loss: mixture",
    "study": "loss: study",
    "study_5000": "loss: study\n  time_shift_weight: 5000\n  duration_weight: 5000",
}
EXPERIMENT = """\
tokenizer:
  name: continuous
augmentation:
  semitones: [0]
model:
  name: continuous
  {loss}
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
NUM_SCORED = 50_000
NUM_SAMPLES, NUM_DRAWN, NUM_GIVEN = 16, 512, 64


def train(lake: Lake, settings: Settings, loss: str, steps: int) -> Path:
    """Folder of the finished run."""
    path = settings.experiments / f"{loss}.yaml"
    path.write_text(EXPERIMENT.format(loss=LOSSES[loss], steps=steps))
    build_shards(lake, settings, name=loss, tokenizer={"name": "continuous"}, augment=NONE)
    return run_training(path, settings)


def in_bins(model: Continuous, bin_ms: int) -> Continuous:
    """The same weights, other bins."""
    settings: Any = model.settings
    other = Continuous(dataclasses.replace(settings, bin_ms=bin_ms), 0)
    other.load_state_dict(model.state_dict())
    return other.eval()


def likelihoods(model: Continuous, shards: ShardSet, context_length: int) -> dict[str, float]:
    """Bits per note of a part of the test split, and what the model says of it when every note before is given."""
    test = shards.sequences("test")
    chosen = choose_within(test, NUM_SCORED)
    rows = [test[i] for i in chosen]
    num_notes = int(test.num_notes[chosen].sum())
    found = {
        f"bits_per_note_{ms}_ms": float(score(in_bins(model, ms), rows, context_length).sum()) / math.log(2) / num_notes
        for ms in (10, 1)
    }
    windows = [one[at : at + context_length + 1] for one in rows for at in range(0, len(one) - 1, context_length)]
    heads: Any = model.heads
    parts = []
    with torch.inference_mode():
        for window in windows:
            given, following = (torch.from_numpy(np.array(part))[None] for part in (window[:-1], window[1:]))
            states = model(given).logits[0]
            of_pitch = F.cross_entropy(heads.pitch(states), pitch_classes(following)[0], reduction="none")
            # What the mixture says has no one mean.
            means = heads.means(states) if hasattr(heads, "means") else torch.zeros(len(states), 3)
            true = following[0][:, [SHIFT, DURATION, VELOCITY]] / torch.tensor([1000, 1000, 1])
            parts.append(torch.cat((of_pitch[:, None], means, true), dim=1))
    said = torch.cat(parts)
    found["pitch_bits_per_note"] = float(said[:, 0].sum()) / math.log(2) / num_notes
    if hasattr(heads, "means"):
        means, true = (part[true_rows(said)].double() for part in (said[:, 1:4], said[:, 4:]))
        squared = (means - true).square().mean(dim=0)
        for i, name in enumerate(("shift", "duration", "velocity")):
            found[f"{name}_rms_error"] = math.sqrt(squared[i])
            found[f"{name}_deviation"] = float(true[:, i].std())
            found[f"{name}_deviation_of_means"] = float(means[:, i].std())
        found["negative_mean_shifts"] = float((means[:, 0] < 0).double().mean())
        found["mean_shifts_below_5_ms"] = float((means[:, 0].abs() < 0.005).double().mean())
        found["mean_shift_where_it_is_0"] = float(means[true[:, 0] < 0.005, 0].mean())
        # Of each normal: the constants change, and the mean of the squared errors over twice the variance becomes 1/2.
        better = sum(
            (w * e + 0.5 * math.log(math.pi / w)) - 0.5 * (1 + math.log(2 * math.pi * e))
            for w, e in zip(heads.weights, squared.tolist(), strict=True)
        )
        for ms in (10, 1):
            found[f"fitted_{ms}_ms"] = found[f"bits_per_note_{ms}_ms"] - better * len(true) / math.log(2) / num_notes
    return found


def true_rows(said: torch.Tensor) -> torch.Tensor:
    """Where a note follows, and not the end."""
    return said[:, 4:].any(dim=1)


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


# Each is half a bin beyond a bin of 10 ms.
_TIMES = [5, 15, 25, *(10 * round(3.5 * 2 ** (i / 2)) + 5 for i in range(16))]
# The first two: below nothing, and nothing.
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
    "study_5000": {"color": INK, "linewidth": 1.3, "linestyle": (0, (1, 1))},
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
                place.set_title(f"{split}, nats per row")
                place.set_yscale("log")
                place.yaxis.set_major_formatter(ScalarFormatter())
                place.yaxis.set_minor_formatter(NullFormatter())
        for place, name in zip(axes[2:], EDGES, strict=True):
            edges = EDGES[name]
            for who, line in LINES.items():
                steps = np.array(found[who]["shares"][name])
                place.stairs(steps, np.arange(len(edges)) if name in ("time shift", "duration") else edges, **line)
            if name in ("time shift", "duration"):
                ticks = range(4, len(edges), 4)
                place.set_xticks([0.5, *ticks], ["< 0", *(f"{edges[i]:g}" for i in ticks)])
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
    shards = ShardSet(lake, "mixture")
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
