"""Blocks through joblib: processes here, a Ray cluster by configuration, the same results in the same order.

A worker that dies (a parser can end its process on a malformed file) does not end the run: the blocks
that were under way are tried again, each in a process of its own, and the others go on. `deadly_items`
then finds the guilty file of a block. Threads give no such protection.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.backend import get_context

from pianogen.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all."""


def map_blocks(
    function: Callable[[T], R],
    blocks: Sequence[T],
    settings: Settings,
    progress: Progress | None = None,
    *,
    may_die: bool = False,
) -> list[R | None]:
    """Results of `function` for each block, in order; None for a block whose worker died twice.

    Args:
        function: importable by a worker; an exception that it raises is raised here.
        blocks: one argument of each call.
        settings: number of workers and backend.
        progress: told the number of blocks done and of all.
        may_die: the function can end its process, so that a single worker is a process too.
    """
    results: dict[int, R | None] = {}

    def finish(i: int, result: R | None) -> None:
        results[i] = result
        if progress:
            progress(len(results), len(blocks))

    while todo := [i for i in range(len(blocks)) if i not in results]:
        started: list[int] = []
        try:
            for i, result in _stream(function, blocks, todo, started, settings, may_die):
                finish(i, result)
        except BrokenProcessPool:
            for i in started:
                if i not in results:
                    finish(i, run_alone(function, blocks[i]))
    return [results[i] for i in range(len(blocks))]


def _stream(
    function: Callable[[T], R],
    blocks: Sequence[T],
    todo: Sequence[int],
    started: list[int],
    settings: Settings,
    may_die: bool,
) -> Iterator[tuple[int, R]]:
    """Numbers and results as they come; `started` gets the number of each block handed to a worker."""

    def hand_out() -> Iterator[int]:
        for i in todo:
            started.append(i)
            yield i

    num_workers = min(settings.num_workers, len(blocks))
    if num_workers == 1 and may_die and settings.backend == "loky":
        # joblib would run a single worker in this process.
        spawn = get_context("loky")
        with ProcessPoolExecutor(1, spawn, initializer=_end_with, initargs=(os.getpid(),)) as executor:
            for i in hand_out():
                yield i, executor.submit(function, blocks[i]).result()
        return
    if num_workers == 1 and settings.backend != "ray":
        for i in hand_out():
            yield i, function(blocks[i])
        return
    if settings.backend == "ray":
        from ray.util.joblib import register_ray  # pyright: ignore[reportMissingImports]

        register_ray()
    # The Ray backend can't yield results as they come, so progress is told at the end there.
    stream = "list" if settings.backend == "ray" else "generator_unordered"
    options = {"initializer": _end_with, "initargs": (os.getpid(),)} if settings.backend == "loky" else {}
    with joblib.parallel_config(backend=settings.backend, n_jobs=num_workers, **options):
        # joblib's own annotations know neither a number for batch_size nor what comes back.
        pool: Any = joblib.Parallel(return_as=stream, batch_size=1, pre_dispatch="2*n_jobs")  # pyright: ignore
        yield from pool(joblib.delayed(_numbered)(function, i, blocks[i]) for i in hand_out())


def _end_with(parent: int) -> None:
    """End this process soon after its parent: a killed run leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _numbered(function: Callable[[T], R], i: int, block: T) -> tuple[int, R]:
    return i, function(block)


def deadly_items(function: Callable[[T], object], items: Sequence[T]) -> list[T]:
    """The items on which `function` ends its process, found by halving in processes of their own."""
    if not items or run_alone(partial(_each, function), items):
        return []
    if len(items) == 1:
        return list(items)
    half = len(items) // 2
    return [*deadly_items(function, items[:half]), *deadly_items(function, items[half:])]


def _each(function: Callable[[T], object], items: Sequence[T]) -> bool:
    for item in items:
        function(item)
    return True


def run_alone(function: Callable[[T], R], block: T) -> R | None:
    """The result of `function` in a process of its own, or None when that process died.

    An exception raised by `function` is raised here.
    """
    context: Any = get_context("loky")  # its annotation is of the base class, which has no Process
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, function, block))
    process.start()
    sender.close()
    try:
        ok, value = receiver.recv()
    except (EOFError, OSError):
        # The second: it died in the middle of sending.
        return None
    finally:
        process.join()
        receiver.close()
    if not ok:
        raise value
    return value


def _send_result(sender, function, block) -> None:
    try:
        sender.send((True, function(block)))
    except Exception as error:
        sender.send((False, error))
