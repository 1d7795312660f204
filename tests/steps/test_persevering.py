"""A comparison whose Dask scheduler is lost: looked for, and then done without."""

import json
import subprocess
import sys
import time

import pytest

from stitchpipe.engine.cluster import Cluster, LostSchedulerError, SchedulerError
from stitchpipe.steps.comparing import persevering
from stitchpipe.steps.comparing.persevering import on_cluster

LOST = LostSchedulerError(where="it", expected="one", found="none", remedy="Go on.")
ABSENT = SchedulerError(where="it", expected="one", found="none", remedy="Start one.")


@pytest.fixture
def clusters(monkeypatch):
    """Clusters that are only addresses."""

    class Address:
        def __init__(self, _run, scheduler=None):
            self.scheduler = scheduler

        def __enter__(self):
            return self.scheduler

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(persevering, "cluster_of", Address)
    monkeypatch.setattr(persevering, "AFTER_S", (0.0, 0.0))


def tried(*ends):
    """Return work that ends in these ways one after the other, and where it was done."""
    seen, left = [], list(ends)

    def work(cluster):
        seen.append(cluster)
        end = left.pop(0) if left else {"done": True}
        if isinstance(end, Exception):
            raise end
        return end

    return work, seen


def test_a_scheduler_that_comes_back_is_gone_on_with(clusters):
    work, seen = tried(LOST, ABSENT)
    assert on_cluster(None, "tcp://a:1", work) == {"done": True}
    assert seen == ["tcp://a:1"] * 3


def test_without_it_the_work_goes_on_with_local_processes(clusters):
    work, seen = tried(LOST, ABSENT, ABSENT)
    assert on_cluster(None, "tcp://a:1", work) == {"done": True}
    assert seen == ["tcp://a:1"] * 3 + [None]


def test_a_wrong_address_and_a_lost_local_one_are_told(clusters):
    for scheduler, end in (("tcp://a:1", ABSENT), (None, LOST)):
        work, seen = tried(end)
        with pytest.raises(type(end)):
            on_cluster(None, scheduler, work)
        assert seen == [scheduler]


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_an_error_that_says_so(tmp_path):
    address = tmp_path / "scheduler.json"
    local = ["--scheduler-file", str(address), "--no-dashboard"]
    modules = {"dask_scheduler": ["--host", "127.0.0.1", "--port", "0"], "dask_worker": ["--nthreads", "1"]}
    started = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{module}", *options, *local])
        for module, options in modules.items()
    ]
    try:
        while not address.exists():
            time.sleep(0.1)
        scheduler = json.loads(address.read_text())["address"]
        with (
            Cluster(scheduler, workers=1, memory_limit_bytes=2**30, patience_s=120) as cluster,
            pytest.raises(LostSchedulerError, match="that it was lost") as caught,
        ):
            lose(cluster, started[0])
        assert scheduler in caught.value.expected
    finally:
        for process in started:
            process.kill()
            process.wait()


def lose(cluster, scheduler):
    """Wait for work whose scheduler is killed."""
    with cluster.watched() as client:
        future = client.submit(time.sleep, 600, pure=False)
        scheduler.kill()
        future.result()
