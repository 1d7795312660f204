"""The tasks' one function: what travels, and what Prefect is told."""

import ast
import inspect
import json
from pathlib import Path

import pytest

from flows import tasks
from flows.plan import Plan
from flows.unit import Unit


def test_a_task_hands_its_unit_to_the_pool_and_returns_a_small_record(pretend, tmp_path):
    unit = Unit("dump", "s", str(tmp_path), ("a", "test"), "1/1")
    record = tasks.TASKS["dump"].fn(unit)
    assert pretend.units == [unit]
    assert json.loads(json.dumps(record)) == record
    assert len(json.dumps(record)) < 1000


def test_a_task_without_a_pool_says_so():
    with pytest.raises(LookupError, match="report"):
        tasks.carry_out(Unit("report", "s", "out"))


@pytest.mark.parametrize("step", tasks.TASKS)
def test_prefect_neither_caches_nor_persists(step):
    task = tasks.TASKS[step]
    assert (task.name, task.task_run_name) == (step, "{unit.name}")
    assert task.persist_result is False
    assert task.cache_policy.compute_key(None, {}, {}) is None


def test_only_stitches_are_tagged_for_a_gpu():
    assert [step for step, task in tasks.TASKS.items() if "gpu" in task.tags] == ["stitch"]


def test_every_unit_of_a_plan_has_a_task(pretend, tmp_path):
    plan = Plan.of("s", str(tmp_path))
    units = [
        *plan.inspections,
        *plan.trainings,
        *plan.dumps,
        *plan.control_dumps,
        *plan.comparison,
        plan.maps,
        *plan.stitches,
        plan.report,
    ]
    assert {unit.step for unit in units} == set(tasks.TASKS)


def test_what_begins_at_once_depends_on_nothing_that_was_chosen(pretend, tmp_path):
    plan = Plan.of("s", str(tmp_path))
    assert plan.at_once(["train", "dump"]) == plan.trainings
    assert plan.at_once(["dump"]) == plan.dumps
    assert plan.at_once(["compare", "report"]) == ()


def test_tasks_are_thin():
    tree = ast.parse(Path(inspect.getfile(tasks)).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert {node.name for node in functions} == {"carry_out", "pool_of_this_run", "begin"}
    assert max(node.end_lineno - node.lineno + 1 for node in functions) <= 10
