"""A plan carried out on Dask: leaves, a fixed merge tree, then one finalisation per target layer.

Only the store (its address), the plan and row-group numbers enter the graph; arrays are read by the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from stitchpipe.engine.accumulate import PassState, accumulate
from stitchpipe.engine.finalise import Target, finalise
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from stitchpipe.engine.plan import Plan
    from storage import Store

Report: TypeAlias = Callable[[int, int], None]


PATIENCE_S = 10
"""How long a named scheduler may take to answer, and to have a worker."""


class ExecutionError(ExplainedError, RuntimeError):
    """A comparison could not be carried out: says where, what was expected, what was found and what to do."""


class SchedulerError(ExecutionError):
    """No Dask scheduler answers where one was named."""


class WorkerLostError(ExecutionError):
    """Workers died over the same task more often than Dask tries."""


@contextmanager
def cluster(scheduler: str | None, *, workers: int, memory_limit_bytes: int) -> Iterator[Client]:
    """Connect to the Dask scheduler at an address, or start a local cluster of one-thread processes.

    Raises
    ------
    SchedulerError
        Nothing answers at `scheduler`, it has no workers, or they cannot import this package.
    """
    if scheduler is None:
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=memory_limit_bytes,
                dashboard_address="127.0.0.1:0",  # any free port, never the network
                host="127.0.0.1",
                silence_logs="CRITICAL",  # a failed task is raised here, as what it is
            ) as local,
            Client(local, set_as_default=False) as client,
        ):
            yield client
    else:
        with _connected(scheduler) as client:
            yield client


def _connected(scheduler: str) -> Client:
    """Return a client of a running cluster whose workers can do our work."""
    try:
        client = Client(scheduler, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _scheduler_error(scheduler, str(error) or type(error).__name__) from None
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
        # By name, in a string: a worker without our package could not even unpickle a function of ours.
        client.run(exec, "import stitchpipe.engine.accumulate")
    except (TimeoutError, ImportError) as error:
        client.close()
        raise _scheduler_error(scheduler, f"{type(error).__name__}: {error}") from None
    return client


def _scheduler_error(scheduler: str, found: str) -> SchedulerError:
    return SchedulerError(
        where="--scheduler",
        expected=f"a Dask cluster at {scheduler} whose workers have stitchpipe installed",
        found=found,
        remedy="Start one (`dask scheduler`, `dask worker`), correct the address, or leave the option out.",
    )


def execute(
    client: Client, store: Store, plan: Plan, targets: Sequence[Target], *, report: Report
) -> Iterator[tuple[Target, list[dict[str, Any]]]]:
    """Carry out a plan; yield each target with its records as soon as they are there.

    `report` is called with (done, total) leaves and targets. A worker that dies costs its tasks' repetition,
    not the result: every task is a pure function of the store, and the order of merging is fixed.

    Raises
    ------
    WorkerLostError
        Workers died again and again over the same task.
    """
    place: dict[Any, Target] = {}
    running = as_completed(loop=client.loop)
    for step in range(len(plan.passes)):
        states = [_state(client, store, plan, step, split, running) for split in range(len(plan.splits))]
        fitted_on = states[0] if len(states) > 1 else None
        for target in targets:
            if target.step == step:
                final = client.submit(finalise, plan, target, fitted_on, states[-1], pure=False, priority=10)
                place[final.key] = target
                running.add(final)
    total, done = running.count(), 0
    report(done, total)
    for future in running:
        try:
            records = future.result() if future.key in place or future.status == "error" else []
        except KilledWorker as error:
            raise WorkerLostError(
                where=f"comparison under the view '{plan.view}'",
                expected=f"workers that live through a task of about {plan.cost.peak_bytes} bytes",
                found=str(error),
                remedy="Give the workers more memory (run.memory_limit_bytes), or run fewer of them.",
            ) from None
        done += 1
        report(done, total)
        if future.key in place:
            yield place[future.key], records


def _state(
    client: Client, store: Store, plan: Plan, step: int, split: int, running: as_completed
) -> Future[PassState]:
    """Submit the leaves of a split and the binary tree that merges them in order; return its root.

    Only `running` keeps the leaves, and only until they are done: the scheduler drops each state once merged.
    """
    level = [
        client.submit(accumulate, store, plan, step, split, leaf, pure=False)
        for leaf in plan.splits[split].leaves()
    ]
    running.update(level)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [client.submit(PassState.merge, *two, pure=False, priority=5) if len(two) == 2 else two[0]
                 for two in pairs]  # fmt: skip
    return level[0]
