"""Worker processes: what they are handed, what comes back, and how they end."""

import os
import signal
import time
from concurrent.futures import wait

import pytest

from flows.pool import PoolClosedError, WorkerPool
from flows.processes import ProcessError
from flows.unit import Unit
from tests.flows.pretend import SECONDS, WORK, PretendError, is_alive

PATIENCE_S = 120
"""For what takes a second on an idle machine."""


@pytest.fixture
def heard():
    return []


@pytest.fixture
def pool(heard):
    """Two processes whose units take longer than a test may, unless it says otherwise."""
    with pool_taking(10 * PATIENCE_S, heard) as pool:
        yield pool


@pytest.fixture
def quick(heard):
    with pool_taking(0.2, heard) as pool:
        yield pool


def pool_taking(seconds, heard):
    environment = {SECONDS: str(seconds), "OMP_NUM_THREADS": "3"}
    return WorkerPool(2, environment=environment, work=WORK, progress=lambda *report: heard.append(report))


def unit(name, out="", option=None):
    return Unit("train", "s", str(out), (name,), option)


def await_report(heard, name, at_least=0):
    deadline = time.monotonic() + PATIENCE_S
    while not any(report[0] == name and report[1] >= at_least for report in list(heard)):
        assert time.monotonic() < deadline, f"nothing was heard of {name}"
        time.sleep(0.02)


def test_as_many_units_at_a_time_as_there_are_processes_and_no_more(quick, tmp_path):
    futures = [quick.submit(unit(name, tmp_path)) for name in "abcd"]
    records = [future.result(PATIENCE_S) for future in futures]
    assert [record["unit"] for record in records] == [f"train {name}" for name in "abcd"]
    assert len({record["pid"] for record in records}) == 2
    assert os.getpid() not in {record["pid"] for record in records}
    ends = sorted((one.begun_s, one.ended_s) for one in quick.finished)
    assert ends[0][1] > ends[1][0], "the first two ran one after the other"
    assert ends[2][0] >= min(ends[0][1], ends[1][1]), "three ran at a time"


def test_a_process_starts_only_for_a_unit(quick, tmp_path):
    pids = {quick.submit(unit(name, tmp_path)).result(PATIENCE_S)["pid"] for name in "abc"}
    assert len(pids) == 1


def test_a_unit_that_has_begun_is_not_begun_again(quick, tmp_path):
    first, again = (quick.submit(unit("a", tmp_path)) for _ in range(2))
    assert first is again
    first.result(PATIENCE_S)
    assert len(quick.finished) == 1


def test_workers_get_the_threads_of_the_run(quick, tmp_path):
    assert quick.submit(unit("a", tmp_path)).result(PATIENCE_S)["threads"] == "3"


def test_progress_names_the_unit_and_reaches_its_end(quick, heard, tmp_path):
    quick.submit(unit("a", tmp_path)).result(PATIENCE_S)
    assert heard[:2] == [("train a", 0, 1), ("train a", 0, 10)]
    assert heard[-1] == ("train a", 10, 10)
    assert sum(done == total for _, done, total in heard) == 1


def test_what_is_logged_and_warned_of_is_heard_in_this_process(quick, caplog, tmp_path):
    quick.submit(unit("a", tmp_path, "speak")).result(PATIENCE_S)
    assert [record.name for record in caplog.records] == ["pretend", "py.warnings"]
    assert caplog.records[0].getMessage() == "careful with train a"
    assert "that is old" in caplog.records[1].getMessage()


def test_an_error_arrives_with_its_four_parts_and_its_own_attributes(pool):
    with pytest.raises(PretendError) as caught:
        pool.submit(unit("a", option="explain")).result(PATIENCE_S)
    error = caught.value
    assert (error.where, error.expected, error.found) == ("missing.toml", "a sweep", "nothing")
    assert (error.remedy, error.shade) == ("Name one.", "blue")
    assert not hasattr(error, "__notes__")


def test_another_error_arrives_as_raised_and_tells_where(pool):
    with pytest.raises(KeyError, match="no such thing") as caught:
        pool.submit(unit("a", option="fail")).result(PATIENCE_S)
    assert "pretend.py" in caught.value.__notes__[0]


def test_an_error_that_cannot_travel_is_told_in_words(pool):
    with pytest.raises(RuntimeError, match="LocalError: no way out"):
        pool.submit(unit("a", option="fail locally")).result(PATIENCE_S)


def test_the_first_failure_ends_what_runs_and_what_waits(pool, heard):
    running = pool.submit(unit("running"))
    await_report(heard, "train running")
    failing, waiting = pool.submit(unit("a", option="explain")), pool.submit(unit("waiting"))
    done, _ = wait([running, failing, waiting], timeout=PATIENCE_S)
    assert len(done) == 3
    assert {type(future.exception()) for future in done} == {PretendError}
    assert isinstance(pool.failure, PretendError)
    assert isinstance(pool.submit(unit("later")).exception(1), PretendError)


def test_a_killed_process_is_an_error_that_says_so_and_how_to_go_on(quick, tmp_path):
    pid = quick.submit(unit("a", tmp_path)).result(PATIENCE_S)["pid"]
    second = quick.submit(unit("b", tmp_path))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProcessError, match="SIGKILL") as caught:
        second.result(PATIENCE_S)
    assert caught.value.where.startswith("train b (worker process")
    assert "the same command continues" in caught.value.remedy
    assert (tmp_path / "train a").exists()


def test_a_process_that_dies_is_quoted(pool):
    with pytest.raises(ProcessError, match="something is wrong") as caught:
        pool.submit(unit("a", option="die")).result(PATIENCE_S)
    assert "SIGABRT" in caught.value.found


def test_a_process_that_cannot_start_is_quoted():
    pool = WorkerPool(1, work="tests.flows.absent:perform")
    with pool, pytest.raises(ProcessError, match=r"No module named 'tests.flows.absent'"):
        pool.submit(unit("a")).result(20)


def test_a_stopped_pool_leaves_no_process_and_no_child_of_one(pool, heard):
    future = pool.submit(unit("a", option="have a child"))
    await_report(heard, "train a", at_least=11)
    child = next(done for _, done, _ in heard if done > 10)
    assert is_alive(child)
    pool.stop(PoolClosedError("enough"))
    with pytest.raises(PoolClosedError, match="enough"):
        future.result(PATIENCE_S)
    pool.close()
    assert not is_alive(child)
