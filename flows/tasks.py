"""A unit of work as a Prefect task: hand it to a worker process, wait, return its small record.

Prefect caches and persists nothing here: the store says what is done, and every step skips what it finds sealed
there. Parameters and results are names and counts; arrays never pass through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import Task
from prefect.cache_policies import NO_CACHE

from flows.pool import active_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.futures import PrefectFuture

    from flows.pool import WorkerPool
    from flows.unit import Record, Unit


def carry_out(unit: Unit) -> Record:
    """Have a worker process carry out a unit of work. A unit that has begun already is only waited for."""
    return pool_of_this_run(unit).submit(unit).result()


def pool_of_this_run(unit: Unit) -> WorkerPool:
    """Return the active pool; `LookupError` where there is none for the unit."""
    pool = active_pool()
    if pool is None:
        raise LookupError(f"no pool of worker processes is active for {unit.name!r}")
    return pool


#: One task for each step, so that Prefect tells them apart; stitches want a GPU where there is one.
TASKS = {
    step: Task(
        carry_out,
        name=step,
        task_run_name="{unit.name}",
        tags=["gpu"] if step == "stitch" else [],
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    for step in ("inspect", "train", "dump", "compare", "fit maps", "stitch", "report")
}


def begin(unit: Unit, *, after: Sequence[PrefectFuture[Record]] = ()) -> PrefectFuture[Record]:
    """Start the task of a unit as soon as the tasks `after` which it comes have succeeded."""
    if not after:
        pool_of_this_run(unit).submit(unit)  # tasks start in any order; the pool keeps that of the plan
    return TASKS[unit.step].submit(unit, return_state=False, wait_for=list(after))
