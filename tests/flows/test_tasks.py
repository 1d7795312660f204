"""The tasks of a course: what Prefect is told."""

import ast
import inspect
import json
from pathlib import Path

import pytest

from flows import tasks
from flows.asked import COURSE, asked_of
from flows.course import Course


def test_a_task_takes_a_step_of_the_course_and_returns_counts(pretend, tmp_path):
    course = Course(asked_of("quickstart", str(tmp_path), None), pretend)
    assert tasks.TASKS["inspect"].fn(course, "inspect") == {"done": 2}
    assert json.loads(json.dumps(tasks.TASKS["activations"].fn(course, "activations"))) == {"done": 8}
    assert tasks.TASKS["activations"].fn(course, "activations") == {"done": 8}
    assert len(pretend.units) == 10  # a step that was taken is not taken again


@pytest.mark.parametrize("step", COURSE)
def test_prefect_neither_caches_nor_persists(step):
    task = tasks.TASKS[step]
    assert (task.name, task.task_run_name) == (step, "{step}")
    assert task.persist_result is False
    assert task.cache_policy.compute_key(None, {}, {}) is None


def test_only_stitches_are_tagged_for_a_gpu():
    assert [step for step, task in tasks.TASKS.items() if "gpu" in task.tags] == ["stitch"]


def test_every_step_of_a_course_has_a_task_and_a_method():
    assert set(tasks.TASKS) == set(COURSE)
    assert all(callable(getattr(Course, step.replace(" ", "_"))) for step in COURSE)


def test_tasks_are_thin():
    tree = ast.parse(Path(inspect.getfile(tasks)).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert {node.name for node in functions} == {"carried_out"}
    assert max(node.end_lineno - node.lineno + 1 for node in functions) <= 10
