"""Functions for worker processes, some of which do not come back."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from pianogen.workers import limited, tell

DEADLY = 13


def square(number: int) -> int:
    if number == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def square_or_exit(number: int) -> int:
    if number == DEADLY:
        os._exit(3)
    return number * number


def square_slowly_backwards(number: int) -> int:
    time.sleep(0.02 * (10 - number))
    return number * number


def refuse(number: int) -> int:
    raise ValueError(f"{number} is refused")


def die_before_sending(seconds: float) -> object:
    """A result that takes `seconds` to send, and a death on the way."""
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return _SlowToPickle(seconds)


class _SlowToPickle:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __reduce__(self):
        time.sleep(self.seconds)
        return float, (self.seconds,)


def process_id(_: int) -> int:
    return os.getpid()


def tell_and_wait(_: int) -> None:
    # In one piece: several processes write to the same pipe.
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(60)


def tell_and_die(name: str) -> None:
    tell("something else")
    tell(name)
    os.kill(os.getpid(), signal.SIGSEGV)


def die_the_first_time(mark: str) -> str:
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mark


def burn_processor_time(seconds: int) -> None:
    with limited(seconds, 2**28):
        while True:
            pass


def take_memory(num_bytes: int) -> int:
    with limited(10, 2**28):
        return len(np.ones(num_bytes, np.uint8))


def take_memory_unlimited(num_bytes: int) -> int:
    with limited(10, 2**20):
        pass
    return len(np.ones(num_bytes, np.uint8))


def raise_unsendable(words: str) -> None:
    class UnsendableError(Exception):
        pass

    raise UnsendableError(words)


def give_back_a_lock(_: int) -> threading.Lock:
    return threading.Lock()


_pinned: list[bytes] = []


def hoard(_: int) -> tuple[int, int]:
    """Take a hundred MB in pieces, free them but for the last; the process and its bytes of memory."""
    pieces = [bytes(2000) for _ in range(50_000)]
    _pinned.append(bytes(2000))
    del pieces
    return os.getpid(), psutil.Process().memory_info().rss
