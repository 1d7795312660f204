"""The tasks' own functions: which call each makes, and what travels."""

import ast
import inspect
import json
from pathlib import Path

import pytest

from flows import tasks

UNITS = {
    "train": (("s", "OUT", "a"), ("train", "a")),
    "dump": (("s", "OUT", "a", "test", "1/1"), ("dump", "a test")),
    "compare": (("s", "OUT", "tcp://host:1"), ("compare", "all")),
    "fit_maps": (("s", "OUT", None), ("fit maps", "all")),
    "stitch": (("s", "OUT", "a", "layer1.0"), ("stitch", "a layer1.0")),
    "report": (("s", "OUT"), ("report", "s")),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_task_calls_one_function_and_returns_its_small_record(name, pretend, tmp_path):
    arguments, call = UNITS[name]
    record = getattr(tasks, name).fn(*[str(tmp_path) if a == "OUT" else a for a in arguments])
    assert pretend.calls == [call]
    assert json.loads(json.dumps(record)) == record
    assert len(json.dumps(record)) < 1000


def test_compare_passes_the_scheduler_on(pretend, tmp_path):
    assert tasks.compare.fn("s", str(tmp_path), "tcp://host:1")["scheduler"] == "tcp://host:1"


@pytest.mark.parametrize("name", UNITS)
def test_prefect_neither_caches_nor_persists(name):
    task = getattr(tasks, name)
    assert task.persist_result is False
    assert task.cache_policy.compute_key(None, {}, {}) is None


def test_only_stitches_are_tagged_for_a_gpu():
    assert [name for name in UNITS if "gpu" in getattr(tasks, name).tags] == ["stitch"]


def test_tasks_are_thin():
    tree = ast.parse(Path(inspect.getfile(tasks)).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert {node.name for node in functions} == {*UNITS, "_opened"}
    assert max(node.end_lineno - node.lineno + 1 for node in functions) <= 10
