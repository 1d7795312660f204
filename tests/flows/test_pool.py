"""Worker processes: what they are handed, what comes back, and how they end."""

import logging
import os
import signal
import time
from concurrent.futures import wait

import pytest

from flows import pool as pools
from flows.pool import PoolClosedError, WorkerPool
from flows.unit import Unit
from stitchpipe.run import RunPlace
from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger
from tests.flows.pretend import SECONDS, WORK, Heard, is_alive

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


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What is tried again, or looked at again, is so at once."""
    monkeypatch.setattr(pools, "BACK_OFF_S", (0.0,))
    monkeypatch.setattr(pools, "LOOK_AGAIN_S", (0.05,))


def pool_taking(seconds, heard, **settings):
    environment = {SECONDS: str(seconds), "OMP_NUM_THREADS": "3"}
    return WorkerPool(2, environment=environment, work=WORK, progress=Heard(heard.append), **settings)


def unit(name, out, option=None):
    return Unit("train", "s", str(out), (name,), option)


def ended(pool, unit):
    return pool.submit(unit).result(PATIENCE_S)


def await_report(heard, name, at_least=0):
    deadline = time.monotonic() + PATIENCE_S
    while not any(report[0] == name and report[1] >= at_least for report in list(heard) if len(report) == 3):
        assert time.monotonic() < deadline, f"nothing was heard of {name}"
        time.sleep(0.02)


def await_words(heard, name):
    """Return what was said of a unit, as soon as something was."""
    deadline = time.monotonic() + PATIENCE_S
    while not (said := [report[1] for report in list(heard) if len(report) == 2 and report[0] == name]):
        assert time.monotonic() < deadline, f"nothing was said of {name}"
        time.sleep(0.02)
    return said


def test_as_many_units_at_a_time_as_there_are_processes_and_no_more(quick, tmp_path):
    futures = [quick.submit(unit(name, tmp_path)) for name in "abcd"]
    records = [future.result(PATIENCE_S).record for future in futures]
    assert [record["unit"] for record in records] == [f"train {name}" for name in "abcd"]
    assert len({record["pid"] for record in records}) == 2
    assert os.getpid() not in {record["pid"] for record in records}
    ends = sorted((one.begun_s, one.ended_s) for one in quick.ended)
    assert ends[0][1] > ends[1][0], "the first two ran one after the other"
    assert ends[2][0] >= min(ends[0][1], ends[1][1]), "three ran at a time"


def test_a_process_starts_only_for_a_unit_and_low_ranks_come_first(quick, tmp_path):
    pids = {ended(quick, unit(name, tmp_path)).record["pid"] for name in "abc"}
    assert len(pids) == 1


def test_a_unit_that_has_begun_is_not_begun_again(quick, tmp_path):
    first, again = (quick.submit(unit("a", tmp_path)) for _ in range(2))
    assert first is again
    assert quick.has(unit("a", tmp_path))
    first.result(PATIENCE_S)
    assert len(quick.ended) == 1


def test_workers_get_the_threads_of_the_run(quick, tmp_path):
    assert ended(quick, unit("a", tmp_path)).record["threads"] == "3"


def test_progress_names_the_unit_and_reaches_its_end(quick, heard, tmp_path):
    ended(quick, unit("a", tmp_path))
    assert heard[:2] == [("train a", 0, 1), ("train a", 0, 10)]
    assert heard[-1] == ("train a", 10, 10)
    assert sum(done == total for _, done, total in heard) == 1


def test_what_is_logged_and_warned_of_is_heard_in_this_process(quick, caplog, tmp_path):
    caplog.set_level("INFO", "flows.units")
    ended(quick, unit("a", tmp_path, "speak"))
    texts = [record.getMessage() for record in caplog.records]
    assert texts[:2] == ["begin train a", "careful with train a"]
    assert "that is old" in texts[2]
    assert texts[3].startswith("train a: done in ")


def test_a_unit_that_fails_ends_nothing_else_and_says_why(quick, tmp_path):
    failing, after = quick.submit(unit("a", tmp_path, "explain")), quick.submit(unit("b", tmp_path))
    reason = failing.result(PATIENCE_S).reason
    assert (reason.where, reason.expected, reason.found) == ("missing.toml", "a sweep", "nothing")
    assert (reason.remedy, reason.kind, reason.passing) == ("Name one.", "PretendError", False)
    assert after.result(PATIENCE_S).state == "done"
    outcomes = Ledger(RunPlace.at(tmp_path).files).outcomes()
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "train a": "failed",
        "train b": "done",
    }
    assert outcomes["train a"].reason == reason
    assert outcomes["train a"].key == "key of train a"


def test_an_unexpected_error_is_named_and_the_log_has_the_whole_of_it(quick, caplog, tmp_path):
    assert "KeyError: 'no such thing'" in ended(quick, unit("a", tmp_path, "fail")).reason.found
    assert "pretend.py" in caplog.text


def test_what_may_pass_is_tried_again_and_not_for_ever(quick, heard, tmp_path):
    tmp_path.mkdir(exist_ok=True)
    assert ended(quick, unit("a", tmp_path, "pass once")).state == "done"
    assert any("tried again in 0 s (2 of 3)" in report[1] for report in heard if len(report) == 2)
    failed = ended(quick, unit("b", tmp_path, "pass"))
    assert failed.state == "failed"
    assert failed.reason.passing
    assert Ledger(RunPlace.at(tmp_path).files).of("train b").attempts == 3


def test_what_failed_by_itself_is_not_tried_again_by_another_worker(quick, tmp_path):
    ended(quick, unit("a", tmp_path, "explain"))
    again = Unit("train", "s", str(tmp_path), ("a",), None)  # it would succeed now
    assert ended(quick, again).reason.kind == "PretendError"


def test_a_process_that_dies_is_a_failure_of_its_unit_and_another_goes_on(quick, tmp_path):
    dead = ended(quick, unit("a", tmp_path, "die"))
    assert "SIGABRT" in dead.reason.found
    assert "something is wrong" in dead.reason.remedy
    assert not dead.reason.passing
    assert ended(quick, unit("b", tmp_path)).state == "done"
    assert Ledger(RunPlace.at(tmp_path).files).of("train a").key == "key of train a"


def test_a_process_that_is_killed_is_tried_again(quick, tmp_path):
    killed = ended(quick, unit("a", tmp_path, "be killed"))
    assert "SIGKILL" in killed.reason.found
    assert killed.reason.where.startswith("train a (worker process")
    assert Ledger(RunPlace.at(tmp_path).files).of("train a").attempts == 3


def test_a_process_that_cannot_start_is_quoted(tmp_path):
    with WorkerPool(1, work="tests.flows.absent") as pool:
        assert "No module named 'tests.flows.absent'" in ended(pool, unit("a", tmp_path)).reason.remedy


def test_a_unit_that_takes_too_long_is_ended(heard, tmp_path):
    with pool_taking(10 * PATIENCE_S, heard, timeout_s=0.5) as pool:
        late = ended(pool, unit("a", tmp_path))
    assert "an end within 0.5 s" in late.reason.expected
    assert not late.reason.passing


def test_a_unit_that_another_works_on_is_waited_for_behind_the_others(quick, heard, tmp_path):
    with Claims(RunPlace.at(tmp_path).files) as claims:
        assert claims.take("train a") is None
        held = quick.submit(unit("a", tmp_path))
        assert ended(quick, unit("b", tmp_path)).state == "done"
        assert not held.done()
        said = await_words(heard, "train a")
        assert said == [f"{claims.worker.host}, process {os.getpid()}, works on it"]
        (tmp_path / "train a").touch()
    assert held.result(PATIENCE_S).state == "kept"


def test_a_stopped_pool_leaves_no_process_and_no_child_of_one(pool, heard, tmp_path):
    future, waiting = pool.submit(unit("a", tmp_path, "have a child")), []
    await_report(heard, "train a", at_least=11)
    child = next(done for _, done, _ in heard if done > 10)
    waiting = [pool.submit(unit(name, tmp_path)) for name in "bcd"]
    assert is_alive(child)
    pool.stop(PoolClosedError("enough"))
    assert len(wait([future, *waiting], timeout=PATIENCE_S).done) == 4
    for each in (future, *waiting, pool.submit(unit("e", tmp_path))):
        with pytest.raises(PoolClosedError, match="enough"):
            each.result(PATIENCE_S)
    pool.close()
    assert not is_alive(child)
    assert all(holder.worker.is_gone() for holder in Claims(RunPlace.at(tmp_path).files).held().values())


def test_a_worker_that_is_killed_from_outside_gives_its_unit_to_another(heard, tmp_path):
    with pool_taking(3, heard) as pool:
        future = pool.submit(unit("a", tmp_path))
        await_report(heard, "train a", at_least=1)
        (holder,) = Claims(RunPlace.at(tmp_path).files).held().values()
        os.kill(holder.worker.pid, signal.SIGKILL)
        assert future.result(PATIENCE_S).state == "done"


class Gone(logging.Handler):
    """A handler of somebody else's, whose console ends the program when its reader has gone away."""

    def emit(self, record):
        raise SystemExit(1)


@pytest.mark.parametrize("message", ["begin train A", "train A: done"])
def test_whatever_a_log_handler_raises_whoever_waits_for_the_unit_hears_of_it(quick, tmp_path, message):
    gone = Gone()
    gone.addFilter(lambda record: record.getMessage().startswith(message))
    pools.logger.addHandler(gone)
    pools.logger.setLevel(logging.INFO)
    try:
        with pytest.raises(SystemExit):
            ended(quick, unit("A", tmp_path))
    finally:
        pools.logger.removeHandler(gone)
        pools.logger.setLevel(logging.NOTSET)
    assert ended(quick, unit("B", tmp_path)).state == "done"
