import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from deaths import (
    DEADLY,
    burn_processor_time,
    die_before_sending,
    die_the_first_time,
    give_back_a_lock,
    hoard,
    process_id,
    raise_unsendable,
    refuse,
    square,
    square_or_exit,
    square_slowly_backwards,
    take_memory,
    take_memory_unlimited,
    tell_and_die,
)
from ingests import ingest_settings

from pianogen.errors import WorkerDiedError
from pianogen.lake import digest
from pianogen.parallel import guarded_map, map_blocks, run_alone
from pianogen.workers import Died, dismiss_idle


def is_running(pid: int) -> bool:
    """Whether a process does anything; one that has ended may wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers, function, exit_code", [(1, square, -9), (2, square, -9), (2, square_or_exit, 3)])
def test_a_worker_that_dies_costs_its_own_block_alone(function, workers, exit_code):
    told = []
    numbers = [*range(10), DEADLY, *range(20, 30)]
    results = guarded_map(function, numbers, ingest_settings(workers), lambda done, num: told.append((done, num)))
    assert results == [Died(exit_code) if n == DEADLY else n * n for n in numbers]
    assert told == [(i + 1, len(numbers)) for i in range(len(numbers))]


def test_every_worker_may_die():
    assert guarded_map(square, [DEADLY] * 3 + [2], ingest_settings(2)) == [Died(-9)] * 3 + [4]


def test_a_death_is_told_with_what_the_worker_did_last():
    end = run_alone(tell_and_die, "a.mid")
    assert end == Died(-signal.SIGSEGV, note="a.mid")
    assert str(end) == "the process was ended by SIGSEGV"
    assert isinstance(end, Died)
    assert not end.out_of_time


def test_a_death_where_none_may_is_tried_again_and_then_an_error(tmp_path):
    marks = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert map_blocks(die_the_first_time, marks, ingest_settings(2)) == marks
    with pytest.raises(WorkerDiedError, match=r"a worker died twice over the same block: .*SIGKILL"):
        map_blocks(square, [1, DEADLY, 2], ingest_settings(2))


def test_limits_end_what_takes_too_long_and_refuse_what_takes_too_much():
    end = run_alone(burn_processor_time, 1)
    assert isinstance(end, Died)
    assert end.out_of_time
    with pytest.raises(MemoryError):
        run_alone(take_memory, 2**30)
    assert run_alone(take_memory, 2**20) == 2**20


def test_a_limit_ends_with_its_task():
    assert guarded_map(take_memory_unlimited, [2**28, 2**28], ingest_settings(1)) == [2**28] * 2


def test_workers_wait_for_the_next_call_and_a_killed_one_is_replaced():
    dismiss_idle()
    (first,) = guarded_map(process_id, [0], ingest_settings(1))
    assert guarded_map(process_id, [0], ingest_settings(1)) == [first]
    assert isinstance(first, int)
    os.kill(first, signal.SIGKILL)
    (second,) = guarded_map(process_id, [0], ingest_settings(1))
    assert second != first


def test_a_worker_that_waits_gives_its_memory_back():
    process, held = run_alone(hoard, 0)
    deadline = time.monotonic() + 10
    while psutil.Process(process).memory_info().rss > held - 60_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_error_that_cannot_be_sent_comes_as_its_words():
    with pytest.raises(RuntimeError, match="UnsendableError: of no use"):
        run_alone(raise_unsendable, "of no use")


def test_a_result_that_cannot_be_sent_is_an_error():
    with pytest.raises(Exception, match="pickle"):
        run_alone(give_back_a_lock, 0)


@pytest.mark.parametrize("backend", ["processes", "threading"])
@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_blocks_whichever_ends_first(workers, backend):
    told = []
    settings = replace(ingest_settings(workers), backend=backend)
    results = map_blocks(square_slowly_backwards, range(10), settings, lambda *progress: told.append(progress))
    assert results == [n * n for n in range(10)]
    assert told == [(i, 10) for i in range(1, 11)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mapped", [map_blocks, guarded_map])
def test_an_exception_of_a_worker_is_raised_here(workers, mapped):
    with pytest.raises(ValueError, match="is refused"):
        mapped(refuse, [1, 2, 3], ingest_settings(workers))


def test_a_single_worker_is_this_process_unless_it_may_die():
    assert map_blocks(process_id, [0, 1], ingest_settings(1)) == [os.getpid()] * 2
    workers = guarded_map(process_id, [0, 1], ingest_settings(1))
    assert len(set(workers)) == 1
    assert os.getpid() not in workers


def test_no_more_processes_than_workers():
    assert len(set(map_blocks(process_id, range(20), ingest_settings(2)))) <= 2


def test_no_blocks_give_no_results():
    assert map_blocks(refuse, [], ingest_settings(2)) == []


def test_alone_gives_the_result_or_the_exception_or_the_death():
    assert run_alone(square, 7) == 49
    assert run_alone(square, DEADLY) == Died(-signal.SIGKILL)
    with pytest.raises(ValueError, match="5 is refused"):
        run_alone(refuse, 5)


def test_a_death_before_the_result_is_sent_is_a_death():
    assert run_alone(die_before_sending, 5) == Died(-signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_end_soon_after_a_run_that_is_killed(workers):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from deaths import tell_and_wait; from ingests import ingest_settings as settings_of\n"
        "from pianogen.parallel import guarded_map\n"
        "if __name__ == '__main__': guarded_map(tell_and_wait, range(4), settings_of(int(sys.argv[2])))"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(workers)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert run.stdout
    pids = [int(run.stdout.readline()) for _ in range(workers)]
    assert all(is_running(pid) for pid in pids)
    run.kill()
    run.communicate(timeout=20)
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its killed owner"
        time.sleep(0.05)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install pianogen[ray]")
def test_ray_gives_the_same_results_in_the_same_order():
    told = []
    settings = replace(ingest_settings(2), backend="ray")
    # A function of the library: Ray's workers do not see the folder of the tests.
    found = map_blocks(digest, range(10), settings, lambda *progress: told.append(progress))
    assert found == [digest(n) for n in range(10)]
    assert told[-1] == (10, 10)
