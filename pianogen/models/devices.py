"""Where a model runs: device, number format, a fixed number of threads; and how much memory that took."""

import contextlib
import re
import resource
import sys
import warnings
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
    precision: str = "fp32"
    """Of matrix products in training: `fp32`, `bf16` or `fp16`; weights and losses stay in fp32."""

    @property
    def is_cpu(self) -> bool:
        """Whether there is no accelerator."""
        return self.torch_device.type == "cpu"

    def autocast(self) -> torch.autocast:
        """What training's forward passes run in."""
        dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        return torch.autocast(self.torch_device.type, dtype, enabled=dtype is not None)


def pick_device(name: str, precision: str = "auto", index: int = 0) -> Device:
    """The device and the number format that settings name.

    Args:
        name: `auto` (a GPU where there is one, else the CPU), `cpu` or `cuda`.
        precision: `fp32`, `bf16`, `fp16`, or `auto`: bf16 on GPUs that have it, fp16 on others, fp32 on a CPU.
        index: of the GPU.

    Raises:
        TrainingError: `cuda` was asked for and there is none, or a number format that the device does not have.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("device cuda asked for, but torch finds no GPU; use device: auto")
    if name == "cpu" or not has_gpu:
        return Device(torch_device=torch.device("cpu"), precision=_cpu_precision(precision))
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not has_bf16:
        raise TrainingError("precision bf16 asked for, which this GPU has not; use precision: auto")
    found = ("bf16" if has_bf16 else "fp16") if precision == "auto" else precision
    return Device(torch_device=torch.device("cuda", index), precision=found)


def _cpu_precision(asked: str) -> str:
    if asked == "fp16":
        raise TrainingError("precision fp16 asked for, which a CPU has not; use precision: auto")
    if asked == "bf16" and not cpu_has_bf16():
        warnings.warn("this CPU has no instructions for bf16: precision fp32 is faster", stacklevel=3)
    return "fp32" if asked == "auto" else asked


def cpu_has_bf16() -> bool:
    """Whether matrix products in bf16 are faster on this CPU than those in fp32."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


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
