"""Units of work that only leave files and wait, for tests that are about orchestration.

`perform` does them in a worker process, `PretendPool` in this one. ``python pretend.py OUT SECONDS`` runs the flow over
them as the command line would, printing each report.
"""

import logging
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

from flows.pool import WorkerPool
from flows.runner import Interrupted, run
from stitchpipe.errors import ExplainedError

WORK = "tests.flows.pretend:perform"
TARGETS = (("a", "layer1.0"), ("a", "layer1.1"), ("a", "layer2.0"), ("a", "layer2.1"))
SECONDS = "PRETEND_SECONDS"
BRIEF = ("inspect", "dump", "compare", "fit maps", "report")


class PretendError(ExplainedError):
    def __init__(self, shade="grey"):
        self.shade = shade
        super().__init__(where="missing.toml", expected="a sweep", found="nothing", remedy="Name one.")


class LocalError(Exception):
    """An error that cannot cross to another process."""

    def __reduce__(self):
        raise TypeError("stays here")


def perform(unit, report):
    """Do what the unit's option says, or wait; leave a file of its name."""
    match unit.option:
        case "explain":
            raise PretendError("blue")
        case "fail":
            raise KeyError("no such thing")
        case "fail locally":
            raise LocalError("no way out")
        case "die":
            print("something is wrong", flush=True)
            os.abort()
        case "have a child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            report(child.pid, 1 << 30)
        case "speak":
            logging.getLogger("pretend").warning("careful with %s", unit.name)
            warnings.warn("that is old", stacklevel=1)
    seconds = 0.1 if unit.step in BRIEF else float(os.environ.get(SECONDS, "0"))
    for done in range(10):
        report(done, 10)
        time.sleep(seconds / 10)
    report(10, 10)
    root = Path(unit.out)
    root.mkdir(parents=True, exist_ok=True)
    (root / unit.name.replace("/", "-")).touch()
    return record_of(unit) | {"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def record_of(unit):
    findings = [{"title": "Is a|b?", "answer": "<b>yes</b>"}] if unit.step == "report" else []
    return {"unit": unit.name, "option": unit.option} | ({"findings": findings} if findings else {})


class PretendPool:
    """A pool that carries out units at once, without any process, and remembers them."""

    processes = 1

    def __init__(self):
        self.units, self._futures, self.failure, self.failing = [], {}, None, None

    def submit(self, unit):
        if unit in self._futures:
            return self._futures[unit]
        self.units.append(unit)
        future = self._futures[unit] = Future()
        if unit.name == self.failing:
            self.failure = PretendError()
            future.set_exception(self.failure)
        else:
            future.set_result(record_of(unit))
        return future

    @property
    def names(self):
        return [unit.name for unit in self.units]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def units(run):
    return SimpleNamespace(
        models=("a", "b"),
        dumps=(("a", "train"), ("a", "test"), ("b", "train"), ("b", "test"), ("codes", "test")),
        views=("positions", "pooled"),
        targets=TARGETS,
    )


def open_run(sweep, out):
    if sweep == "missing.toml":
        raise PretendError
    return SimpleNamespace(name=sweep)


def is_alive(pid):
    """Return whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    import flows.work
    from stitchpipe import steps
    from stitchpipe.run import Run

    os.environ[SECONDS] = sys.argv[2]
    Run.open, steps.units = open_run, units
    flows.work.pool_of = lambda sweep, out, *, progress: WorkerPool(2, work=WORK, progress=progress)
    try:
        run(
            "pretend",
            sys.argv[1],
            steps=("inspect", "train", "dump", "compare", "stitch", "report"),
            scheduler=None,
            progress=lambda unit, done, total: print(f"{unit}: {done}/{total}", flush=True),
        )
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        sys.exit(interrupted.exit_code)
    except ExplainedError as error:
        print(error, flush=True)
        sys.exit(1)
