"""The course of a run over pretended units in real worker processes: what fails, what goes on, what is shared."""

import threading

import pytest

from flows.asked import asked_of
from flows.course import Course
from flows.pool import WorkerPool
from stitchpipe.errors import ExplainedError
from stitchpipe.run import RunPlace
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps import STEPS, UnitsFailedError
from tests.flows.pretend import FAILING, SECONDS, WORK, PretendPool


def taken(out, failing="", pool=None, steps=STEPS, **how):
    """Take a whole course; return it."""
    asked = asked_of("quickstart", str(out), steps, **how)
    environment = {FAILING: failing, SECONDS: "0"}
    with pool or WorkerPool(2, environment=environment, work=WORK) as opened:
        course = Course(asked, opened)
        for name in asked.course:
            course.take(name)
        return course


def states(course):
    return {each.unit.name: each.state for each in course.ended}


def test_the_next_run_tries_only_what_failed_and_what_waited_for_it(tmp_path):
    first = taken(tmp_path, "dump a test=fail;dump b train=explain;stitch b layer2.0=fail")
    assert states(first)["dump a test"] == "failed"
    assert first.without == ("a", "b", "codes")
    assert "compare" not in states(first)  # nothing is left to compare
    again = taken(tmp_path)
    assert {name for name, state in states(again).items() if state == "failed"} == {
        "dump a test",
        "dump b train",
    }
    assert set(states(again).values()) == {"failed", "kept", "left out"}
    with pytest.raises(UnitsFailedError, match="with --retry-failed they are tried again"):
        again.demand_success()
    last = taken(tmp_path, retry_failed=True)
    last.demand_success()
    assert last.without == ()
    done = {name for name, state in states(last).items() if state == "done"}
    assert {"dump a test", "dump b train", "dump codes train", "compare", "report"} <= done
    assert "train a" not in done


def test_stitches_that_begin_with_a_map_wait_for_a_run_that_fits_it(tmp_path):
    first = taken(tmp_path, "fit maps=fail")
    stitches = {name: state for name, state in states(first).items() if name.startswith("stitch")}
    assert stitches == {
        "stitch a layer1.0": "left out",
        "stitch a layer1.1": "left out",
        "stitch a layer2.0": "done",
        "stitch a layer2.1": "done",
    }
    with pytest.raises(UnitsFailedError, match="1 of"):
        first.demand_success()
    assert Ledger(RunPlace.at(tmp_path).files).of("stitch a layer1.0") is None
    last = taken(tmp_path, retry_failed=True)
    last.demand_success()
    assert states(last)["stitch a layer1.0"] == "done"


def test_what_waits_for_maps_is_not_sent_to_others(tmp_path):
    asked = asked_of("quickstart", str(tmp_path), ["stitch"])
    with WorkerPool(1, environment={FAILING: "fit maps=fail", SECONDS: "0"}, work=WORK) as pool:
        course = Course(asked, pool)
        course.take("begin")
        assert [unit.subject[1] for unit in course.missing("stitch")] == [
            "layer1.0",
            "layer1.1",
            "layer2.0",
            "layer2.1",
        ]
        course.take("fit maps")
        assert [unit.subject[1] for unit in course.missing("stitch")] == ["layer2.0", "layer2.1"]


def test_a_later_command_leaves_out_what_failed_before(tmp_path):
    taken(tmp_path, "train b=die")
    pool = PretendPool()
    compared = taken(tmp_path, pool=pool, steps=["compare", "report"])
    assert pool.names == ["compare", "report"]
    assert {unit.without for unit in pool.units} == {("b",)}
    with pytest.raises(UnitsFailedError, match="train b"):
        compared.demand_success()


def test_a_wrong_sweep_is_refused_with_all_mistakes_and_leaves_no_verdict(tmp_path):
    with pytest.raises(ExplainedError, match="missing.toml") as caught:
        taken(tmp_path, "inspect a=explain;inspect b=explain")
    assert not isinstance(caught.value, UnitsFailedError)
    assert Ledger(RunPlace.at(tmp_path).files).outcomes() == {}


def test_two_runs_at_once_share_the_units(tmp_path):
    courses = []
    threads = [threading.Thread(target=lambda: courses.append(taken(tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert len(courses) == 2
    for course in courses:
        course.demand_success()
    for name in ("train a", "train b", "dump a test", "dump codes train"):
        assert sorted(states(course)[name] for course in courses) == ["done", "kept"], name
