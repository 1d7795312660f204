"""How many worker processes a run gets, and what each is told."""

from types import SimpleNamespace

import pytest

from flows import work
from flows.unit import Unit

GIB = 2**30


def run(processes=0, torch_threads=1, device="cpu", memory_limit_bytes=2 * GIB):
    declared = SimpleNamespace(
        processes=processes, torch_threads=torch_threads, memory_limit_bytes=memory_limit_bytes
    )
    return SimpleNamespace(sweep=SimpleNamespace(run=declared), device=SimpleNamespace(type=device))


@pytest.mark.parametrize(
    ("declared", "processes"),
    [
        ({}, 8),
        ({"torch_threads": 3}, 2),
        ({"torch_threads": 16}, 1),
        ({"memory_limit_bytes": 6 * GIB}, 2),
        ({"memory_limit_bytes": 64 * GIB}, 1),
        ({"device": "cuda"}, 1),
        ({"device": "cuda", "processes": 3}, 3),
        ({"processes": 20}, 20),
    ],
)
def test_processes_fit_the_machine_unless_the_sweep_says(declared, processes, monkeypatch):
    monkeypatch.setattr(work, "CPU_COUNT", 8)
    monkeypatch.setattr(work, "MEMORY_LIMIT", 16 * GIB)
    assert work.processes_of(run(**declared)) == processes


def test_linear_algebra_has_the_threads_of_torch_however_many_processes_there_are():
    threads = [work.environment_of(run(processes=count, torch_threads=2)) for count in (1, 4)]
    assert threads[0] == threads[1]
    assert set(threads[0].values()) == {"2"}


def test_what_is_no_unit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no unit of work"):
        work.perform(Unit("stich", "quickstart", str(tmp_path)), lambda done, total: None)
