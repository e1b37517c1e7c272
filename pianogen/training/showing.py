"""Metrics of a training for the eye: a line each, or a bar on a terminal."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

Report = Callable[[dict[str, Any]], None]


def described(line: Mapping[str, Any], steps: int | None = None) -> str:
    """A line of metrics in words.

    Args:
        line: of `metrics.jsonl`, of this version or an earlier one.
        steps: of the whole training.
    """
    words = [f"step {line['step']}" + (f"/{steps}" if steps else ""), line["split"]]
    if line["split"] == "sample":
        words += [line["sample"], line.get("file") or f"not drawn: {line.get('error')}"]
        if line.get("file"):
            words += [f"{line['num_notes']} notes", f"{line['duration_sec']:.1f} s"]
        return "  ".join(words)
    return "  ".join([*words, *_measured(line), f"{line['elapsed_sec']:.0f} s", *_left(line)])


def _measured(line: Mapping[str, Any]) -> list[str]:
    units = {
        "nll": "{:.4f} nats per token",
        "bits_per_note": "{:.3f} bits per note",
        "tokens_per_sec": "{:,.0f} tokens/s",
        "memory_mb": "{:,.0f} MiB",
        "gpu_memory_mb": "{:,.0f} MiB on the GPU",
    }
    return [text.format(line[name]) for name, text in units.items() if line.get(name) is not None]


def _left(line: Mapping[str, Any]) -> list[str]:
    seconds = line.get("remaining_sec")
    return [] if seconds is None else [f"{clock(seconds)} left"]


def clock(seconds: float) -> str:
    """A time as hours, minutes and seconds: 1:02:03, 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def reporter(steps: int) -> tuple[Report, Callable[[], None]]:
    """How metrics are shown: a bar on a terminal, else a line each; and what ends it."""
    if not sys.stderr.isatty():
        return lambda line: print(described(line, steps), flush=True), lambda: None
    from tqdm import tqdm

    # What is left is ours to say: tqdm knows nothing of validations and checkpoints to come.
    bar = tqdm(total=steps, unit="step", bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {postfix}")
    # In this order: a narrow terminal shows the first of them.
    latest: dict[str, str] = dict.fromkeys(("nll", "bits_per_note", "remaining_sec", "tokens_per_sec", "memory_mb"), "")

    def show(line: dict[str, Any]) -> None:
        bar.update(line["step"] - bar.n)
        if line["split"] != "train":
            bar.write(described(line, steps))
        latest.update(_of_the_bar(line))
        bar.set_postfix_str("  ".join(filter(None, latest.values())))

    return show, bar.close


def _of_the_bar(line: Mapping[str, Any]) -> dict[str, str]:
    """What the bar shows after its line, by key, so that the latest of each stays."""
    found = {}
    if line["split"] == "train":
        found |= {"nll": f"{line['nll']:.3f} nats", "tokens_per_sec": f"{line['tokens_per_sec']:,.0f} tokens/s"}
    if line.get("bits_per_note") is not None:
        found["bits_per_note"] = f"{line['bits_per_note']:.3f} bits/note"
    if line.get("memory_mb") is not None:
        found["memory_mb"] = f"{line['memory_mb']:,.0f} MiB"
    if line.get("remaining_sec") is not None:
        found["remaining_sec"] = f"{clock(line['remaining_sec'])} left"
    return found
