"""Which process is killed in which phase of a run, and that it is really there to be killed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType

from flows.installation import descendants, kill_all, processes_with, worker_name

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.installation import PrefectInstallation

CPU_POOL, GPU_POOL = "cpu-pool", "gpu-pool"


def dask_worker(number: int) -> str:
    """Return what the `number`-th Dask worker is called."""
    return f"dask-worker {number}"


#: Victim -> what it is.
VICTIMS: Final = {
    "server": "the Prefect server",
    "s3": "the S3 server",
    "cpu-worker": "the worker of the CPU pool, not the run that it started",
    "gpu-worker": "the first worker of the GPU pool, not the run that it started",
    "flow": "the processes of the sweep's flow run",
    "gpu-flow": "the processes of one flow run in the GPU pool",
    "unit": "one worker process that carries out units, of whichever flow run",
    "cpu-machine": "the worker of the CPU pool with all that it started",
    "gpu-machine": "the first worker of the GPU pool with all that it started; it never comes back",
    "dask-scheduler": "the Dask scheduler",
    "dask-worker": "one Dask worker with its nanny",
}

#: Phase -> the first words of the tasks that are at work in it. In `submit` the run has not begun.
PHASES: Final = ("submit", "inspect", "train", "dump", "compare", "fit maps", "stitch", "report")

#: Victims that are the process of a service, and what the service is called.
_SERVICES: Final = {
    "server": "server",
    "s3": "s3",
    "dask-scheduler": "dask-scheduler",
    "cpu-worker": worker_name(CPU_POOL),
    "gpu-worker": worker_name(GPU_POOL),
}

#: Victims that are a service with all that it has started, as when a machine is lost.
_MACHINES: Final = {
    "cpu-machine": worker_name(CPU_POOL),
    "gpu-machine": worker_name(GPU_POOL),
    "dask-worker": dask_worker(0),
}


@dataclass(frozen=True)
class Fault:
    """A process to kill, and when.

    Attributes
    ----------
    victim
        One of `VICTIMS`.
    during
        One of `PHASES`: it is killed when a task of that name is at work, or the run is being submitted.
    after_s
        Seconds from then to the kill.
    """

    victim: str
    during: str
    after_s: float = 1.0

    @property
    def gone(self) -> tuple[str, ...]:
        """The services that are not started again."""
        return (_MACHINES[self.victim],) if self.victim == "gpu-machine" else ()

    def is_due(self, client: SyncPrefectClient, run: UUID) -> bool:
        """Return whether the phase has come."""
        if self.during == "submit":
            state = client.read_flow_run(run).state
            return state is not None and state.type is StateType.PENDING
        running = TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING]))
        tasks = client.read_task_runs(task_run_filter=TaskRunFilter(state=running))
        return any(task.name.startswith(self.during) for task in tasks)

    def strike(self, installation: PrefectInstallation, client: SyncPrefectClient, run: UUID) -> str:
        """Kill the victim; return what was killed, in words."""
        if (service := _SERVICES.get(self.victim)) is not None:
            installation.kill(service)
            return service
        if (machine := _MACHINES.get(self.victim)) is not None:
            below = descendants(installation.pid(machine))
            installation.kill(machine)
            return f"{machine} and {kill_all(below)} processes below it"
        on_gpu = _running(client, GPU_POOL)
        if self.victim == "flow":
            return f"{installation.kill_flow(run)} processes of the sweep's run"
        if self.victim == "gpu-flow":
            return f"{sum(map(installation.kill_flow, on_gpu[:1]))} processes of a run in {GPU_POOL}"
        units = [pid for flow in (run, *on_gpu) for pid in _units(flow)]
        return f"{kill_all(units[:1])} of {len(units)} processes that carry out units"


def _running(client: SyncPrefectClient, pool: str) -> list[UUID]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))
    in_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    return [
        run.id
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state), work_pool_filter=in_pool)
    ]


def _units(run: UUID) -> list[int]:
    """Return the processes of a flow run that carry out units."""
    return [
        pid
        for pid in processes_with(f"PREFECT__FLOW_RUN_ID={run}")
        if b"flows.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
