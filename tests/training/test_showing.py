"""Metrics in words, and on a terminal."""

import contextlib
import os
import re
import sys
import termios

import pytest

from pianogen.training.showing import clock, described, reporter

TRAIN = {
    "step": 40,
    "split": "train",
    "nll": 2.5,
    "learning_rate": 0.001,
    "tokens_per_sec": 12345.6,
    "elapsed_sec": 65.2,
    "remaining_sec": 3725.0,
    "memory_mb": 812.4,
}
VALIDATION = {**TRAIN, "split": "validation", "nll": 2.25, "bits_per_note": 9.125, "remaining_sec": 3600.0}
SAMPLE = {"step": 40, "split": "sample", "sample": "prompted", "num_notes": 31, "duration_sec": 9.54, "file": "a.mid"}


@pytest.mark.parametrize(
    "line, words",
    [
        (TRAIN, "step 40/100  train  2.5000 nats per token  12,346 tokens/s  812 MiB  65 s  1:02:05 left"),
        (
            VALIDATION,
            "step 40/100  validation  2.2500 nats per token  9.125 bits per note  12,346 tokens/s  812 MiB  65 s  "
            "1:00:00 left",
        ),
        ({**TRAIN, "gpu_memory_mb": 99.0, "remaining_sec": None}, "812 MiB  99 MiB on the GPU  65 s"),
        (SAMPLE, "step 40/100  sample  prompted  a.mid  31 notes  9.5 s"),
        ({**SAMPLE, "file": None, "error": "no notes"}, "step 40/100  sample  prompted  not drawn: no notes"),
        (
            {"step": 40, "split": "train", "nll": 2.5, "tokens_per_sec": 7, "elapsed_sec": 1.0, "memory_mb": 3.0},
            "step 40/100  train  2.5000 nats per token  7 tokens/s  3 MiB  1 s",
        ),
    ],
    ids=["train", "validation", "gpu", "sample", "no sample", "of an earlier version"],
)
def test_a_line_in_words(line, words):
    assert described(line, 100).endswith(words)


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3725, "1:02:05")])
def test_a_time_in_hours_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


def test_without_a_terminal_each_line_is_printed(capsys):
    show, close = reporter(100)
    for line in (TRAIN, VALIDATION, SAMPLE):
        show(line)
    close()
    assert capsys.readouterr().out.splitlines() == [described(line, 100) for line in (TRAIN, VALIDATION, SAMPLE)]


def all_of(terminal: int) -> bytes:
    """What was written to a terminal whose other end is closed: it comes in pieces, and then an error."""
    read = b""
    with os.fdopen(terminal, "rb", buffering=0) as file, contextlib.suppress(OSError):
        while piece := file.read(100_000):
            read += piece
    return read


def test_a_terminal_has_a_bar_that_keeps_the_latest_of_each(monkeypatch):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        show, close = reporter(100)
        for line in (VALIDATION, TRAIN, {**TRAIN, "step": 50, "nll": 2.4}):
            show(line)
        close()
    last = re.split(r"[\r\n]+", all_of(ours).decode().strip())[-1]
    assert re.match(r" *50% \|.*\| 50/100", last)
    assert "2.400 nats  9.125 bits/note  1:02:05 left  12,346 tokens/s  812 MiB" in last
