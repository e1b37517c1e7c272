"""Blocks through joblib: processes here, a Ray cluster by configuration, the same results in the same order.

A worker that dies (a parser can end its process on a malformed file) does not end the run: what it held
is tried again in halves, each in a process of its own, until the guilty item is alone.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pianogen.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all."""


def map_blocks(
    function: Callable[[T], R], blocks: Sequence[T], settings: Settings, progress: Progress | None = None
) -> list[R | None]:
    """Results of `function` for each block, in order; None for a block whose worker died."""
    results: list[R | None] = [None] * len(blocks)
    if not blocks:
        return results
    num_workers = min(settings.num_workers, len(blocks))
    if num_workers == 1 and settings.backend == "loky":
        for i, block in enumerate(blocks):
            results[i] = function(block)
            if progress:
                progress(i + 1, len(blocks))
        return results
    if settings.backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    # The Ray backend can't yield results as they come, so progress is told at the end there.
    stream = "list" if settings.backend == "ray" else "generator_unordered"
    done = 0
    with joblib.parallel_config(backend=settings.backend, n_jobs=num_workers, inner_max_num_threads=None):
        pool = joblib.Parallel(return_as=stream, batch_size=1, pre_dispatch="2*n_jobs")
        try:
            for i, result in pool(joblib.delayed(_numbered)(function, i, block) for i, block in enumerate(blocks)):
                results[i] = result
                done += 1
                if progress:
                    progress(done, len(blocks))
        except TerminatedWorkerError:
            # The caller decides what a None means; it can halve the block with `survives`.
            for i, block in enumerate(blocks):
                if results[i] is None:
                    results[i] = run_alone(function, block)
                    done += 1
                    if progress:
                        progress(min(done, len(blocks)), len(blocks))
    return results


def _numbered(function: Callable[[T], R], i: int, block: T) -> tuple[int, R]:
    return i, function(block)


def run_alone(function: Callable[[T], R], block: T) -> R | None:
    """The result of `function` in a process of its own, or None when that process died.

    An exception raised by `function` is raised here.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, function, block))
    process.start()
    sender.close()
    try:
        ok, value = receiver.recv()
    except EOFError:
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
