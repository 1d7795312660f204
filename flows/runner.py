"""Run a sweep from the command line: no server to start, progress as it happens, errors as raised."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from flows.interruption import Interrupted, interruptible
from flows.server import prepare
from flows.settling import is_everything_there
from stitchpipe.run.declarations import opened_sweep
from stitchpipe.run.place import RunPlace
from stitchpipe.run.settled import Settled
from stitchpipe.steps.failures import UnitsFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.course import Course
    from flows.progress import Progress
    from flows.server import PrivateServer
    from stitchpipe.config import Sweep

__all__ = ["Interrupted", "run"]

_SINGLE: Final = 3
"""`dump` takes so many steps, the other commands for a part of a run one."""


def run(
    sweep: Sweep | str,
    out: str,
    *,
    steps: Sequence[str],
    scheduler: str | None,
    progress: Progress,
    part: str = "1/1",
    retry_failed: bool = False,
) -> list[dict[str, Any]]:
    """Run steps of a sweep and return one small record per unit of work.

    Where a command that is on record left everything as it is now, nothing is begun. Otherwise all steps together are a
    Prefect flow in this process; some of them are taken without Prefect, unless a server is
    named in ``PREFECT_API_URL``. The units run in worker processes, and those that depend on nothing begin at once:
    they do not wait for Prefect, whose server starts and whose package is imported meanwhile. How long each step took
    is added to the run's record.

    Parameters
    ----------
    sweep
        A sweep, or its path, name or URL.
    out
        Folder or URL of the run.
    steps
        Which of ``inspect, train, dump, compare, stitch, report`` to run.
    scheduler
        Address of a Dask scheduler, or None for a local cluster.
    progress
        Hears how far units are, from several threads.
    part
        ``K/N``: dump only the K-th of N parts.
    retry_failed
        Whether units that failed by themselves are tried again.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM.
    flows.processes.ProcessError
        The private Prefect server does not start.
    flows.given_server.GivenServerError
        The user's Prefect server does not answer: nothing was begun.
    stitchpipe.steps.UnitsFailedError
        Units failed; what does not depend on them was done.
    ExplainedError
        The sweep or the place cannot be used: nothing was begun.
    """
    begun_s, place = time.monotonic(), RunPlace.at(out)
    with interruptible(out) as interruption:
        declared = opened_sweep(sweep, place)
        settled = Settled(declared, place)
        if is_everything_there(settled, steps, part=part, retry_failed=retry_failed):
            progress.say("sweep", "everything is there already")
            return []
        server = prepare() if _is_for_prefect(steps) else None
        stamp = settled.stamp()
        # Heavy, and the server starts meanwhile.
        from flows.asked import asked_of  # noqa: PLC0415
        from flows.course import Course  # noqa: PLC0415
        from flows.pool import PoolClosedError  # noqa: PLC0415
        from flows.timing import note_times, step_times  # noqa: PLC0415
        from flows.work import pool_of  # noqa: PLC0415

        asked = asked_of(declared, out, steps, scheduler=scheduler, part=part, retry_failed=retry_failed)
        with pool_of(asked.sweep, asked.out, progress=progress) as pool:
            interruption.tell(lambda: pool.stop(PoolClosedError("the run was asked to stop")))
            course = Course(asked, pool)
            _take(course, server, progress)
            total_s = time.monotonic() - begun_s
            note_times(out, step_times(course.ended), total_s=total_s, processes=pool.processes)
            course.settle(settled, stamp)
            course.demand_success()
            return [ended.record for ended in course.ended]


def _is_for_prefect(steps: Sequence[str]) -> bool:
    """Whether a run is recorded by Prefect: where it is a whole one, or the user has a server."""
    return len(steps) > _SINGLE or bool(os.environ.get("PREFECT_API_URL"))


def _take(course: Course, server: PrivateServer | None, progress: Progress) -> None:
    """Take a course to its end; where it is recorded by Prefect, it begins before Prefect is there."""
    asked = course.asked
    if not _is_for_prefect(asked.steps):
        for name in asked.course:
            course.take(name)
        return
    if server is None:
        from flows.given_server import demand_answer  # noqa: PLC0415 - as below

        demand_answer()
    for name in asked.course[: asked.course.index("begin") + 1]:
        course.take(name)
    course.begin_activations()
    progress("start Prefect", 0, 1)
    # Prefect reads its settings when it is imported: they exist only now.
    from flows.course import active  # noqa: PLC0415
    from flows.sweep import sweep as flow  # noqa: PLC0415

    if server is not None:
        server.wait_until_healthy()
    progress("start Prefect", 1, 1)
    # That units failed is how the flow ends for Prefect; it is told again when all is on record.
    with active(course), suppress(UnitsFailedError):
        flow(
            asked.sweep,
            asked.out,
            scheduler=asked.scheduler,
            steps=list(asked.steps),
            part=asked.part,
            retry_failed=asked.retry_failed,
        )
