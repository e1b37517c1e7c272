import os
import signal
import threading

import pytest

from pianogen import interrupts


class Raises:
    """Sends a signal to this process while it is collected, where Python forgets errors."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        # Handlers run between two instructions of the main thread: some of these are in this method.
        for _ in range(1000):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_got_lost_is_raised_at_the_next_check():
    with interrupts.remembered() as check:
        Raises()
        with pytest.raises(KeyboardInterrupt):
            check()
        check()


def test_an_interrupt_that_did_not_get_lost_is_raised_where_it_arrives():
    with pytest.raises(KeyboardInterrupt), interrupts.remembered():
        signal.raise_signal(signal.SIGINT)


def test_what_a_handler_took_without_an_error_is_not_handled_twice():
    taken = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: taken.append(number))
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with interrupts.remembered() as check:
            signal.raise_signal(signal.SIGTERM)
            check()
        assert taken == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_signals_alone():
    seen = []

    def body():
        with interrupts.remembered() as check:
            check()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
