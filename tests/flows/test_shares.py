"""Units that several workers share: dealt by cost, taken over from the slow and the lost, done once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.shares import in_order, parts_of
from stitchpipe.run import RunPlace
from stitchpipe.run.ledger import Ledger
from tests.flows.pretend import PRETEND_MANY, SECONDS

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 240


@example(costs={0: 0.0, 1: 0.0}, of=2)
@given(costs=st.dictionaries(st.integers(0, 100), st.floats(0, 10), max_size=20), of=st.integers(1, 6))
def test_every_worker_takes_everything_in_the_end_and_begins_with_its_own(costs, of):
    orders = [in_order(costs, (number, of)) for number in range(of)]
    assert all(sorted(order) == sorted(costs) for order in orders)
    # Dealt from the costliest down: the first of each worker are as many different ones as there are workers.
    assert len({order[0] for order in orders if costs}) == min(of, len(costs))


def test_large_dumps_are_cut_into_parts_of_a_fair_share():
    assert parts_of(10, 100, 4) == 1
    assert parts_of(60, 100, 4) == 3
    assert parts_of(100, 100, 1) == 1
    assert parts_of(0, 0, 4) == 1


def worker(out, share, seconds, log):
    """Start one of several workers of a run: it takes its share, and then what is left."""
    code = f"""
from flows.asked import asked_of
from flows.course import Course
from flows.pool import WorkerPool
asked = asked_of("quickstart", {str(out)!r}, ["train"], share={share!r})
with WorkerPool(1, work="tests.flows.pretend") as pool:
    course = Course(asked, pool)
    for step in asked.course:
        course.take(step)
    course.demand_success()
"""
    environment = os.environ | {SECONDS: str(seconds), PRETEND_MANY: "12", "PYTHONPATH": str(ROOT)}
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def done_by(out):
    """Return begin and end of every unit, by the worker that did it; each was done once."""
    spans = {}
    for outcome in Ledger(RunPlace.at(out).files).outcomes().values():
        assert (outcome.state, outcome.attempts) == ("done", 1)
        spans.setdefault(outcome.worker, []).append((outcome.begun_s, outcome.begun_s + outcome.seconds))
    return spans


def speed_up(spans):
    """Return how many units were under way at a time on average, from when all workers were there."""
    of_all = sorted(span for each in spans.values() for span in each)
    since_s = max(min(begun for begun, _ in each) for each in spans.values())
    until_s = min(max(end for _, end in each) for each in spans.values())
    work_s = sum(max(0.0, min(end, until_s) - max(begun, since_s)) for begun, end in of_all)
    return work_s / (until_s - since_s)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 4])
def test_n_workers_have_n_units_under_way_at_a_time(count, tmp_path):
    log = tmp_path / "log"
    workers = [worker(tmp_path / "run", f"{k}/{count}", 2.0, log) for k in range(1, count + 1)]
    for each in workers:
        assert each.wait(PATIENCE_S) == 0, log.read_text()
    spans = done_by(tmp_path / "run")
    assert len(spans) == count
    assert sum(map(len, spans.values())) == 12
    assert speed_up(spans) > 0.8 * count
    print(
        f"{count} workers: {speed_up(spans):.2f} units at a time, {[len(each) for each in spans.values()]} each"
    )


@pytest.mark.slow
def test_the_units_of_a_worker_that_is_lost_are_taken_up_by_the_other(tmp_path):
    log, out = tmp_path / "log", tmp_path / "run"
    lost, other = (worker(out, share, 1.0, log) for share in ("1/2", "2/2"))
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("train*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(lost.pid, signal.SIGKILL)
    assert other.wait(PATIENCE_S) == 0, log.read_text()
    assert len(list(out.glob("train*"))) == 12
    lost.wait(PATIENCE_S)
