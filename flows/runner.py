"""Run a sweep from the command line: no server to start, progress as it happens, errors as raised."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flows.interruption import Interrupted, interruptible
from flows.server import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.progress import Progress

__all__ = ["Interrupted", "run"]


def run(
    sweep: str,
    out: str,
    *,
    steps: Sequence[str],
    scheduler: str | None,
    progress: Progress,
    part: str = "1/1",
) -> list[dict[str, Any]]:
    """Run steps of a sweep as a Prefect flow in this process and return one small record per unit of work.

    The units themselves run in worker processes, and those that depend on nothing begin at once: training does not
    wait for Prefect, whose server starts and whose package is imported meanwhile. Their tasks then find the units
    under way, or finished. How long each step took is added to the run's record.

    Parameters
    ----------
    sweep
        Path of a sweep file, or the name of a sweep that ships with the package.
    out
        Folder or URL of the run.
    steps
        Which of ``inspect, train, dump, compare, stitch, report`` to run.
    scheduler
        Address of a Dask scheduler, or None for a local cluster.
    progress
        Called with (unit, done, total), from several threads.
    part
        ``K/N``: dump only the K-th of N parts.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM.
    flows.processes.ProcessError
        The private Prefect server does not start, or a worker process died.
    Exception
        Whatever a unit of work raised, unwrapped.
    """
    begun_s = time.monotonic()
    with interruptible(out) as interruption:
        server = prepare()
        # Heavy, and the server starts meanwhile.
        from flows.plan import Plan  # noqa: PLC0415
        from flows.pool import PoolClosedError, active  # noqa: PLC0415
        from flows.timing import note_times, step_times  # noqa: PLC0415
        from flows.work import pool_of  # noqa: PLC0415

        with active(pool_of(sweep, out, progress=progress)) as pool:
            interruption.tell(lambda: pool.stop(PoolClosedError("the run was asked to stop")))
            for unit in Plan.of(sweep, out, scheduler=scheduler, part=part).at_once(steps):
                pool.submit(unit)
            progress("start Prefect", 0, 1)
            # Prefect reads its settings when it is imported: they exist only now.
            from flows.sweep import sweep as flow  # noqa: PLC0415

            if server is not None:
                server.wait_until_healthy()
            progress("start Prefect", 1, 1)
            records = flow(sweep, out, scheduler=scheduler, steps=list(steps), part=part)
            total_s = time.monotonic() - begun_s
            note_times(out, step_times(pool.finished), total_s=total_s, processes=pool.processes)
            return records
