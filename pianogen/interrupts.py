"""Interrupts that cannot get lost.

Python raises what a signal's handler raises wherever the main thread happens to be; where that is a callback of the
garbage collector or a `__del__`, the error is printed and forgotten, and what was to be cancelled goes on.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def remembered() -> Iterator[Callable[[], None]]:
    """Remember the signals that ask to end (SIGINT, SIGTERM) while the body runs; handlers answer them as before.

    Yields:
        A check for the body to call now and then: a signal whose handler's error got lost is handled again.
        Outside the main thread, which alone handles signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    lost: list[tuple[Callable, int, FrameType | None]] = []

    def remember(handler: Callable) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            lost.append((handler, number, frame))
            handler(number, frame)
            lost.pop()  # it raised nothing, so nothing can get lost

        return handle

    def check() -> None:
        while lost:
            handler, number, frame = lost.pop()
            handler(number, frame)

    # What the system handles, or nobody, raises nothing.
    handlers = {n: h for n in (signal.SIGINT, signal.SIGTERM) if callable(h := signal.getsignal(n))}
    for number, handler in handlers.items():
        signal.signal(number, remember(handler))
    try:
        yield check
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
