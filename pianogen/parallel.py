"""Blocks on several processors: processes here, a Ray cluster by configuration, the same results in the same order.

Processes here are our own workers, not joblib's: see docs/decisions/0005. joblib brings the other backends.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pianogen.errors import WorkerDiedError
from pianogen.settings import Settings
from pianogen.workers import Died, run_tasks

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all."""


def map_blocks(
    function: Callable[[T], R], blocks: Sequence[T], settings: Settings, progress: Progress | None = None
) -> list[R]:
    """Results of `function` for each block, in order.

    A single worker is this process.

    Args:
        function: importable by a worker; an exception that it raises is raised here.
        blocks: one argument of each call.
        settings: number of workers and backend.
        progress: told the number of blocks done and of all.

    Raises:
        WorkerDiedError: a worker died over the same block twice.
    """
    num_workers = min(settings.num_workers, len(blocks))
    if num_workers <= 1 and settings.backend != "ray":
        return [_told(function(block), i + 1, len(blocks), progress) for i, block in enumerate(blocks)]
    results = guarded_map(function, blocks, settings, progress)
    dead = [i for i, result in enumerate(results) if isinstance(result, Died)]
    # Once more, for a death that was not the block's own: memory that was short for a while, a kill from outside.
    for i, result in zip(dead, guarded_map(function, [blocks[i] for i in dead], settings), strict=True):
        if isinstance(result, Died):
            raise WorkerDiedError(f"a worker died twice over the same block: {result}; is memory short?")
        results[i] = result
    return results  # pyright: ignore[reportReturnType]  # no Died is left


def guarded_map(
    function: Callable[[T], R], blocks: Sequence[T], settings: Settings, progress: Progress | None = None
) -> list[R | Died]:
    """Results of `function`, which may end its process, for each block, in order; `Died` where it did.

    The single worker is a process too. The backend `threading` gives no protection.
    """
    results: dict[int, R | Died] = {}
    if settings.backend == "processes":
        for i, result in run_tasks(function, blocks, min(settings.num_workers, len(blocks))):
            results[i] = _told(result, len(results) + 1, len(blocks), progress)
    elif blocks:
        for i, result in _through_joblib(function, blocks, settings):
            results[i] = _told(result, len(results) + 1, len(blocks), progress)
    return [results[i] for i in range(len(blocks))]


def run_alone(function: Callable[[T], R], argument: T) -> R | Died:
    """The result of `function` in a process that may die."""
    ((_, result),) = run_tasks(function, [argument], 1)
    return result


def _told(result: R, done: int, num_blocks: int, progress: Progress | None) -> R:
    if progress:
        progress(done, num_blocks)
    return result


def _through_joblib(function: Callable[[T], R], blocks: Sequence[T], settings: Settings) -> Any:
    import joblib

    num_workers = min(settings.num_workers, len(blocks))
    # Inside Ray's tasks the block runs in a worker of ours, so that a death is the block's and not Ray's.
    call: Callable = _numbered
    if settings.backend == "ray":
        from ray.util.joblib import register_ray  # pyright: ignore[reportMissingImports]

        register_ray()
        call = _numbered_alone
    # The Ray backend can't yield results as they come, so progress is told at the end there.
    stream = "list" if settings.backend == "ray" else "generator_unordered"
    with joblib.parallel_config(backend=settings.backend, n_jobs=num_workers):
        # joblib's own annotations know neither a number for batch_size nor what comes back.
        pool: Any = joblib.Parallel(return_as=stream, batch_size=1, pre_dispatch="2*n_jobs")  # pyright: ignore
        yield from pool(joblib.delayed(call)(function, i, block) for i, block in enumerate(blocks))


def _numbered(function: Callable[[T], R], i: int, block: T) -> tuple[int, R]:
    return i, function(block)


def _numbered_alone(function: Callable[[T], R], i: int, block: T) -> tuple[int, R | Died]:
    return i, run_alone(function, block)
