"""Worker processes that may die without harm: a death costs the task in hand, and is told with its cause.

A worker is `python -c` with a socket to its owner and nothing shared with other workers: no lock that a
dead one could hold, no queue that it could leave half-read (see docs/decisions/0005). Workers that are
done wait for the next call in the same process, since starting one costs its imports; they end with the
process that owns them, even when that is killed.
"""

import atexit
import contextlib
import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

T = TypeVar("T")
R = TypeVar("R")

_RESULT, _ERROR, _NOTE = "result", "error", "note"


@dataclass(frozen=True)
class Died:
    """What comes back for a task whose worker died."""

    exit_code: int
    """As of `subprocess.Popen.returncode`: negative for a signal."""
    note: Any = None
    """What the worker said last with `tell`, None where it said nothing in this task."""

    @property
    def out_of_time(self) -> bool:
        """Whether a limit of time ended it (see `limited`)."""
        return self.exit_code == -getattr(signal, "SIGXCPU", 0) != 0

    def __str__(self) -> str:
        """The cause in words."""
        if self.exit_code >= 0:
            return f"the process ended with exit code {self.exit_code}"
        with contextlib.suppress(ValueError):
            return f"the process was ended by {signal.Signals(-self.exit_code).name}"
        return f"the process was ended by signal {-self.exit_code}"


def run_tasks(function: Callable[[T], R], tasks: Iterable[T], num_workers: int) -> Iterator[tuple[int, R | Died]]:
    """Number and result of each task, as they come.

    Args:
        function: importable by its module's name; what it raises is raised here.
        tasks: arguments of the calls; the next is taken when a worker is free.
        num_workers: processes at work at the same time.
    """
    todo = enumerate(tasks)
    busy: dict[Connection, tuple[_Worker, int]] = {}
    lost: deque[tuple[int, Died]] = deque()
    try:
        while True:
            while len(busy) < num_workers and (task := next(todo, None)) is not None:
                worker = _hire()
                if worker.give(function, task[1]):
                    busy[worker.connection] = worker, task[0]
                else:
                    lost.append((task[0], worker.buried()))
            while lost:
                yield lost.popleft()
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, number = busy[connection]
                if (answer := worker.answer()) is None:
                    continue
                del busy[connection]
                if isinstance(answer, Died):
                    yield number, answer
                    continue
                _dismiss(worker)
                kind, value = answer
                if kind == _ERROR:
                    raise value
                yield number, value
    finally:
        for worker, _ in busy.values():
            worker.kill()


def tell(note: Any) -> None:
    """Say in a worker what it is about to do, so that its death can be laid to it; elsewhere nothing."""
    if _owner is not None:
        _owner.send((_NOTE, note))


@contextlib.contextmanager
def limited(seconds: float, memory_bytes: int) -> Iterator[None]:
    """Let the body of a worker's task take so much processor time and so much more memory.

    More time ends the process (by SIGXCPU); memory that is not there is a MemoryError, or ends the process where
    a library does not expect it. Outside workers, and where the system knows no such limits, nothing is limited.
    """
    if _owner is None or resource is None:
        yield
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 1
    with _limit(resource.RLIMIT_CPU, until), _limit(resource.RLIMIT_AS, _address_space() + memory_bytes):
        yield


@contextlib.contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    assert resource is not None
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def _address_space() -> int:
    """Bytes of addresses that this process has taken; where it can't be told, a guess on the high side."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 2**34


# The owner's side

_BOOTSTRAP = (
    "import pickle, sys; from multiprocessing.connection import Connection; c = Connection(int(sys.argv[1])); "
    "sys.path[:] = c.recv(); from pianogen.workers import serve; serve(c)"
)


_ENVIRONMENT = {"MIMALLOC_PURGE_DELAY": "-1"}
"""Arrow's memory is used again for the next block, not handed back and taken anew, which costs a tenth of writing."""


class _Worker:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOTSTRAP, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ENVIRONMENT},
            )
        self.connection = Connection(ours.detach())
        self.owner = os.getpid()
        self._note: Any = None
        with contextlib.suppress(OSError):  # its death is found when it is given a task
            self.connection.send(sys.path)

    def give(self, function: Callable, argument: Any) -> bool:
        """Hand it a task; False when it is dead."""
        self._note = None
        data = pickle.dumps((function, argument))
        try:
            self.connection.send_bytes(data)
        except OSError:
            return False
        return True

    def answer(self) -> tuple[str, Any] | Died | None:
        """What it sent: None when that was a note."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            return self.buried()
        if kind == _NOTE:
            self._note = value
            return None
        return kind, value

    def buried(self) -> Died:
        self.connection.close()
        return Died(self.process.wait(), self._note)

    def kill(self) -> None:
        self.process.kill()
        self.buried()


_idle: list[_Worker] = []
_idle_lock = threading.Lock()
_MAX_IDLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hire() -> _Worker:
    with _idle_lock:
        while _idle:
            worker = _idle.pop()
            # A fork of the owner has its list, though not its workers; one may have been killed while idle.
            if worker.owner == os.getpid() and worker.process.poll() is None:
                return worker
            if worker.owner == os.getpid():
                worker.buried()
    return _Worker()


def _dismiss(worker: _Worker) -> None:
    with _idle_lock:
        if len(_idle) < _MAX_IDLE:
            _idle.append(worker)
            return
    worker.kill()


def num_waiting() -> int:
    """How many workers wait for a next call: work given to them costs no start."""
    with _idle_lock:
        return len(_idle)


@atexit.register
def dismiss_idle() -> None:
    """End the workers that wait for a next call; those at work go on."""
    with _idle_lock:
        while _idle:
            _idle.pop().kill()


# The worker's side

_owner: Connection | None = None
"""Set in a worker alone."""


def serve(connection: Connection) -> None:
    """A worker's life: call what is asked for, until the owner is gone."""
    global _owner
    _owner = connection
    # Ctrl-C reaches every process of a terminal; the owner decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is imported stays, and blocks make thousands of small objects without cycles: look for those less often.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    threading.Thread(target=_end_with, args=(os.getppid(), connection.fileno()), daemon=True).start()
    holds_memory = False
    while True:
        try:
            if holds_memory and not connection.poll(_IDLE_SEC):
                holds_memory = False
                _give_memory_back()
            task = connection.recv_bytes()
        except (EOFError, OSError):
            break
        try:
            connection.send_bytes(_answer(task))
        except OSError:
            break
        del task
        holds_memory = True
    # Not the interpreter's own end: the owner is gone or does not wait, and there is nothing to save.
    os._exit(0)


_IDLE_SEC = 0.2
"""A worker that waits longer has done its share: another stage may need what it holds."""


def _give_memory_back() -> None:
    """What allocators keep for a next time goes to the system: of a few hundred MB that blocks took, most."""
    gc.collect()
    if pyarrow := sys.modules.get("pyarrow"):
        pyarrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # another system's C library has no such call, or is not found
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _answer(task: bytes) -> bytes:
    try:
        function, argument = pickle.loads(task)
        return pickle.dumps((_RESULT, function(argument)))
    except Exception as error:
        return _pickled(error)


def _pickled(error: Exception) -> bytes:
    """An error as bytes that the owner can read, whatever its class."""
    try:
        data = pickle.dumps((_ERROR, error))
        pickle.loads(data)
    except Exception:
        return pickle.dumps((_ERROR, RuntimeError(f"{type(error).__name__}: {error}")))
    return data


def _end_with(owner: int, descriptor: int) -> None:
    """End this process with its owner, even in the middle of a task.

    The owner's end of the socket closes at once; its process number tells where a fork of it keeps that end open.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLHUP | getattr(select, "POLLRDHUP", 0))
    while os.getppid() == owner:
        if poll.poll(1000):
            break
    os._exit(1)
