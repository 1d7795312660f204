"""The command line for tests: in this process, where a command takes its own time and no more, or in one of its own.

Torch alone takes seconds to import, so `stitchpipe` and `refused` call `stitchpipe.cli.main` here. What only a process
can show is asked of `in_a_process`: that importing is light, that exit codes arrive, that a sweep runs to its end.
"""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from stitchpipe import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.progress import Progress


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
    sweep: str,
    out: str,
    *,
    steps: Sequence[str],
    scheduler: str | None,
    progress: Progress,
    part: str = "1/1",
) -> None:
    """Do the units of some steps one after the other in this process: as `flows.runner.run`, without Prefect."""
    from flows.plan import Plan
    from flows.work import perform

    plan = Plan.of(sweep, out, scheduler=scheduler, part=part)
    units = {
        "inspect": plan.inspections,
        "train": plan.trainings,
        "dump": (*plan.dumps, *plan.control_dumps),
        "compare": plan.comparison,
        "stitch": (plan.maps, *plan.stitches),
        "report": (plan.report,),
    }
    for unit in (unit for step in steps for unit in units[step]):
        perform(unit, partial(progress, unit.name))


def in_a_process(*arguments: object, timeout_s: float = 240) -> Ended:
    """Run one command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "stitchpipe.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def complaint(ended: Ended) -> str:
    """Return the one message of a command that failed as it should."""
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr + ended.stdout
    *progress, message = ended.stderr.strip().splitlines()
    assert all(": done (" in line for line in progress), ended.stderr
    assert message.startswith("stitchpipe: ")
    return message


def refused(*arguments: object) -> str:
    """Run a command that is refused, in this process; return its one message."""
    return complaint(stitchpipe(*arguments))


def modules_loaded_by(code: str, *suspects: str) -> Sequence[str]:
    """Return which of some modules are loaded in a process that ran `code`."""
    code += f"; import sys; print(*[name for name in {suspects!r} if name in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
