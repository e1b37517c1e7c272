import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from deaths import (
    DEADLY,
    die_before_sending,
    process_id,
    refuse,
    square,
    square_or_exit,
    square_slowly_backwards,
)
from ingests import ingest_settings

from pianogen.lake import digest
from pianogen.parallel import deadly_items, map_blocks, run_alone


def is_running(pid: int) -> bool:
    """Whether a process does anything; one that has ended may wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers, function", [(1, square), (2, square), (2, square_or_exit)])
def test_a_worker_that_dies_costs_its_own_block_alone(function, workers):
    told = []
    numbers = [*range(10), DEADLY, *range(20, 30)]
    results = map_blocks(
        function, numbers, ingest_settings(workers), lambda done, num: told.append((done, num)), may_die=True
    )
    assert results == [None if n == DEADLY else n * n for n in numbers]
    assert told == [(i + 1, len(numbers)) for i in range(len(numbers))]


def test_every_worker_may_die():
    assert map_blocks(square, [DEADLY] * 3 + [2], ingest_settings(2), may_die=True) == [None, None, None, 4]


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_blocks_whichever_ends_first(workers, backend):
    told = []
    settings = replace(ingest_settings(workers), backend=backend)
    results = map_blocks(square_slowly_backwards, range(10), settings, lambda *progress: told.append(progress))
    assert results == [n * n for n in range(10)]
    assert told == [(i, 10) for i in range(1, 11)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("may_die", [True, False])
def test_an_exception_of_a_worker_is_raised_here(workers, may_die):
    with pytest.raises(ValueError, match="is refused"):
        map_blocks(refuse, [1, 2, 3], ingest_settings(workers), may_die=may_die)


def test_a_single_worker_is_this_process_unless_it_may_die():
    assert map_blocks(process_id, [0, 1], ingest_settings(1)) == [os.getpid()] * 2
    workers = map_blocks(process_id, [0, 1], ingest_settings(1), may_die=True)
    assert len(set(workers)) == 1
    assert os.getpid() not in workers


def test_no_more_processes_than_workers():
    assert len(set(map_blocks(process_id, range(20), ingest_settings(2)))) <= 2


def test_no_blocks_give_no_results():
    assert map_blocks(refuse, [], ingest_settings(2)) == []


def test_alone_gives_the_result_or_the_exception_or_none():
    assert run_alone(square, 7) == 49
    assert run_alone(square, DEADLY) is None
    with pytest.raises(ValueError, match="5 is refused"):
        run_alone(refuse, 5)


def test_a_death_before_the_result_is_sent_is_none():
    assert run_alone(die_before_sending, 5) is None


def test_the_deadly_items_are_found_among_the_others():
    assert deadly_items(square, [1, 2, DEADLY, 4, DEADLY]) == [DEADLY, DEADLY]
    assert deadly_items(square, [1, 2, 3]) == []
    assert deadly_items(square, []) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_end_soon_after_a_run_that_is_killed(workers):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from deaths import tell_and_wait; from ingests import ingest_settings as settings_of\n"
        "from pianogen.parallel import map_blocks\n"
        "if __name__ == '__main__': map_blocks(tell_and_wait, range(4), settings_of(int(sys.argv[2])), may_die=True)"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(workers)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pids = [int(run.stdout.readline()) for _ in range(workers)]
    assert all(is_running(pid) for pid in pids)
    run.kill()
    # Standard output ends when the last process that holds it has ended.
    run.communicate(timeout=20)
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install pianogen[ray]")
def test_ray_gives_the_same_results_in_the_same_order():
    told = []
    settings = replace(ingest_settings(2), backend="ray")
    # A function of the library: Ray's workers do not see the folder of the tests.
    found = map_blocks(digest, range(10), settings, lambda *progress: told.append(progress))
    assert found == [digest(n) for n in range(10)]
    assert told[-1] == (10, 10)
