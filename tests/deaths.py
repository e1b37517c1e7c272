"""Functions for worker processes, some of which do not come back."""

import os
import signal
import threading
import time

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
    print(os.getpid(), flush=True)
    time.sleep(60)
