"""The command line for tests: in this process, where a command takes its own time and no more, or in one of its own.

Torch alone takes seconds to import, so `stitchpipe` and `refused` call `stitchpipe.cli.main` here. What only a process
can show is asked of `in_a_process`: that importing is light, that exit codes arrive, that a sweep runs to its end.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from stitchpipe import cli
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.pool import WorkerPool
    from flows.progress import Progress
    from flows.unit import Ended, Unit
    from stitchpipe.config import Sweep


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def stitchpipe(*arguments: object, columns: int = 80) -> Ended:
    """Run one command in this process, off a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patched.setattr(sys, "argv", ["stitchpipe", *map(str, arguments)])
        patched.setenv("COLUMNS", str(columns))  # and not as wide as the terminal that the tests run in
        warnings.filterwarnings("ignore", message="Cyclopts application invoked without tokens")
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Ended(ended.value.code or 0, out.getvalue(), err.getvalue())


def run_here(
    sweep: Sweep,
    out: str,
    *,
    steps: Sequence[str],
    scheduler: str | None,
    progress: Progress,
    part: str = "1/1",
    retry_failed: bool = False,
) -> None:
    """Take the course of a run in this process: as `flows.runner.run`, without Prefect and without other processes."""
    from flows.asked import asked_of
    from flows.course import Course

    asked = asked_of(sweep, out, steps, scheduler=scheduler, part=part, retry_failed=retry_failed)
    course = Course(asked, cast("WorkerPool", PoolHere(progress)))
    for name in asked.course:
        course.take(name)
    course.demand_success()


class PoolHere:
    """Carries out units in this process, one after the other; an error that is not ours is raised."""

    work = "flows.work"

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def has(self, unit: Unit) -> bool:
        return False

    def submit(self, unit: Unit, rank: int = 0) -> Future[Ended]:
        from flows import work
        from flows.unit import Ended
        from stitchpipe.run.ledger import Reason

        future: Future[Ended] = Future()
        try:
            record = work.perform(unit, partial(self.progress, unit.name))
        except ExplainedError as error:
            self.progress.say(unit.name, f"failed: {error}")
            reason = Reason.of(error, passing=False)
            future.set_result(Ended(unit, "failed", 0.0, 0.0, reason=reason))
        else:
            future.set_result(Ended(unit, "done", 0.0, 0.0, record))
        return future


def in_a_process(*arguments: object, timeout_s: float = 240) -> Ended:
    """Run one command in a process of its own, which knows nothing of a server that a command here has started."""
    environ = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "stitchpipe.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=environ,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def complaint(ended: Ended) -> str:
    """Return the one message of a command that failed as it should."""
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr + ended.stdout
    progress, _, message = ended.stderr.strip().rpartition("stitchpipe: ")
    assert not any(line.startswith("stitchpipe: ") for line in progress.splitlines()), ended.stderr
    return f"stitchpipe: {message}"


def refused(*arguments: object) -> str:
    """Run a command that is refused, in this process; return its one message."""
    return complaint(stitchpipe(*arguments))


def modules_loaded_by(code: str, *suspects: str) -> Sequence[str]:
    """Return which of some modules are loaded in a process that ran `code`."""
    code += f"; import sys; print(*[name for name in {suspects!r} if name in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
