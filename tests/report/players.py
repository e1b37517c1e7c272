"""Samples that tests of the player play, and what its elements say of it."""

from typing import Any

from report_rows import midi_bytes, sample

SCALE = [(60 + i % 12, i * 0.25, 0.25, 60 + i % 40) for i in range(80)]
"""Notes of a sample of 20 s."""


def two_samples() -> list[dict[str, Any]]:
    midi = midi_bytes(SCALE)
    return [sample(sample=name, title=name, midi=midi, prompt_sec=5.0) for name in ("first", "second")]


def state(player) -> str:
    return player.get_attribute("data-state")


def time_of(player) -> float:
    return float(player.get_attribute("data-time"))


def wait_for_state(page, title: str, wanted: str) -> None:
    page.wait_for_selector(f'.player[data-title="{title}"][data-state="{wanted}"]')
