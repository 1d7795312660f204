"""Units of work that only leave files and wait, for tests that are about orchestration.

A module that does what `flows.work` does: worker processes perform its units, and courses ask it what there is.
`PretendPool` performs them in this process. ``python pretend.py OUT SECONDS`` takes the course as the command line
would, printing each report. Its imports are light, because each worker process has them.
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

from flows.progress import Silent
from flows.unit import Ended
from stitchpipe.errors import ExplainedError
from stitchpipe.run.ledger import Reason

WORK = "tests.flows.pretend"
TARGETS = (("a", "layer1.0"), ("a", "layer1.1"), ("a", "layer2.0"), ("a", "layer2.1"))
SECONDS = "PRETEND_SECONDS"
FAILING = "PRETEND_FAILING"
"""Names of units that fail, and how, as NAME=HOW with ``;`` between."""
PRETEND_MANY = "PRETEND_MANY"
"""How many networks there are."""
BRIEF = ("inspect", "dump", "compare", "fit maps", "report")


class PretendError(ExplainedError):
    def __init__(self, shade="grey"):
        self.shade = shade
        super().__init__(where="missing.toml", expected="a sweep", found="nothing", remedy="Name one.")


def perform(unit, report):
    """Do what the unit's option says, or wait; leave a file of its name."""
    do(failing().get(unit.name, unit.option), unit, report)
    seconds = 0.1 if unit.step in BRIEF else float(os.environ.get(SECONDS, "0"))
    for done in range(10):
        report(done, 10)
        time.sleep(seconds / 10)
    report(10, 10)
    root = Path(unit.out)
    root.mkdir(parents=True, exist_ok=True)
    (root / unit.name.replace("/", "-")).touch()
    return record_of(unit) | {"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def do(how, unit, report):
    match how:
        case "explain":
            raise PretendError("blue")
        case "fail":
            raise KeyError("no such thing")
        case "pass":
            raise ConnectionError("not today")
        case "pass once":
            mark = Path(unit.out) / f"tried {unit.name}"
            if not mark.exists():
                mark.touch()
                raise ConnectionError("not at first")
        case "die":
            print("something is wrong", flush=True)
            os.abort()
        case "be killed":
            os.kill(os.getpid(), 9)
        case "have a child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            report(child.pid, 1 << 30)
        case "speak":
            logging.getLogger("pretend").warning("careful with %s", unit.name)
            warnings.warn("that is old", stacklevel=1)


def failing():
    return dict(each.split("=") for each in os.environ.get(FAILING, "").split(";") if each)


def kept(unit):
    """A unit is done where its file is there."""
    is_there = (Path(unit.out) / unit.name.replace("/", "-")).exists()
    return record_of(unit) if is_there and unit.step not in ("compare", "fit maps", "report") else None


def done(units):
    return {unit: record for unit in units if (record := kept(unit)) is not None}


def costs(sweep, out, without=()):
    return {}


def key(unit):
    return f"key of {unit.name}"


def networks(sweep, out, without=()):
    names = "abcdefghijklmnopqrstuvwxyz"[: int(os.environ.get(PRETEND_MANY, "2"))]
    return tuple(name for name in names if name not in without)


def units(sweep, out, without=()):
    there = networks(sweep, out, without)
    dumps = [(model, split) for model in (*there, *({"codes"} - set(without))) for split in ("train", "test")]
    return SimpleNamespace(
        models=there,
        dumps=tuple(dumps),
        views=("positions", "pooled"),
        targets=tuple(target for target in TARGETS if target[0] in there),
        origins={"codes": "b"} if "b" in there else {},
        mapped=frozenset(TARGETS[:2]),
    )


def check_declaration(sweep, out, wanted):
    pass


def check(sweep, out, without, wanted):
    pass


def is_mistake(ended):
    return ended.reason.kind == "PretendError"


def record_of(unit):
    findings = [{"title": "Is a|b?", "answer": "<b>yes</b>"}] if unit.step == "report" else []
    page = {"sweep": "s", "findings": findings} if findings else {}
    return {"unit": unit.name, "option": unit.option} | page


class PretendPool:
    """A pool that carries out units at once, without any process, and remembers them.

    Attributes
    ----------
    failing
        Names of units that fail.
    """

    processes, work, failure = 1, WORK, None

    def __init__(self):
        self.units, self._futures, self.failing, self.progress = [], {}, set(), Silent()

    def submit(self, unit, rank=0):
        if unit not in self._futures:
            self.units.append(unit)
            future = self._futures[unit] = Future()
            if unit.name in self.failing:
                reason = Reason.of(ValueError("no"), passing=False)
                future.set_result(Ended(unit, "failed", 0.0, 1.0, reason=reason))
            else:
                future.set_result(Ended(unit, "done", 0.0, 1.0, record_of(unit)))
        return self._futures[unit]

    def has(self, unit):
        return unit in self._futures

    @property
    def names(self):
        return [unit.name for unit in self.units]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Heard:
    """Progress that is remembered, or printed."""

    def __init__(self, hear):
        self._hear = hear

    def __call__(self, unit, done, total):
        self._hear((unit, done, total))

    def say(self, unit, line):
        self._hear((unit, line))


def is_alive(pid):
    """Return whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def printed(report):
    name, *rest = report
    print(f"{name}: {'/'.join(map(str, rest))}", flush=True)


if __name__ == "__main__":
    # Only here: the many worker processes that perform units would take twice as long to start.
    import flows.work
    from flows.pool import WorkerPool
    from flows.runner import Interrupted, run

    os.environ[SECONDS] = sys.argv[2]
    flows.work.pool_of = lambda sweep, out, *, progress: WorkerPool(2, work=WORK, progress=progress)
    try:
        run(
            "quickstart",
            sys.argv[1],
            steps=("inspect", "train", "dump", "compare", "stitch", "report"),
            scheduler=None,
            progress=Heard(printed),
        )
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        sys.exit(interrupted.exit_code)
    except ExplainedError as error:
        print(error, flush=True)
        sys.exit(1)
