"""Where a model runs: device, number format, a fixed number of threads; and how much memory that took."""

import contextlib
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from pianogen.errors import TrainingError

MIB = 2**20

DEFAULT_THREADS = 2
"""CPU threads of whatever must give the same bytes on every machine: the order of sums depends on it."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place to compute."""

    torch_device: torch.device
    bf16: bool
    """Matrix products in bfloat16; weights and losses stay in fp32."""

    @property
    def is_cpu(self) -> bool:
        """Whether there is no accelerator."""
        return self.torch_device.type == "cpu"


def pick_device(name: str) -> Device:
    """The device that a setting names.

    Args:
        name: `auto` (a GPU where there is one, else the CPU), `cpu` or `cuda`.

    Raises:
        TrainingError: `cuda` was asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("device cuda asked for, but torch finds no GPU; use device: auto")
    if name in ("auto", "cuda") and has_gpu:
        return Device(
            torch_device=torch.device("cuda", 0), bf16=torch.cuda.is_bf16_supported(including_emulation=False)
        )
    return Device(torch_device=torch.device("cpu"), bf16=False)


@contextlib.contextmanager
def fixed_threads(num_threads: int = DEFAULT_THREADS) -> Iterator[None]:
    """Compute with this many CPU threads inside the body."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, MiB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    # Linux hands the peak of `getrusage` down from the process that started this one; this is its own, in KiB.
    if own := re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE):
        return int(own[1]) * 1024 / MIB
    # macOS counts in bytes, others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB
