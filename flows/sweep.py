"""The sweep as Prefect flows: which unit of work follows which.

`sweep` is the whole pipeline; `stitch` is the part that wants a GPU, as a flow of its own, so that a deployment can
send it to another work pool.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from prefect import flow
from prefect.deployments import run_deployment
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifact import publish
from flows.plan import Plan
from flows.pool import active, active_pool
from flows.tasks import begin
from flows.work import pool_of
from stitchpipe import steps as pipeline
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prefect.client.schemas import FlowRun
    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from flows.pool import WorkerPool
    from flows.unit import Record

#: How many tasks of a flow wait for worker processes at a time, each in a thread; later ones wait for these.
_WAITING = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=32))


class FlowError(ExplainedError, ValueError):
    """A sweep cannot be orchestrated the way that was asked for."""


@flow(name="stitch", persist_result=False, task_runner=_WAITING)
def stitch(sweep: str, out: str) -> list[dict[str, object]]:
    """Make and score the stitches into every target layer of a sweep; its maps must have been fitted.

    Parameters
    ----------
    sweep
        Path of a sweep file, or the name of a sweep that ships with the package.
    out
        Directory of the store and the results; the workers of every pool must see it.
    """
    with _workers(sweep, out) as pool:
        return gathered(pool, [begin(unit) for unit in Plan.of(sweep, out).stitches])


@flow(name="sweep", persist_result=False, task_runner=_WAITING)
def sweep(
    sweep: str,
    out: str,
    scheduler: str | None = None,
    steps: list[str] | None = None,
    stitch_deployment: str | None = None,
    part: str = "1/1",
) -> list[dict[str, object]]:
    """Inspect, train, dump, compare, stitch and report, each unit skipped where the store already holds it.

    Parameters
    ----------
    sweep, out
        As in `stitch`.
    scheduler
        Address of a Dask scheduler (``tcp://…``); default: a local cluster for as long as a step needs it.
    steps
        Which of ``inspect, train, dump, compare, stitch, report`` to run; default: all. The order is always that one.
    stitch_deployment
        Name of the deployment that stitches (``stitch/gpu``), for a GPU in another work pool; default: here.
    part
        ``K/N``: dump only the K-th of N parts of every model and split; N runs on N machines share a dump.

    Returns
    -------
    list of dict
        One small record per unit of work, in order.
    """
    wanted = chosen(steps)
    with _workers(sweep, out) as pool:
        # prefect.yaml renders an unset environment variable as an empty string.
        plan = Plan.of(sweep, out, scheduler=scheduler or None, part=part)
        inspected = [begin(unit) for unit in plan.inspections] if "inspect" in wanted else []
        records = gathered(pool, [*inspected, *_activations(plan, wanted, inspected)])
        if "compare" in wanted:
            records += gathered(pool, [begin(unit) for unit in plan.comparison])
        if "stitch" in wanted:
            records += gathered(pool, [begin(plan.maps)])
            records += _stitches(pool, plan, stitch_deployment or None)
        if "report" in wanted:
            (record,) = gathered(pool, [begin(plan.report)])
            publish(record, sweep=sweep)
            records.append(record)
        return records


def chosen(steps: Sequence[str] | None) -> list[str]:
    """Return the steps to run, in the pipeline's order; raise `FlowError` for a name that is not a step."""
    if steps is None:
        return list(pipeline.STEPS)
    if unknown := [step for step in steps if step not in pipeline.STEPS]:
        raise FlowError(
            where="steps",
            expected=f"some of {', '.join(pipeline.STEPS)}",
            found=", ".join(map(repr, unknown)),
            remedy="Leave the parameter out to run them all.",
        )
    return [step for step in pipeline.STEPS if step in steps]


def gathered(pool: WorkerPool, tasks: Sequence[PrefectFuture[Record]]) -> list[Record]:
    """Return the records of some tasks when all have ended; raise what the first unit that failed raised."""
    wait(list(tasks))
    if pool.failure is not None:
        raise pool.failure
    return [task.result() for task in tasks]


@contextmanager
def _workers(sweep: str, out: str) -> Iterator[WorkerPool]:
    """Yield the pool that the command line made for this run, or make one for as long as the flow runs."""
    pool = active_pool()
    if pool is not None:
        yield pool
    else:
        with active(pool_of(sweep, out)) as pool:
            yield pool


def _activations(
    plan: Plan, steps: Sequence[str], inspected: Sequence[PrefectFuture[Record]]
) -> list[PrefectFuture[Record]]:
    """Train and dump: a network's dump begins when its own training has ended, whatever the others do.

    Dumps wait for the inspections too, so that no worker process has to find out layers that another is about to.
    """
    trained = {unit.subject[0]: begin(unit) for unit in plan.trainings} if "train" in steps else {}
    if "dump" not in steps:
        return list(trained.values())
    dumped = [
        begin(unit, after=[*inspected, *([trained[unit.subject[0]]] if unit.subject[0] in trained else [])])
        for unit in plan.dumps
    ]
    controls = [begin(unit, after=dumped) for unit in plan.control_dumps]
    return [*trained.values(), *dumped, *controls]


def _stitches(pool: WorkerPool, plan: Plan, deployment: str | None) -> list[Record]:
    """Stitch into every target layer: here, or as a run of a deployment, which is waited for."""
    if deployment is None:
        return gathered(pool, [begin(unit) for unit in plan.stitches])
    parameters = {"sweep": plan.report.sweep, "out": plan.report.out}
    run = cast("FlowRun", run_deployment(deployment, parameters=parameters, poll_interval=2.0))
    if run.state is None or not run.state.is_completed():
        raise FlowError(
            where=f"flow run {run.name!r} of deployment {deployment!r}",
            expected="that it completes",
            found=f"{run.state.name}: {run.state.message}" if run.state else "no state",
            remedy="Read that run's logs; running the sweep again continues where it stopped.",
        )
    return [{"step": "stitch", "deployment": deployment, "flow_run": str(run.id)}]
